"""What a synchronisation decides, in pure functions: whose schedule, which days, what to send, what to remove."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from ocean_api.report import Run, SyncKind, Trigger
from ocean_api.v1alpha1.spec import ALL_PROVIDERS, ScheduleSpec
from ocean_emr.records import Appointment, AppointmentStatus, Provider, ProviderId
from ocean_emr.store.snapshots import Known

MANY: Final = 20
"""A full run that would remove more than this many, and more than half of what is known, is held (requirements C4)."""
_SOON: Final = timedelta(hours=1)
_NONE: Final = timedelta(0)
_PUT_BACK_AT_MOST: Final = timedelta(hours=3)
"""Clocks are put back by an hour, in a few places by two."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose schedules are read."""

    providers: tuple[ProviderId, ...]
    """Chosen and known."""
    unknown: tuple[ProviderId, ...] = ()
    """Chosen by their ids, and not among those the EMR shows."""
    everybody: bool = False
    """Whether `All` was chosen: then the EMR decides who there is."""


def select(schedule: ScheduleSpec, known: Sequence[Provider]) -> Selection:
    """The providers to read, in the spec's order; with `All`, every active one in the EMR's order."""
    chosen = schedule.providers
    if isinstance(chosen, str) and chosen == ALL_PROVIDERS:
        return Selection(tuple(p.id for p in known if p.active), everybody=True)
    ids = {p.id for p in known}
    wanted = [ProviderId(c) for c in chosen]
    return Selection(tuple(c for c in wanted if c in ids), tuple(c for c in wanted if c not in ids))


@dataclass(frozen=True, slots=True)
class Window:
    """Local days at the clinic: `first` is today, `end` the day after the last."""

    first: date
    end: date


def window(schedule: ScheduleSpec, zone: ZoneInfo, now: datetime) -> Window:
    """The days to keep at Ocean."""
    today = now.astimezone(zone).date()
    return Window(today, today + timedelta(days=schedule.days))


def already_ran_today(kind: SyncKind, trigger: Trigger, last: Run | None, zone: ZoneInfo, now: datetime) -> bool:
    """Whether this is the CronJob's second full run of a local day: the clock was put back, and its time came twice."""
    if kind is not SyncKind.FULL or trigger is not Trigger.SCHEDULED:
        return False
    if last is None or last.trigger is not Trigger.SCHEDULED:
        return False
    then, here = last.started_at.astimezone(zone), now.astimezone(zone)
    put_back = (here.utcoffset() or _NONE) < (then.utcoffset() or _NONE)
    return put_back and then.date() == here.date() and now - last.started_at < _PUT_BACK_AT_MOST


def agreeable(held_by: str, last: Run | None, trigger: Trigger, now: datetime) -> str:
    """The id of the full run that held removals back, if this one may agree with it; otherwise empty.

    A scheduled run may not agree within the hour: its pod is the same run's, made again because it was lost at the
    very end.
    """
    too_soon = trigger is Trigger.SCHEDULED and last is not None and now - last.started_at < _SOON
    return "" if too_soon else held_by


class Fate(StrEnum):
    """What becomes of one appointment on its way to Ocean."""

    SEND = "send"
    KEEP = "keep"
    """Ocean has it as it is."""
    IGNORE = "ignore"
    """Not for Ocean: nobody's, or cancelled before Ocean ever heard of it."""


def fate(appointment: Appointment, digest: bytes, told: bytes | None) -> Fate:
    """What to do about an appointment. A cancellation is news like any other change.

    Args:
        appointment: As the EMR has it now.
        digest: Of what Ocean would be told.
        told: Digest of what Ocean was told; None when it never heard of it.
    """
    if appointment.patient_id is None:
        return Fate.IGNORE
    if appointment.status is AppointmentStatus.CANCELLED and told is None:
        return Fate.IGNORE
    return Fate.KEEP if digest == told else Fate.SEND


def on_schedule(appointment: Appointment) -> bool:
    """Whether it is to stay at Ocean: somebody's, and not cancelled."""
    return appointment.patient_id is not None and appointment.status is not AppointmentStatus.CANCELLED


@dataclass(frozen=True, slots=True)
class Scope:
    """What a full run answers for."""

    days: Window
    groups: Collection[bytes]
    """Provider digests that were read."""
    everybody: bool
    """Whether the spec leaves it to the EMR who the providers are."""


@dataclass(frozen=True, slots=True)
class Removals:
    """What a full run removes, by reference digest."""

    remove: tuple[bytes, ...] = ()
    """To be taken from Ocean."""
    forget: tuple[bytes, ...] = ()
    """Of days that are over: Ocean keeps them by its own rules, and they need not be compared again."""
    held: tuple[bytes, ...] = ()
    """Missing in the EMR, and not removed until the next full run misses them, too."""


@dataclass(slots=True)
class Sweep:
    """What leaves Ocean after a full run: `look` at every record Ocean was told of, then ask for the `removals`.

    What lies outside the days or providers now asked for goes because the spec says so. What is missing within them
    goes because the EMR says so, unless the EMR may be wrong: so much is missing at once, or, where the EMR decides
    who the providers are, one of them with the whole schedule. Then it is held, and goes when the next full run misses
    it as well.
    """

    scope: Scope
    seen: Collection[bytes]
    """Reference digests of what is still on the schedule."""
    held_by: str = ""
    """Id of the full run before this one, if it held something back."""
    _over: list[bytes] = field(default_factory=list)
    _outside: list[bytes] = field(default_factory=list)
    _agreed: list[bytes] = field(default_factory=list)
    _missing: list[bytes] = field(default_factory=list)
    _without_provider: list[bytes] = field(default_factory=list)
    _inside: int = 0

    def look(self, record: Known) -> None:
        """Take one record into account."""
        ref, day, days = record.ref_digest, record.day, self.scope.days
        chosen = record.group_digest in self.scope.groups
        if ref in self.seen:
            self._inside += 1
        elif day is not None and day < days.first:
            self._over.append(ref)
        elif (day is not None and day >= days.end) or not (chosen or self.scope.everybody):
            self._outside.append(ref)
        else:
            self._inside += 1
            self._note_missing(record, chosen=chosen)

    def _note_missing(self, record: Known, *, chosen: bool) -> None:
        if self.held_by and str(record.run_id) == self.held_by:
            self._agreed.append(record.ref_digest)
        elif chosen:
            self._missing.append(record.ref_digest)
        else:
            self._without_provider.append(record.ref_digest)

    def removals(self, *, complete: bool) -> Removals:
        """The result. `complete`: whether what the EMR did not show is not there; otherwise nothing is removed."""
        if not complete:
            return Removals()
        news = len(self._missing) + len(self._without_provider)
        massive = news > MANY and 2 * news > self._inside - len(self._agreed)
        held = [*self._without_provider, *(self._missing if massive else ())]
        missing = () if massive else self._missing
        return Removals((*self._outside, *self._agreed, *missing), tuple(self._over), tuple(held))
