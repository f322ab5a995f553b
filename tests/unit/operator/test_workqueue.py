from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from ocean_api.reasons import Reason
from ocean_operator.vault import VaultError
from ocean_operator.workqueue import WorkQueue, _pause
from unit.operator.jumping_loop import BACKEND

Work = Callable[[str], Awaitable[float | None]]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """A clock that jumps over the pauses."""
    return BACKEND


@asynccontextmanager
async def running(work: Work, *, workers: int = 2) -> AsyncIterator[WorkQueue[str]]:
    """A queue at work."""
    queue = WorkQueue("test", work, workers=workers)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Log:
    """Work that keeps what it was called with, and when; each call may be held back by `gate`."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()
        self.active = self.most = 0

    async def __call__(self, key: str) -> float | None:
        """Work on `key`."""
        self.calls.append((asyncio.get_running_loop().time(), key))
        self.active += 1
        self.most = max(self.most, self.active)
        self.begun.set()
        await self.gate.wait()
        self.active -= 1
        return None

    @property
    def keys(self) -> list[str]:
        """What was worked on, in order."""
        return [key for _, key in self.calls]


async def test_a_key_is_worked_on_once_however_often_it_was_added() -> None:
    log = Log()
    async with running(log) as queue:
        for key in ("a", "b", "a", "a", "b"):
            queue.add(key)
        await queue.idle()

    assert log.keys == ["a", "b"]


async def test_a_key_added_while_it_is_worked_on_is_worked_on_once_more_afterwards() -> None:
    """What happened meanwhile may have come too late for the pass under way."""
    log = Log()
    log.gate.clear()
    async with running(log) as queue:
        queue.add("a")
        await log.begun.wait()
        for _ in range(3):
            queue.add("a")
        log.gate.set()
        await queue.idle()

    assert log.keys == ["a", "a"]
    assert log.most == 1


async def test_keys_are_worked_on_side_by_side_up_to_the_number_of_workers() -> None:
    log = Log()
    log.gate.clear()
    async with running(log, workers=3) as queue:
        for key in "abcdef":
            queue.add(key)
        await asyncio.sleep(1)
        busy = log.active
        log.gate.set()
        await queue.idle()

    assert sorted(log.keys) == list("abcdef")
    assert (busy, log.most) == (3, 3)


async def test_an_empty_queue_is_idle() -> None:
    async with running(Log()) as queue:
        await queue.idle()
        queue.add("a")

        assert not queue._idle.is_set()
        await queue.idle()


async def test_a_queue_is_not_idle_before_the_last_key_is_done() -> None:
    log = Log()
    log.gate.clear()
    async with running(log) as queue:
        queue.add("a")
        await log.begun.wait()
        waiting = asyncio.create_task(queue.idle())
        await asyncio.sleep(10)
        early = waiting.done()
        log.gate.set()
        await waiting

    assert not early
    assert log.active == 0


# Later


async def test_a_key_added_for_later_waits_that_long_and_does_not_keep_the_queue_busy() -> None:
    log = Log()
    async with running(log) as queue:
        queue.add_after("a", 1800)
        await queue.idle()
        early = list(log.keys)
        await log.begun.wait()

    assert early == []
    assert log.calls == [(1800.0, "a")]


@pytest.mark.parametrize(("first", "second"), [(60, 5), (5, 60)])
async def test_of_two_times_the_sooner_counts(first: float, second: float) -> None:
    log = Log()
    async with running(log) as queue:
        queue.add_after("a", first)
        await asyncio.sleep(0)
        queue.add_after("a", second)
        await asyncio.sleep(120)

    assert log.calls == [(5.0, "a")]


async def test_a_key_that_is_wanted_at_once_is_not_wanted_later_too() -> None:
    """What was to be looked at later has just been looked at."""
    log = Log()
    async with running(log) as queue:
        queue.add_after("a", 60)
        queue.add("a")
        await asyncio.sleep(120)

    assert log.calls == [(0.0, "a")]


async def test_times_are_kept_in_their_order() -> None:
    log = Log()
    async with running(log, workers=1) as queue:
        for key, seconds in (("c", 30), ("a", 10), ("b", 20), ("now", -1)):
            queue.add_after(key, seconds)
        await asyncio.sleep(60)

    assert log.calls == [(0.0, "now"), (10.0, "a"), (20.0, "b"), (30.0, "c")]


async def test_work_may_ask_to_be_done_again() -> None:
    times: list[float] = []

    async def work(_: str) -> float | None:
        times.append(asyncio.get_running_loop().time())
        return 30 if len(times) < 3 else None

    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(500)

    assert times == [0.0, 30.0, 60.0]


# Failure


class Failing:
    """Work that fails the first `failures` times."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.left, self.error = failures, error
        self.times: list[float] = []

    async def __call__(self, _: str) -> float | None:
        """Fail, or not."""
        self.times.append(asyncio.get_running_loop().time())
        if self.left:
            self.left -= 1
            raise self.error
        return None

    @property
    def pauses(self) -> list[float]:
        """Seconds between the tries."""
        return [after - before for before, after in zip(self.times, self.times[1:], strict=False)]


async def test_what_failed_is_tried_again_after_growing_pauses_without_end() -> None:
    work = Failing(20, OSError("x"))
    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(20 * 300)
    bounds = [min(0.5 * 2**n, 300) for n in range(1, 21)]

    assert len(work.times) == 21
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(work.pauses, bounds, strict=True))


async def test_a_success_ends_the_growth() -> None:
    work = Failing(6, OSError("x"))
    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(1000)
        work.left = 1
        work.times.clear()
        queue.add("a")
        await asyncio.sleep(1000)

    assert len(work.pauses) == 1
    assert work.pauses[0] <= 1


async def test_a_key_that_fails_holds_up_no_other() -> None:
    calls: list[str] = []

    async def work(key: str) -> float | None:
        calls.append(key)
        if key == "bad":
            raise OSError
        return None

    async with running(work, workers=1) as queue:
        queue.add("bad")
        queue.add("good")
        await queue.idle()

    assert calls == ["bad", "good"]


async def test_news_of_a_key_that_failed_is_not_kept_waiting() -> None:
    """The news may be the remedy."""
    work = Failing(8, OSError("x"))
    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(64)
        tries = len(work.times)
        queue.add("a")
        await queue.idle()

    assert len(work.times) == tries + 1
    assert work.pauses[-1] < 64


async def test_a_failure_is_logged_without_what_others_errors_quote() -> None:
    """Their texts may hold what they were given; ours are made to be read."""
    key = VaultError(Reason.VAULT_UNAVAILABLE, "Vault does not serve (Timeout).")
    with capture_logs() as logs:
        for error in (ValueError("Anne Example, born 1970"), key):
            async with running(Failing(1, error)) as queue:
                queue.add("clinic-a/north")
                await queue.idle()

    assert [line["error"] for line in logs] == ["ValueError", "VaultError: Vault does not serve (Timeout)."]
    assert {line["key"] for line in logs} == {"clinic-a/north"}
    assert "Anne" not in repr(logs)


async def test_a_cancelled_queue_ends_its_work() -> None:
    log = Log()
    log.gate.clear()
    async with running(log) as queue:
        queue.add("a")
        await log.begun.wait()
        queue.add("b")

    assert queue._active == set()


@pytest.mark.parametrize(("failures", "bound"), [(1, 1.0), (2, 2.0), (9, 256.0), (10, 300.0), (1000, 300.0)])
def test_a_pause_is_spread_over_the_upper_half_of_its_bound(failures: int, bound: float) -> None:
    """A thousand clinics that failed together do not come back together."""
    pauses = {_pause(failures) for _ in range(200)}

    assert bound / 2 <= min(pauses)
    assert max(pauses) <= bound
    assert len(pauses) > 100
