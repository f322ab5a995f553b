"""How the clinics' keys are known, remembered for seconds, so that PostgreSQL is not asked for each webhook."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from ocean_emr.store.arrivals import Verifier

_AGAIN_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Entry:
    verifier: Verifier | None = None
    read_at: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Verifiers:
    """How the clinics that take webhooks are known. Of others nothing is remembered: anybody may ask for any number."""

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
        self._entries: dict[str, _Entry] = {}
        # One question at a time, so that messages find free connections. Whoever asks for clinics that are not there
        # has a line of his own.
        self._line, self._strangers_line = asyncio.Lock(), asyncio.Lock()

    def knows(self, site_number: str) -> bool:
        """Whether the clinic took webhooks when it was last asked about."""
        return self._known(site_number) is not None

    def remembered(self, site_number: str) -> Verifier | None:
        """How the clinic's key is known, if that is fresh enough not to be asked for."""
        entry = self._entries.get(site_number)
        return entry.verifier if entry and self._clock() - entry.read_at < self._seconds else None

    async def get(self, site_number: str) -> Verifier | None:
        """How the clinic's key is known, or was a short while ago; None: it takes no webhooks, or is not there."""
        return await self._not_older(site_number, self._seconds)

    async def renewed(self, site_number: str) -> Verifier | None:
        """The same, asked again: the key may have changed. At most once a second for each clinic."""
        return await self._not_older(site_number, _AGAIN_SECONDS)

    def _known(self, site_number: str) -> Verifier | None:
        entry = self._entries.get(site_number)
        return entry.verifier if entry else None

    async def _not_older(self, site_number: str, seconds: float) -> Verifier | None:
        entry = self._entries.setdefault(site_number, _Entry())
        if self._clock() - entry.read_at < seconds:
            return entry.verifier
        # Whoever asks meanwhile waits for the one answer.
        async with entry.lock:
            if self._clock() - entry.read_at >= seconds:
                try:
                    async with self._line if entry.verifier else self._strangers_line:
                        asked_at = self._clock()
                        entry.verifier = await self._read(site_number)
                        entry.read_at = asked_at
                finally:
                    if entry.verifier is None and self._entries.get(site_number) is entry:
                        del self._entries[site_number]
            return entry.verifier
