"""The store's functions, under a real site's login."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import date, timedelta

import psycopg
import pytest

from integration.logins import Logins, LoginSource, where
from integration.sites import Site
from ocean_api import names
from ocean_dev.servers.postgres import Postgres
from ocean_emr.store import data_keys, leases, snapshots, states
from ocean_emr.store.database import Database
from ocean_emr.store.errors import (
    DatabaseAccessRefusedError,
    DatabaseUnavailableError,
    LeaseLostError,
    LeaseTakenError,
    StatementRefusedError,
)
from ocean_emr.store.snapshots import Kind, Known, Record

MINUTE = timedelta(minutes=1)
OVER = timedelta(seconds=-1)
RUN_1, RUN_2 = uuid.UUID(int=1), uuid.UUID(int=2)


@pytest.fixture
async def database(server: Postgres, logins: Logins, site_a: Site) -> AsyncIterator[Database]:
    source = LoginSource(logins, site_a.vault_role)
    async with Database(where(server), source, application="test") as opened:
        yield opened


@pytest.fixture
def listener(logins: Logins) -> Iterator[psycopg.Connection]:
    with logins.connect("ocean-operator") as connection:
        connection.execute(f"listen {names.STATE_CHANNEL}")
        yield connection


def _payloads(listener: psycopg.Connection) -> list[str]:
    """The notifications that have come. One round trip is enough: PostgreSQL delivers before it answers."""
    listener.execute("select 1")
    return [notification.payload for notification in listener.notifies(timeout=0)]


async def _known(database: Database, site: Site, **bounds: date) -> list[Known]:
    async with database.transaction() as transaction:
        return [it async for it in snapshots.read(transaction, site=site.id, kind=Kind.APPOINTMENT, **bounds)]


async def _put(database: Database, site: Site, records: list[Record], run_id: uuid.UUID = RUN_1) -> None:
    async with database.transaction() as transaction:
        await snapshots.put(transaction, site=site.id, kind=Kind.APPOINTMENT, records=records, run_id=run_id)


async def _acquire(database: Database, site: Site, holder: str, lifetime: timedelta = MINUTE) -> leases.Lease:
    async with database.transaction() as transaction:
        return await leases.acquire(transaction, site=site.id, holder=holder, lifetime=lifetime)


async def test_lease_is_given_once(database: Database, site_a: Site) -> None:
    await _acquire(database, site_a, "pod-1")

    with pytest.raises(LeaseTakenError):
        await _acquire(database, site_a, "pod-2")
    with pytest.raises(LeaseTakenError):
        await _acquire(database, site_a, "pod-1")


async def test_epoch_grows_with_every_lease(database: Database, site_a: Site) -> None:
    epochs = []
    for holder in ("pod-1", "pod-2", "pod-1"):
        lease = await _acquire(database, site_a, holder)
        epochs.append(lease.epoch)
        async with database.transaction() as transaction:
            await leases.release(transaction, lease)

    assert epochs == [1, 2, 3]


async def test_lease_that_ran_out_is_lost_for_good(database: Database, site_a: Site) -> None:
    stale = await _acquire(database, site_a, "pod-1", OVER)

    for attempt in (leases.confirm, lambda t, lease: leases.renew(t, lease, lifetime=MINUTE)):
        with pytest.raises(LeaseLostError):
            async with database.transaction() as transaction:
                await attempt(transaction, stale)
    fresh = await _acquire(database, site_a, "pod-2")
    async with database.transaction() as transaction:
        # A worker that wakes up late neither ends nor prolongs the lease of its successor.
        await leases.release(transaction, stale)
        await leases.confirm(transaction, fresh)


async def test_renewed_lease_goes_on(database: Database, site_a: Site) -> None:
    lease = await _acquire(database, site_a, "pod-1")
    async with database.transaction() as transaction:
        await leases.renew(transaction, lease, lifetime=MINUTE)
        await leases.confirm(transaction, lease)


async def test_nobody_takes_over_between_confirm_and_commit(database: Database, site_a: Site) -> None:
    """What was confirmed is held until the commit, even when the time runs out in between."""
    lease = await _acquire(database, site_a, "pod-1")
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(database.transaction())
        await leases.confirm(first, lease)

        with pytest.raises(DatabaseUnavailableError, match="55P03"):  # noqa: PT012 - the block is the transaction
            async with database.transaction() as second:
                await second.execute("set local lock_timeout = '50ms'")
                await second.execute("update ocean.sync_lease set expires_at = now() where site = %s", [site_a.id])


async def test_state_is_written_and_read(database: Database, site_a: Site) -> None:
    async with database.transaction() as transaction:
        assert await states.read(transaction, site=site_a.id, process="sync") is None
        await states.write(transaction, site=site_a.id, process="sync", state={"running": True})
        await states.write(transaction, site=site_a.id, process="sync", state={"running": False})

        assert await states.read(transaction, site=site_a.id, process="sync") == {"running": False}


async def test_only_a_changed_state_wakes_the_operator(
    database: Database, site_a: Site, listener: psycopg.Connection
) -> None:
    heard = []
    for state in ({"running": True}, {"running": True}, {"running": False}):
        async with database.transaction() as transaction:
            await states.write(transaction, site=site_a.id, process="sync", state=state)
        heard.append(_payloads(listener))

    assert heard == [[""], [], [""]]


async def test_operator_misses_no_state_that_was_committed_late(
    database: Database, site_a: Site, listener: psycopg.Connection
) -> None:
    """A number from a sequence would be passed over: the early transaction commits after the late one was read."""

    def since(mark: int) -> tuple[set[str], int]:
        rows = listener.execute(
            "select process, next_mark from ocean.states_since(%s) where site = %s", [mark, site_a.id]
        ).fetchall()
        return {process for process, _ in rows}, max((next_mark for _, next_mark in rows), default=mark)

    async with AsyncExitStack() as stack:
        early = await stack.enter_async_context(database.transaction())
        await states.write(early, site=site_a.id, process="early", state={})
        async with database.transaction() as late:
            await states.write(late, site=site_a.id, process="late", state={})
        first, mark = since(0)
    second, mark = since(mark)
    third, _ = since(mark)

    assert (first, second, third) == ({"late"}, {"early", "late"}, set())


async def test_state_with_too_much_in_it_is_refused(database: Database, site_a: Site) -> None:
    with pytest.raises(StatementRefusedError) as refused:
        async with database.transaction() as transaction:
            await states.write(transaction, site=site_a.id, process="sync", state={"text": "x" * 70_000})

    assert "xxx" not in str(refused.value)


async def test_first_data_key_stays(database: Database, site_a: Site) -> None:
    async with database.transaction() as transaction:
        first = await data_keys.put(transaction, site=site_a.id, sek_fingerprint="f1", envelope=b"one")
        second = await data_keys.put(transaction, site=site_a.id, sek_fingerprint="f1", envelope=b"two")
        await data_keys.put(transaction, site=site_a.id, sek_fingerprint="f2", envelope=b"three")

        assert (first, second) == (b"one", b"one")
        assert await data_keys.read(transaction, site=site_a.id, sek_fingerprint="f2") == b"three"
        assert await data_keys.read(transaction, site=site_a.id, sek_fingerprint="f3") is None
        assert await data_keys.read_all(transaction, site=site_a.id) == {"f1": b"one", "f2": b"three"}


async def test_snapshot_comes_back_page_by_page(database: Database, site_a: Site) -> None:
    """More than two pages, so that the seams between them are walked over."""
    known = [Known(n.to_bytes(4), b"c", date(2026, 11, 23), b"g") for n in range(1_203)]
    await _put(database, site_a, [Record(it, b"body") for it in known])

    expected = [(it.ref_digest, it.content_digest, it.day, it.group_digest, RUN_1) for it in known]
    found = await _known(database, site_a)
    assert [(it.ref_digest, it.content_digest, it.day, it.group_digest, it.run_id) for it in found] == expected


async def test_snapshot_of_some_days_begins_with_the_first_and_ends_before_the_last(
    database: Database, site_a: Site
) -> None:
    days = [date(2026, 11, day) for day in (22, 23, 24, 25)]
    await _put(database, site_a, [Record(Known(bytes([day.day]), b"c", day), b"body") for day in days])

    found = await _known(database, site_a, first_day=days[1], end_day=days[3])
    assert [it.day for it in found] == days[1:3]


async def test_record_that_changed_takes_the_place_of_the_old_one(database: Database, site_a: Site) -> None:
    await _put(database, site_a, [Record(Known(b"r", b"old", date(2026, 11, 23), b"g1"), b"old body")])
    await _put(database, site_a, [Record(Known(b"r", b"new", date(2026, 11, 24), b"g2"), b"new body")], RUN_2)

    assert await _known(database, site_a) == [Known(b"r", b"new", date(2026, 11, 24), b"g2", RUN_2)]
    async with database.transaction() as transaction:
        bodies = await snapshots.bodies(
            transaction, site=site_a.id, kind=Kind.APPOINTMENT, ref_digests=[b"r", b"unknown"]
        )
    assert bodies == {b"r": b"new body"}


async def test_missed_records_bear_the_run_that_missed_them(database: Database, site_a: Site) -> None:
    await _put(database, site_a, [Record(Known(ref, b"c"), b"body") for ref in (b"1", b"2")])
    async with database.transaction() as transaction:
        await snapshots.mark_missing(
            transaction, site=site_a.id, kind=Kind.APPOINTMENT, ref_digests=[b"1", b"unknown"], run_id=RUN_2
        )

    assert {it.ref_digest: it.run_id for it in await _known(database, site_a)} == {b"1": RUN_2, b"2": RUN_1}


async def test_contents_are_told_for_what_is_known(database: Database, site_a: Site) -> None:
    await _put(database, site_a, [Record(Known(ref, b"c" + ref), b"body") for ref in (b"1", b"2", b"3")])
    async with database.transaction() as transaction:
        await snapshots.unsettle(transaction, site=site_a.id, kind=Kind.APPOINTMENT, ref_digests=[b"2"])
        found = await snapshots.contents(
            transaction, site=site_a.id, kind=Kind.APPOINTMENT, ref_digests=[b"1", b"2", b"unknown"]
        )

    assert found == {b"1": b"c1", b"2": snapshots.UNSETTLED}


async def test_forgotten_records_are_gone(database: Database, site_a: Site) -> None:
    await _put(database, site_a, [Record(Known(ref, b"c"), b"body") for ref in (b"1", b"2", b"3")])
    kind = Kind.APPOINTMENT
    async with database.transaction() as transaction:
        await snapshots.forget(transaction, site=site_a.id, kind=kind, ref_digests=[b"3", b"unknown"])
    assert [it.ref_digest for it in await _known(database, site_a)] == [b"1", b"2"]

    async with database.transaction() as transaction:
        await snapshots.forget_all(transaction, site=site_a.id)
    assert await _known(database, site_a) == []


async def test_kinds_are_kept_apart(database: Database, site_a: Site) -> None:
    record = Record(Known(b"r", b"c"), b"body")
    for kind in Kind:
        async with database.transaction() as transaction:
            await snapshots.put(transaction, site=site_a.id, kind=kind, records=[record], run_id=RUN_1)
    async with database.transaction() as transaction:
        await snapshots.forget(transaction, site=site_a.id, kind=Kind.PATIENT, ref_digests=[b"r"])

    assert [it.ref_digest for it in await _known(database, site_a)] == [b"r"]


async def test_failed_block_leaves_nothing(database: Database, site_a: Site) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is the transaction
        async with database.transaction() as transaction:
            await snapshots.put(
                transaction,
                site=site_a.id,
                kind=Kind.APPOINTMENT,
                records=[Record(Known(b"r", b"c"), b"body")],
                run_id=RUN_1,
            )
            raise ZeroDivisionError

    assert await _known(database, site_a) == []


async def test_another_sites_row_is_a_refusal_the_caller_can_name(database: Database, site_b: Site) -> None:
    with pytest.raises(DatabaseAccessRefusedError) as refused:
        async with database.transaction() as transaction:
            await states.write(transaction, site=site_b.id, process="sync", state={})

    assert refused.value.reason == "DatabaseAccessRefused"
