# ruff: noqa: S608 - what is put into the SQL are words of this file
"""The queue of a site's messages, which is also the ledger of what came and what became of it.

A row is an *event* (Ocean says that there is something), or a *delivery* (something for a chart, fetched and sealed).
Rows of one lane go one after the other, by `event` and `step`; lanes go independently. What is here sees bytes:
`ocean_emr.messages` seals, decides and acts. This module looks; the worker's steps are in `store.steps`, and what
people do is in `store.held`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from ocean_emr.store.database import Transaction

EVENT: Final = "event"
"""The kind of an event's row. Kinds of deliveries are the business of `ocean_emr.messages.deliveries`."""


class State(StrEnum):
    """Where a row stands. The first three wait, the others do not come back by themselves."""

    GATHERING = "gathering"
    """A note of a sitting that is not over: it is not in anybody's way."""
    ACCEPTED = "accepted"
    """Nothing of it is under way."""
    SENT = "sent"
    """Its plan's next write may have reached the EMR."""
    HELD = "held"
    """A person must decide."""
    DONE = "done"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Sealed:
    """Something encrypted under one of the site's data keys."""

    data: bytes = field(repr=False)
    key: str
    """The key's name, as in `data_keys`."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A row that waits. All times are the database's."""

    id: int
    event: int
    """Id of the event's row that it came from; its own for an event."""
    step: int
    lane: bytes
    kind: str
    state: State
    attempts: int
    """How often it was tried in vain since it came, or since a person had it tried again."""
    received_at: datetime
    due_at: datetime
    sent_at: datetime | None
    epoch: int | None
    detail: Mapping[str, str] | None
    """Of an event: `type`, `ref`, `session` and `source`, as Ocean's webhook gave them."""
    repeats: int
    source_id: str
    """Of a delivery: Ocean's id of what it carries."""
    version: int
    body: Sealed | None
    """Of a delivery: its content."""
    plan: Sealed | None
    """The writes that were begun."""
    plan_digest: bytes | None
    written: int
    """How many writes of the plan are known to be in the EMR."""
    emr_ref: str


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to put into the queue."""

    source_id: str
    """Of Ocean's making, and the same whenever this is fetched: never the event's row id."""
    version: int
    kind: str
    lane: bytes
    body: Sealed
    delay: timedelta = timedelta(0)
    """How long until it may be delivered."""
    gathering: bool = False
    """Whether it waits for the end of a sitting."""


@dataclass(frozen=True, slots=True)
class Sitting:
    """When the sitting of a lane's notes ends, if nothing more comes."""

    lane: bytes
    ends_in: timedelta


def lane_of(site: str, ref: str) -> bytes:
    """The lane of what goes to one patient's chart."""
    return hashlib.sha256(f"{site}/{ref}".encode()).digest()


def own_lane_of(site: str, ref: str, kind: str) -> bytes:
    """A lane beside the patient's, for what must not wait: an arrival does not stand behind a note."""
    return hashlib.sha256(f"{site}/{kind}/{ref}".encode()).digest()


_COLUMNS: Final = """
    message.id, event, step, lane, kind, state, attempts, received_at, due_at, sent_at, epoch, detail, repeats,
    source_id, version, body, body_key, plan, plan_key, plan_digest, written, emr_ref
"""


class Side(StrEnum):
    """Whom a row waits for. The words are those of the partial indexes: only then are they used."""

    OCEAN = "kind = 'event' and state = 'accepted'"
    """Events, to be fetched."""
    EMR = "kind <> 'event' and state in ('accepted', 'gathering', 'sent')"
    """Deliveries."""


async def heads(
    transaction: Transaction, *, site: str, side: Side, busy: Collection[bytes], most: int
) -> tuple[Queued, ...]:
    """What can be worked on now: of each lane its first row, if that is due; the longest due one first.

    A row that is `GATHERING` stands for its whole sitting, which is over.

    Args:
        transaction: Where.
        site: The clinic, as `namespace/name`.
        side: Events or deliveries.
        busy: Lanes of which something is under way.
        most: How many at most.
    """
    # The first of a lane is looked up row by row on purpose: the cost then follows from `most`, not from what waits.
    cursor = await transaction.execute(
        f"""
        select {_COLUMNS} from ocean.message
         where site = %(site)s and {side} and due_at <= statement_timestamp() and lane <> all(%(busy)s)
           and id = (select first.id from ocean.message as first
                      where first.site = message.site and first.lane = message.lane
                        and first.state in ('accepted', 'gathering', 'sent')
                        and (first.state = 'gathering') = (message.state = 'gathering')
                      order by first.event, first.step limit 1)
         order by due_at, event, step limit %(most)s
        """,
        {"site": site, "busy": list(busy), "most": most},
    )
    return tuple(_queued(row) for row in await cursor.fetchall())


async def next_due(transaction: Transaction, *, site: str, side: Side) -> timedelta | None:
    """How long until something becomes due that is not yet; None when there is nothing of that kind."""
    cursor = await transaction.execute(
        f"""
        select due_at - statement_timestamp() from ocean.message
         where site = %(site)s and {side} and due_at > statement_timestamp() order by due_at limit 1
        """,
        {"site": site},
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def gathered(transaction: Transaction, *, site: str, lane: bytes) -> tuple[Queued, ...]:
    """The notes of the lane's sitting, in their order."""
    cursor = await transaction.execute(
        f"""
        select {_COLUMNS} from ocean.message
         where site = %s and lane = %s and {Side.EMR} and state = 'gathering' order by event, step
        """,
        [site, lane],
    )
    return tuple(_queued(row) for row in await cursor.fetchall())


def _queued(row: Sequence[Any]) -> Queued:
    (*first, detail, repeats, source_id, version, body, body_key, plan, plan_key, digest, written, emr_ref) = row
    number, event, step, lane, kind, state, attempts, received_at, due_at, sent_at, epoch = first
    return Queued(
        id=number,
        event=event,
        step=step,
        lane=lane,
        kind=kind,
        state=State(state),
        attempts=attempts,
        received_at=received_at,
        due_at=due_at,
        sent_at=sent_at,
        epoch=epoch,
        detail=detail,
        repeats=repeats,
        source_id=source_id or "",
        version=version or 0,
        body=None if body is None else Sealed(body, body_key),
        plan=None if plan is None else Sealed(plan, plan_key),
        plan_digest=digest,
        written=written,
        emr_ref=emr_ref or "",
    )
