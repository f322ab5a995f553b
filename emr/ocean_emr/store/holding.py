"""Being the only one of a kind at work for a clinic: its lease, kept for as long as a block lasts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import anyio
import structlog

from ocean_emr.problems import KNOWN_ERRORS
from ocean_emr.store import leases
from ocean_emr.store.database import Database
from ocean_emr.store.errors import LeaseLostError, LeaseTakenError
from ocean_emr.store.leases import Lease, Writer

_RENEW_AGAIN_SECONDS: Final = 5.0
_LOOK_AGAIN_SECONDS: Final = 3.0
_RELEASE_SECONDS: Final = 5.0
"""A lease that cannot be given back within this time ends by itself."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a lease is kept."""

    writer: Writer
    lifetime: timedelta
    """How long one that was killed keeps the next one waiting."""
    renew_seconds: float
    margin_seconds: float
    """Who cannot renew stops this long before the end: longer than any single attempt to renew."""
    after_itself: bool = False
    """Whether a process of the same pod takes over at once: the kubelet starts a container when the one before it has
    ended, and no two pods ever have one name."""


SYNC: Final = Pace(Writer.SYNC, timedelta(minutes=3), 40.0, 60.0)
WORKER: Final = Pace(Writer.WORKER, timedelta(seconds=90), 10.0, 10.0, after_itself=True)


@dataclass(slots=True)
class Keeping:
    """A lease and how long it is good for."""

    lease: Lease
    pace: Pace
    _ends: float
    _renewed: asyncio.Event = field(default_factory=asyncio.Event)

    def left(self) -> float:
        """For how many seconds, at least, nobody else can begin. By this machine's clock that only goes forward."""
        return self._ends - time.monotonic()

    async def until_it_lasts(self, seconds: float) -> None:
        """Return when nobody else can begin for so long. A lease that is lost never gets there: it ends the block."""
        while self.left() < seconds:
            self._renewed.clear()
            await self._renewed.wait()

    async def renew(self, database: Database) -> None:
        """Let it end a lifetime from now.

        Raises:
            LeaseLostError: It has ended.
            StoreError: It could not be renewed now.
        """
        asked = time.monotonic()
        async with database.transaction() as transaction:
            await leases.renew(transaction, self.lease, lifetime=self.pace.lifetime)
        self._ends = asked + self.pace.lifetime.total_seconds()
        self._renewed.set()


@contextlib.asynccontextmanager
async def holding(database: Database, site: str, *, pace: Pace, patience: timedelta) -> AsyncIterator[Keeping]:
    """The site's lease. When it is lost, the block is cancelled wherever it stands.

    Args:
        database: Where leases are.
        site: The clinic, as `namespace/name`.
        pace: Which lease, and how it is kept.
        patience: How long to wait for another one's end.

    Raises:
        LeaseTakenError: Another one is still at work.
        LeaseLostError: Another one may have begun, or may any moment.
    """
    kept = await _acquire(database, site, pace, until=time.monotonic() + patience.total_seconds())
    with anyio.CancelScope() as scope:
        keeping = asyncio.create_task(_keep(database, kept, scope))
        try:
            yield kept
        finally:
            keeping.cancel()
            with anyio.move_on_after(_RELEASE_SECONDS, shield=True), contextlib.suppress(*KNOWN_ERRORS):
                await asyncio.wait([keeping])
                await _release(database, kept.lease)
    if scope.cancelled_caught:
        raise LeaseLostError(f"The lease on {site} could not be kept.")


async def _acquire(database: Database, site: str, pace: Pace, *, until: float) -> Keeping:
    while True:
        asked = time.monotonic()
        try:
            async with database.transaction() as transaction:
                lease = await leases.acquire(
                    transaction,
                    site=site,
                    # The pod's name, which Kubernetes gives as its host name.
                    holder=os.environ.get("HOSTNAME") or socket.gethostname(),
                    lifetime=pace.lifetime,
                    writer=pace.writer,
                    after_itself=pace.after_itself,
                )
            return Keeping(lease, pace, asked + pace.lifetime.total_seconds())
        except LeaseTakenError:
            if time.monotonic() >= until:
                raise
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def _keep(database: Database, kept: Keeping, work: anyio.CancelScope) -> None:
    """Renew for ever; stop the work once that has failed for good."""
    pause = kept.pace.renew_seconds
    while (room := kept.left() - kept.pace.margin_seconds) > 0:
        await asyncio.sleep(min(pause, room))
        try:
            # Not longer than there is time: the work must have stopped before another one can begin.
            with anyio.move_on_after(max(0.0, kept.left() - kept.pace.margin_seconds)):
                await kept.renew(database)
                pause = kept.pace.renew_seconds
        except LeaseLostError:
            break
        except KNOWN_ERRORS as error:
            log.warning("lease not renewed", site=kept.lease.site, reason=error.reason.value)
            pause = _RENEW_AGAIN_SECONDS
    work.cancel()


async def _release(database: Database, lease: Lease) -> None:
    async with database.transaction() as transaction:
        await leases.release(transaction, lease)
