"""Which appointments a check-in marks: all that begin within the hours, both ends included, also when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api.reasons import Reason
from ocean_emr.messages.arrivals import minute_of, to_mark, window
from ocean_emr.messages.deliveries import MessageHeldError
from ocean_emr.records import Appointment, AppointmentId, AppointmentStatus, PatientId, ProviderId
from unit.messages.people import AT

TORONTO = ZoneInfo("America/Toronto")
MARKABLE = {AppointmentStatus.BOOKED, AppointmentStatus.PENDING, AppointmentStatus.UNKNOWN}


def booked(number: int, start: datetime, status: AppointmentStatus = AppointmentStatus.BOOKED) -> Appointment:
    return Appointment(
        AppointmentId(f"a{number}"), ProviderId("101"), PatientId("1001"), start.astimezone(TORONTO), 15, status, ""
    )


def marked(hours: int, *appointments: Appointment, at: datetime = AT) -> list[str]:
    return list(to_mark(appointments, *window(at, hours)))


def test_both_ends_count() -> None:
    minute = timedelta(minutes=1)
    starts = [AT - minute, AT, AT + timedelta(hours=2), AT + timedelta(hours=2) + minute]

    assert marked(2, *(booked(number, start) for number, start in enumerate(starts))) == ["a1", "a2"]


def test_whoever_comes_within_the_minute_is_in_time() -> None:
    assert marked(1, booked(1, AT), at=AT + timedelta(seconds=59, milliseconds=999)) == ["a1"]


def test_what_is_off_is_never_marked_and_what_is_marked_is_left_alone() -> None:
    everything = [booked(number, AT, status) for number, status in enumerate(AppointmentStatus)]

    expected = [f"a{number}" for number, status in enumerate(AppointmentStatus) if status in MARKABLE]

    assert marked(0, *everything) == expected


@pytest.mark.parametrize("status", [AppointmentStatus.ARRIVED, AppointmentStatus.FULFILLED])
def test_a_patient_who_is_already_marked_needs_nothing(status: AppointmentStatus) -> None:
    assert marked(2, booked(1, AT, status)) == []


@pytest.mark.parametrize("status", [None, AppointmentStatus.CANCELLED, AppointmentStatus.NO_SHOW])
def test_without_an_appointment_a_person_looks(status: AppointmentStatus | None) -> None:
    appointments = [booked(1, AT, status)] if status else []

    with pytest.raises(MessageHeldError) as caught:
        marked(2, *appointments)

    assert caught.value.reason is Reason.NO_APPOINTMENT_NEAR


def test_when_the_clock_goes_back_hours_are_counted_as_they_pass() -> None:
    """On 1 November 2026 Toronto's clock shows 01:00 to 01:59 twice; 05:30 UTC is the first half past one."""
    at = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    first, second, third = at, at + timedelta(hours=1), at + timedelta(hours=2)
    assert first.astimezone(TORONTO).time() == second.astimezone(TORONTO).time()

    assert marked(1, booked(1, first), booked(2, second), booked(3, third), at=at) == ["a1", "a2"]
    # The first half past one is over at the second.
    assert marked(0, booked(1, first), booked(2, second), at=second) == ["a2"]


def test_when_the_clock_goes_forward_hours_are_counted_as_they_pass() -> None:
    """On 8 March 2026 Toronto's clock goes from 01:59 to 03:00."""
    at = datetime(2026, 3, 8, 1, 30, tzinfo=TORONTO)

    assert marked(1, booked(1, datetime(2026, 3, 8, 3, 30, tzinfo=TORONTO)), at=at) == ["a1"]
    assert marked(2, booked(1, datetime(2026, 3, 8, 4, 30, tzinfo=TORONTO)), at=at) == ["a1"]


moments = st.datetimes(datetime(2026, 3, 7), datetime(2026, 3, 9), timezones=st.just(UTC)) | st.datetimes(  # noqa: DTZ001
    datetime(2026, 10, 31),  # noqa: DTZ001
    datetime(2026, 11, 2),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(moments, st.integers(1, 24), st.lists(st.tuples(st.integers(-100, 1_600), st.sampled_from(AppointmentStatus))))
def test_exactly_those_within_the_hours(at: datetime, hours: int, offsets: list[tuple[int, AppointmentStatus]]) -> None:
    start = minute_of(at)
    appointments = [
        booked(number, start + timedelta(minutes=offset), status) for number, (offset, status) in enumerate(offsets)
    ]
    within = [number for number, (offset, _) in enumerate(offsets) if 0 <= offset <= hours * 60]
    off = {AppointmentStatus.CANCELLED, AppointmentStatus.NO_SHOW}

    if all(offsets[number][1] in off for number in within):
        with pytest.raises(MessageHeldError):
            marked(hours, *appointments, at=at)
    else:
        expected = [f"a{number}" for number in within if offsets[number][1] in MARKABLE]
        assert marked(hours, *appointments, at=at) == expected
