"""Being the only run at work for a clinic: its lease, kept for as long as a block lasts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import anyio
import structlog

from ocean_emr.problems import KNOWN_ERRORS
from ocean_emr.store import leases
from ocean_emr.store.database import Database
from ocean_emr.store.errors import LeaseLostError, LeaseTakenError
from ocean_emr.store.leases import Lease

LIFETIME: Final = timedelta(minutes=3)
"""How long a run that was killed keeps the next one waiting."""
_RENEW_SECONDS: Final = 45.0
_RENEW_AGAIN_SECONDS: Final = 5.0
_MARGIN_SECONDS: Final = 60.0
"""A run that cannot renew its lease stops this long before its end: longer than any single attempt to renew."""
_LOOK_AGAIN_SECONDS: Final = 3.0
_RELEASE_SECONDS: Final = 5.0
"""A lease that cannot be given back within this time ends by itself."""

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def holding(database: Database, site: str, *, patience: timedelta) -> AsyncIterator[Lease]:
    """The site's lease. When it is lost, the block is cancelled wherever it stands.

    Args:
        database: Where leases are.
        site: The clinic, as `namespace/name`.
        patience: How long to wait for another run's end.

    Raises:
        LeaseTakenError: Another run is still at work.
        LeaseLostError: Another run may have begun, or may any moment.
    """
    lease = await _acquire(database, site, until=time.monotonic() + patience.total_seconds())
    with anyio.CancelScope() as scope:
        keeping = asyncio.create_task(_keep(database, lease, scope))
        try:
            yield lease
        finally:
            keeping.cancel()
            with anyio.move_on_after(_RELEASE_SECONDS, shield=True), contextlib.suppress(*KNOWN_ERRORS):
                await asyncio.wait([keeping])
                await _release(database, lease)
    if scope.cancelled_caught:
        raise LeaseLostError(f"The lease on {site} could not be kept.")


async def _acquire(database: Database, site: str, *, until: float) -> Lease:
    while True:
        try:
            async with database.transaction() as transaction:
                return await leases.acquire(transaction, site=site, holder=socket.gethostname(), lifetime=LIFETIME)
        except LeaseTakenError:
            if time.monotonic() >= until:
                raise
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def _keep(database: Database, lease: Lease, work: anyio.CancelScope) -> None:
    """Renew for ever; stop the work once that has failed for good."""
    ends, pause = time.monotonic() + LIFETIME.total_seconds(), _RENEW_SECONDS
    while True:
        await asyncio.sleep(pause)
        asked = time.monotonic()
        try:
            async with database.transaction() as transaction:
                await leases.renew(transaction, lease, lifetime=LIFETIME)
            ends, pause = asked + LIFETIME.total_seconds(), _RENEW_SECONDS
        except LeaseLostError:
            break
        except KNOWN_ERRORS as error:
            log.warning("lease not renewed", site=lease.site, reason=error.reason.value)
            pause = _RENEW_AGAIN_SECONDS
        if time.monotonic() > ends - _MARGIN_SECONDS:
            break
    work.cancel()


async def _release(database: Database, lease: Lease) -> None:
    async with database.transaction() as transaction:
        await leases.release(transaction, lease)
