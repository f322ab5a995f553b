from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ocean_operator.core.schedule import Slots, next_full, next_recent, previous_full, slots
from ocean_operator.core.site import SiteKey

MIDNIGHT = Slots(recent_minute=7, full_minute=0)
HAVANA = "America/Havana"
"""00:00 becomes 01:00 in March, 01:00 becomes 00:00 in November."""
CAIRO = "Africa/Cairo"
"""00:00 becomes 01:00 in April, 24:00 becomes 23:00 in October."""
SANTIAGO = "America/Santiago"
"""24:00 becomes 01:00 in September, 24:00 becomes 23:00 in April."""
ZONES = ("America/Toronto", "America/St_Johns", HAVANA, CAIRO, SANTIAGO, "Asia/Kathmandu", "Pacific/Apia", "Etc/UTC")


def at(*parts: int) -> datetime:
    """A moment in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


# Slots


def test_a_clinics_slots_are_its_own_for_good() -> None:
    """The numbers are part of what a fleet sees: another hash would move every clinic's runs."""
    assert slots(SiteKey("clinic-a", "north"), full_window_minutes=120) == Slots(recent_minute=17, full_minute=54)


def test_a_fleet_is_spread_evenly() -> None:
    fleet = [slots(SiteKey(f"clinic-{n}", "site"), full_window_minutes=120) for n in range(3000)]
    recent = Counter(s.recent_minute for s in fleet)
    full = Counter(s.full_minute for s in fleet)

    assert (set(recent), set(full)) == (set(range(30)), set(range(120)))
    assert max(recent.values()) < 2 * 3000 / 30
    assert max(full.values()) < 3 * 3000 / 120


def test_the_two_slots_do_not_hang_together() -> None:
    """Or the clinics of one minute would meet again at night."""
    fleet = [slots(SiteKey("n", f"s{n}"), full_window_minutes=30) for n in range(3000)]

    assert len({(s.recent_minute, s.full_minute) for s in fleet}) > 800


def test_namespace_and_name_both_count() -> None:
    assert len({slots(SiteKey(f"n{n}", "site"), full_window_minutes=0).recent_minute for n in range(50)}) > 15
    assert len({slots(SiteKey("n", f"site{n}"), full_window_minutes=0).recent_minute for n in range(50)}) > 15


@pytest.mark.parametrize("window", [0, 1])
def test_without_a_window_full_runs_start_at_midnight(window: int) -> None:
    assert {slots(SiteKey("n", f"s{n}"), full_window_minutes=window).full_minute for n in range(50)} == {0}


@pytest.mark.parametrize(
    ("slot", "recent", "full"),
    [
        (Slots(0, 0), "0,30 * * * *", "0 0 * * *"),
        (Slots(29, 59), "29,59 * * * *", "59 0 * * *"),
        (Slots(7, 60), "7,37 * * * *", "0 1 * * *"),
        (Slots(7, 179), "7,37 * * * *", "59 2 * * *"),
    ],
)
def test_slots_as_a_cron_job_takes_them(slot: Slots, recent: str, full: str) -> None:
    assert (slot.recent_cron, slot.full_cron) == (recent, full)


# Recent runs


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (at(2026, 3, 10, 15, 6, 59), at(2026, 3, 10, 15, 7)),
        (at(2026, 3, 10, 15, 7), at(2026, 3, 10, 15, 37)),
        (at(2026, 3, 10, 15, 36, 59), at(2026, 3, 10, 15, 37)),
        (at(2026, 3, 10, 15, 37), at(2026, 3, 10, 16, 7)),
        (at(2026, 12, 31, 23, 40), at(2027, 1, 1, 0, 7)),
    ],
)
def test_the_next_recent_run(now: datetime, expected: datetime) -> None:
    assert next_recent(MIDNIGHT, now) == expected


MOMENTS = st.integers(int(at(2015, 1, 1).timestamp()), int(at(2035, 1, 1).timestamp())).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)


@given(minute=st.integers(0, 29), now=MOMENTS)
def test_a_recent_run_is_never_further_than_half_an_hour(minute: int, now: datetime) -> None:
    upcoming = next_recent(Slots(minute, 0), now)

    assert now < upcoming <= now + timedelta(minutes=30)
    assert upcoming.minute % 30 == minute


# Full runs


def full_days(zone: str, first: datetime, days: int, slot: Slots = MIDNIGHT) -> list[datetime]:
    """The starts of the full runs, one after another."""
    found, now = [], first
    for _ in range(days):
        now = next_full(slot, ZoneInfo(zone), now)
        found.append(now)
    return found


@pytest.mark.parametrize(
    ("zone", "first", "expected"),
    [
        (
            "America/Toronto",
            at(2026, 3, 7, 12),
            [at(2026, 3, 8, 5), at(2026, 3, 9, 4)],
        ),
        (HAVANA, at(2026, 3, 7, 12), [at(2026, 3, 8, 5), at(2026, 3, 9, 4)]),
        (HAVANA, at(2026, 10, 31, 12), [at(2026, 11, 1, 4), at(2026, 11, 2, 5)]),
        (CAIRO, at(2026, 4, 23, 12), [at(2026, 4, 23, 22), at(2026, 4, 24, 21)]),
        (CAIRO, at(2026, 10, 29, 12), [at(2026, 10, 29, 22), at(2026, 10, 30, 22)]),
        (SANTIAGO, at(2026, 9, 5, 12), [at(2026, 9, 6, 4), at(2026, 9, 7, 3)]),
        (SANTIAGO, at(2026, 4, 4, 12), [at(2026, 4, 5, 4), at(2026, 4, 6, 4)]),
    ],
    ids=[
        "Toronto, clock forward",
        "Havana, no midnight",
        "Havana, two midnights: the first",
        "Cairo, no midnight",
        "Cairo, 23:00 twice",
        "Santiago, no midnight",
        "Santiago, 23:00 twice",
    ],
)
def test_full_runs_around_a_clock_change(zone: str, first: datetime, expected: list[datetime]) -> None:
    assert full_days(zone, first, 2) == expected


@pytest.mark.parametrize("zone", ZONES)
def test_every_day_of_a_year_has_one_full_run(zone: str) -> None:
    """Counted by the clinic's own calendar, clock changes and all."""
    start = datetime(2026, 1, 1, 12, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    days = [moment.astimezone(ZoneInfo(zone)).date() for moment in full_days(zone, start, 365)]

    assert days == [date(2026, 1, 2) + timedelta(days=n) for n in range(365)]


def test_a_day_that_a_country_left_out_has_no_full_run() -> None:
    """Samoa went from 2011-12-29 to 2011-12-31."""
    apia = "Pacific/Apia"
    days = [m.astimezone(ZoneInfo(apia)).date().day for m in full_days(apia, at(2011, 12, 28, 22), 3)]

    assert days == [29, 31, 1]


@given(
    zone=st.sampled_from(ZONES),
    minute=st.integers(0, 179),
    now=MOMENTS,
)
@example(zone=HAVANA, minute=0, now=at(2026, 11, 1, 4, 30))
@example(zone=HAVANA, minute=30, now=at(2026, 11, 1, 5, 0))
@example(zone=CAIRO, minute=0, now=at(2026, 4, 23, 22))
@example(zone=SANTIAGO, minute=0, now=at(2026, 4, 5, 3, 30))
@example(zone=SANTIAGO, minute=179, now=at(2026, 9, 6, 4))
def test_now_lies_between_the_previous_and_the_next(zone: str, minute: int, now: datetime) -> None:
    slot = Slots(0, minute)
    before, after = previous_full(slot, ZoneInfo(zone), now), next_full(slot, ZoneInfo(zone), now)

    assert before <= now < after
    assert after - before <= timedelta(hours=25)
    assert previous_full(slot, ZoneInfo(zone), after) == after
    assert next_full(slot, ZoneInfo(zone), before) == after
