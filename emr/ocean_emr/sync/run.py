"""One synchronisation from beginning to end: open the stores, take the lease, read, send, remove, report."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4
from zoneinfo import ZoneInfo

import structlog

from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.report import CheckReport, Counts, Problem, Process, SyncKind, SyncReport, Trigger
from ocean_emr.contract import EmrAdapter
from ocean_emr.envelope import DataKey
from ocean_emr.errors import EmrAuthRefusedError
from ocean_emr.ocean.client import OceanClient
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.ocean.errors import OceanAccessRefusedError
from ocean_emr.pod import (
    KNOWN_ERRORS,
    Credentials,
    CredentialsError,
    Places,
    ocean_access,
    problem_of,
    read_credentials,
    utc_now,
)
from ocean_emr.records import Provider
from ocean_emr.registry import open_adapter
from ocean_emr.store import audit, data_keys, leases, snapshots, states
from ocean_emr.store.errors import LeaseTakenError
from ocean_emr.store.leases import Lease
from ocean_emr.store.snapshots import Kind
from ocean_emr.sync import progress
from ocean_emr.sync.decide import Selection, Window, already_ran_today, removals, select, window
from ocean_emr.sync.exchange import Exchange
from ocean_emr.vault.access import SiteAccess

LEASE: Final = timedelta(minutes=3)
_RENEW_SECONDS: Final = 45.0
_WAIT_SECONDS: Final = 5.0
_WAITS: Final = 60
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it. Only a run that may succeed when simply run again asks to be."""

    problem: Problem | None = None
    try_again: bool = False


async def synchronise(access: SiteAccess, order: Order, places: Places) -> Outcome:
    """Carry out `order`, and leave what became of it in `site_state`.

    Raises nothing of `KNOWN_ERRORS`: they become the report's problem.
    """
    report = await _read(access)
    zone = ZoneInfo(access.settings.spec.time_zone)
    if already_ran_today(order.kind, order.trigger, report.last_full, zone, utc_now()):
        log.info("not run twice on one day", site=access.site)
        return Outcome()
    try:
        async with _lease(access, order) as lease:
            return await _under_lease(access, order, places, lease)
    except LeaseTakenError:
        log.info("another run is at work", site=access.site)
        return Outcome()


async def _under_lease(access: SiteAccess, order: Order, places: Places, lease: Lease) -> Outcome:
    report = progress.begun(await _read(access), order.kind, utc_now())
    await _write(access, report)
    digest = ""
    try:
        stored = await access.key()
        data_key = await open_data_key(access, stored.key, stored.fingerprint)
        credentials = read_credentials(access.settings.spec, places)
        digest = credentials.digest(data_key)
        if report.refused == digest and await _refused_since(access, report):
            await _write(access, progress.ended(report))
            return Outcome(report.problem)
        report = await _exchange(access, order, credentials, lease, stored.key, data_key, report)
        await _conclude(access, order, report, lease)
        return Outcome(report.problem)
    except (*KNOWN_ERRORS, CredentialsError) as error:
        problem = problem_of(error, utc_now())
        refused = digest if isinstance(error, EmrAuthRefusedError | OceanAccessRefusedError) else ""
        await _write(access, progress.failed(report, problem, token=order.token, refused=refused))
        log.warning("synchronisation failed", site=access.site, reason=problem.reason.value)
        return Outcome(problem, try_again=not (refused or isinstance(error, CredentialsError)))
    except BaseException:
        with contextlib.suppress(*KNOWN_ERRORS):
            await asyncio.shield(_write(access, progress.ended(report)))
        raise


async def _refused_since(access: SiteAccess, report: SyncReport) -> bool:
    """Whether no check has accepted these credentials after they were refused."""
    async with access.database.transaction() as transaction:
        state = await states.read(transaction, site=access.site, process=Process.CHECK)
    check = CheckReport.model_validate(state) if state else None
    accepted = (
        check is not None and check.access is None and report.problem is not None and check.at > report.problem.at
    )
    return not accepted


async def _exchange(  # noqa: PLR0913, PLR0917 - everything one run needs
    access: SiteAccess,
    order: Order,
    credentials: Credentials,
    lease: Lease,
    sek: SharedEncryptionKey,
    data_key: DataKey,
    report: SyncReport,
) -> SyncReport:
    spec = access.settings.spec
    started = utc_now()
    zone = ZoneInfo(spec.time_zone)
    days = window(spec.schedule, zone, started)
    async with (
        open_adapter(spec.emr, credentials.emr) as adapter,
        OceanClient(ocean_access(spec, credentials)) as ocean,
    ):
        providers = await adapter.list_providers()
        chosen = select(spec.schedule, providers)
        if not chosen.providers:
            return progress.failed(report, _nobody(chosen, started), token=order.token)
        run = await _open_run(access, order, adapter, ocean, sek, data_key, lease, providers)
        held_before = report.held > 0
        doubts, hidden = await _read_all(run, chosen, days, zone)
        held = 0
        if order.kind is SyncKind.FULL:
            todo = removals(
                await _known(access, days),
                run.seen,
                days=days,
                groups={run.group(p) for p in chosen.providers},
                complete=not doubts and not hidden and not chosen.unknown,
                held_before=held_before,
            )
            held = todo.held
            await run.remove(todo)
    counts = Counts(
        appointments=run.tally.appointments,
        sent=run.tally.sent,
        removed=run.tally.removed,
        patients=len(run.patients),
        rejected=run.tally.rejected,
    )
    return progress.succeeded(
        report,
        kind=order.kind,
        trigger=order.trigger,
        counts=counts,
        started_at=started,
        finished_at=utc_now(),
        window=order.window or report.window,
        token=order.token,
        problem=_reservation(chosen, hidden, doubts, held),
        held=held,
    )


async def _open_run(  # noqa: PLR0913, PLR0917 - everything one run needs
    access: SiteAccess,
    order: Order,
    adapter: EmrAdapter,
    ocean: OceanClient,
    sek: SharedEncryptionKey,
    data_key: DataKey,
    lease: Lease,
    providers: tuple[Provider, ...],
) -> Exchange:
    known: dict[Kind, dict[bytes, bytes]] = {}
    async with access.database.transaction() as transaction:
        for kind in (Kind.APPOINTMENT, Kind.PATIENT):
            rows = snapshots.read(transaction, site=access.site, kind=kind)
            known[kind] = {row.ref_digest: row.content_digest async for row in rows}
    return Exchange(
        site=access.site,
        site_number=access.settings.spec.site_number,
        kind=order.kind,
        run_id=uuid4(),
        adapter=adapter,
        ocean=ocean,
        sek=sek,
        data_key=data_key,
        database=access.database,
        lease=lease,
        provider_names={p.id: p.display_name for p in providers},
        known=known[Kind.APPOINTMENT],
        known_patients=known[Kind.PATIENT],
    )


async def _read_all(
    run: Exchange, chosen: Selection, days: Window, zone: ZoneInfo
) -> tuple[tuple[str, ...], list[str]]:
    """Every page, each sent before the next is asked for. Returns doubts about completeness, and hidden providers."""
    pages = run.adapter.list_appointments(chosen.providers, days.first, days.end, zone)
    doubts: tuple[str, ...] = ("the EMR's answer broke off",)
    hidden: list[str] = []
    async with contextlib.aclosing(pages):
        async for page in pages:
            await run.take(page.items)
            if page.last:
                doubts, hidden = page.doubts, sorted(page.hidden_provider_ids)
    return doubts, hidden


async def _known(access: SiteAccess, days: Window) -> list[snapshots.Known]:
    async with access.database.transaction() as transaction:
        rows = snapshots.read(transaction, site=access.site, kind=Kind.APPOINTMENT)
        return [row async for row in rows]


def _nobody(chosen: Selection, at: datetime) -> Problem:
    if chosen.unknown:
        said = f"The EMR shows none of the chosen providers ({', '.join(chosen.unknown)})."
        return _problem(Reason.PROVIDER_UNKNOWN, said, at)
    return _problem(Reason.NO_PROVIDER_SELECTED, "No provider is selected.", at)


def _reservation(chosen: Selection, hidden: list[str], doubts: tuple[str, ...], held: int) -> Problem | None:
    """What a run that came to its end could not do."""
    now = utc_now()
    unseen = sorted({*chosen.unknown, *hidden})
    if unseen:
        return _problem(
            Reason.PROVIDER_UNKNOWN, f"The EMR does not show {', '.join(unseen)}; nothing was removed.", now
        )
    if doubts:
        return _problem(Reason.SYNC_INCOMPLETE, f"{'; '.join(doubts)}. Nothing was removed.", now)
    if held:
        return _problem(Reason.REMOVAL_HELD, f"{held} appointments would have been removed at once.", now)
    return None


def _problem(reason: Reason, what: str, at: datetime) -> Problem:
    return Problem(reason=reason, message=f"{what} {EXPLANATIONS[reason].remedy}"[:1024], at=at)


async def open_data_key(access: SiteAccess, sek: SharedEncryptionKey, fingerprint: str) -> DataKey:
    """The key the clinic's rows are sealed with: the one kept for this SEK, or a new one."""
    fresh = DataKey.new()
    wrapped = fresh.wrap(sek, fingerprint=fingerprint, site=access.site)
    async with access.database.transaction() as transaction:
        kept = await data_keys.put(transaction, site=access.site, sek_fingerprint=fingerprint, envelope=wrapped)
    return fresh if kept == wrapped else DataKey.unwrap(kept, sek, site=access.site)


async def _conclude(access: SiteAccess, order: Order, report: SyncReport, lease: Lease) -> None:
    """Write the report and its audit record in one transaction, while the lease is still ours."""
    run = report.last_full if order.kind is SyncKind.FULL else report.last_recent
    what = {"trigger": order.trigger.value, "counts": run.counts.model_dump() if run else {}}
    outcome = report.problem.reason.value if report.problem else "done"
    async with access.database.transaction() as transaction:
        await leases.confirm(transaction, lease)
        document = report.model_dump(mode="json", by_alias=True)
        await states.write(transaction, site=access.site, process=Process.SYNC, state=document)
        await audit.append(
            transaction,
            site=access.site,
            actor="ocean-sync",
            action=f"sync.{order.kind.lower()}",
            what=what,
            outcome=outcome,
        )


async def _read(access: SiteAccess) -> SyncReport:
    async with access.database.transaction() as transaction:
        state = await states.read(transaction, site=access.site, process=Process.SYNC)
    return SyncReport.model_validate(state) if state else SyncReport()


async def _write(access: SiteAccess, report: SyncReport) -> None:
    async with access.database.transaction() as transaction:
        document = report.model_dump(mode="json", by_alias=True)
        await states.write(transaction, site=access.site, process=Process.SYNC, state=document)


@contextlib.asynccontextmanager
async def _lease(access: SiteAccess, order: Order) -> AsyncIterator[Lease]:
    """The site's lease, renewed while the block lasts. A scheduled recent run does not wait for another one's end."""
    patient = order.kind is SyncKind.FULL or order.trigger is not Trigger.SCHEDULED
    lease = await _acquire(access, waits=_WAITS if patient else 0)
    renewing = asyncio.create_task(_renew(access, lease))
    try:
        yield lease
    finally:
        renewing.cancel()
        with contextlib.suppress(*KNOWN_ERRORS):
            async with access.database.transaction() as transaction:
                await leases.release(transaction, lease)


async def _acquire(access: SiteAccess, *, waits: int) -> Lease:
    while True:
        try:
            async with access.database.transaction() as transaction:
                return await leases.acquire(transaction, site=access.site, holder=socket.gethostname(), lifetime=LEASE)
        except LeaseTakenError:
            if waits <= 0:
                raise
            waits -= 1
            await asyncio.sleep(_WAIT_SECONDS)


async def _renew(access: SiteAccess, lease: Lease) -> None:
    """Renew for ever. When that fails for good, `confirm` stops the run at its next write."""
    while True:
        await asyncio.sleep(_RENEW_SECONDS)
        try:
            async with access.database.transaction() as transaction:
                await leases.renew(transaction, lease, lifetime=LEASE)
        except KNOWN_ERRORS as error:
            log.warning("lease not renewed", site=access.site, reason=error.reason.value)
