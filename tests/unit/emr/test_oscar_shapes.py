"""Dates and times as OSCAR builds write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_emr.adapters.oscar_shapes import ShapeError, read_clock, read_day

TORONTO = ZoneInfo("America/Toronto")
ST_JOHNS = ZoneInfo("America/St_Johns")
DAY = date(2026, 11, 23)

zones = st.sampled_from([TORONTO, ST_JOHNS, ZoneInfo("America/Regina"), ZoneInfo("America/Vancouver")])
days = st.dates(date(2000, 1, 1), date(2100, 1, 1))
clocks = st.times().map(lambda t: t.replace(microsecond=0))
REFUSALS = {
    "not a day",
    "no such day",
    "not a time of day",
    "no such hour",
    "no such time of day",
    "neither text nor a number",
    "no such moment",
    "a day that begins at midnight neither here nor in UTC",
}
odd_values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.lists(st.integers(), max_size=2)
)


def epoch_ms(day: date, clock: time, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, clock, zone).timestamp()) * 1000


@given(days, zones)
def test_a_day_is_read_from_every_shape(day: date, zone: ZoneInfo) -> None:
    for written in (f"{day}", f"{day}T00:00:00", f"{day} 00:00:00.0", f"{day}T00:00:00Z", epoch_ms(day, time(0), zone)):
        assert read_day(written, zone) == day


@given(days)
def test_a_day_from_a_server_on_utc_is_not_the_day_before(day: date) -> None:
    """Midnight in UTC is the evening before in Toronto."""
    assert read_day(epoch_ms(day, time(0), ZoneInfo("UTC")), TORONTO) == day


@pytest.mark.parametrize(
    "written",
    [
        "2026-02-30",
        "23/11/2026",
        "2026-11-23T05:00:00Z",  # Toronto's midnight, or 05:00 with a false Z.
        "2026-11-23T00:00:00-05:00",
        "",
        "today",
        None,
        True,
        epoch_ms(DAY, time(9), TORONTO),
        float("nan"),
        10**30,
        -62_135_596_800_000,  # The first moment a datetime can hold.
        "\uff12\uff10\uff12\uff16-11-23",  # Digits, for `str.isdigit`.
    ],
)
def test_a_day_that_could_be_another_is_refused(written: object) -> None:
    with pytest.raises(ShapeError):
        read_day(written, TORONTO)


@given(clocks)
def test_a_clock_is_read_from_every_shape(clock: time) -> None:
    written = [
        f"{clock:%H:%M:%S}",
        f"{clock:%H:%M:%S}.0",
        f"{clock:%I:%M:%S %p}",
        f"{clock:%I:%M:%S %p}".lower().replace("am", "a.m.").replace("pm", "p.m."),
        f"1970-01-01T{clock:%H:%M:%S}",
        epoch_ms(date(1970, 1, 1), clock, TORONTO),
    ]
    assert {read_clock(shape, TORONTO) for shape in written} == {clock}


@given(st.times().map(lambda t: t.replace(second=0, microsecond=0)))
def test_a_clock_without_seconds_is_read(clock: time) -> None:
    for written in (f"{clock:%H:%M}", f"{clock.hour}:{clock:%M}", f"{clock:%I:%M %p}"):
        assert read_clock(written, TORONTO) == clock


@pytest.mark.parametrize(
    ("written", "clock"), [("12:00 AM", time(0)), ("12:30 PM", time(12, 30)), ("9:05 pm", time(21, 5))]
)
def test_noon_and_midnight_are_told_apart(written: str, clock: time) -> None:
    assert read_clock(written, TORONTO) == clock


@given(days, clocks)
def test_a_clock_beside_a_day_from_a_server_on_utc_is_its_own(day: date, clock: time) -> None:
    """The day's midnight tells in which zone the server writes."""
    utc = ZoneInfo("UTC")
    assert read_clock(epoch_ms(date(1970, 1, 1), clock, utc), TORONTO, day=epoch_ms(day, time(0), utc)) == clock


@pytest.mark.parametrize(
    "written", ["24:30", "24:00", "13:00 PM", "00:15 AM", "9", "09:00Z", "2026-11-23T09:00:00", "", None, True, "09:60"]
)
def test_a_clock_that_could_be_another_is_refused(written: object) -> None:
    with pytest.raises(ShapeError):
        read_clock(written, TORONTO)


@given(odd_values, odd_values, zones)
def test_whatever_comes_it_is_a_day_or_refused(one: object, other: object, zone: ZoneInfo) -> None:
    """Nothing that a server can write ends in another error, and no refusal quotes what was written."""
    for reading in (lambda: read_day(one, zone), lambda: read_clock(one, zone, day=other)):
        try:
            outcome: object = reading()
        except ShapeError as error:
            outcome = str(error)

        assert isinstance(outcome, date | time) or outcome in REFUSALS


def test_the_day_of_a_clock_change_is_still_a_midnight() -> None:
    for day in (date(2026, 3, 8), date(2026, 11, 1)):
        moment = datetime.combine(day, time(0), TORONTO).astimezone(UTC)
        assert read_day(int(moment.timestamp() * 1000), TORONTO) == day
        with pytest.raises(ShapeError):
            read_day(int((moment + timedelta(hours=1)).timestamp() * 1000), TORONTO)
