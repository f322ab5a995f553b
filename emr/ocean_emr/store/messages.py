"""The queue of a site's messages, which is also the ledger of what came and what became of it.

A row is an *event* (Ocean says that there is something), or a *delivery* (something for a chart, fetched and sealed).
Rows of one lane go one after the other, by `event` and `step`; lanes go independently. What is here sees bytes:
`ocean_emr.messages` seals, decides and acts. Every step the worker takes depends on its lease, in one statement, so
that a worker that was overtaken changes nothing; what a person does (`store.held`) needs none.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ocean_emr.store.errors import StoreError

ACTOR: Final = "ocean-worker"
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


class MessageMovedError(StoreError):
    """The row is not (any more) in a state that allows this. Look at the queue again."""


@dataclass(frozen=True, slots=True)
class Event:
    """What Ocean's webhook said. References of Ocean's own making; nothing of a patient."""

    type: str
    ref: str
    """Ocean's reference of the patient, or of whatever the type is about."""
    session: str = ""
    source: str = ""
    """Where it was completed, in Ocean's words, such as `TABLET`."""
    received_at: datetime | None = None
    """Aware: when it was first heard of."""


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
    detail: Event | None
    """Of an event."""
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


def lane_of(site: str, ref: str) -> bytes:
    """The lane of what goes to one patient's chart."""
    return hashlib.sha256(f"{site}/{ref}".encode()).digest()


def own_lane_of(site: str, ref: str, kind: str) -> bytes:
    """A lane beside the patient's, for what must not wait: an arrival does not stand behind a note."""
    return hashlib.sha256(f"{site}/{kind}/{ref}".encode()).digest()
