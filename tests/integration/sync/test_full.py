"""From the EMR's schedule to Ocean by the true chain: Vault, PostgreSQL, OSCAR, Ocean."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from integration.installation import fingerprint
from integration.sync.clinic import TODAY, Clinic, appointment, patient
from ocean_api import names
from ocean_api.reasons import Reason
from ocean_api.report import Counts, Trigger
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.testing.ocean_sim import Fault as OceanFault
from ocean_emr.testing.ocean_sim import FaultKind as OceanFaultKind
from ocean_emr.testing.oscar_sim import Fault, FaultKind, OscarSim, SimProvider

ALL_BOOKED = {"1": "booked", "2": "booked", "3": "booked", "4": "booked"}


async def test_first_full_run_brings_every_appointment_and_each_patient_once(clinic: Clinic) -> None:
    """By two real processes, the second of which finds nothing to do."""
    first = clinic.start("sync", "full", "--trigger", "Initial", "--token", "t-1", "--window", "w-1")
    assert await first.status() == 0, first.said
    assert clinic.appointments_at_ocean() == ALL_BOOKED
    assert clinic.patients_at_ocean() == {n: f"Surname-p{n}" for n in ("1001", "1002", "1003")}

    second = clinic.start("sync", "full", "--trigger", "Requested", "--token", "t-2", "--window", "w-1")
    assert await second.status() == 0, second.said
    assert [row["upserts"] for row in (*clinic.at_ocean.patients(), *clinic.at_ocean.appointments())] == [1] * 7

    report = clinic.report()
    assert report.last_full is not None
    assert report.last_full.counts == Counts(appointments=4, patients=3)
    assert (report.problem, report.running, report.window) == (None, None, "w-1")
    assert (report.last_trigger, report.handled) == (Trigger.REQUESTED, ("t-1", "t-2"))
    assert clinic.audit() == [("sync.full", "done")] * 2


async def test_recent_run_sends_what_is_new_or_changed_and_nothing_else(clinic: Clinic, oscar: OscarSim) -> None:
    await clinic.sync("full")
    oscar.ledger.clear()
    oscar.clinic.add(patient(1004), appointment(5, "102", patient_no=1004), appointment(1, "101", status="H"))

    assert await clinic.sync("recent") == 0

    assert clinic.appointments_at_ocean() == {**ALL_BOOKED, "1": "arrived", "5": "booked"}
    assert clinic.report().last_recent is not None
    assert {k: n for k, n in oscar.ledger.shown.items() if k.startswith("patient")} == {
        "patient 1001": 1,
        "patient 1004": 1,
    }
    counts = clinic.report().last_recent.counts  # type: ignore[union-attr]
    assert counts == Counts(appointments=5, sent=3, patients=4)


async def test_recent_run_never_removes(clinic: Clinic, oscar: OscarSim) -> None:
    await clinic.sync("full")
    del oscar.clinic.appointments[2]
    oscar.clinic.add(appointment(3, "102", status="C"), replace(oscar.clinic.appointments[4], demographic_no=0))

    assert await clinic.sync("recent") == 0
    assert clinic.appointments_at_ocean() == {**ALL_BOOKED, "3": "cancelled"}

    assert await clinic.sync("full") == 0
    assert clinic.appointments_at_ocean() == {"1": "booked"}
    assert clinic.report().last_full.counts.removed == 3  # type: ignore[union-attr]


async def test_cancelled_booking_that_ocean_never_heard_of_stays_away(clinic: Clinic, oscar: OscarSim) -> None:
    oscar.clinic.add(appointment(9, "101", status="C"), appointment(10, "101", patient_no=0))

    await clinic.sync("full")

    assert clinic.appointments_at_ocean() == ALL_BOOKED


async def test_full_run_removes_what_left_the_schedule_the_window_or_the_choice(
    clinic: Clinic, oscar: OscarSim
) -> None:
    clinic.schedule = {"days": 3, "providers": ["101", "102"]}
    clinic.write_settings()
    oscar.clinic.add(*(appointment(n, "101", ahead=n % 3) for n in range(10, 16)))
    await clinic.sync("full")
    assert len(clinic.appointments_at_ocean()) == 10

    del oscar.clinic.appointments[1]
    oscar.clinic.add(replace(oscar.clinic.appointments[10], day=TODAY + timedelta(days=30)))
    await clinic.sync("full")
    assert set(clinic.appointments_at_ocean()) == {"2", "3", "4", "11", "12", "13", "14", "15"}

    clinic.schedule = {"days": 2, "providers": ["101"]}
    clinic.write_settings()
    await clinic.sync("full")
    assert set(clinic.appointments_at_ocean()) == {"2", "12", "13", "15"}


async def test_an_empty_day_is_an_empty_day(clinic: Clinic, oscar: OscarSim) -> None:
    await clinic.sync("full")
    oscar.clinic.appointments.clear()

    assert await clinic.sync("full") == 0
    assert clinic.appointments_at_ocean() == {}
    assert clinic.report().problem is None


async def test_what_is_over_is_forgotten_and_left_to_ocean(clinic: Clinic, oscar: OscarSim) -> None:
    await clinic.sync("full")
    clinic.query("update ocean.snapshot set day = current_date - 3 where kind = 'appointment' and site = %s")
    oscar.clinic.appointments.clear()

    await clinic.sync("full")

    assert clinic.appointments_at_ocean() == ALL_BOOKED
    assert clinic.query("select count(*) from ocean.snapshot where kind = 'appointment' and site = %s") == [(0,)]


async def test_changed_chart_comes_with_the_next_full_run(clinic: Clinic, oscar: OscarSim) -> None:
    await clinic.sync("full")
    oscar.clinic.add(replace(oscar.clinic.patients[1001], last_name="Surname-p1001-married"))

    await clinic.sync("recent")
    assert clinic.patients_at_ocean()["1001"] == "Surname-p1001"
    await clinic.sync("full")
    assert clinic.patients_at_ocean()["1001"] == "Surname-p1001-married"
    assert [row["upserts"] for row in clinic.at_ocean.patients()] == [2, 1, 1]


async def test_many_at_once_are_removed_only_when_the_next_full_run_agrees(clinic: Clinic, oscar: OscarSim) -> None:
    oscar.clinic.add(*(appointment(n, "101") for n in range(100, 126)))
    await clinic.sync("full")
    kept = dict(oscar.clinic.appointments)
    for number in range(100, 126):
        del oscar.clinic.appointments[number]

    assert await clinic.sync("full") == 0
    assert len(clinic.appointments_at_ocean()) == 30
    report = clinic.report()
    assert (report.held, report.problem and report.problem.reason) == (26, Reason.REMOVAL_HELD)
    assert report.problem is not None
    assert "26 appointments" in report.problem.message
    assert "sync-full" in report.problem.message

    # A recent run does not take the warning back, and neither removes nor agrees.
    assert await clinic.sync("recent") == 0
    assert clinic.report().problem == report.problem
    assert len(clinic.appointments_at_ocean()) == 30

    # Other ones than those that were missing: nobody has agreed on these.
    oscar.clinic.appointments.clear()
    oscar.clinic.appointments.update({n: row for n, row in kept.items() if n < 104})
    assert await clinic.sync("full", "--trigger", "Requested", "--token", "r-1") == 0
    assert set(clinic.appointments_at_ocean()) == {str(n) for n in kept if n < 104}
    assert (clinic.report().held, clinic.report().problem) == (0, None)


async def test_held_removals_of_others_are_not_agreed_on(clinic: Clinic, oscar: OscarSim) -> None:
    """The first half is missing once, the second half the next time: the EMR contradicts itself."""
    oscar.clinic.add(*(appointment(n, "101") for n in range(100, 160)))
    await clinic.sync("full")
    everything = dict(oscar.clinic.appointments)

    for gone in (range(100, 140), range(120, 160)):
        oscar.clinic.appointments.clear()
        oscar.clinic.appointments.update({n: row for n, row in everything.items() if n not in gone})
        await clinic.sync("full")

    # 120 to 139 were missed twice and are gone; 140 to 159 only once, which is not more than twenty.
    assert set(clinic.appointments_at_ocean()) == {str(n) for n in everything if n < 120}


@pytest.mark.parametrize(
    "arguments",
    [("--trigger", "Scheduled"), ("--trigger", "Requested", "--token", "r-1", "--window", "w")],
    ids=["by the clock", "at a request"],
)
async def test_pod_that_is_made_again_does_not_agree_with_itself(
    clinic: Clinic, oscar: OscarSim, arguments: tuple[str, ...]
) -> None:
    """A pod can be lost after everything is done and before its Job knows."""
    oscar.clinic.add(*(appointment(n, "101") for n in range(100, 126)))
    await clinic.sync("full")
    for number in range(100, 126):
        del oscar.clinic.appointments[number]

    for _ in range(3):
        assert await clinic.sync("full", *arguments) == 0

    assert len(clinic.appointments_at_ocean()) == 30
    assert clinic.report().held == 26


async def test_provider_whom_the_emr_stops_showing_takes_nothing_along(clinic: Clinic, oscar: OscarSim) -> None:
    """`All` leaves it to the EMR who there is, so one run's word is not enough."""
    await clinic.sync("full")
    oscar.faults.add(Fault(FaultKind.PROVIDER_HIDDEN, detail="102"))

    await clinic.sync("full")
    assert clinic.appointments_at_ocean() == ALL_BOOKED
    assert clinic.report().problem.reason is Reason.REMOVAL_HELD  # type: ignore[union-attr]

    oscar.faults.clear()
    await clinic.sync("full")
    assert (clinic.appointments_at_ocean(), clinic.report().problem) == (ALL_BOOKED, None)


async def test_provider_who_has_left_is_removed_by_the_second_full_run(clinic: Clinic, oscar: OscarSim) -> None:
    await clinic.sync("full")
    del oscar.clinic.providers["102"]
    for number in (3, 4):
        del oscar.clinic.appointments[number]

    await clinic.sync("full")
    await clinic.sync("full")

    assert set(clinic.appointments_at_ocean()) == {"1", "2"}
    assert clinic.report().problem is None


async def test_new_provider_comes_along_by_all_and_not_by_a_list(clinic: Clinic, oscar: OscarSim) -> None:
    oscar.clinic.add(SimProvider("103", "Côté", "François"), appointment(7, "103"))
    clinic.schedule = {"days": 2, "providers": ["101", "102"]}
    clinic.write_settings()
    await clinic.sync("full")
    assert "7" not in clinic.appointments_at_ocean()

    clinic.schedule = {"days": 2, "providers": "All"}
    clinic.write_settings()
    await clinic.sync("full")
    assert "7" in clinic.appointments_at_ocean()


async def test_records_that_ocean_refuses_are_set_aside_and_tried_again(clinic: Clinic) -> None:
    refused = [OceanFault(OceanFaultKind.REJECT_ITEMS, refs=frozenset({"2", "1003"})) for _ in range(2)]
    clinic.ocean.faults.add(*refused)

    assert await clinic.sync("full") == 0
    assert set(clinic.appointments_at_ocean()) == {"1", "3", "4"}
    assert set(clinic.patients_at_ocean()) == {"1001", "1002"}
    assert clinic.report().last_full.counts == Counts(  # type: ignore[union-attr]
        appointments=4, sent=5, patients=3, rejected=2
    )

    assert await clinic.sync("recent") == 0
    assert clinic.appointments_at_ocean() == ALL_BOOKED
    assert "1003" in clinic.patients_at_ocean()


async def test_chart_that_cannot_be_read_is_set_aside_and_tried_again(clinic: Clinic, oscar: OscarSim) -> None:
    oscar.faults.add(Fault(FaultKind.SERVER_ERROR_PAGE, path="/demographics/1002"))

    assert await clinic.sync("full") == 0
    assert clinic.appointments_at_ocean() == ALL_BOOKED
    assert "1002" not in clinic.patients_at_ocean()
    assert clinic.report().last_full.counts.rejected == 1  # type: ignore[union-attr]
    assert clinic.report().problem is None

    oscar.faults.clear()
    assert await clinic.sync("recent") == 0
    assert "1002" in clinic.patients_at_ocean()


async def test_new_key_has_everything_sent_again_and_nothing_removed(clinic: Clinic, oscar: OscarSim) -> None:
    await clinic.sync("full")
    new = "Other-Key-0000001"[:16]
    path = f"{names.VAULT_KV_MOUNT}/data/{names.sek_path(clinic.site.namespace, clinic.site.name)}"
    administrator = clinic.installation.administrator()
    administrator.get("POST", path, {"data": {names.SEK_FIELD: new}, "options": {"cas": 1}})
    clinic.at_ocean.sek = SharedEncryptionKey(new)

    assert await clinic.sync("full") == 0
    assert clinic.appointments_at_ocean() == ALL_BOOKED
    assert {row["upserts"] for row in (*clinic.at_ocean.patients(), *clinic.at_ocean.appointments())} == {2}
    assert clinic.requests("/removals") == 0
    assert (clinic.report().key, clinic.report().problem) == (f"{fingerprint(clinic.site)}/2", None)

    del oscar.clinic.appointments[1]
    await clinic.sync("full")
    assert set(clinic.appointments_at_ocean()) == {"2", "3", "4"}
