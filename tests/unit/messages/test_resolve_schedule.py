"""What check-ins and walk-ins do to the schedule, as the EMR shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pytest

from ocean_api.reasons import Reason
from ocean_api.v1alpha1.spec import MessagesSpec, SlotPolicy
from ocean_emr.messages.deliveries import MessageHeldError
from ocean_emr.records import Appointment, AppointmentStatus, PatientId
from ocean_emr.testing.conformance import Clinic
from ocean_emr.testing.conformance.clinic import ALICE, CLOCK_CHANGE, DAY, PATIENTS, ZOE, ZONE, booking
from ocean_emr.writes import Arrival, NewAppointment, NewPatient
from unit.messages.bridge import KNOWN, NINE, WALK_INS, Bridge, a_patient, held


async def test_all_appointments_within_the_hours_are_marked_whoever_the_provider_is(bridge: Bridge) -> None:
    off = AppointmentStatus.CANCELLED
    bridge.rig.hold(
        Clinic(
            (
                booking(1, DAY, time(8, 59)),
                booking(2, DAY, time(9)),
                booking(3, DAY, time(10), provider=ZOE),
                booking(4, DAY, time(10, 30), status=off),
                booking(5, DAY, time(10, 40), patient=PATIENTS[1].id),
                booking(6, DAY, time(11)),
                booking(7, DAY, time(11, 1)),
            )
        )
    )
    a_patient(bridge)

    marked = await bridge.writes(bridge.ocean.check_in("p0001", at=NINE + timedelta(seconds=40)))

    assert marked == [Arrival(each) for each in ("2", "3", "6")]  # type: ignore[arg-type]


async def test_on_the_day_of_25_hours_the_second_half_past_one_is_an_hour_later(bridge: Bridge) -> None:
    first = booking(1, CLOCK_CHANGE, time(1, 30))
    second = replace(first, id="2", start=first.start.replace(fold=1))  # type: ignore[arg-type]
    bridge.rig.hold(Clinic((first, second)))
    bridge.settings = MessagesSpec(arrived_within_hours=1)
    a_patient(bridge)

    late = await bridge.writes(bridge.ocean.check_in("p0001", at=second.start))
    early = await bridge.writes(bridge.ocean.check_in("p0001", at=first.start))

    assert late == [Arrival(second.id)]
    assert early == [Arrival(first.id), Arrival(second.id)]


async def test_who_has_no_appointment_near_is_for_a_person(bridge: Bridge) -> None:
    a_patient(bridge)

    assert (await held(bridge, bridge.ocean.check_in("p0001", at=NINE))).reason is Reason.NO_APPOINTMENT_NEAR


async def test_nothing_is_marked_where_the_setting_was_changed_to_zero_meanwhile(bridge: Bridge) -> None:
    a_patient(bridge)
    (arrived,) = await bridge.deliveries(bridge.ocean.check_in("p0001", at=NINE))
    bridge.settings = MessagesSpec(arrived_within_hours=0)

    assert await bridge.resolve(arrived) == ()


async def test_walk_ins_are_off_unless_they_are_set(bridge: Bridge) -> None:
    a_patient(bridge)
    patient, appointment = await bridge.deliveries(bridge.ocean.walk_in("p0001", at=NINE))

    for delivery in (patient, appointment):
        with pytest.raises(MessageHeldError) as caught:
            await bridge.resolve(delivery)
        assert caught.value.reason is Reason.WALK_INS_OFF


async def test_a_known_walk_in_needs_no_chart(bridge: Bridge) -> None:
    bridge.settings = MessagesSpec(walk_ins=WALK_INS)
    a_patient(bridge)
    patient, appointment = await bridge.deliveries(bridge.ocean.walk_in("p0001", reason="Toux", at=NINE))

    assert await bridge.resolve(patient) == ()
    assert await bridge.resolve(appointment) == (NewAppointment(KNOWN.id, ALICE, NINE, 15, "Toux", location="Salle 2"),)


async def test_no_chart_is_created_where_none_may_be(bridge: Bridge) -> None:
    bridge.settings = MessagesSpec(walk_ins=WALK_INS.model_copy(update={"allow_new_patients": False}))
    a_patient(bridge, chart=None, hn="1234567897", hnVC=None, surname="p0003")

    assert (await held(bridge, bridge.ocean.walk_in("p0001", at=NINE))).reason is Reason.WALK_INS_OFF


@pytest.mark.parametrize("named", ["4004", "1009"], ids=["out of sight", "put away"])
async def test_no_chart_is_created_beside_one_that_ocean_names(bridge: Bridge, named: str) -> None:
    away = replace(PATIENTS[1], id=PatientId("1009"), active=False)
    bridge.rig.hold(Clinic(patients=(away,)))
    bridge.settings = MessagesSpec(walk_ins=WALK_INS)
    a_patient(bridge, chart=named, hn="1234567897", hnVC=None, surname="p0003")
    patient, _ = await bridge.deliveries(bridge.ocean.walk_in("p0001", at=NINE))

    with pytest.raises(MessageHeldError) as caught:
        await bridge.resolve(patient)

    assert caught.value.reason is Reason.PATIENT_NOT_FOUND


def at(hour: int, minute: int = 0) -> datetime:
    return NINE.replace(hour=hour, minute=minute)


@pytest.mark.parametrize(
    ("booked", "now", "expected"),
    [
        ((), at(9), at(9)),
        (((9, 0), (9, 15)), at(9), at(9, 30)),
        (((9, 0), (9, 25)), at(9), at(9, 40)),
        # The EMR was away for a while, and nobody is booked in the past.
        (((9, 0),), at(10, 20), at(10, 20)),
    ],
)
async def test_the_next_free_time_of_the_provider_s_day(
    bridge: Bridge, booked: Sequence[tuple[int, int]], now: datetime, expected: datetime
) -> None:
    appointments: list[Appointment] = [booking(n, DAY, time(*clock)) for n, clock in enumerate(booked, start=1)]
    appointments += [booking(9, DAY, time(9), provider=ZOE), booking(10, DAY + timedelta(days=1), time(9))]
    bridge.rig.hold(Clinic(tuple(appointments)))
    bridge.settings = MessagesSpec(walk_ins=WALK_INS.model_copy(update={"slot_policy": SlotPolicy.NEXT_FREE}))
    bridge.now = now
    a_patient(bridge)

    (appointment,) = await bridge.writes(bridge.ocean.walk_in("p0001", at=NINE))

    assert isinstance(appointment, NewAppointment)
    assert (appointment.start, appointment.start.tzinfo) == (expected, ZONE)


async def test_a_day_that_the_emr_does_not_show_is_not_free(bridge: Bridge) -> None:
    chosen = {"slot_policy": SlotPolicy.NEXT_FREE, "provider_id": "nobody"}
    bridge.settings = MessagesSpec(walk_ins=WALK_INS.model_copy(update=chosen))
    a_patient(bridge)

    assert (await held(bridge, bridge.ocean.walk_in("p0001", at=NINE))).reason is Reason.PROVIDER_UNKNOWN


async def test_a_new_chart_begins_with_all_that_ocean_knows(bridge: Bridge) -> None:
    bridge.settings = MessagesSpec(walk_ins=WALK_INS)
    more = {"address": {"line1": "3 rue X", "city": "Québec", "phone": "418-555-0103"}, "language": "fr"}
    a_patient(bridge, chart=None, hn="1234567897", hnVC=None, surname="p0003", **more)

    patient, _ = await bridge.deliveries(bridge.ocean.walk_in("p0001", at=NINE))
    (created,) = await bridge.resolve(patient)

    assert isinstance(created, NewPatient)
    assert (created.last_name, created.birth_date, created.home_phone) == ("p0003", date(1980, 2, 29), "418-555-0103")
