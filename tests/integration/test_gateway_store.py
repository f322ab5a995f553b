"""What the gateway's statements do in a real PostgreSQL, under its own login."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from integration.logins import Logins, LoginSource, where
from integration.sites import Site
from ocean_api import names
from ocean_dev.servers.postgres import Postgres
from ocean_emr.store import arrivals, webhooks
from ocean_emr.store.arrivals import Event, Outcome
from ocean_emr.store.database import MESSAGES_SCHEMA, Database
from ocean_emr.store.errors import DatabaseAccessRefusedError, DatabaseUnavailableError, StatementRefusedError

KEY = "webhook-key-of-p0001-with-32-chars"


@pytest.fixture
async def gateway(server: Postgres, logins: Logins) -> AsyncIterator[Database]:
    """The gateway's database."""
    source = LoginSource(logins, names.VAULT_GATEWAY_DATABASE_ROLE)
    async with Database(where(server), source, application="test", schema=MESSAGES_SCHEMA) as opened:
        yield opened


@pytest.fixture
async def clinic(site_a: Site, server: Postgres, logins: Logins) -> Site:
    """A clinic that takes webhooks."""
    source = LoginSource(logins, site_a.vault_role)
    async with Database(where(server), source, application="test") as own, own.transaction() as transaction:
        await webhooks.keep(transaction, site=site_a.id, key=KEY)
    return site_a


def events(site: Site, *refs: str) -> list[Event]:
    return [Event(site.number, "t", ref, "s", "PORTAL") for ref in refs]


def kept(admin: psycopg.Connection, site: Site) -> list[tuple[str, int]]:
    statement = "select detail ->> 'ref', repeats from ocean.message where site = %s order by id"
    return admin.execute(statement, [site.id]).fetchall()


async def test_key_is_told_from_others(gateway: Database, clinic: Site) -> None:
    async with gateway.statements() as connection:
        known = await arrivals.verifier(connection, clinic.number)

        assert known is not None
        assert (known.accepts(KEY), known.accepts(KEY + "x"), known.accepts(""), known.is_full) == (
            True,
            False,
            False,
            False,
        )
        assert await arrivals.verifier(connection, "4242424242") is None


async def test_outcomes_come_in_the_order_of_the_events(
    gateway: Database, clinic: Site, admin: psycopg.Connection
) -> None:
    channel = names.message_channel(clinic.namespace, clinic.name)
    unknown = Event("4242424242", "t", "r")
    async with gateway.statements() as connection:
        first = await arrivals.accept(connection, [*events(clinic, "c", "a", "a"), unknown, *events(clinic, "b")])
        second = await arrivals.accept(connection, events(clinic, "b", "d"))

    stored, replay = (Outcome.STORED, channel), (Outcome.REPLAY, channel)
    assert [(k.outcome, k.channel) for k in first] == [stored, stored, replay, (Outcome.UNKNOWN_SITE, None), stored]
    assert [(k.outcome, k.channel) for k in second] == [replay, stored]
    assert kept(admin, clinic) == [("c", 0), ("a", 1), ("b", 1), ("d", 0)]


async def test_events_are_kept_all_or_none(gateway: Database, clinic: Site, admin: psycopg.Connection) -> None:
    too_long = "r" * 5_000
    for wrong in (too_long, "r\0"):
        with pytest.raises(StatementRefusedError) as refused:
            async with gateway.statements() as connection:
                await arrivals.accept(connection, events(clinic, "a", wrong, "b"))
        assert "rrr" not in str(refused.value)

    assert kept(admin, clinic) == []


async def test_replicas_that_keep_the_same_events_wait_in_line(
    gateway: Database, clinic: Site, admin: psycopg.Connection
) -> None:
    many = sorted(events(clinic, *[f"ref-{number}" for number in range(200)]))

    async def keep() -> list[Outcome]:
        async with gateway.statements() as connection:
            return [k.outcome for k in await arrivals.accept(connection, many)]

    found = await asyncio.gather(*[keep() for _ in range(4)])

    assert sorted(found) == [[Outcome.REPLAY] * 200] * 3 + [[Outcome.STORED] * 200]
    assert kept(admin, clinic) == [(event.ref, 3) for event in many]


async def test_each_statement_is_committed_by_itself_and_the_next_transaction_is_whole(
    gateway: Database, clinic: Site, admin: psycopg.Connection
) -> None:
    async with gateway.statements() as connection:
        await arrivals.accept(connection, events(clinic, "a"))
        assert kept(admin, clinic) == [("a", 0)]

    async def break_off() -> None:
        async with gateway.transaction() as transaction:
            await arrivals.accept(transaction, events(clinic, "b"))
            raise ZeroDivisionError

    for _ in range(8):  # whichever connection of the pool it gets
        with pytest.raises(ZeroDivisionError):
            await break_off()

    assert kept(admin, clinic) == [("a", 0)]


async def test_waking_leaves_commits_durable(gateway: Database, clinic: Site) -> None:
    """It turns waiting for the disk off, for itself alone."""
    async with gateway.statements() as connection:
        await arrivals.wake(connection, [names.message_channel(clinic.namespace, clinic.name), "another"])
        row = await (await connection.execute("show synchronous_commit")).fetchone()

        assert row == ("on",)


async def test_connection_that_broke_off_is_told_and_not_used_again(
    gateway: Database, clinic: Site, admin: psycopg.Connection
) -> None:
    async def break_off() -> None:
        async with gateway.statements() as connection:
            admin.execute("select pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
            await arrivals.accept(connection, events(clinic, "a"))

    with pytest.raises(DatabaseUnavailableError):
        await break_off()
    async with gateway.statements() as connection:
        await arrivals.accept(connection, events(clinic, "b"))

    assert kept(admin, clinic) == [("b", 0)]


@pytest.mark.parametrize(
    "statement", ["select * from ocean.message", "select * from ocean.webhook", "select 1 from ocean.site"]
)
async def test_nothing_can_be_read_back(statement: str, gateway: Database) -> None:
    with pytest.raises(DatabaseAccessRefusedError):
        async with gateway.statements() as connection:
            await connection.execute(statement)
