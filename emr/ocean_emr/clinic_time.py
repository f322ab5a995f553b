"""The clinic's wall clock as points in time.

EMRs such as OSCAR keep wall-clock times without a zone. Twice a year that is not enough, and the rule is the same for
every adapter (PEP 495, "fold=0"):

- A time that the clock skips in spring is taken as if the clock had not been put forward yet: 02:30 becomes 03:30.
- A time that the clock shows twice in autumn is the first of the two.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo


def clinic_time(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """The moment when the clinic's clock shows `clock` on `day`, aware, in `zone`; always one that exists."""
    wall = datetime.combine(day, clock.replace(tzinfo=None, fold=0), tzinfo=zone)
    return wall.astimezone(UTC).astimezone(zone)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The moment `day` begins at the clinic; later than 00:00 where the clock skips midnight."""
    return clinic_time(day, time(0), zone)
