"""Nothing of a patient and no secret is in the database's files, in Vault's, in any log, or in what the pods print."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from integration.sync.clinic import Clinic, files_with
from ocean_emr.testing.ocean_sim import Fault as OceanFault
from ocean_emr.testing.ocean_sim import FaultKind as OceanFaultKind
from ocean_emr.testing.oscar_sim import Fault, FaultKind, OscarSim

OF_PATIENTS = ["Surname-p", "Givenname-p", "98765010", "Street-of-patients", "Reason-of-visit"]


def _nothing(_clinic: Clinic, _oscar: OscarSim) -> None:
    """All is well."""


def _emr_quotes(_clinic: Clinic, oscar: OscarSim) -> None:
    """A portal's page that quotes the request, half-way."""
    oscar.faults.add(Fault(FaultKind.WEB_PAGE, path="/demographics", skip=1))


def _emr_breaks_off(_clinic: Clinic, oscar: OscarSim) -> None:
    oscar.faults.add(Fault(FaultKind.RESET, path="/demographics", skip=1))


def _emr_refuses(clinic: Clinic, _oscar: OscarSim) -> None:
    clinic.mount("emr", {**clinic.secret, "token": "an-old-token"})


def _ocean_breaks_off(clinic: Clinic, _oscar: OscarSim) -> None:
    clinic.ocean.faults.add(OceanFault(OceanFaultKind.RESET, times=None))


def _database_is_in_a_bad_state(clinic: Clinic, _oscar: OscarSim) -> None:
    """A row that the run has to write is one that PostgreSQL refuses, and its own message would quote."""
    clinic.query(
        "insert into ocean.site_state (site, process, state) values (%s, 'sync', %s::jsonb)",
        '{"handled": 7, "problem": "nothing that we wrote"}',
    )


@pytest.mark.parametrize(
    "trouble",
    [_nothing, _emr_quotes, _emr_breaks_off, _emr_refuses, _ocean_breaks_off, _database_is_in_a_bad_state],
    ids=lambda trouble: trouble.__name__.strip("_"),
)
async def test_nothing_is_left_in_clear(
    clinic: Clinic, oscar: OscarSim, trouble: Callable[[Clinic, OscarSim], None]
) -> None:
    trouble(clinic, oscar)
    said = ""
    for program in (("sync", "full"), ("check", "--token", "t"), ("sync", "recent")):
        process = clinic.start(*program)
        await process.status()
        said += process.said
    assert said

    installation = clinic.installation
    secret = [clinic.key, *clinic.secret.values(), "site-key-1", "site-credential-1"]
    assert [text for text in (*OF_PATIENTS, *secret) if text in said] == []
    assert (clinic.folder / "termination-log").read_text() == ""
    folders = [installation.server.folder, installation.bao.folder]
    assert files_with(folders, [*OF_PATIENTS, *secret]) == []


async def test_search_finds_what_is_there(clinic: Clinic) -> None:
    """Or else the test above would prove nothing."""
    await clinic.sync("full")
    marker = "p0001-must-be-found-é"
    clinic.query(
        "insert into ocean.site_state (site, process, state) values (%s, 'test', jsonb_build_object('it', %s::text))",
        marker,
    )

    assert {text for _, text in files_with([clinic.installation.server.folder], [marker])} == {marker}
    sealed = clinic.query("select body from ocean.snapshot where site = %s")
    assert len(sealed) == 7
    assert files_with([clinic.folder], [clinic.secret["tokenSecret"]])
