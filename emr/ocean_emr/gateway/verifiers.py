"""How the clinics' keys are known, remembered for seconds, so that PostgreSQL is not asked for each webhook."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from ocean_emr.store.arrivals import Verifier

_MOST_SITES: Final = 10_000
_AGAIN_SECONDS: Final = 1.0
_READING_AT_ONCE: Final = 2
"""So that messages always find a free connection."""


@dataclass(slots=True)
class _Entry:
    verifier: Verifier | None = None
    read_at: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Verifiers:
    """What was read. A clinic that takes no webhooks, or is not there, has None."""

    def __init__(
        self, read: Callable[[str], Awaitable[Verifier | None]], *, seconds: float, clock: Callable[[], float]
    ) -> None:
        """Nothing is known yet.

        Args:
            read: Asks the database for a site number's verifier.
            seconds: How long an answer is believed.
            clock: Seconds since whenever.
        """
        self._read = read
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._reading = asyncio.Semaphore(_READING_AT_ONCE)

    def knows(self, site_number: str) -> bool:
        """Whether the clinic took webhooks when it was last asked about."""
        entry = self._entries.get(site_number)
        return entry is not None and entry.verifier is not None

    def remembered(self, site_number: str) -> Verifier | None:
        """How the clinic's key is known, if that is fresh enough not to be asked for."""
        entry = self._entries.get(site_number)
        return entry.verifier if entry and self._clock() - entry.read_at < self._seconds else None

    async def get(self, site_number: str) -> Verifier | None:
        """How the clinic's key is known, or was known a short while ago."""
        entry = self._entries.get(site_number)
        seconds = self._seconds if entry and entry.verifier else _AGAIN_SECONDS
        return await self._not_older(site_number, seconds)

    async def renewed(self, site_number: str) -> Verifier | None:
        """The same, asked again: the key may have changed. At most once a second for each clinic."""
        return await self._not_older(site_number, _AGAIN_SECONDS)

    async def _not_older(self, site_number: str, seconds: float) -> Verifier | None:
        entry = self._entries.setdefault(site_number, _Entry())
        self._entries.move_to_end(site_number)
        if len(self._entries) > _MOST_SITES:
            self._entries.popitem(last=False)
        if self._clock() - entry.read_at < seconds:
            return entry.verifier
        # Whoever asks meanwhile waits for the one answer.
        async with entry.lock:
            if self._clock() - entry.read_at >= seconds:
                async with self._reading:
                    asked_at = self._clock()
                    entry.verifier = await self._read(site_number)
                    entry.read_at = asked_at
            return entry.verifier
