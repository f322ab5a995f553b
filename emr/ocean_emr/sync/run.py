"""One synchronisation from beginning to end: take the lease, read, send, remove, report."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import uuid4
from zoneinfo import ZoneInfo

import structlog

from ocean_api.report import Problem, Run, SyncKind, SyncReport, Trigger
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_emr.errors import EmrAccessError, EmrAuthRefusedError, EmrNotSupportedError, EmrRateLimitedError
from ocean_emr.ocean.client import OceanClient
from ocean_emr.ocean.errors import OceanAccessRefusedError, OceanRateLimitedError, SekMismatchError
from ocean_emr.pod import Places, key_name, ocean_access, open_data_key, read_credentials, utc_now, weakness
from ocean_emr.problems import KNOWN_ERRORS, CredentialsError, problem_of
from ocean_emr.records import AppointmentPage
from ocean_emr.registry import open_adapter
from ocean_emr.store import holding
from ocean_emr.store.errors import LeaseLostError, LeaseTakenError
from ocean_emr.store.leases import Lease
from ocean_emr.sync import progress
from ocean_emr.sync.decide import Scope, Selection, Sweep, Window, agreeable, already_ran_today, select, window
from ocean_emr.sync.exchange import Exchange, Tally
from ocean_emr.sync.journal import Journal
from ocean_emr.sync.memory import Memory
from ocean_emr.vault.access import SiteAccess
from ocean_emr.vault.errors import KeyMissingError

_OUTLIVE_A_DEAD_RUN: Final = holding.SYNC.lifetime + timedelta(seconds=15)
_OUTLIVE_A_LIVE_RUN: Final = timedelta(minutes=15)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    kind: SyncKind
    trigger: Trigger
    token: str = ""
    """Names the request; empty for the CronJobs' runs."""
    window: str = ""
    """Digest of the settings, as the operator computes it; empty for the CronJobs' runs."""

    @property
    def can_be_left_out(self) -> bool:
        """Whether another run at work is as good: half an hour later the next one comes."""
        return self.kind is SyncKind.RECENT and self.trigger is Trigger.SCHEDULED


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it. Only a run that may succeed when simply run again asks to be."""

    problem: Problem | None = None
    try_again: bool = False


@dataclass(slots=True)
class Task:
    """One run that holds the lease."""

    access: SiteAccess
    order: Order
    places: Places
    lease: Lease
    journal: Journal
    tally: Tally = field(default_factory=Tally)
    started_at: datetime = field(default_factory=utc_now)
    shown: str = ""
    """Digest of the credentials that are shown to Ocean and the EMR, once they are known."""

    @property
    def spec(self) -> OceanSiteSpec:
        """What the clinic wants."""
        return self.access.settings.spec

    @property
    def zone(self) -> ZoneInfo:
        """Where the clinic's midnight is."""
        return ZoneInfo(self.spec.time_zone)


@dataclass(frozen=True, slots=True)
class Result:
    """What a run that came to its end has to say."""

    reservation: Problem | None
    held: int | None = None
    """How many removals are held back; None when the run could not tell."""
    run_id: str = ""


class StoppedError(Exception):
    """The run ends here, and trying again at once does not mend it."""

    def __init__(self, why: Problem, *, known: bool = False) -> None:
        """`known`: the check's report tells of it already; to tell it again would make it look new."""
        super().__init__(why.reason.value)
        self.problem = why
        self.known = known


_NOT_AT_ONCE: Final = (
    StoppedError,
    CredentialsError,
    EmrAccessError,
    EmrNotSupportedError,
    OceanAccessRefusedError,
    SekMismatchError,
    KeyMissingError,
    EmrRateLimitedError,
    OceanRateLimitedError,
)
"""Errors that trying again within a minute does not mend, or makes worse."""


async def synchronise(access: SiteAccess, order: Order, places: Places) -> Outcome:
    """Carry out `order`, and leave what became of it in `site_state`.

    Raises:
        StoreError: The outcome could not be written down.
    """
    patience = _OUTLIVE_A_DEAD_RUN if order.can_be_left_out else _OUTLIVE_A_LIVE_RUN
    try:
        async with holding.holding(access.database, access.site, pace=holding.SYNC, patience=patience) as kept:
            journal = Journal(access.site, access.database, kept.lease)
            return await _under_lease(Task(access, order, places, kept.lease, journal))
    except LeaseTakenError as error:
        log.info("another run is at work", site=access.site)
        return Outcome() if order.can_be_left_out else Outcome(problem_of(error, utc_now()), try_again=True)
    except LeaseLostError as error:
        log.warning("the lease was lost; nothing more was written", site=access.site)
        return Outcome(problem_of(error, utc_now()), try_again=True)


async def _under_lease(task: Task) -> Outcome:
    report, order = await task.journal.read(), task.order
    if already_ran_today(order.kind, order.trigger, report.last_full, task.zone, task.started_at):
        log.info("not run twice on one day", site=task.access.site)
        return Outcome()
    if progress.already_answered(report, order.kind, order.token, order.window):
        log.info("already answered", site=task.access.site, token=order.token)
        return Outcome()
    await task.journal.note(lambda r: progress.begun(r, order.kind, task.started_at))
    try:
        result = await _attempt(task, report)
        return await _succeed(task, result)
    except LeaseLostError:
        raise
    except asyncio.CancelledError:
        with contextlib.suppress(*KNOWN_ERRORS):
            await _close(task, partial(progress.interrupted, at=utc_now()))
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the clinic's status tells of it
        return await _fail(task, error)


async def _attempt(task: Task, report: SyncReport) -> Result:
    """Open what is needed, and let Ocean and the EMR be called only with credentials that may be shown."""
    stored = await task.access.key()
    weak = weakness(stored)
    if weak is not None:
        raise StoppedError(weak)
    data_key = await open_data_key(task.access, stored)
    await task.journal.open_under(key_name(stored))
    credentials = read_credentials(task.spec, task.places)
    task.shown = credentials.digest(task.spec, data_key)
    check = await task.journal.last_check()
    if check is not None and check.access is not None and check.refused == task.shown:
        raise StoppedError(check.access, known=True)
    refusal = progress.refused_before(report, check, task.shown)
    if refusal is not None:
        raise StoppedError(refusal)
    async with (
        open_adapter(task.spec.emr, credentials.emr, task.access.settings.addresses) as adapter,
        OceanClient(ocean_access(task.access.settings, credentials)) as ocean,
    ):
        memory = Memory(task.access.site, data_key, task.access.database, task.lease, uuid4())
        providers = await adapter.list_providers()
        exchange = Exchange(
            kind=task.order.kind,
            site_number=task.spec.site_number,
            adapter=adapter,
            ocean=ocean,
            sek=stored.key,
            memory=memory,
            provider_names={p.id: p.display_name for p in providers},
            tally=task.tally,
        )
        held_by = agreeable(report.held_by, report.last_full, task.order.trigger, task.started_at)
        return await _carry(task, exchange, select(task.spec.schedule, providers), held_by)


async def _carry(task: Task, exchange: Exchange, chosen: Selection, held_by: str) -> Result:
    """Send every page before the next is asked for; after a full reading, remove what is gone."""
    if not chosen.providers:
        raise StoppedError(progress.nobody(chosen, utc_now()))
    days = window(task.spec.schedule, task.zone, task.started_at)
    reading = await _read(exchange, chosen, days, task.zone)
    if task.order.kind is SyncKind.RECENT:
        return Result(reading.reservation(utc_now()))
    groups = frozenset(exchange.memory.group(p) for p in chosen.providers)
    sweep = Sweep(Scope(days, groups, everybody=chosen.everybody), exchange.seen, held_by)
    async with contextlib.aclosing(exchange.memory.appointments()) as known:
        async for record in known:
            sweep.look(record)
    removals = sweep.removals(complete=reading.complete)
    await exchange.remove(removals)
    held = len(removals.held) if reading.complete else None
    return Result(reading.reservation(utc_now()), held, str(exchange.memory.run_id))


async def _read(exchange: Exchange, chosen: Selection, days: Window, zone: ZoneInfo) -> progress.Reading:
    pages = exchange.adapter.list_appointments(chosen.providers, days.first, days.end, zone)
    last: AppointmentPage | None = None
    async with contextlib.aclosing(pages):
        async for page in pages:
            await exchange.take(page.items)
            last = page
    if last is None or not last.last:
        return progress.Reading(chosen.unknown, ("The EMR's answer broke off.",))
    return progress.Reading((*chosen.unknown, *sorted(last.hidden_provider_ids)), last.doubts)


async def _succeed(task: Task, result: Result) -> Outcome:
    order = task.order
    run = Run(started_at=task.started_at, finished_at=utc_now(), trigger=order.trigger, counts=task.tally.counts())
    if task.tally.set_aside:
        log.warning("records set aside", site=task.access.site, reasons=dict(task.tally.set_aside))
    report = await _close(
        task,
        lambda report: progress.succeeded(
            report,
            run,
            kind=order.kind,
            window=order.window,
            token=order.token,
            reservation=result.reservation,
            held=result.held,
            held_by=result.run_id,
        ),
    )
    log.info("synchronised", site=task.access.site, kind=order.kind.value, counts=run.counts.model_dump())
    return Outcome(report.problem)


async def _fail(task: Task, error: Exception) -> Outcome:
    """Write down why the run failed."""
    trouble = error.problem if isinstance(error, StoppedError) else problem_of(error, utc_now())
    refused = task.shown if isinstance(error, EmrAuthRefusedError | OceanAccessRefusedError) else ""
    log.warning("synchronisation failed", site=task.access.site, reason=trouble.reason.value, message=trouble.message)
    known = isinstance(error, StoppedError) and error.known
    failed = partial(progress.failed, trouble=trouble, refused=refused, refusal_id=str(uuid4()))
    change = progress.ended if known else failed
    await _close(task, change, trouble)
    return Outcome(trouble, try_again=not isinstance(error, _NOT_AT_ONCE))


async def _close(task: Task, change: Callable[[SyncReport], SyncReport], failure: Problem | None = None) -> SyncReport:
    order, counts = task.order, task.tally.counts()
    return await task.journal.close(change, kind=order.kind, trigger=order.trigger, counts=counts, failure=failure)
