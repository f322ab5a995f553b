"""What becomes of a walk-in: every setting, and the next time at which nobody is booked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api.reasons import Reason
from ocean_api.v1alpha1.spec import WalkInsSpec
from ocean_emr.messages.deliveries import AppointmentContent, MessageHeldError, PatientContent
from ocean_emr.messages.walk_ins import booking, new_patient, next_free, provider_of
from ocean_emr.records import Address, Appointment, AppointmentId, AppointmentStatus, PatientId, ProviderId, Sex
from ocean_emr.writes import Demographics
from unit.messages.people import AT, BORN, NUMBER, person

TORONTO = ZoneInfo("America/Toronto")
END = datetime(2026, 11, 24, tzinfo=TORONTO)
MINUTE = timedelta(minutes=1)
KNOWN = Demographics("Zoé", "Côté", BORN, Sex.FEMALE, NUMBER, address=Address(city="Montréal"), language="fr")


def settings(**more: Any) -> WalkInsSpec:
    return WalkInsSpec(**({"enabled": True, "provider_id": "101"} | more))


def booked(at: datetime, minutes: int | None = 15, status: AppointmentStatus = AppointmentStatus.BOOKED) -> Appointment:
    return Appointment(
        AppointmentId("a"), ProviderId("101"), PatientId("1"), at.astimezone(TORONTO), minutes, status, ""
    )


def held(act: Any, *arguments: Any) -> MessageHeldError:
    with pytest.raises(MessageHeldError) as caught:
        act(*arguments)
    return caught.value


def test_a_clinic_that_takes_none_holds_them() -> None:
    off = WalkInsSpec()

    assert held(provider_of, off).reason is Reason.WALK_INS_OFF
    assert held(new_patient, PatientContent(person=person(), details=KNOWN), off).reason is Reason.WALK_INS_OFF


def test_a_new_patient_is_created_only_where_that_is_allowed() -> None:
    content = PatientContent(person=person(), details=KNOWN)

    assert held(new_patient, content, settings()).reason is Reason.WALK_INS_OFF
    created = new_patient(content, settings(allow_new_patients=True))

    assert (created.first_name, created.last_name, created.birth_date, created.sex) == ("Zoé", "Côté", BORN, Sex.FEMALE)
    assert (created.health_number, created.address, created.language) == (NUMBER, KNOWN.address, "fr")
    assert created.provider_id == "101"


@pytest.mark.parametrize(
    ("details", "named"),
    [
        (Demographics("Zoé", "Côté"), "birth date"),
        (Demographics(None, "Côté", BORN), "first name"),
        (Demographics(birth_date=BORN), "first name, last name"),
    ],
)
def test_a_chart_is_not_created_of_half_a_person(details: Demographics, named: str) -> None:
    error = held(new_patient, PatientContent(person=person(), details=details), settings(allow_new_patients=True))

    assert error.reason is Reason.MESSAGE_UNREADABLE
    assert error.words.endswith(named)


def test_a_booking_has_all_that_was_set() -> None:
    chosen = settings(duration_minutes=20, appointment_type="WI", reason="Sans rendez-vous", location="Salle 2")
    start = AT.astimezone(TORONTO)

    of_clinic = booking(AppointmentContent(person=person(), at=AT), PatientId("1"), start, chosen)
    of_patient = booking(AppointmentContent(person=person(), at=AT, reason="Toux"), PatientId("1"), start, chosen)

    assert (of_clinic.provider_id, of_clinic.duration_minutes, of_clinic.appointment_type) == ("101", 20, "WI")
    assert (of_clinic.reason, of_clinic.location, of_clinic.start) == ("Sans rendez-vous", "Salle 2", start)
    assert of_patient.reason == "Toux"


@pytest.mark.parametrize(
    ("day", "minutes_later"),
    [
        ([], 0),
        ([booked(AT, 15)], 15),
        ([booked(AT - 10 * MINUTE, 15)], 5),
        ([booked(AT - 15 * MINUTE, 15)], 0),
        ([booked(AT + 15 * MINUTE, 15)], 0),
        ([booked(AT + 14 * MINUTE, 15)], 29),
        ([booked(AT, 15), booked(AT + 20 * MINUTE, 15)], 35),
        ([booked(AT, 15), booked(AT + 30 * MINUTE, 15)], 15),
        ([booked(AT, 60), booked(AT + 10 * MINUTE, 15)], 60),
        ([booked(AT, None)], 15),
        ([booked(AT, 0)], 1),
        ([booked(AT, 15, AppointmentStatus.CANCELLED), booked(AT, 15, AppointmentStatus.NO_SHOW)], 0),
        ([booked(AT, 15, AppointmentStatus.ARRIVED)], 15),
    ],
)
def test_the_next_free_time(day: list[Appointment], minutes_later: int) -> None:
    assert next_free(day, AT, END, 15) == AT + minutes_later * MINUTE


def test_a_full_day_is_for_a_person() -> None:
    error = held(next_free, [booked(AT, 24 * 60)], AT, END, 15)

    assert (error.reason, "no free time" in error.words) == (Reason.WALK_INS_OFF, True)


def test_a_walk_in_of_yesterday_is_for_a_person() -> None:
    """The EMR was away over night."""
    assert held(next_free, [], END, END, 15).reason is Reason.WALK_INS_OFF


bookings = st.builds(
    booked,
    st.integers(-120, 900).map(lambda minutes: datetime(2026, 11, 1, 4, 30, tzinfo=UTC) + minutes * MINUTE),
    st.none() | st.integers(0, 90),
    st.sampled_from(AppointmentStatus),
)


@given(st.lists(bookings, max_size=12), st.integers(5, 60))
def test_the_time_found_is_free_and_no_earlier_one_is(day: list[Appointment], minutes: int) -> None:
    """On the day of 25 hours: the clock shows one hour twice."""
    earliest, end = datetime(2026, 11, 1, 4, 30, tzinfo=UTC), datetime(2026, 11, 2, 5, 0, tzinfo=UTC)
    off = {AppointmentStatus.CANCELLED, AppointmentStatus.NO_SHOW}

    def free(start: datetime) -> bool:
        for each in day:
            begins = each.start.astimezone(UTC)
            length = minutes if each.duration_minutes is None else max(1, each.duration_minutes)
            if each.status not in off and begins < start + minutes * MINUTE and start < begins + length * MINUTE:
                return False
        return True

    found = next_free(day, earliest, end, minutes)

    assert free(found)
    candidates = [earliest + n * MINUTE for n in range(int((found - earliest) / MINUTE))]
    assert not any(free(start) for start in candidates)
