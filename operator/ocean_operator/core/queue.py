"""A clinic's messages as the status tells of them: how many wait, since when, and how many need a person.

Numbers that move with every message would have the status written all the time, so what is told is coarse: a message
counts once messages have been waiting for a minute without a break, and large numbers are rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ocean_api.conditions import Truth
from ocean_api.reasons import Reason
from ocean_api.v1alpha1.status import QueueStatus
from ocean_operator.core.facts import ACCESS_REASONS, Facts, may_call
from ocean_operator.core.site import Site

NOTICED_AFTER: Final = timedelta(minutes=1)
LATE_AFTER: Final = timedelta(minutes=5)
"""From then on messages that wait are something wrong, even if nobody says what."""
_EXACT: Final = 10


@dataclass(frozen=True, slots=True)
class Line:
    """A clinic's queue as the database counts it."""

    waiting: int = 0
    oldest: datetime | None = None
    """When the oldest of those came."""
    held: int = 0
    oldest_held: datetime | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """A queue that is looked at again and again."""

    line: Line
    since: datetime | None
    """Since when something older than a minute was there at every look. One look may fall on a note that was written
    an hour ago, waited for the end of its sitting, and is just being delivered."""


def watched(before: Watched | None, line: Line, now: datetime) -> Watched:
    """`line` with what is known from the looks before."""
    if line.oldest is None or now - line.oldest <= NOTICED_AFTER:
        return Watched(line, None)
    return Watched(line, (before.since if before else None) or now)


def remembered(status: QueueStatus) -> Watched:
    """What a status from before a restart knows: messages that were waiting then have waited for a while."""
    return Watched(Line(), status.oldest_at)


def told(queue: Watched, now: datetime) -> QueueStatus:
    """What the status says of it."""
    line = queue.line
    noticed = queue.since is not None and now - queue.since >= NOTICED_AFTER
    return QueueStatus(
        waiting=_rounded(line.waiting) if noticed else 0,
        oldest_at=line.oldest if noticed else None,
        held=line.held,
        held_since=line.oldest_held,
    )


def _rounded(number: int) -> int:
    """Down to 1, 2 or 5 followed by zeros, from 10 on."""
    if number <= _EXACT:
        return number
    magnitude: int = 10 ** (len(str(number)) - 1)
    return next(step * magnitude for step in (5, 2, 1) if step * magnitude <= number)


def health(site: Site, facts: Facts, now: datetime) -> tuple[Truth, Reason, str]:
    """The condition QueueHealthy: answer, reason and message.

    What keeps all messages from being delivered comes before single ones that are held.
    """
    queue = facts.queue
    if site.spec is None:
        return "Unknown", Reason.NOT_CHECKED, "Messages are delivered once ConfigValid is True."
    if not site.spec.integrated:
        return "True", Reason.NOT_APPLICABLE, "This clinic has no EMR to deliver messages to."
    truth, reason, said = _delivery(site, facts, queue, now)
    if not queue.held:
        return truth, reason, said
    if truth != "False":
        truth, reason = "False", Reason.MESSAGES_HELD
    return truth, reason, f"{_held(site, queue)} {said}".rstrip()


def _delivery(site: Site, facts: Facts, queue: QueueStatus, now: datetime) -> tuple[Truth, Reason, str]:
    """Whether messages get through."""
    if not may_call(site, facts):
        if queue.waiting:
            return "Unknown", Reason.QUEUE_WAITING, f"{_waiting(queue)} They are kept until the clinic is served."
        return "True", Reason.QUEUE_EMPTY, ""
    if facts.worker_problem:
        return "False", Reason.WORKER_UNAVAILABLE, facts.worker_problem
    if queue.waiting:
        why = _why(facts)
        late = why or _late_at(queue) <= now
        return "False" if late else "True", Reason.QUEUE_WAITING, f"{_waiting(queue)} {why}".rstrip()
    if facts.check and facts.check.receives is False:
        return "True", Reason.MESSAGES_OFF, "Ocean's Secret has no webhookKey: nothing is received."
    return "True", Reason.QUEUE_EMPTY, ""


def late_at(facts: Facts) -> datetime | None:
    """When messages that wait become something wrong; None while none does."""
    return _late_at(facts.queue) if facts.queue.waiting else None


def _late_at(queue: QueueStatus) -> datetime:
    if queue.oldest_at is None:
        raise ValueError("messages that wait have come at some time")
    return queue.oldest_at + LATE_AFTER


def _why(facts: Facts) -> str:
    """The worker's own words; not those about a refusal that a check has answered since."""
    problem = facts.worker.problem if facts.worker else None
    return problem.message if problem and problem.reason not in ACCESS_REASONS else ""


def _waiting(queue: QueueStatus) -> str:
    more = " or more" if queue.waiting > _EXACT else ""
    return f"{queue.waiting}{more} {_messages(queue.waiting)}, the oldest since {queue.oldest_at:%Y-%m-%dT%H:%M:%SZ}."


def _held(site: Site, queue: QueueStatus) -> str:
    look = f"oceanctl messages list {site.key.name} --namespace {site.key.namespace}"
    since = f"{queue.held_since:%Y-%m-%dT%H:%M:%SZ}" if queue.held_since else "an unknown time"
    return f"{queue.held} {_messages(queue.held)} for a person, the oldest since {since}: `{look}`."


def _messages(number: int) -> str:
    return "message waits" if number == 1 else "messages wait"
