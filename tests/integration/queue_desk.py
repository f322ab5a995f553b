"""The queue in PostgreSQL as the gateway fills it and a site's worker empties it, for tests of both."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import psycopg.rows

from integration.sites import Site
from ocean_emr.store import leases, messages, steps
from ocean_emr.store.database import Database
from ocean_emr.store.leases import Lease, Writer
from ocean_emr.store.messages import NewDelivery, Queued, Sealed, Side, lane_of

NOTE_ADDED = "notify-patient-note-added"
MINUTE = timedelta(minutes=1)
NOW = timedelta(0)
VERIFIER = "select salt, digest, is_full from ocean.webhook_verifier(%s)"
ROW_OF_WEBHOOK = "insert into ocean.webhook (site, salt, digest) values (%s, %s, %s)"
ACCEPT = "select outcome, channel from ocean.accept_event(%s, %s, %s, %s, %s)"


async def lease_of(database: Database, site: Site, lifetime: timedelta = MINUTE) -> Lease:
    async with database.transaction() as transaction:
        return await leases.acquire(transaction, site=site.id, holder="pod-1", lifetime=lifetime, writer=Writer.WORKER)


class Desk:
    """The worker's steps, each in a transaction of its own."""

    def __init__(self, database: Database, site: Site, lease: Lease) -> None:
        self.database, self.site, self.lease = database, site, lease

    async def __call__(self, step: Any, *arguments: Any, **named: Any) -> Any:
        """Take a step under the lease."""
        async with self.database.transaction() as transaction:
            return await step(transaction, self.lease, *arguments, **named)

    async def heads(
        self, side: Side = Side.EMR, *, busy: tuple[bytes, ...] = (), most: int = 100
    ) -> tuple[Queued, ...]:
        """What can be worked on."""
        async with self.database.transaction() as transaction:
            return await messages.heads(transaction, site=self.site.id, side=side, busy=busy, most=most)

    async def head(self, side: Side = Side.EMR) -> Queued:
        """The only thing that can be worked on."""
        (row,) = await self.heads(side)
        return row

    async def next_due(self, side: Side = Side.EMR) -> timedelta | None:
        """When something will be."""
        async with self.database.transaction() as transaction:
            return await messages.next_due(transaction, site=self.site.id, side=side)

    async def ask(self, question: Any, **named: Any) -> Any:
        """What people ask."""
        async with self.database.transaction() as transaction:
            return await question(transaction, site=self.site.id, **named)

    def delivery(self, source: str, ref: str = "ref-1", *, version: int = 0, **more: Any) -> NewDelivery:
        """A note for a patient."""
        return NewDelivery(source, version, "note", lane_of(self.site.id, ref), Sealed(b"sealed", "key/1"), **more)


def accept(
    gateway: psycopg.Connection, site: Site, ref: str = "ref-1", session: str = "s-1", kind: str = NOTE_ADDED
) -> tuple[str, str]:
    row = gateway.execute(ACCEPT, [site.number, kind, ref, session, "TABLET"]).fetchone()
    assert row is not None
    return row


async def deliver(gateway: psycopg.Connection, desk: Desk, *deliveries: NewDelivery, ref: str = "ref-1") -> None:
    """Have an event become these deliveries."""
    accept(gateway, desk.site, ref, session=deliveries[0].source_id)
    assert await desk(steps.expand, await desk.head(Side.OCEAN), deliveries, sitting=None)


def row_of(admin: psycopg.Connection, number: int) -> dict[str, Any]:
    with admin.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        row = cursor.execute("select * from ocean.message where id = %s", [number]).fetchone()
    assert row is not None
    return row


def audit_of(admin: psycopg.Connection, site: Site) -> list[tuple[str, str]]:
    rows = admin.execute("select action, outcome from ocean.audit where site = %s order by seq", [site.id])
    return rows.fetchall()
