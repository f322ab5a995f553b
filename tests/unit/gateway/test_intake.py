from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest

from ocean_emr.gateway.answers import Refusal, RefusedError
from ocean_emr.gateway.intake import Intake
from ocean_emr.store.arrivals import Event, Kept, Outcome
from ocean_emr.store.errors import DatabaseUnavailableError, StatementRefusedError, StoreError


@dataclass
class Table:
    """Keeps events when the gate is open, in the batches in which they came."""

    batches: list[list[str]] = field(default_factory=list)
    woken: list[list[str]] = field(default_factory=list)
    poison: set[str] = field(default_factory=set)
    error: StoreError | None = None
    wake_error: StoreError | None = None
    at_once: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    was_woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(self, events: Sequence[Event]) -> list[Kept]:
        """One transaction."""
        self.batches.append([event.ref for event in events])
        self.at_once += 1
        await self.gate.wait()
        self.at_once -= 1
        if self.error:
            raise self.error
        if self.poison & {event.ref for event in events}:
            raise StatementRefusedError("no")
        return [Kept(Outcome.STORED, f"channel_{event.site_number}") for event in events]

    async def wake(self, channels: Sequence[str]) -> None:
        """Another transaction."""
        self.woken.append(list(channels))
        self.was_woken.set()
        if self.wake_error:
            raise self.wake_error


def event(ref: str, site: str = "1") -> Event:
    return Event(site, "t", ref)


@contextlib.asynccontextmanager
async def running(table: Table, *, most_waiting: int = 1_000) -> AsyncIterator[Intake]:
    intake = Intake(table.keep, table.wake, most_waiting=most_waiting)
    task = asyncio.create_task(intake.run())
    try:
        yield intake
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def begin(intake: Intake, *events: Event) -> list[asyncio.Task[Outcome]]:
    """Tasks that wait for `events`, after everybody has had his turn."""
    tasks = [asyncio.create_task(intake.accept(event)) for event in events]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_nobody_is_answered_before_the_commit() -> None:
    table = Table()
    async with running(table) as intake:
        (task,) = await begin(intake, event("a"))
        assert not task.done()
        table.gate.set()

        assert await task is Outcome.STORED


async def test_those_who_come_during_a_commit_share_the_next_one_in_order() -> None:
    table = Table()
    async with running(table) as intake:
        tasks = await begin(intake, event("a"))
        tasks += await begin(intake, event("b"))
        tasks += await begin(intake, event("z"), event("c", "2"), event("m"), event("c"))
        assert table.batches == [["a"], ["b"]]
        table.gate.set()
        await asyncio.gather(*tasks)

        assert table.batches[2:] == [["c", "m", "z", "c"]]


async def test_a_batch_has_its_bounds() -> None:
    table = Table()
    table.gate.set()
    async with running(table) as intake:
        await asyncio.gather(*[intake.accept(event(f"{number:04d}")) for number in range(250)])

        assert [len(batch) for batch in table.batches] == [100, 100, 50]


async def test_too_many_are_turned_away_and_the_others_kept() -> None:
    table = Table()
    async with running(table, most_waiting=3) as intake:
        tasks = await begin(intake, event("in work 1"))
        tasks += await begin(intake, event("in work 2"))
        tasks += await begin(intake, *[event(str(number)) for number in range(3)])
        assert intake.waiting == 3
        with pytest.raises(RefusedError) as refused:
            await intake.accept(event("one too many"))
        table.gate.set()

        assert refused.value.refusal is Refusal.BUSY
        assert await asyncio.gather(*tasks) == [Outcome.STORED] * 5


async def test_failure_is_everybodys_in_the_batch_and_nobody_elses() -> None:
    table = Table(error=DatabaseUnavailableError("away"))
    async with running(table) as intake:
        tasks = await begin(intake, event("a"), event("b"))
        table.gate.set()
        assert [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == [
            DatabaseUnavailableError
        ] * 2
        table.error = None

        assert await intake.accept(event("c")) is Outcome.STORED
        await table.was_woken.wait()
        assert table.woken == [["channel_1"]]


async def test_event_that_cannot_be_kept_takes_no_other_with_it() -> None:
    table = Table(poison={"b"})
    table.gate.set()
    async with running(table) as intake:
        results = await asyncio.gather(*[intake.accept(event(ref)) for ref in ("a", "b", "c")], return_exceptions=True)

        assert [results[0], results[2]] == [Outcome.STORED] * 2
        assert isinstance(results[1], StatementRefusedError)
        assert table.batches == [["a", "b", "c"], ["a"], ["b"], ["c"]]


async def test_who_has_given_up_is_left_out() -> None:
    table = Table()
    async with running(table) as intake:
        tasks = await begin(intake, event("a"))
        tasks += await begin(intake, event("b"))
        gone, stays = await begin(intake, event("gone"), event("stays"))
        gone.cancel()
        await asyncio.sleep(0)
        table.gate.set()

        assert await stays is Outcome.STORED
        assert table.batches == [["a"], ["b"], ["stays"]]


async def test_who_gives_up_during_the_commit_leaves_the_others_alone() -> None:
    table = Table()
    async with running(table) as intake:
        gone, stays = await begin(intake, event("gone"), event("stays"))
        gone.cancel()
        await asyncio.sleep(0)
        table.gate.set()

        assert await stays is Outcome.STORED


async def test_workers_are_woken_after_the_commit_each_once() -> None:
    table = Table()
    async with running(table) as intake:
        tasks = await begin(intake, event("a", "2"), event("b", "1"), event("c", "2"))
        assert table.woken == []
        table.gate.set()
        await asyncio.gather(*tasks)
        await table.was_woken.wait()

        assert table.woken == [["channel_1", "channel_2"]]


async def test_worker_that_cannot_be_woken_is_no_reason_to_stop() -> None:
    table = Table(wake_error=DatabaseUnavailableError("away"))
    table.gate.set()
    async with running(table) as intake:
        assert await intake.accept(event("a")) is Outcome.STORED
        await table.was_woken.wait()
        table.was_woken.clear()
        assert await intake.accept(event("b")) is Outcome.STORED
        await table.was_woken.wait()

        assert len(table.woken) == 2
