"""The shapes in which OSCAR builds write dates and times, read strictly: what could mean two things is refused.

OSCAR keeps the clinic's wall clock without a zone. A `Z` or an offset in an answer is therefore the serialiser's doing
and may be right or wrong; it is believed only where both readings agree.
Source: open-osp/Open-O SmartDateSerializer (ISO day, HH:mm:ss, epoch milliseconds), ScheduleService ("hh:mm aa").
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*([AaPp]\.?\s?[Mm]\.?)?", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_EPOCH_DAY: Final = date(1970, 1, 1)
_HALF_DAY_HOURS: Final = 12
_MOST_MILLISECONDS: Final = 1000 * 365 * 86_400 * 1000
"""A thousand years from 1970 either way."""


class ShapeError(ValueError):
    """A date or time in a shape that is not known, or could mean two things. Carries no value."""


def read_day(value: object, zone: ZoneInfo) -> date:
    """The calendar day of "2026-11-23", of an ISO date and time at midnight, or of epoch milliseconds at midnight."""
    if isinstance(value, str):
        return _day_of_text(value.strip())
    moment = _moment(value)
    return moment.astimezone(_server_zone(moment, zone)).date()


def read_clock(value: object, zone: ZoneInfo, *, day: object = None) -> time:
    """The wall-clock time of "09:00", "09:00:00", "09:00 AM", "1970-01-01T09:00:00", or epoch milliseconds.

    Args:
        value: As the EMR wrote it.
        zone: The clinic's.
        day: The day beside it as the EMR wrote it: epoch milliseconds there tell which zone the server writes in.
    """
    if isinstance(value, str):
        return _clock_of_text(value.strip())
    moment = _moment(value)
    server = _server_zone(_moment(day), zone) if _is_epoch(day) else zone
    return moment.astimezone(server).time()


def _day_of_text(text: str) -> date:
    day, _, clock = text.partition("T") if "T" in text else text.partition(" ")
    midnight = re.fullmatch(r"(00:00(:00(\.0+)?)?)?(Z|[+-]00:?00)?", clock)
    if not _DAY.fullmatch(day) or not midnight:
        raise ShapeError("not a day")
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise ShapeError("no such day") from None


def _clock_of_text(text: str) -> time:
    match = _CLOCK.fullmatch(text.removeprefix(f"{_EPOCH_DAY}T"))
    if not match:
        raise ShapeError("not a time of day")
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if match[4]:
        if not 1 <= hour <= _HALF_DAY_HOURS:
            raise ShapeError("no such hour")
        hour = hour % _HALF_DAY_HOURS + (_HALF_DAY_HOURS if match[4][0] in "Pp" else 0)
    try:
        return time(hour, minute, second)
    except ValueError:
        raise ShapeError("no such time of day") from None


def _is_epoch(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _moment(value: object) -> datetime:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ShapeError("neither text nor a number")
    if not abs(value) < _MOST_MILLISECONDS:
        raise ShapeError("no such moment")
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=value)


def _server_zone(day: datetime, zone: ZoneInfo) -> ZoneInfo:
    """The zone in which `day` is a midnight: the clinic's, or UTC for a hosted server that runs on it."""
    for candidate in (zone, ZoneInfo("UTC")):
        if day.astimezone(candidate).time() == time(0):
            return candidate
    raise ShapeError("a day that begins at midnight neither here nor in UTC")
