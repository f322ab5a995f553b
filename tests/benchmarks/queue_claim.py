"""What finding the next message costs beside millions of done ones, and how many messages a second the queue carries.

`python -m benchmarks.queue_claim [--done N] [--waiting N] [--seconds S]`, on a PostgreSQL that syncs every commit. The
queue's own steps are measured, without Ocean, EMR and encryption, against a bare insert of as many bytes by the same
driver, over the same connections, in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import psycopg

from benchmarks.figures import Figures
from integration.logins import Logins, LoginSource, where
from integration.sites import Site
from ocean_dev.servers.postgres import Postgres, postgres
from ocean_emr.store import leases, messages, steps
from ocean_emr.store.database import Database
from ocean_emr.store.leases import Lease, Writer
from ocean_emr.store.messages import Queued, Sealed, Side
from ocean_emr.store.migrate import upgrade

_BODY: Final = b"x" * 4096
_AT_ONCE: Final = 4
"""As the worker does."""
_CLAIMS: Final = 300
_BATCH: Final = 1_000_000
_DONE: Final = """
    insert into ocean.message (site, event, step, lane, kind, source_id, version, state, emr_ref, due_at)
    select %(site)s, n, 1, sha256((n %% 50000)::text::bytea), 'note', 'note/' || n, 1, 'done', n::text, now()
      from generate_series(%(first)s::bigint, %(last)s::bigint) as n
"""
_WAITING: Final = """
    insert into ocean.message (site, event, step, lane, kind, source_id, version, state, body, body_key)
    select %(site)s, n, 1, sha256((n %% %(lanes)s)::text::bytea), 'note', 'waiting/' || n, 1, 'accepted',
           decode(repeat('78', 4096), 'hex'), 'key/1'
      from generate_series(%(first)s::bigint, %(last)s::bigint) as n
"""
_BARE: Final = "insert into ocean.bare (site, body) values (%s, %s)"


@dataclass
class Queue:
    """One clinic's queue, as its worker uses it."""

    server: Postgres
    database: Database
    site: Site
    lease: Lease
    next_event: int = 1

    def fill(self, statement: str, number: int, **values: Any) -> None:
        """Add rows, as a superuser does who checks no references."""
        with psycopg.connect(self.server.admin, autocommit=True) as admin:
            admin.execute("set session_replication_role = replica")
            while number:
                batch = min(number, _BATCH)
                last = self.next_event + batch - 1
                admin.execute(statement, {"site": self.site.id, "first": self.next_event, "last": last, **values})
                self.next_event, number = last + 1, number - batch

    def settle(self) -> None:
        """What autovacuum has done by the time that so much has come in."""
        with psycopg.connect(self.server.admin, autocommit=True) as admin:
            admin.execute("vacuum (analyze) ocean.message")
            admin.execute("checkpoint")

    async def claim(self, busy: tuple[bytes, ...] = ()) -> tuple[Queued, ...]:
        """As the worker's loop does."""
        async with self.database.statements() as transaction:
            return await messages.heads(
                transaction, site=self.site.id, side=Side.EMR, busy=busy, most=_AT_ONCE - len(busy)
            )

    async def take(self, step: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any) -> None:
        """One of the worker's steps."""
        async with self.database.statements() as transaction:
            await step(transaction, self.lease, *arguments, **named)

    async def claim_cost(self) -> float:
        """Milliseconds of one claim, the median."""
        costs = []
        for _ in range(_CLAIMS):
            began = time.perf_counter()
            await self.claim()
            costs.append(time.perf_counter() - began)
        return statistics.median(costs) * 1e3

    async def cycles(self, seconds: float) -> float:
        """Messages a second from the claim to done, each lane beside the others."""
        done, ends, running = 0, time.monotonic() + seconds, dict[bytes, asyncio.Task[None]]()
        plan = Sealed(_BODY, "key/1")

        async def carry(row: Queued) -> None:
            await self.take(steps.intend, row, plan, b"digest")
            await self.take(steps.finish, row, emr_ref="1")

        while time.monotonic() < ends:
            for row in await self.claim(tuple(running)):
                running[row.lane] = asyncio.create_task(carry(row))
            finished, _ = await asyncio.wait(running.values(), return_when=asyncio.FIRST_COMPLETED)
            done += len(finished)
            running = {lane: task for lane, task in running.items() if task not in finished}
        await asyncio.gather(*running.values())
        return done / seconds

    async def bare(self, seconds: float) -> float:
        """Inserts a second of one row each, committed each."""
        done, ends = 0, time.monotonic() + seconds

        async def insert() -> None:
            nonlocal done
            while time.monotonic() < ends:
                async with self.database.statements() as transaction:
                    await transaction.execute(_BARE, [self.site.id, _BODY])
                done += 1

        await asyncio.gather(*(insert() for _ in range(_AT_ONCE)))
        return done / seconds


@asynccontextmanager
async def queue(server: Postgres) -> AsyncIterator[Queue]:
    """A clinic with nothing in its queue, and a table for bare inserts beside it."""
    logins = Logins(server)
    upgrade(where(server), logins.new("ocean-migrate"))
    site = Site("clinic-1", "site-1", "1")
    with logins.connect("ocean-operator") as operator:
        site.register(operator)
    with psycopg.connect(server.admin, autocommit=True) as admin:
        admin.execute("create table ocean.bare (id bigint generated always as identity, site text, body bytea)")
        admin.execute("alter table ocean.bare alter column body set storage external")
        admin.execute("grant insert on ocean.bare to ocean_site")
    async with Database(where(server), LoginSource(logins, site.vault_role), application="benchmark") as database:
        async with database.transaction() as transaction:
            lease = await leases.acquire(
                transaction, site=site.id, holder="benchmark", lifetime=timedelta(days=1), writer=Writer.WORKER
            )
        yield Queue(server, database, site, lease)


async def measure(server: Postgres, *, done: int, waiting: int, seconds: float) -> Figures:
    """Every figure."""
    figures = Figures()
    async with queue(server) as made:
        empty = await made.claim_cost()
        made.fill(_WAITING, 1_000, lanes=1_000)
        made.settle()
        few = await made.claim_cost()
        made.fill(_DONE, done)
        made.fill(_WAITING, waiting, lanes=waiting // 10)
        made.settle()
        many = await made.claim_cost()
        bare = await made.bare(seconds)
        cycles = await made.cycles(seconds)
        after = await made.claim_cost()
    figures.add("claim, empty table", empty, "ms")
    figures.add("claim, 1,000 waiting and nothing done", few, "ms")
    figures.add(f"claim, {done:,} done and {waiting:,} waiting", many, "ms")
    figures.add("the same, as a multiple of the claim with 1,000 waiting", many / few, "")
    figures.add(f"the same after {cycles * seconds:,.0f} messages more, as a multiple", after / few, "")
    figures.add("messages claimed, intended and finished", cycles, "/s")
    figures.add("bare inserts", bare, "/s")
    figures.add("messages as a share of bare inserts; each commits twice", cycles / bare, "")
    return figures


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--done", type=int, default=10_000_000)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    with postgres() as server:
        figures = asyncio.run(measure(server, done=options.done, waiting=options.waiting, seconds=options.seconds))
    sys.stdout.write(figures.as_text("the queue"))


if __name__ == "__main__":
    main()
