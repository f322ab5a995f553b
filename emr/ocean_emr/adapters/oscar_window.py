"""How a window of OSCAR's schedule is cut into pieces, and what is noticed while they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from ocean_emr.records import AppointmentId, ProviderId

_PROVIDER_DAYS_PER_PAGE: Final = 60
"""Bounds a page's memory: about 30 visits each."""
_DAYS_PER_PAGE: Final = 7


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the window that is asked for at once."""

    providers: tuple[ProviderId, ...]
    first: date
    end: date
    """The day after the last."""

    def halves(self) -> tuple[Part, ...]:
        """Two smaller pieces that make up this one; none if it is one provider's one day."""
        days = (self.end - self.first).days
        if len(self.providers) > 1:
            middle = len(self.providers) // 2
            return (
                Part(self.providers[:middle], self.first, self.end),
                Part(self.providers[middle:], self.first, self.end),
            )
        if days > 1:
            cut = self.first + timedelta(days=days // 2)
            return Part(self.providers, self.first, cut), Part(self.providers, cut, self.end)
        return ()


@dataclass(slots=True)
class Window:
    """What one run of `list_appointments` has been asked, and what it noticed on the way."""

    providers: frozenset[ProviderId]
    first: date
    end: date
    zone: ZoneInfo
    seen: set[AppointmentId] = field(default_factory=set)
    unreadable: int = 0
    cut: bool = False
    right_proven: bool = False
    """Whether something was read that the EMR shows only to who may read appointments."""
    right_unknown: bool = False

    def doubts(self) -> tuple[str, ...]:
        """Why the answer may lack something."""
        found = []
        if self.unreadable:
            found.append(f"Appointments that could not be read: {self.unreadable}.")
        if self.cut:
            found.append("The EMR may have cut a list short.")
        if self.right_unknown:
            found.append("The EMR does not say whether the login may read appointments.")
        return tuple(found)


def parts_of(providers: tuple[ProviderId, ...], first: date, end: date) -> Iterator[Part]:
    """The pieces, in the order of days, that make up the window and each fit on a page."""
    days = max(1, min(_DAYS_PER_PAGE, _PROVIDER_DAYS_PER_PAGE // max(1, len(providers))))
    while providers and first < end:
        until = min(first + timedelta(days=days), end)
        yield Part(providers, first, until)
        first = until
