"""Messages on their way into PostgreSQL: those that come while one transaction commits share the next one.

A commit waits for the disk however little it holds, so a few writers that each take all that waits keep up with
any number of connections, and nobody is answered before the commit of his own message.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from ocean_emr.gateway.answers import Refusal, RefusedError
from ocean_emr.store.arrivals import Event, Kept, Outcome
from ocean_emr.store.errors import StatementRefusedError

_WRITERS: Final = 2
"""One commits while the other collects."""
_MOST_AT_ONCE: Final = 100
_WAKING_PAUSE: Final = 0.005
"""Between two times of waking workers: under load one does for many commits."""

log = structlog.get_logger(__name__)
_Waiting = tuple[Event, asyncio.Future[Outcome]]


class Intake:
    """A bounded queue in front of the database. Whoever stops waiting may find his message kept all the same."""

    def __init__(
        self,
        keep: Callable[[Sequence[Event]], Awaitable[list[Kept]]],
        wake: Callable[[Sequence[str]], Awaitable[None]],
        *,
        most_waiting: int,
    ) -> None:
        """Nothing is kept until `run` runs.

        Args:
            keep: Keeps sorted events in one transaction and returns when it is committed.
            wake: Tells the workers on channels that something has come. What it raises is logged.
            most_waiting: Messages that may wait.
        """
        self._keep = keep
        self._wake = wake
        self._most_waiting = most_waiting
        self._waiting: deque[_Waiting] = deque()
        self._something = asyncio.Event()
        self._channels: set[str] = set()
        self._somebody = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many messages no writer has taken yet."""
        return len(self._waiting)

    async def accept(self, event: Event) -> Outcome:
        """What became of `event`, after the commit.

        Raises:
            RefusedError: Too many wait.
            StoreError, VaultError: It was not kept, or nobody knows.
        """
        if len(self._waiting) >= self._most_waiting:
            raise RefusedError(Refusal.BUSY)
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, outcome))
        self._something.set()
        return await outcome

    async def run(self) -> None:
        """Keep what comes, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_WRITERS):
                group.create_task(self._write())
            group.create_task(self._wake_workers())

    async def _write(self) -> None:
        while True:
            await self._something.wait()
            batch = self._take()
            if batch:
                await self._settle(batch)

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < _MOST_AT_ONCE:
            event, outcome = self._waiting.popleft()
            if not outcome.done():  # it was given up
                batch.append((event, outcome))
        if not self._waiting:
            self._something.clear()
        return sorted(batch, key=lambda waiting: waiting[0])

    async def _settle(self, batch: list[_Waiting]) -> None:
        """Keep a batch and tell everybody in it."""
        try:
            kept = await self._keep([event for event, _ in batch])
        except StatementRefusedError as error:
            if len(batch) == 1:
                _tell(batch[0], error)
                return
            # One of them cannot be kept. The others shall not suffer from it.
            for waiting in batch:
                await self._settle([waiting])
        except Exception as error:  # noqa: BLE001 - whoever waits raises it
            for waiting in batch:
                _tell(waiting, error)
        else:
            for waiting, result in zip(batch, kept, strict=True):
                _tell(waiting, result.outcome)
            self._channels |= {result.channel for result in kept if result.channel}
            self._somebody.set()

    async def _wake_workers(self) -> None:
        """Wake whoever has something new, as often as the database does it: nobody waits for that."""
        while True:
            await self._somebody.wait()
            self._somebody.clear()
            channels, self._channels = sorted(self._channels), set()
            try:
                await self._wake(channels)
            except Exception as error:  # noqa: BLE001 - the workers look by themselves now and then
                log.warning("workers not woken", error=type(error).__name__)
            await asyncio.sleep(_WAKING_PAUSE)


def _tell(waiting: _Waiting, what: Outcome | Exception) -> None:
    _, outcome = waiting
    if outcome.done():
        return
    if isinstance(what, Exception):
        outcome.set_exception(what)
    else:
        outcome.set_result(what)
