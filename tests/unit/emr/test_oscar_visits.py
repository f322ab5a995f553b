"""Arrivals and walk-ins in OSCAR: the clinic's own statuses, and what OSCAR does not check."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time
from typing import Final
from uuid import UUID

import pytest

from ocean_emr.adapters.oscar_rows import StatusRow
from ocean_emr.adapters.oscar_statuses import Statuses, after_arrival, statuses_of
from ocean_emr.errors import (
    EmrAnswerError,
    EmrConflictError,
    EmrOutcomeUnknownError,
    EmrRecordError,
    EmrWriteRefusedError,
)
from ocean_emr.records import AppointmentId, Operation, ProviderId
from ocean_emr.testing.oscar_sim import Fault, FaultKind, OscarSim, SimAppointment, SimStatus
from ocean_emr.writes import Arrival, NewAppointment, Probe, ProbeResult, WriteStatus
from unit.emr.oscar_clinic import BOTH, DAY, P101, PATIENT, ZONE, writer_to

KEY: Final = UUID("12345678-1234-5678-1234-567812345678")
ARRIVAL: Final = Arrival(AppointmentId("1"))
VISIT: Final = NewAppointment(
    PATIENT,
    P101,
    datetime.combine(DAY, time(14, 5), ZONE),
    20,
    reason="Fièvre",
    appointment_type="WALK",
    location="Est",
)
SEED: Final = {
    "t": "To Do",
    "T": "Daysheet Printed",
    "H": "Here",
    "h": "Confirmed",
    "a": "Customized 1",
    "C": "Cancelled",
}


def statuses(**described: str) -> Statuses:
    rows = [StatusRow(status=letter, description=words) for letter, words in (SEED | described).items()]
    return statuses_of(rows, Operation.MARK_ARRIVED)


def status(sim: OscarSim, number: int = 1) -> str | None:
    return sim.clinic.appointments[number].status


# Pure


@pytest.mark.parametrize(
    ("described", "here"),
    [
        ({}, "H"),
        ({"H": "In the waiting room"}, "H"),
        ({"H": "Hold", "a": "Arrivée"}, "a"),
        ({"a": " ARRIVED "}, "H"),
        ({"H": "Ici"}, "H"),
    ],
)
def test_here_is_what_the_clinic_calls_so(described: dict[str, str], here: str) -> None:
    assert statuses(**described).here == here


@pytest.mark.parametrize("described", [{"H": "Hold", "a": "Here", "C": "Arrived"}], ids=["two others"])
def test_where_nothing_clearly_means_here_nobody_is_marked(described: dict[str, str]) -> None:
    with pytest.raises(EmrWriteRefusedError, match="no status"):
        statuses(**described)


def test_a_status_that_is_switched_off_counts_for_nothing() -> None:
    rows = [
        StatusRow(status="H", description="Here", active=False),
        StatusRow(status="b", description="Patient here"),
    ]

    assert statuses_of(rows, Operation.MARK_ARRIVED).here == "b"
    with pytest.raises(EmrWriteRefusedError):
        statuses_of(rows[:1], Operation.MARK_ARRIVED)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("t", "H"), ("T", "H"), ("tS", "HS"), ("TV", "HV"), ("h", "H"), ("hS", "HS")]
    + [(code, None) for code in ("H", "HS", "P", "EV", "B", "BS")],
)
def test_from_booked_and_confirmed_on(code: str, expected: str | None) -> None:
    """What says that the note is signed or verified stays."""
    assert after_arrival(code, statuses()) == expected


@pytest.mark.parametrize("code", ["", "C", "CS", "N", "a", "z", "tX", "t ", "Here"])
def test_from_nothing_else(code: str) -> None:
    with pytest.raises(EmrConflictError):
        after_arrival(code, statuses())


def test_the_clinics_own_here_is_here() -> None:
    assert after_arrival("a", statuses(H="Hold", a="Here")) is None


# With OSCAR


@BOTH
async def test_the_clinics_own_status_is_set(sim: OscarSim) -> None:
    sim.clinic.add(SimStatus("H", "Hold"), SimStatus("a", "Here"))
    async with writer_to(sim) as adapter:
        await adapter.write(ARRIVAL, KEY)

        assert status(sim) == "a"
        assert await adapter.probe(ARRIVAL, KEY) == ProbeResult(Probe.APPLIED, "1")


@BOTH
async def test_a_signed_note_stays_signed(sim: OscarSim) -> None:
    sim.clinic.add(replace(sim.clinic.appointments[1], status="tS"))
    async with writer_to(sim) as adapter:
        await adapter.write(ARRIVAL, KEY)

    assert status(sim) == "HS"


async def test_whoever_is_quicker_at_the_front_desk_is_overwritten(sim: OscarSim) -> None:
    """A known gap: OSCAR offers no write that depends on what is there. It lasts from one request to the next."""
    sim.faults.add(Fault(FaultKind.STATUS_MOVES, detail="C"))
    async with writer_to(sim) as adapter:
        await adapter.write(ARRIVAL, KEY)
        requests = [entry.path for entry in sim.ledger.received]

    place = next(n for n, path in enumerate(requests) if "updateStatus" in path)
    assert "getAppointment" in requests[place - 1]


async def test_an_arrival_that_does_not_show_is_unknown(sim: OscarSim) -> None:
    """OSCAR took it, and something put the old status back."""
    async with writer_to(sim) as adapter:
        sim.faults.add(Fault(FaultKind.STATUS_IGNORED))
        with pytest.raises(EmrOutcomeUnknownError, match="does not show"):
            await adapter.write(ARRIVAL, KEY)

        assert (await adapter.probe(ARRIVAL, KEY)).probe is Probe.NOT_APPLIED


@pytest.mark.parametrize("number", ["77", "x", "-1"])
async def test_a_booking_that_is_not_there_sets_one_message_aside(sim: OscarSim, number: str) -> None:
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrRecordError):
            await adapter.write(Arrival(AppointmentId(number)), KEY)

    assert sim.ledger.writes == 0


@BOTH
async def test_a_walk_in_is_marked_with_its_key(sim: OscarSim) -> None:
    async with writer_to(sim) as adapter:
        outcome = await adapter.write(VISIT, KEY)
    made = sim.clinic.appointments[int(outcome.ref)]

    assert made == SimAppointment(
        5,
        "101",
        DAY,
        time(14, 5),
        minutes=20,
        demographic_no=1001,
        status="H",
        reason="Fièvre",
        type="WALK",
        notes="[BR:12345678]",
        location="Est",
    )


async def test_a_walk_in_in_the_afternoon_stays_there(sim: OscarSim) -> None:
    """OSCAR reads no AM and PM, and takes 24:30 for the next day."""
    async with writer_to(sim) as adapter:
        for hour in (0, 12, 23):
            start = datetime.combine(DAY, time(hour, 5), ZONE)
            outcome = await adapter.write(replace(VISIT, start=start), UUID(int=hour << 96))
            made = sim.clinic.appointments[int(outcome.ref)]

            assert (made.day, made.clock) == (DAY, time(hour, 5))


async def test_a_walk_in_with_nobody_is_refused(sim: OscarSim) -> None:
    """OSCAR would take it, and it would be on no schedule."""
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrWriteRefusedError, match="no provider"):
            await adapter.write(replace(VISIT, provider_id=ProviderId("109")), KEY)

    assert sim.ledger.writes == 0


async def test_a_walk_in_that_was_cancelled_meanwhile_is_not_booked_again(sim: OscarSim) -> None:
    async with writer_to(sim) as adapter:
        first = await adapter.write(VISIT, KEY)
        sim.clinic.add(replace(sim.clinic.appointments[int(first.ref)], status="C"))
        again = await adapter.write(VISIT, KEY)

    assert (again.status, again.ref) == (WriteStatus.ALREADY_PRESENT, first.ref)


# A patient's appointments


async def test_a_list_that_may_be_cut_within_the_window_is_an_error(sim: OscarSim) -> None:
    """And one that is cut before it is not: the newest come first."""
    sim.clinic.add(
        *(SimAppointment(100 + n, "101", DAY, time(8 + n // 60, n % 60), demographic_no=1001) for n in range(70))
    )
    sim.faults.add(FaultKind.CAPPED)
    start, end = (datetime.combine(DAY, time(hour), ZONE) for hour in (8, 23))
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrAnswerError, match="cut"):
            await adapter.list_patient_appointments(PATIENT, start, end, ZONE)
        found = await adapter.list_patient_appointments(PATIENT, start.replace(hour=9), end, ZONE)

    assert found


async def test_an_appointment_that_cannot_be_read_is_an_error(sim: OscarSim) -> None:
    sim.faults.add(FaultKind.DAYS_UNKNOWN)
    start = datetime.combine(DAY, time(8), ZONE)
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrAnswerError, match="could not be read"):
            await adapter.list_patient_appointments(PATIENT, start, start, ZONE)
