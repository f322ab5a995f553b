"""Looks at all clinics' messages again and again, for the metrics and for each status that has to change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Final

import structlog

from ocean_operator.core.queue import Line, remembered, told, watched
from ocean_operator.core.site import SiteKey
from ocean_operator.database import DatabaseError
from ocean_operator.metrics import MESSAGES_HELD, MESSAGES_OLDEST, MESSAGES_WAITING
from ocean_operator.runtime import Runtime, Stores

_EVERY_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 1.0
"""At least, however many workers report at once."""
_NOTHING: Final = Line()

log = structlog.get_logger(__name__)


async def follow_queues(runtime: Runtime, stores: Stores) -> None:
    """Keep `runtime.queues` and the metrics as the queues are, for ever."""
    while True:
        runtime.look_at_queues.clear()
        try:
            take(await stores.database.queues(), runtime)
        except DatabaseError as error:
            log.warning("queues not readable", error=str(error))
        await asyncio.sleep(_PAUSE_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(_EVERY_SECONDS - _PAUSE_SECONDS):
                await runtime.look_at_queues.wait()


def take(lines: Mapping[SiteKey, Line], runtime: Runtime) -> None:
    """Note what was counted, and have each clinic looked at whose status may have to tell something else.

    Args:
        lines: Of the clinics that have messages; those left out have none.
        runtime: Where it is noted.
    """
    now, observed = runtime.clock(), runtime.observed
    for key in observed.site_keys():
        said = runtime.told[key] if key in runtime.told else observed.queue_in_status(key)
        before = runtime.queues[key] if key in runtime.queues else remembered(said)
        runtime.queues[key] = watched(before, lines.get(key, _NOTHING), now)
        runtime.told[key] = told(runtime.queues[key], now)
        if runtime.told[key] != said:
            runtime.sites.add(key)
    _count(runtime, now)


def _count(runtime: Runtime, now: datetime) -> None:
    for metric in (MESSAGES_WAITING, MESSAGES_OLDEST, MESSAGES_HELD):
        metric.clear()
    for key, queue in runtime.queues.items():
        oldest = queue.line.oldest
        MESSAGES_WAITING.labels(*key).set(queue.line.waiting)
        MESSAGES_OLDEST.labels(*key).set((now - oldest).total_seconds() if oldest else 0)
        MESSAGES_HELD.labels(*key).set(queue.line.held)
