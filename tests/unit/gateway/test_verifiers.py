from __future__ import annotations

import asyncio

import pytest

from ocean_emr.gateway.verifiers import Verifiers
from ocean_emr.store.arrivals import Verifier
from ocean_emr.store.errors import DatabaseUnavailableError
from unit.gateway.conftest import Clock

OLD, NEW = Verifier(b"salt", b"old"), Verifier(b"salt", b"new")


class Table:
    """What the database says, and how often it was asked."""

    def __init__(self, **rows: Verifier) -> None:
        self.rows = rows
        self.asked: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.error: Exception | None = None

    async def read(self, site_number: str) -> Verifier | None:
        """A row."""
        self.asked.append(site_number)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.error:
            raise self.error
        return self.rows.get(site_number)


@pytest.fixture
def table() -> Table:
    """Clinic `1` takes webhooks."""
    return Table(**{"1": OLD})


@pytest.fixture
def verifiers(table: Table, clock: Clock) -> Verifiers:
    """Remembered for half a minute."""
    return Verifiers(table.read, seconds=30, clock=clock)


async def test_answer_is_believed_for_a_while(verifiers: Verifiers, table: Table, clock: Clock) -> None:
    for _ in range(3):
        assert await verifiers.get("1") is OLD
        clock.now += 9
    assert table.asked == ["1"]
    table.rows["1"] = NEW
    clock.now += 4

    assert await verifiers.get("1") is NEW
    assert table.asked == ["1", "1"]


async def test_new_key_is_found_at_once_but_not_looked_for_all_the_time(
    verifiers: Verifiers, table: Table, clock: Clock
) -> None:
    await verifiers.get("1")
    table.rows["1"] = NEW

    assert [await verifiers.renewed("1") for _ in range(5)] == [OLD] * 5
    clock.now += 1
    assert [await verifiers.renewed("1") for _ in range(5)] == [NEW] * 5
    assert await verifiers.get("1") is NEW
    assert table.asked == ["1", "1"]


async def test_clinic_that_begins_to_take_webhooks_is_found_at_once(verifiers: Verifiers, table: Table) -> None:
    assert await verifiers.get("2") is None
    assert not verifiers.knows("2")
    table.rows["2"] = OLD

    assert await verifiers.get("2") is OLD
    assert verifiers.knows("2")


async def test_clinic_that_ends_is_not_known_any_more(verifiers: Verifiers, table: Table, clock: Clock) -> None:
    await verifiers.get("1")
    del table.rows["1"]
    clock.now += 30

    assert await verifiers.get("1") is None
    assert not verifiers.knows("1")


async def test_those_who_ask_at_once_share_one_answer(verifiers: Verifiers, table: Table) -> None:
    answers = await asyncio.gather(*[verifiers.get("1") for _ in range(50)])

    assert set(answers) == {OLD}
    assert table.asked == ["1"]


async def test_database_is_asked_one_question_at_a_time(verifiers: Verifiers, table: Table) -> None:
    await asyncio.gather(*[verifiers.get(str(number)) for number in range(50)])

    assert len(table.asked) == 50
    assert table.most_at_once == 1


async def test_who_asks_for_strangers_keeps_no_clinic_waiting(verifiers: Verifiers, table: Table, clock: Clock) -> None:
    await verifiers.get("1")
    clock.now += 30
    table.asked.clear()
    strangers = [asyncio.create_task(verifiers.get(str(number))) for number in range(100, 200)]
    await asyncio.sleep(0)
    await verifiers.get("1")

    assert table.asked.index("1") <= 2
    await asyncio.gather(*strangers)


async def test_failure_is_told_and_not_remembered(verifiers: Verifiers, table: Table) -> None:
    table.error = DatabaseUnavailableError("away")
    with pytest.raises(DatabaseUnavailableError):
        await verifiers.get("1")
    table.error = None

    assert await verifiers.get("1") is OLD


async def test_failure_leaves_what_was_known_known(verifiers: Verifiers, table: Table, clock: Clock) -> None:
    """Or its clinic's webhooks would count as such of an unknown one."""
    await verifiers.get("1")
    clock.now += 30
    table.error = DatabaseUnavailableError("away")
    with pytest.raises(DatabaseUnavailableError):
        await verifiers.get("1")

    assert verifiers.knows("1")


async def test_who_gives_up_leaves_the_question_to_the_others(verifiers: Verifiers, table: Table) -> None:
    first = asyncio.create_task(verifiers.get("1"))
    second = asyncio.create_task(verifiers.get("1"))
    await asyncio.sleep(0)
    first.cancel()

    assert await second is OLD
    assert table.asked == ["1", "1"]


async def test_of_who_is_not_there_nothing_is_remembered(verifiers: Verifiers, table: Table) -> None:
    await asyncio.gather(*[verifiers.get(str(number)) for number in range(1_000)])
    table.error = DatabaseUnavailableError("away")
    for number in range(1_000, 1_010):
        with pytest.raises(DatabaseUnavailableError):
            await verifiers.get(str(number))

    assert set(verifiers._entries) == {"1"}
