"""What a synchronisation decides, in pure functions: whose schedule, which days, what to send, what to remove."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose schedules are read."""

    providers: tuple[ProviderId, ...]
    """Chosen and known."""
    unknown: tuple[ProviderId, ...]
    """Chosen, and not among those the EMR shows."""


def select(schedule: ScheduleSpec, known: Sequence[Provider]) -> Selection:
    """The providers to read, in the spec's order; with `All`, every active one in the EMR's order."""
    chosen = schedule.providers
    if isinstance(chosen, str) and chosen == ALL_PROVIDERS:
        return Selection(tuple(p.id for p in known if p.active), ())
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
    """Whether a scheduled full run is the second one of its local day.

    Where the clock is put back at midnight, the CronJob's time comes twice.
    """
    if kind is not SyncKind.FULL or trigger is not Trigger.SCHEDULED or last is None:
        return False
    same_day = last.started_at.astimezone(zone).date() == now.astimezone(zone).date()
    return same_day and last.trigger is Trigger.SCHEDULED


class Fate(StrEnum):
    """What becomes of one appointment."""

    SEND = "send"
    KEEP = "keep"
    """Ocean has it as it is."""
    IGNORE = "ignore"
    """Not for Ocean: nobody's, or cancelled before Ocean ever heard of it."""
    GONE = "gone"
    """Still in the EMR's answer, and not on the schedule any more."""


def fate(appointment: Appointment, digest: bytes, known: bytes | None, kind: SyncKind) -> Fate:
    """What to do about an appointment.

    A recent run tells Ocean of a cancellation as a change; a full one removes the appointment.

    Args:
        appointment: As the EMR has it now.
        digest: Of what Ocean would be told.
        known: Digest of what Ocean was told, if it was.
        kind: Of the run.
    """
    if appointment.patient_id is None:
        return Fate.IGNORE if known is None else Fate.GONE
    if appointment.status is AppointmentStatus.CANCELLED:
        if known is None:
            return Fate.IGNORE
        if kind is SyncKind.FULL:
            return Fate.GONE
    return Fate.KEEP if digest == known else Fate.SEND


@dataclass(frozen=True, slots=True)
class Removals:
    """What a full run removes."""

    remove: tuple[bytes, ...]
    """Reference digests to remove at Ocean."""
    forget: tuple[bytes, ...]
    """Reference digests of days that are over: Ocean keeps them by its own rules, we need not compare them again."""
    held: int = 0
    """How many were not removed because they were too many at once."""


def removals(
    known: Iterable[Known],
    seen: Collection[bytes],
    *,
    days: Window,
    groups: Collection[bytes],
    complete: bool,
    held_before: bool,
) -> Removals:
    """What leaves Ocean after a full run.

    Nothing is removed after an incomplete answer. What lies outside the days or providers now asked for is
    removed because the spec says so; what is missing within them is removed because the EMR says so, unless it
    is so much that the EMR may be wrong.

    Args:
        known: Every appointment Ocean was told of.
        seen: Reference digests that are still on the schedule.
        days: The run's window.
        groups: Provider digests that are chosen now.
        complete: Whether the EMR's answer may be read as the whole truth.
        held_before: Whether the full run before this one already wanted such a removal.
    """
    over, outside, missing, inside = [], [], [], 0
    for record in known:
        if record.day is not None and record.day < days.first:
            over.append(record.ref_digest)
        elif (record.day is not None and record.day >= days.end) or record.group_digest not in groups:
            outside.append(record.ref_digest)
        else:
            inside += 1
            if record.ref_digest not in seen:
                missing.append(record.ref_digest)
    if not complete:
        return Removals((), ())
    if len(missing) > MANY and 2 * len(missing) > inside and not held_before:
        return Removals(tuple(outside), tuple(over), held=len(missing))
    return Removals((*outside, *missing), tuple(over))
