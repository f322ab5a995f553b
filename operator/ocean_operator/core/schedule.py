"""When a clinic's synchronisations run: spread over the fleet, at the clinic's own midnight."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from ocean_operator.core.site import SiteKey

RECENT_INTERVAL: Final = timedelta(minutes=30)
_HALF_HOUR: Final = 30


@dataclass(frozen=True, slots=True)
class Slots:
    """A clinic's places in the hour and the night."""

    recent_minute: int
    """0 to 29: recent runs start then and half an hour later."""
    full_minute: int
    """Minutes after the clinic's midnight."""

    @property
    def recent_cron(self) -> str:
        """For a CronJob."""
        return f"{self.recent_minute},{self.recent_minute + _HALF_HOUR} * * * *"

    @property
    def full_cron(self) -> str:
        """For a CronJob, in the clinic's zone."""
        return f"{self.full_minute % 60} {self.full_minute // 60} * * *"


def slots(key: SiteKey, *, full_window_minutes: int) -> Slots:
    """The slots of `key`: the same after every restart and re-creation, independent of each other.

    Args:
        key: The clinic.
        full_window_minutes: How many minutes after midnight the fleet's full runs are spread over; 0 and 1
            mean midnight itself.
    """
    return Slots(_slot(f"{key}@recent", _HALF_HOUR), _slot(f"{key}@full", max(full_window_minutes, 1)))


def _slot(salt: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "big") % size


def next_recent(slot: Slots, now: datetime) -> datetime:
    """The first start of a recent run after `now`, in UTC."""
    base = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    minutes = (slot.recent_minute, slot.recent_minute + _HALF_HOUR, slot.recent_minute + 2 * _HALF_HOUR)
    return next(t for m in minutes if (t := base + timedelta(minutes=m)) > now)


def next_full(slot: Slots, zone: ZoneInfo, now: datetime) -> datetime:
    """The first start of a full run after `now`, in UTC."""
    today = now.astimezone(zone).date()
    return next(t for days in range(3) if (t := _full_on(today + timedelta(days=days), slot, zone)) > now)


def previous_full(slot: Slots, zone: ZoneInfo, now: datetime) -> datetime:
    """The last start of a full run at or before `now`, in UTC."""
    today = now.astimezone(zone).date()
    return next(t for days in range(3) if (t := _full_on(today - timedelta(days=days), slot, zone)) <= now)


def _full_on(day: date, slot: Slots, zone: ZoneInfo) -> datetime:
    """The start on the clinic's `day`. In an hour that a clock change skips: at the hour's end (PEP 495, fold 0)."""
    hour, minute = divmod(slot.full_minute, 60)
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
