"""The operator's work queue: each key at most once at a time, again after failure, later when asked.

Semantics follow client-go's rate-limiting queue (k8s.io/client-go/util/workqueue): a key added while it is
being worked on is worked on once more afterwards, however often it was added.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

import structlog

from ocean_operator.metrics import QUEUE_DEPTH, QUEUE_RETRIES, WORK_SECONDS

K = TypeVar("K", bound=Hashable)

_FIRST_RETRY_SECONDS: Final = 0.5
_LAST_RETRY_SECONDS: Final = 300.0
_MOST_DOUBLINGS: Final = 12

log = structlog.get_logger(__name__)


class WorkQueue(Generic[K]):
    """Keys to be worked on by a bounded number of workers.

    Args:
        name: For metrics and logs.
        work: Called with a key. Returns seconds after which to look at the key again, or None. What it
            raises is logged, and the key comes back after a growing, jittered pause.
        workers: How many keys are worked on at once.
    """

    def __init__(self, name: str, work: Callable[[K], Awaitable[float | None]], *, workers: int) -> None:
        self._name = name
        self._work = work
        self._workers = workers
        self._depth = QUEUE_DEPTH.labels(name)
        self._ready: deque[K] = deque()
        self._queued: set[K] = set()
        self._active: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._later: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._order = itertools.count()
        self._wake = asyncio.Event()
        self._timer_changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, key: K) -> None:
        """Have `key` worked on as soon as a worker is free."""
        self._due.pop(key, None)
        if key in self._active:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.append(key)
            self._idle.clear()
            self._wake.set()
            self._depth.set(len(self._ready))

    def add_after(self, key: K, seconds: float) -> None:
        """Have `key` worked on after `seconds`, unless it is due sooner anyway."""
        due = asyncio.get_running_loop().time() + seconds
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, next(self._order), key))
        self._timer_changed.set()

    async def idle(self) -> None:
        """Wait until nothing is queued or being worked on; what is due later does not count."""
        await self._idle.wait()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_time())
            for _ in range(self._workers):
                group.create_task(self._one_worker())

    async def _one_worker(self) -> None:
        while True:
            while not self._ready:
                self._wake.clear()
                await self._wake.wait()
            key = self._ready.popleft()
            self._depth.set(len(self._ready))
            self._queued.discard(key)
            self._active.add(key)
            try:
                await self._attend(key)
            finally:
                self._active.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)
                elif not self._ready and not self._active:
                    self._idle.set()

    async def _attend(self, key: K) -> None:
        try:
            with WORK_SECONDS.labels(self._name).time():
                again = await self._work(key)
        except Exception as error:  # noqa: BLE001 - any failure is a retry, and is logged with its type
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            pause = _pause(failures)
            QUEUE_RETRIES.labels(self._name).inc()
            log.warning(
                "work failed", queue=self._name, key=str(key), error=_safe(error), retry_seconds=round(pause, 1)
            )
            self.add_after(key, pause)
        else:
            self._failures.pop(key, None)
            if again is not None:
                self.add_after(key, again)

    async def _keep_time(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._timer_changed.clear()
            wait = self._later[0][0] - loop.time() if self._later else None
            if wait is None or wait > 0:
                try:
                    async with asyncio.timeout(wait):
                        await self._timer_changed.wait()
                except TimeoutError:
                    pass
                continue
            due, _, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                self.add(key)


def _pause(failures: int) -> float:
    """Full jitter over a doubling bound (AWS Architecture Blog, "Exponential Backoff And Jitter")."""
    bound = min(_FIRST_RETRY_SECONDS * 2 ** min(failures, _MOST_DOUBLINGS), _LAST_RETRY_SECONDS)
    return random.uniform(bound / 2, bound)  # noqa: S311 - spreads load, guards nothing


def _safe(error: BaseException) -> str:
    """The type, and the text only of our own errors: others' may quote what they were given."""
    own = type(error).__module__.startswith("ocean_")
    return f"{type(error).__name__}: {error}" if own else type(error).__name__
