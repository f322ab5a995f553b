"""The clinic's wall clock as points in time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given
from hypothesis import strategies as st

from ocean_emr.clinic_time import clinic_time, midnight

TORONTO = ZoneInfo("America/Toronto")
zones = st.sampled_from(sorted(zone for zone in available_timezones() if zone.startswith("America/"))).map(ZoneInfo)
days = st.dates(date(2000, 1, 1), date(2037, 12, 31))
clocks = st.times()


@given(days, clocks, zones)
def test_every_clock_reading_is_a_moment_that_exists(day: date, clock: time, zone: ZoneInfo) -> None:
    moment = clinic_time(day, clock, zone)

    assert moment.tzinfo is zone
    assert moment == moment.astimezone(UTC).astimezone(zone)
    # Only a clock put forward moves a reading, and then by what was skipped.
    moved = moment.replace(tzinfo=None) - datetime.combine(day, clock)
    assert timedelta(0) <= moved <= timedelta(hours=2)


@given(days, zones)
def test_days_follow_each_other_without_gap(day: date, zone: ZoneInfo) -> None:
    begin, end = (midnight(d, zone).astimezone(UTC) for d in (day, day + timedelta(days=1)))

    assert timedelta(hours=21) <= end - begin <= timedelta(hours=27)


def test_a_skipped_reading_comes_after_the_gap() -> None:
    """02:30 on the day the clock goes from 02:00 to 03:00."""
    moment = clinic_time(date(2026, 3, 8), time(2, 30), TORONTO)

    assert moment.isoformat() == "2026-03-08T03:30:00-04:00"


def test_a_repeated_reading_is_the_first() -> None:
    """01:30 comes twice on the day the clock goes from 02:00 back to 01:00."""
    moment = clinic_time(date(2026, 11, 1), time(1, 30, fold=1), TORONTO)

    assert moment.isoformat() == "2026-11-01T01:30:00-04:00"
