"""`ocean-check` tells the gateway how the clinic's webhooks are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.installation import Installation
from integration.sync.clinic import Clinic, Tls, make_site
from ocean_api.reasons import Reason
from ocean_emr.store.arrivals import Verifier
from ocean_emr.testing.ocean_sim import OceanSim
from ocean_emr.testing.oscar_sim import FaultKind, OscarSim

LOGIN = {"siteKey": "site-key-1", "siteCredential": "site-credential-1"}
KEY = "webhook-key-of-p0001-with-32-chars"
OTHER_KEY = "another-webhook-key-of-p0001-12"


def mount(clinic: Clinic, key: str | None) -> None:
    clinic.mount("ocean", LOGIN if key is None else {**LOGIN, "webhookKey": key})


def verifier(clinic: Clinic) -> Verifier | None:
    """What the gateway would read."""
    rows = clinic.query("select salt, digest from ocean.webhook where site = %s")
    return Verifier(*rows[0]) if rows else None


def outcomes(clinic: Clinic) -> list[str]:
    return [outcome for action, outcome in clinic.audit() if action == "webhook.key"]


async def test_key_in_the_secret_is_the_one_that_is_known(clinic: Clinic) -> None:
    mount(clinic, KEY + "\n")
    process = clinic.start("check", "--token", "t")
    assert await process.status() == 0, process.said

    known = verifier(clinic)
    assert known is not None
    assert known.accepts(KEY)
    assert not known.accepts(OTHER_KEY)
    assert clinic.check_report().receives is True
    assert outcomes(clinic) == ["registered"]
    assert KEY not in process.said


async def test_same_key_is_written_once(clinic: Clinic) -> None:
    mount(clinic, KEY)
    await clinic.check()
    before = verifier(clinic)
    await clinic.check("token-2")

    assert verifier(clinic) == before
    assert outcomes(clinic) == ["registered"]


async def test_changed_key_takes_the_place_of_the_old_one(clinic: Clinic) -> None:
    mount(clinic, KEY)
    await clinic.check()
    mount(clinic, OTHER_KEY)
    await clinic.check("token-2")

    known = verifier(clinic)
    assert known is not None
    assert (known.accepts(KEY), known.accepts(OTHER_KEY)) == (False, True)
    assert outcomes(clinic) == ["registered", "registered"]


async def test_without_a_key_no_webhooks_are_taken(clinic: Clinic) -> None:
    await clinic.check()
    assert (verifier(clinic), clinic.check_report().receives, outcomes(clinic)) == (None, False, [])
    mount(clinic, KEY)
    await clinic.check("token-2")
    mount(clinic, None)
    await clinic.check("token-3")

    assert (verifier(clinic), clinic.check_report().receives) == (None, False)
    assert outcomes(clinic) == ["registered", "forgotten"]


@pytest.mark.parametrize("key", [KEY[:23], "webhook key of p0001 with blanks", "clé-webhook-de-p0001-avec-accent"])
async def test_key_that_could_be_guessed_or_not_be_sent_is_refused_and_the_old_one_forgotten(
    key: str, clinic: Clinic
) -> None:
    mount(clinic, KEY)
    await clinic.check()
    mount(clinic, key)
    process = clinic.start("check", "--token", "token-2")
    assert await process.status() == 0, process.said

    report = clinic.check_report()
    assert report.access is not None
    assert report.access.reason is Reason.CREDENTIALS_SECRET_INVALID
    assert "webhookKey" in report.access.message
    assert verifier(clinic) is None
    assert key not in process.said + str(clinic.state("check"))


async def test_key_is_known_while_ocean_and_the_emr_are_away(clinic: Clinic, oscar: OscarSim) -> None:
    """Messages are kept meanwhile."""
    oscar.faults.add(FaultKind.UNAVAILABLE)
    mount(clinic, KEY)
    await clinic.check()

    assert clinic.check_report().access is not None
    known = verifier(clinic)
    assert known is not None
    assert known.accepts(KEY)


async def test_secret_that_is_missing_for_a_while_changes_nothing(clinic: Clinic) -> None:
    """Ocean would be told that the clinic is unknown."""
    mount(clinic, KEY)
    await clinic.check()
    clinic.mount("ocean", None)
    await clinic.check("token-2")

    assert verifier(clinic) is not None
    assert clinic.check_report().receives is True


async def test_clinic_without_an_emr_takes_no_webhooks(
    installation: Installation, tmp_path: Path, tls: Tls, running_ocean: OceanSim
) -> None:
    """There is nothing to write them to."""
    clinic = make_site(installation, tmp_path, tls, running_ocean, emr={"type": "None"}, secret={})
    clinic.mount("emr", None)
    mount(clinic, KEY)
    await clinic.check()

    assert (verifier(clinic), clinic.check_report().receives) == (None, False)
    assert clinic.check_report().access is None
