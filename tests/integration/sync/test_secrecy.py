"""Nothing of a patient and no secret is in the database's files, in Vault's, in any log, or in what the pods print."""

from __future__ import annotations

from integration.sync.clinic import Clinic, appointment, files_with
from ocean_emr.testing.ocean_sim import Fault as OceanFault
from ocean_emr.testing.ocean_sim import FaultKind as OceanFaultKind
from ocean_emr.testing.oscar_sim import Fault, FaultKind, OscarSim

OF_PATIENTS = ["Surname-p", "Givenname-p", "98765010", "Street-of-patients", "Reason-of-visit"]


async def test_nothing_is_left_in_clear(clinic: Clinic, oscar: OscarSim) -> None:
    """After runs that go well and runs that meet what quotes patients and secrets."""
    said = ""

    async def run(*programs: tuple[str, ...]) -> None:
        nonlocal said
        for program in programs:
            process = clinic.start(*program)
            await process.status()
            said += process.said
        oscar.faults.clear()
        clinic.ocean.faults.clear()
        clinic.write()

    await run(("check", "--token", "t"), ("sync", "full"))
    # A portal's page that quotes what was asked for; and half an answer.
    oscar.faults.add(Fault(FaultKind.WEB_PAGE, path="/demographics", skip=1))
    await run(("sync", "full"))
    oscar.faults.add(Fault(FaultKind.CUT_JSON, path="/schedule/getAppointment", skip=1))
    await run(("sync", "full"))
    oscar.clinic.add(appointment(9, "101", patient_no=1002))
    clinic.ocean.faults.add(OceanFault(OceanFaultKind.PAGE, times=None))
    await run(("sync", "full"))
    clinic.query("update ocean.site_state set state = '{\"handled\": 7}' where process = 'sync' and site = %s")
    await run(("sync", "full"))
    clinic.mount("emr", {**clinic.secret, "token": "an-old-token"})
    await run(("check", "--token", "t"), ("sync", "full"))

    installation = clinic.installation
    secret = [clinic.key, *clinic.secret.values(), "site-key-1", "site-credential-1"]
    assert said.count('"event": "synchronisation failed"') == 4
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
