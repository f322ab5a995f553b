"""A refused login: no further call with the same credentials, and work resumes when something has changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from integration.sync.clinic import Clinic
from ocean_api.reasons import Reason
from ocean_emr.testing.oscar_sim import OscarSim

BOOKED = {"1": "booked", "2": "booked", "3": "booked", "4": "booked"}
BARE = {"siteKey": "site-key-1", "siteCredential": "site-credential-1"}


def _emr_refuses(clinic: Clinic) -> None:
    clinic.mount("emr", {**clinic.secret, "token": "an-old-token"})


def _ocean_refuses(clinic: Clinic) -> None:
    clinic.mount("ocean", {**BARE, "siteCredential": "an-old-credential"})


REFUSED = pytest.mark.parametrize(
    ("refuse", "reason"),
    [(_emr_refuses, Reason.EMR_AUTH_REFUSED), (_ocean_refuses, Reason.OCEAN_ACCESS_REFUSED)],
    ids=["by the EMR", "by Ocean"],
)


def _calls(clinic: Clinic, oscar: OscarSim) -> int:
    return oscar.ledger.total + clinic.requests()


@REFUSED
async def test_nobody_is_called_again_until_the_secret_changes(
    clinic: Clinic, oscar: OscarSim, refuse: Callable[[Clinic], None], reason: Reason
) -> None:
    refuse(clinic)
    assert await clinic.sync("full") == 0
    problem = clinic.report().problem
    assert problem is not None
    assert problem.reason is reason
    calls = _calls(clinic, oscar)

    for kind in ("recent", "full", "recent"):
        assert await clinic.sync(kind) == 0
    # The check that follows a refusal by itself, and those that follow while it stands.
    for _ in range(3):
        assert await clinic.check("token-after-the-refusal") == 0
    assert await clinic.sync("recent") == 0

    assert _calls(clinic, oscar) == calls
    assert clinic.report().problem == problem, "the same refusal does not become news"
    assert clinic.check_report().access == problem
    assert clinic.audit()[-1] == ("sync.recent", reason)

    clinic.write()
    assert await clinic.sync("full") == 0
    assert clinic.report().problem is None
    assert clinic.appointments_at_ocean() == BOOKED


@pytest.mark.parametrize("hours_ahead", [0, 1])
async def test_work_resumes_when_a_person_has_the_same_credentials_tried_again(
    clinic: Clinic, oscar: OscarSim, hours_ahead: int
) -> None:
    """The token was withdrawn at the EMR and is good again; the Secret is what it was.

    All of it may happen within a second, or the clock of the pod that was refused may have been ahead.
    """
    await clinic.check("token-1")
    await clinic.sync("full")
    oscar.logins.token_exists = False
    await clinic.sync("recent")
    refusal = clinic.report().refusal
    assert refusal is not None
    clinic.date_refusal(refusal.at + timedelta(hours=hours_ahead))
    await clinic.check("token-after-the-refusal")
    oscar.logins.token_exists = True
    calls = oscar.ledger.total
    await clinic.sync("recent")
    await clinic.check("token-after-the-refusal")
    assert oscar.ledger.total == calls, "nobody knows yet"

    assert await clinic.check("token-after-reauthorize") == 0
    assert clinic.check_report().access is None
    assert await clinic.sync("recent") == 0
    assert clinic.report().problem is None


async def test_a_person_asking_in_vain_costs_one_try(clinic: Clinic, oscar: OscarSim) -> None:
    await clinic.check("token-1")
    oscar.logins.token_exists = False
    await clinic.check("token-2")
    calls = oscar.ledger.total

    await clinic.check("token-after-reauthorize")
    tried = oscar.ledger.total - calls
    await clinic.check("token-after-reauthorize")
    await clinic.sync("recent")

    assert tried > 0
    assert oscar.ledger.total == calls + tried
    assert clinic.check_report().access.reason is Reason.EMR_AUTH_REFUSED  # type: ignore[union-attr]


async def test_what_the_check_knows_stays_known_while_the_login_is_refused(clinic: Clinic, oscar: OscarSim) -> None:
    """Status goes on to list the providers."""
    await clinic.check("token-1")
    before = clinic.check_report()
    oscar.logins.token_exists = False
    await clinic.check("token-2")

    after = clinic.check_report()
    assert after.access is not None
    assert (after.providers, after.interface, after.key_compared) == (before.providers, before.interface, True)
    assert len(after.providers) == 2


async def test_same_credentials_at_another_address_are_not_refused_yet(clinic: Clinic, oscar: OscarSim) -> None:
    """The address was wrong, and whoever answered there knew nobody."""
    oscar.logins.token_exists = False
    await clinic.sync("full")
    assert clinic.report().refused
    oscar.logins.token_exists = True
    clinic.emr["oscarPro"]["url"] += "/"
    clinic.write_settings()

    assert await clinic.sync("full") == 0
    assert clinic.appointments_at_ocean() == BOOKED


async def test_another_trouble_meanwhile_does_not_make_the_refusal_forgotten(clinic: Clinic, oscar: OscarSim) -> None:
    oscar.logins.token_exists = False
    await clinic.sync("full")
    clinic.mount("ocean", None)
    await clinic.sync("recent")
    assert clinic.report().problem.reason is Reason.CREDENTIALS_SECRET_MISSING  # type: ignore[union-attr]
    clinic.write()
    calls = oscar.ledger.total

    await clinic.sync("recent")

    assert oscar.ledger.total == calls
    assert clinic.report().problem.reason is Reason.EMR_AUTH_REFUSED  # type: ignore[union-attr]
