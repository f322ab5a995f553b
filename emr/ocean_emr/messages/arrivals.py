"""Which appointments a check-in marks as arrived. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from ocean_api.reasons import Reason
from ocean_emr.messages.deliveries import MessageHeldError
from ocean_emr.records import Appointment, AppointmentId, AppointmentStatus

_OFF: Final = frozenset({AppointmentStatus.CANCELLED, AppointmentStatus.NO_SHOW})
_THERE: Final = frozenset({AppointmentStatus.ARRIVED, AppointmentStatus.FULFILLED})


def minute_of(at: datetime) -> datetime:
    """The beginning of the minute of `at`, in UTC. Schedules count in minutes: who comes at 9:00:40 comes at 9:00."""
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def window(at: datetime, hours: int) -> tuple[datetime, datetime]:
    """First and last moment at which an appointment may begin to be meant, both inclusive, in UTC.

    Args:
        at: When the patient checked in.
        hours: As they pass, also where the clock is changed meanwhile.
    """
    start = minute_of(at)
    return start, start + timedelta(hours=hours)


def to_mark(appointments: Sequence[Appointment], start: datetime, end: datetime) -> tuple[AppointmentId, ...]:
    """The appointments to mark, in their order: all that begin from `start` to `end` and are not marked yet.

    Those cancelled or missed are never touched. Empty when the patient is already marked at all the others.

    Raises:
        MessageHeldError: The patient has no appointment in the window.
    """
    # By UTC: two datetimes of one zone are compared by their clocks, which show one hour of the year twice.
    near = [each for each in appointments if start <= each.start.astimezone(UTC) <= end and each.status not in _OFF]
    if not near:
        words = "the patient checked in and has no appointment that begins within the clinic's hours for arrivals"
        raise MessageHeldError(Reason.NO_APPOINTMENT_NEAR, words)
    return tuple(each.id for each in near if each.status not in _THERE)
