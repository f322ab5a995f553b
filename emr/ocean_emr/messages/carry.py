"""One message on its way: an event to deliveries, a sitting to one note, a delivery into the EMR.

Each method takes a row, does one attempt, writes down what became of it, and returns what that says of whoever was
called. An attempt may be broken off anywhere, by a kill or by `CancelledError`: the row then says enough for the next
one to go on. Errors of the database and of Vault are raised: they say nothing of the message.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol
from uuid import UUID

import structlog

from ocean_api.reasons import Reason
from ocean_api.v1alpha1.spec import MessagesSpec
from ocean_emr.contract import EmrAdapter
from ocean_emr.envelope import StoredDataUnreadableError
from ocean_emr.errors import EmrOutcomeUnknownError
from ocean_emr.messages.decide import (
    UNKNOWN,
    Action,
    Bearing,
    Hold,
    Phase,
    Postpone,
    Verdict,
    View,
    after_error,
    doubt_left,
    newest,
    next_action,
)
from ocean_emr.messages.deliveries import Delivery, Event, Kind, MessageHeldError, NoteContent, Person, write_key
from ocean_emr.messages.desk import Charts, Desk
from ocean_emr.messages.expand import Fetched, expand
from ocean_emr.messages.notes import merge
from ocean_emr.messages.plan import Plan, PlanUnreadableError, harmless
from ocean_emr.messages.resolve import Context, remember, resolve
from ocean_emr.store.errors import StoreError
from ocean_emr.store.messages import NewDelivery, Queued, Sitting, State, lane_of, own_lane_of
from ocean_emr.vault.errors import VaultError
from ocean_emr.writes import Probe, Write

WRITE_SECONDS: Final = 60.0
"""A write that takes longer is broken off, and looked for later."""
_SPARE_SECONDS: Final = 10.0
"""A write begins only if the lease outlasts it by this much."""
_LONGEST_REF: Final = 1000

_NOT_THE_MESSAGE: Final = (StoreError, VaultError)
_KEY_GONE: Final = Hold(
    Reason.MESSAGE_UNREADABLE, "It was stored under an earlier key of the clinic, which Vault does not give any more."
)

log = structlog.get_logger(__name__)


class Fetch(Protocol):
    """Gets what Ocean has for an event."""

    async def __call__(self, event: Event) -> Fetched:
        """What Ocean has, decrypted. Raises as `messages.fetch` does."""
        ...


@dataclass(frozen=True, slots=True)
class Met:
    """What one attempt says of whoever was called; nothing, when nobody was."""

    bearing: Bearing | None = None
    at_least: float = 0.0
    """Seconds that whoever was called asked us to wait."""
    error: Exception | None = None


ANSWERED: Final = Met(Bearing.ANSWERED)
NOBODY: Final = Met()


@dataclass(slots=True)
class Doubts:
    """Since when this process knows that a write may have happened, by a clock that only goes forward."""

    clock: Callable[[], float] = time.monotonic
    _since: dict[int, float] = field(default_factory=dict)

    def known_for(self, number: int) -> float:
        """Seconds since it was first asked about this message, or since `begin`."""
        return self.clock() - self._since.setdefault(number, self.clock())

    def begin(self, number: int) -> None:
        """The doubt begins now."""
        self._since[number] = self.clock()

    def end(self, number: int) -> None:
        """There is none any more."""
        self._since.pop(number, None)


@dataclass(frozen=True, slots=True)
class Carrier:
    """What every attempt needs."""

    desk: Desk
    context: Context
    chance: Callable[[], float]
    doubts: Doubts = field(default_factory=Doubts)
    resolve: Callable[[Delivery, EmrAdapter, Context], Awaitable[tuple[Write, ...]]] = resolve

    @property
    def settings(self) -> MessagesSpec:
        """What becomes of messages at this clinic."""
        return self.context.settings

    async def expand(self, row: Queued, fetch: Fetch) -> Met:
        """Fetch what an event tells of, and put it into the queue."""
        if row.detail is None:
            raise AssertionError("an event says what it is about")
        event = Event(**row.detail, received_at=row.received_at)
        try:
            deliveries = expand(event, await fetch(event), self.settings)
        except _NOT_THE_MESSAGE:
            raise
        except Exception as error:  # noqa: BLE001 - sorted by `after_error`
            return await self._trouble(row, self._means(row, Phase.FETCH, error, _NO_WRITES), error)
        new = [await self._new(event, delivery) for delivery in deliveries]
        await self.desk.expand(row, new, self._sitting(event, new))
        return ANSWERED

    async def _new(self, event: Event, delivery: Delivery) -> NewDelivery:
        # A referral's event names the referral; its deliveries go to a patient all the same.
        person = getattr(delivery.content, "person", None)
        site, ref = self.desk.site, person.ref if isinstance(person, Person) and person.ref else event.ref
        return NewDelivery(
            source_id=delivery.source_id,
            version=delivery.version,
            kind=delivery.kind,
            lane=own_lane_of(site, ref, delivery.kind) if delivery.own_lane else lane_of(site, ref),
            body=await self.desk.seal(delivery),
            gathering=self.settings.combine_notes and delivery.kind is Kind.NOTE,
        )

    def _sitting(self, event: Event, new: Sequence[NewDelivery]) -> Sitting | None:
        """When the patient's sitting ends, as far as this event says something about it."""
        lane = lane_of(self.desk.site, event.ref)
        if event.ends_sitting:
            return Sitting(lane, timedelta(0))
        if any(it.gathering for it in new):
            return Sitting(lane, timedelta(minutes=self.settings.sitting_timeout_minutes))
        return None

    async def gather(self, first: Queued) -> Met:
        """Make one note of a sitting that is over."""
        rows = await self.desk.gathered(first.lane)
        contents = []
        for row in newest(rows):
            try:
                delivery = await self.desk.open(row)
            except (StoredDataUnreadableError, MessageHeldError) as error:
                await self.desk.put_off(row, _unreadable(error))
                return NOBODY
            if not isinstance(delivery.content, NoteContent):
                raise AssertionError("only notes gather")  # noqa: TRY004 - a fault of ours
            contents.append(delivery.content)
        if contents:
            whole = Delivery(rows[0].source_id, rows[0].version, Kind.NOTE, merge(contents))
            await self.desk.merge(rows[0], rows[1:], await self.desk.seal(whole))
        return NOBODY

    async def deliver(self, row: Queued, adapter: EmrAdapter) -> Met:
        """Bring a delivery into the EMR, as far as it goes."""
        try:
            delivery = await self.desk.open(row)
            plan = await self.desk.plan(row)
        except (StoredDataUnreadableError, MessageHeldError, PlanUnreadableError) as error:
            begun = row.state is State.SENT or row.written > 0
            await self.desk.put_off(row, UNKNOWN if begun else _unreadable(error))
            return NOBODY
        walk = _Walk(self, row, delivery, adapter, plan, row.written, row.state is State.SENT, row.emr_ref)
        try:
            return await walk.go()
        except _NOT_THE_MESSAGE:
            raise
        except Exception as error:  # noqa: BLE001 - sorted by `after_error`
            if walk.phase is Phase.WRITE:
                self.doubts.begin(row.id)
            return await self._trouble(row, self._means(row, walk.phase, error, walk.view()), error)

    async def _trouble(self, row: Queued, verdict: Verdict, error: Exception) -> Met:
        became = "message held" if isinstance(verdict.row, Hold) else "message postponed"
        log.warning(became, site=self.desk.site, message=row.id, kind=row.kind, reason=verdict.row.reason.value)
        await self.desk.put_off(row, verdict.row)
        if isinstance(verdict.row, Hold) or verdict.row.settled:
            self.doubts.end(row.id)
        return Met(verdict.bearing, verdict.at_least, error)

    def _means(self, row: Queued, phase: Phase, error: Exception, view: View) -> Verdict:
        return after_error(phase, error, view, attempts=row.attempts, chance=self.chance())


_NO_WRITES: Final = View(planned=None)


@dataclass(slots=True)
class _Walk:
    """One attempt at a delivery."""

    carrier: Carrier
    row: Queued
    delivery: Delivery
    adapter: EmrAdapter
    plan: Plan | None
    written: int
    in_doubt: bool
    emr_ref: str
    phase: Phase = Phase.RESOLVE
    """What is being done: what an error means depends on it."""
    called: bool = False

    def view(self) -> View:
        """As far as the next action depends on it."""
        if self.plan is None or self.written >= len(self.plan.writes):
            return View(None if self.plan is None else len(self.plan.writes), self.written)
        write = self.plan.writes[self.written]
        capability = self.adapter.capabilities().operations.get(write.operation)
        return View(
            planned=len(self.plan.writes),
            written=self.written,
            in_doubt=self.in_doubt,
            known_for=self.carrier.doubts.known_for(self.row.id) if self.in_doubt else 0.0,
            lag=None if capability is None else capability.probe_lag_seconds,
            harmless=harmless(write),
        )

    async def go(self) -> Met:
        """Until it is done, or has to wait."""
        desk = self.carrier.desk
        while True:
            view = self.view()
            match next_action(view):
                case Action.RESOLVE:
                    self.phase, self.called = Phase.RESOLVE, True
                    self.plan = Plan(await self.carrier.resolve(self.delivery, self.adapter, self.carrier.context))
                case Action.WRITE:
                    await self._write()
                case Action.PROBE:
                    if not await self._probe():
                        await desk.put_off(self.row, UNKNOWN)
                        return ANSWERED
                case Action.WAIT:
                    left = doubt_left(view.lag or 0.0, view.known_for)
                    wait = Postpone(left, Reason.EMR_OUTCOME_UNKNOWN, _WAITS_FOR_SEARCH, settled=False, tried=False)
                    await desk.put_off(self.row, wait)
                    return self._met()
                case Action.ASK:
                    await desk.put_off(self.row, UNKNOWN)
                    return self._met()
                case Action.FINISH:
                    await desk.finish(self.row, emr_ref=self.emr_ref)
                    self.carrier.doubts.end(self.row.id)
                    return self._met()

    def _met(self) -> Met:
        return ANSWERED if self.called else NOBODY

    async def _write(self) -> None:
        """Write down that the next write is sent; then send it."""
        if self.plan is None:
            raise AssertionError("nothing is written without a plan")
        desk, write = self.carrier.desk, self.plan.writes[self.written]
        await desk.kept.until_it_lasts(WRITE_SECONDS + _SPARE_SECONDS)
        if self.row.plan is None and self.written == 0:
            await desk.intend(self.row, self.plan)
        else:
            await desk.go_on(self.row, written=self.written, emr_ref=self.emr_ref)
        await desk.kept.until_it_lasts(WRITE_SECONDS + _SPARE_SECONDS)
        self.phase, self.called = Phase.WRITE, True
        self.carrier.doubts.begin(self.row.id)
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                outcome = await self.adapter.write(write, self._key())
        except TimeoutError:
            raise EmrOutcomeUnknownError("the EMR did not answer in time", op=write.operation) from None
        await self._done(write, outcome.ref)

    async def _probe(self) -> bool:
        """Look whether the next write is in the EMR. Returns whether the EMR could tell."""
        if self.plan is None:
            raise AssertionError("nothing is looked for without a plan")
        self.phase, self.called = Phase.PROBE, True
        write = self.plan.writes[self.written]
        found = await self.adapter.probe(write, self._key())
        log.info("looked for what was sent", site=self.carrier.desk.site, message=self.row.id, found=found.probe.value)
        if found.probe is Probe.APPLIED:
            await self._done(write, found.ref)
        elif found.probe is Probe.NOT_APPLIED:
            self.in_doubt = False
        return found.probe is not Probe.CANNOT_TELL

    async def _done(self, write: Write, ref: str) -> None:
        await remember(self.delivery, write, ref, Charts(self.carrier.desk))
        self.written += 1
        self.in_doubt = False
        self.emr_ref = " ".join(filter(None, (self.emr_ref, ref)))[:_LONGEST_REF]

    def _key(self) -> UUID:
        return write_key(self.carrier.desk.site, self.row.source_id, self.row.version, self.written)


_WAITS_FOR_SEARCH: Final = (
    "It was sent and not answered; the EMR is searched for it as soon as the search can be believed."
)


def _unreadable(error: Exception) -> Hold:
    if isinstance(error, MessageHeldError):
        return Hold(error.reason, f"{error.words}.")
    return _KEY_GONE
