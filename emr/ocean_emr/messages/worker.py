"""The clinic's worker: it takes what waits, has it carried, and stops calling whoever is away or says no.

Two sides go on independently: events, which wait for Ocean, and deliveries, which wait for the EMR. Within one side
lanes do.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from ocean_api import names
from ocean_api.reasons import Reason
from ocean_api.report import Problem
from ocean_emr.errors import EmrAuthRefusedError
from ocean_emr.messages.carry import Carrier, Met
from ocean_emr.messages.decide import Bearing, Breaker, pause
from ocean_emr.messages.desk import Charts, Desk
from ocean_emr.messages.keyring import Keyring
from ocean_emr.messages.lines import Lines, open_lines
from ocean_emr.messages.resolve import Context
from ocean_emr.messages.standing import Standing
from ocean_emr.ocean.errors import OceanAccessRefusedError
from ocean_emr.pod import Credentials, Places, read_credentials, utc_now
from ocean_emr.problems import CredentialsError, problem_of
from ocean_emr.store import holding
from ocean_emr.store.errors import LeaseLostError, MessageMovedError, StoreError
from ocean_emr.store.holding import Keeping
from ocean_emr.store.messages import Queued, Side, State
from ocean_emr.vault.access import SiteAccess
from ocean_emr.vault.errors import VaultError

AT_ONCE: Final = 4
"""How many messages of a side are under way at the same time, each of another lane."""
POLL_SECONDS: Final = 30.0
"""In case a notification was missed."""
LOOK_SECONDS: Final = 10.0
"""How often mounted credentials and what others found out about them are looked at."""
STOP_SECONDS: Final = 20.0
"""How long what is under way may take when the worker is told to stop. The pod has 30."""
CHANCE: Final = random.SystemRandom().random
_LISTEN_AGAIN_SECONDS: Final = 5.0
_OUTAGE: Final = 3
"""So many failures in a row, and it was not just one message that found nobody there."""
_WORTH_TELLING: Final = 2
_FOR_EVER: Final = timedelta(days=3650)

_AWAY: Final[dict[Side, tuple[Reason, ...]]] = {
    Side.OCEAN: (Reason.OCEAN_UNAVAILABLE, Reason.OCEAN_RATE_LIMITED, Reason.OCEAN_TLS_FAILED),
    Side.EMR: (
        Reason.EMR_UNAVAILABLE,
        Reason.EMR_RATE_LIMITED,
        Reason.EMR_TLS_FAILED,
        Reason.EMR_BLOCKED,
        Reason.EMR_CLOCK_SKEW,
    ),
}
"""What messages wait for when somebody is away: they wait no longer when that one is back."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Hand:
    """One side's work."""

    side: Side
    breaker: Breaker = field(default_factory=Breaker)
    running: dict[bytes, asyncio.Task[None]] = field(default_factory=dict)
    """By lane."""
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: Problem | None = None
    """Why it is not called, if that is worth telling."""


@dataclass(slots=True)
class Shift:
    """One process's work, from outside."""

    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: come to an end."""
    begun: bool = False
    """Whether there may be something under way, so that it must not just be broken off."""


async def work(access: SiteAccess, places: Places, shift: Shift) -> None:
    """Work for the clinic until told to stop, as soon as no other worker does.

    Raises:
        LeaseLostError: Another worker may have begun.
        StoreError: The database cannot be reached at the beginning.
        VaultError: Vault cannot be reached at the beginning.
    """
    async with holding.holding(access.database, access.site, pace=holding.WORKER, patience=_FOR_EVER) as kept:
        log.info("at work", site=access.site, epoch=kept.lease.epoch)
        shift.begun = True
        worker = Worker(access, places, shift.stopping, kept)
        listening = asyncio.create_task(worker.listen())
        try:
            await worker.run()
        finally:
            shift.begun = False
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


class Worker:
    """A worker that holds the clinic's lease."""

    def __init__(self, access: SiteAccess, places: Places, stopping: asyncio.Event, kept: Keeping) -> None:
        self._access = access
        self._places = places
        self._stopping = stopping
        self._keys = Keyring(access)
        self._desk = Desk(access.database, kept, self._keys)
        self._standing = Standing(access.database, kept.lease)
        spec = access.settings.spec
        context = Context(
            settings=spec.messages,
            zone=ZoneInfo(spec.time_zone),
            language=spec.language,
            charts=Charts(self._desk),
            now=utc_now,
            updates_charts=spec.updates_charts,
        )
        self._carrier = Carrier(self._desk, context, CHANCE)
        self._hands = {side: _Hand(side) for side in Side}
        self._over = asyncio.Event()
        self._lost: LeaseLostError | None = None
        self._failures_here = 0
        """How often in a row the database or Vault failed."""
        self._key = ""
        """Name of the key under which the present serving began."""

    async def run(self) -> None:
        """Serve under the present credentials; and again under others, when they change or are accepted again."""
        while not self._stopping.is_set():
            try:
                credentials, digest = await self._credentials()
                refusal = await self._standing.refusal(digest)
                if refusal is None:
                    async with open_lines(self._access, credentials, self._keys) as lines:
                        await self._serve(lines, digest)
                    continue
                await self._standing.say(refusal)
            except LeaseLostError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the clinic's status tells of it
                await self._cannot_begin(error)
            await _first(self._stopping, within=LOOK_SECONDS)

    async def listen(self) -> None:
        """Hear of new messages, for ever."""
        channel = names.message_channel(self._access.settings.namespace, self._access.settings.name)
        while True:
            try:
                async with self._access.database.notices(channel) as notices:
                    self._wake()
                    while await notices.wait():
                        self._wake()
            except (StoreError, VaultError) as error:
                log.warning("not listening", site=self._access.site, reason=error.reason.value)
                await asyncio.sleep(_LISTEN_AGAIN_SECONDS)

    async def _credentials(self) -> tuple[Credentials, str]:
        spec = self._access.settings.spec
        credentials = read_credentials(spec, self._places)
        # By the key at hand: a worker with nothing to do does not ask Vault for the key every few minutes.
        return credentials, credentials.digest(spec, (await self._keys.at_hand()).data_key)

    async def _cannot_begin(self, error: Exception) -> None:
        trouble = problem_of(error, utc_now())
        log.warning("not at work", site=self._access.site, reason=trouble.reason.value, message=trouble.message)
        if not isinstance(error, StoreError):
            with contextlib.suppress(StoreError):
                await self._standing.say(trouble)

    async def _serve(self, lines: Lines, digest: str) -> None:
        """Work until told to stop, or until the credentials change or are refused.

        The digest of the credentials goes with the key, so this begins anew with another key, too.
        """
        self._over.clear()
        if self._keys.name != self._key:
            self._key = self._keys.name
            await self._desk.hurry([Reason.SEK_MISMATCH])
        self._hands = {side: _Hand(side) for side in Side}
        tending = [asyncio.create_task(self._tend(hand, lines, digest)) for hand in self._hands.values()]
        tending.append(asyncio.create_task(self._watch(digest)))
        try:
            await _first(self._stopping, self._over, *tending)
            for task in tending:
                task.cancel()
            await asyncio.wait(tending)
            await self._drain()
        finally:
            left: list[asyncio.Task[None]] = [*tending, *self._under_way()]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        if self._lost is not None:
            raise self._lost
        for task in tending:
            if not task.cancelled() and task.exception() is not None:
                task.result()

    async def _drain(self) -> None:
        """Let what is under way come to its end. What does not in time is broken off, and the next worker goes on."""
        while (running := self._under_way()) and self._lost is None and not self._stopping.is_set():
            await _first(self._stopping, *running)
        running = self._under_way()
        if running and self._lost is None:
            log.info("finishing what is under way", site=self._access.site, messages=len(running))
            await asyncio.wait(running, timeout=STOP_SECONDS)

    def _under_way(self) -> list[asyncio.Task[None]]:
        return [task for hand in self._hands.values() for task in hand.running.values()]

    async def _watch(self, digest: str) -> None:
        """Return when the credentials that are mounted are others, or others were refused with these."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if (await self._credentials())[1] != digest or await self._standing.refusal(digest) is not None:
                    log.info("the credentials have changed, or were refused elsewhere", site=self._access.site)
                    return
            except CredentialsError:
                return
            except (StoreError, VaultError) as error:
                log.warning("could not look", site=self._access.site, reason=error.reason.value)

    async def _tend(self, hand: _Hand, lines: Lines, digest: str) -> None:
        """Take what is due, whenever something may be."""
        while True:
            hand.woken.clear()
            try:
                wait = await self._take(hand, lines, digest)
                self._failures_here = 0
            except LeaseLostError:
                raise
            except (StoreError, VaultError) as error:
                wait = self._failed_here(error)
            await _first(hand.woken, within=wait)

    async def _take(self, hand: _Hand, lines: Lines, digest: str) -> float:
        """Begin with as much as may be. Returns how many seconds nothing will change by itself."""
        now = time.monotonic()
        room = hand.breaker.room(now=now, under_way=len(hand.running), most=AT_ONCE)
        rows = await self._desk.heads(hand.side, busy=hand.running.keys(), most=room) if room else ()
        for row in rows:
            # A lane's sitting and its first delivery can both be due.
            if row.lane not in hand.running:
                hand.running[row.lane] = asyncio.create_task(self._one(hand, row, lines, digest))
        if room == 0 and not hand.running:
            return min(POLL_SECONDS, hand.breaker.wait(now=now) or 0.0)
        if len(rows) == room:
            return POLL_SECONDS
        due = await self._desk.next_due(hand.side)
        return POLL_SECONDS if due is None else min(POLL_SECONDS, due.total_seconds())

    async def _one(self, hand: _Hand, row: Queued, lines: Lines, digest: str) -> None:
        """Have one message carried, and learn from it."""
        try:
            met = await self._carry(row, lines)
            await self._learn(hand, met, digest)
        except MessageMovedError as error:
            log.info("left alone", site=self._access.site, message=row.id, why=str(error))
        except LeaseLostError as error:
            self._lost = error
            self._over.set()
        except (StoreError, VaultError) as error:
            await asyncio.sleep(self._failed_here(error))
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end the work for all
            await asyncio.sleep(self._failed_here(error))
        finally:
            hand.running.pop(row.lane, None)
            hand.woken.set()
            # Events become deliveries.
            self._hands[Side.EMR].woken.set()

    async def _carry(self, row: Queued, lines: Lines) -> Met:
        if row.detail is not None:
            return await self._carrier.expand(row, lines.fetch)
        if row.state is State.GATHERING:
            return await self._carrier.gather(row)
        try:
            async with lines.adapter() as adapter:
                return await self._carrier.deliver(row, adapter)
        except (EmrAuthRefusedError, OceanAccessRefusedError) as error:
            return Met(Bearing.REFUSED, error=error)

    async def _learn(self, hand: _Hand, met: Met, digest: str) -> None:
        """Remember what an attempt said of whoever was called."""
        before = hand.breaker
        if met.bearing is Bearing.ANSWERED:
            hand.breaker, hand.trouble = before.answered(), None
            if before.failures >= _OUTAGE:
                log.info("answered again", site=self._access.site, side=hand.side.name)
                await self._desk.hurry(_AWAY[hand.side])
            if not before.proven:
                await self._standing.accepted()
            if not before.closed:
                await self._tell()
        elif met.bearing is Bearing.AWAY and met.error is not None:
            hand.breaker = before.failed(now=time.monotonic(), chance=CHANCE(), at_least=met.at_least)
            if hand.breaker.failures >= _WORTH_TELLING:
                hand.trouble = problem_of(met.error, utc_now())
                await self._tell()
        elif met.bearing is Bearing.REFUSED and met.error is not None:
            await self._standing.refused(digest, problem_of(met.error, utc_now()))
            self._over.set()

    async def _tell(self) -> None:
        troubles = [hand.trouble for hand in self._hands.values() if hand.trouble is not None]
        await self._standing.say(troubles[0] if troubles else None)

    def _failed_here(self, error: Exception) -> float:
        """Seconds to wait after the database, Vault or we ourselves failed."""
        self._failures_here += 1
        trouble = problem_of(error, utc_now())
        log.warning("cannot work", site=self._access.site, reason=trouble.reason.value, message=trouble.message)
        return min(POLL_SECONDS, pause(self._failures_here, CHANCE()))

    def _wake(self) -> None:
        for hand in self._hands.values():
            hand.woken.set()


async def _first(*these: asyncio.Event | asyncio.Task[None], within: float | None = None) -> None:
    """Return when the first of `these` is set or has ended, or `within` so many seconds."""
    waiting = [asyncio.create_task(it.wait()) if isinstance(it, asyncio.Event) else it for it in these]
    try:
        await asyncio.wait(waiting, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task, it in zip(waiting, these, strict=True):
            if isinstance(it, asyncio.Event):
                task.cancel()
