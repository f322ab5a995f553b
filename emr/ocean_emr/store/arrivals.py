"""What the gateway's login may do: ask how a clinic's webhooks are known, and keep the events that come by them.

Each is one statement, and so a transaction of its own on a connection from `Database.statements`.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from ocean_emr.store.webhooks import digest_of


class Outcome(StrEnum):
    """What became of an event."""

    STORED = "stored"
    REPLAY = "replay"
    """The same event waits already."""
    UNKNOWN_SITE = "unknown-site"


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """What Ocean tells: that there is something to fetch. Nothing of a patient."""

    site_number: str
    type: str
    ref: str
    session: str = ""
    """Empty where none was named."""
    source: str = ""
    """Likewise."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An event's outcome, and the channel on which its site's worker listens."""

    outcome: Outcome
    channel: str | None


@dataclass(frozen=True, slots=True, repr=False)
class Verifier:
    """Tells a clinic's webhook key from every other one."""

    salt: bytes
    digest: bytes
    is_full: bool = False
    """Whether so many of the clinic's events wait that no more are to be kept."""

    def accepts(self, key: str) -> bool:
        """Whether it was made for `key`. Takes the same time for each wrong one."""
        return hmac.compare_digest(self.digest, digest_of(key, self.salt))


async def verifier(connection: AsyncConnection[TupleRow], site_number: str) -> Verifier | None:
    """How webhooks of the living site with that number are known; None: it takes none, or is not there."""
    cursor = await connection.execute("select salt, digest, is_full from ocean.webhook_verifier(%s)", [site_number])
    row = await cursor.fetchone()
    return Verifier(*row) if row else None


async def accept(connection: AsyncConnection[TupleRow], events: Sequence[Event]) -> list[Kept]:
    """Keep `events`, all or none. Each one's outcome, in their order.

    Give them sorted: whoever else keeps some of the same events then waits for this transaction, not in a circle.
    """
    columns = [[getattr(event, name) for event in events] for name in Event.__slots__]
    cursor = await connection.execute(
        """
        select kept.outcome, kept.channel
          from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
               with ordinality as event (number, type, ref, session, source, place),
               lateral ocean.accept_event(number, type, ref, session, source) as kept
         order by place
        """,
        columns,
    )
    return [Kept(Outcome(outcome), channel) for outcome, channel in await cursor.fetchall()]


async def wake(connection: AsyncConnection[TupleRow], channels: Sequence[str]) -> None:
    """Tell the workers on `channels` that something has come.

    That writes nothing, so nothing could be lost and the commit need not wait for the disk.
    """
    await connection.execute(
        """
        select set_config('synchronous_commit', 'off', true), pg_notify(channel, '')
          from unnest(%s::text[]) as channel
        """,
        [list(channels)],
    )
