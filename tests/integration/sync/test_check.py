"""`ocean-check`: the key read back and tried, the credentials tried, the providers listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.installation import Installation, put_key
from integration.sync.clinic import Clinic, Tls, make_site
from ocean_api.reasons import Reason
from ocean_api.report import ProviderName
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.testing.ocean_sim import OceanSim
from ocean_emr.testing.oscar_sim import FaultKind, OscarSim, SimProvider

NO_EMR = {"type": "None"}


async def test_everything_is_accepted(clinic: Clinic) -> None:
    process = clinic.start("check", "--token", "token-7")
    assert await process.status() == 0, process.said

    report = clinic.check_report()
    assert (report.token, report.key_version, report.key_compared) == ("token-7", 1, True)
    assert (report.key, report.access, report.refused) == (None, None, "")
    assert report.providers == (
        ProviderName(id="101", name="Tremblay, Zoé"),
        ProviderName(id="102", name="Singh, Arjun"),
    )
    assert (report.interface, report.verified) == ("OSCAR open-o-2026", True)
    assert clinic.audit() == [("key.read-back", "done")]


async def test_check_changes_nothing_at_ocean_or_the_emr(clinic: Clinic) -> None:
    await clinic.check()

    assert {request.method for request in clinic.at_ocean.requests} == {"GET"}
    assert (clinic.at_ocean.patients(), clinic.at_ocean.appointments()) == ([], [])
    assert clinic.state("sync") is None


async def test_clinic_without_an_emr_is_checked_by_its_key_alone(
    installation: Installation, tmp_path: Path, tls: Tls, running_ocean: OceanSim
) -> None:
    clinic = make_site(installation, tmp_path, tls, running_ocean, emr=NO_EMR, secret={})
    clinic.mount("emr", None)

    assert await clinic.check() == 0
    report = clinic.check_report()
    assert (report.key, report.access, report.key_compared, report.providers) == (None, None, True, ())


async def test_key_is_accepted_unproven_where_ocean_has_none(clinic: Clinic) -> None:
    clinic.at_ocean.sek = None

    assert await clinic.check() == 0
    report = clinic.check_report()
    assert (report.key, report.access, report.key_compared) == (None, None, False)


async def test_key_that_is_not_oceans(clinic: Clinic, oscar: OscarSim) -> None:
    clinic.at_ocean.sek = SharedEncryptionKey("Another!Key12345")

    assert await clinic.check() == 0
    report = clinic.check_report()
    assert report.key is not None
    assert report.key.reason is Reason.SEK_MISMATCH
    assert "Admin, Encryption" in report.key.message
    assert oscar.ledger.total == 0, "with the wrong key there is no use in going on"


async def test_no_key(installation: Installation, tmp_path: Path, tls: Tls, running_ocean: OceanSim) -> None:
    clinic = make_site(installation, tmp_path, tls, running_ocean, emr=NO_EMR, secret={}, with_key=False)

    assert await clinic.check() == 0
    report = clinic.check_report()
    assert report.key is not None
    assert (report.key.reason, report.key_version) == (Reason.KEY_MISSING, None)
    assert "docs/how-to/hand-over-a-key.md" in report.key.message


FIFTEEN = "TestKey1!234567"


async def test_key_of_fifteen_characters_is_not_accepted_and_nothing_is_sent_under_it(
    installation: Installation, tmp_path: Path, tls: Tls, oscar: OscarSim, running_ocean: OceanSim
) -> None:
    """Put into Vault past the operator, which would have refused it. Ocean itself would pad it and take it."""
    block = {"url": oscar.url, "caBundle": tls.authority, "credentialsSecret": "emr"}
    emr, secret = {"type": "OscarPro", "oscarPro": block}, oscar.credentials.as_secret()
    clinic = make_site(installation, tmp_path, tls, running_ocean, emr=emr, secret=secret, with_key=False)
    clinic.at_ocean.sek = SharedEncryptionKey(FIFTEEN)
    put_key(installation.operator(), clinic.site, FIFTEEN)

    said = []
    for program in (("check", "--token", "t"), ("sync", "full", "--trigger", "Requested")):
        process = clinic.start(*program)
        assert await process.status() == 0
        said.append(process.said)

    key, trouble = clinic.check_report().key, clinic.report().problem
    assert key is not None
    assert trouble is not None
    assert (key.reason, clinic.check_report().key_version) == (Reason.KEY_WEAK, 1)
    assert (trouble.reason, trouble.message) == (Reason.KEY_WEAK, key.message)
    assert "16, 24 or 32 characters" in key.message
    assert clinic.requests() + oscar.ledger.total == 0
    assert FIFTEEN not in f"{said}{clinic.state('check')}{clinic.state('sync')}"


async def test_report_of_a_huge_clinic_fits_into_its_row(clinic: Clinic, oscar: OscarSim) -> None:
    oscar.clinic.add(*(SimProvider(f"{n}", "Ç" * 30, "É" * 30) for n in range(1000, 1900)))

    assert await clinic.check() == 0
    listed = clinic.check_report().providers
    assert 200 < len(listed) <= 500
    assert listed[2] == ProviderName(id="1000", name=f"{'Ç' * 30}, {'É' * 30}")


async def test_fault_of_ours_is_told_with_its_place_and_nothing_else(clinic: Clinic) -> None:
    """What is kept does not open: an error that no part of the product expects."""
    await clinic.check()
    clinic.query("update ocean.data_key set envelope = 'no envelope' where site = %s")

    assert await clinic.check("token-2") == 0
    access = clinic.check_report().access
    assert access is not None
    assert access.reason is Reason.INTERNAL_ERROR
    assert "StoredDataUnreadableError at ocean_emr/envelope.py:" in access.message
    assert await clinic.sync("full") == 1
    assert clinic.report().problem.reason is Reason.INTERNAL_ERROR  # type: ignore[union-attr]


async def test_pod_that_nobody_laid_out(clinic: Clinic) -> None:
    (clinic.folder / "site" / "site.json").write_text("{}")
    for program in (("check", "--token", "t"), ("sync", "recent")):
        process = clinic.start(*program)
        assert await process.status() == 1
        assert "Traceback" not in process.said
        assert '"reason":"InternalError"' in (clinic.folder / "termination-log").read_text()


@pytest.mark.usefixtures("no_pauses")
async def test_providers_stay_listed_while_the_emr_is_away(clinic: Clinic, oscar: OscarSim) -> None:
    await clinic.check()
    oscar.faults.add(FaultKind.UNAVAILABLE)

    assert await clinic.check("token-2") == 0
    report = clinic.check_report()
    assert report.access is not None
    assert (report.access.reason, len(report.providers)) == (Reason.EMR_UNAVAILABLE, 2)
