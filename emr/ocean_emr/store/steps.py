# ruff: noqa: S608 - what is put into the SQL are words of this file
"""The worker's steps through the queue (`store.messages`): most are one statement, and a transaction by themselves.

Each depends on the worker's lease, so that one that was overtaken changes nothing, and on the state of the row, so that
nothing is done twice. What becomes of a message for the clinic is told to the audit in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from psycopg.types.json import Jsonb

from ocean_emr.store.database import Transaction
from ocean_emr.store.errors import MessageMovedError
from ocean_emr.store.leases import Lease, confirm
from ocean_emr.store.messages import NewDelivery, Queued, Sealed, Sitting, State

ACTOR: Final = "ocean-worker"

_UNDER_LEASE: Final = """
    with lease as (
      select from ocean.worker_lease
       where site = %(site)s and holder = %(holder)s and epoch = %(epoch)s and expires_at > clock_timestamp()
         for share
    )
"""
"""Nobody can take the lease over before the commit."""


async def expand(
    transaction: Transaction, lease: Lease, event: Queued, deliveries: Sequence[NewDelivery], *, sitting: Sitting | None
) -> bool:
    """Put what an event led to into the queue. What was there before, in whatever state, is not put in again.

    Returns:
        Whether the event is done. If not, Ocean has told of it again since `event` was read: look at it once more.

    Raises:
        LeaseLostError: Another worker may have begun.
        MessageMovedError: The event does not wait any more.
    """
    await confirm(transaction, lease)
    async with transaction.cursor() as cursor:
        await cursor.executemany(
            """
            insert into ocean.message
                   (site, event, step, lane, kind, source_id, version, state, body, body_key, received_at, due_at)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, statement_timestamp() + %s)
            on conflict (site, source_id, version) where source_id is not null do nothing
            """,
            [
                (
                    lease.site,
                    event.id,
                    step,
                    it.lane,
                    it.kind,
                    it.source_id,
                    it.version,
                    State.GATHERING if it.gathering else State.ACCEPTED,
                    it.body.data,
                    it.body.key,
                    event.received_at,
                    it.delay,
                )
                for step, it in enumerate(deliveries, start=1)
            ],
        )
    if sitting is not None:
        await transaction.execute(
            """
            update ocean.message set due_at = statement_timestamp() + %s, updated_at = statement_timestamp()
             where site = %s and lane = %s and state = 'gathering'
            """,
            [sitting.ends_in, lease.site, sitting.lane],
        )
    return await _end_event(transaction, lease, event)


async def _end_event(transaction: Transaction, lease: Lease, event: Queued) -> bool:
    cursor = await transaction.execute(
        """
        update ocean.message
           set state = case repeats when %(repeats)s then 'done' else state end, attempts = 0, reason = null,
               due_at = statement_timestamp(), updated_at = statement_timestamp()
         where site = %(site)s and id = %(id)s and state = 'accepted'
        returning state
        """,
        {"site": lease.site, "id": event.id, "repeats": event.repeats},
    )
    row = await cursor.fetchone()
    if row is None:
        raise MessageMovedError(f"Message {event.id} does not wait any more.")
    return bool(row[0] == State.DONE)


async def merge(transaction: Transaction, lease: Lease, first: Queued, others: Sequence[Queued], body: Sealed) -> None:
    """Make one delivery of a sitting: `first` with that body, on its way now; the others are done with it.

    Raises:
        LeaseLostError: Another worker may have begun.
        MessageMovedError: One of them does not gather any more; nothing was changed.
    """
    await _step(
        transaction,
        lease,
        first,
        "state = 'accepted', body = %(body)s, body_key = %(body_key)s, due_at = statement_timestamp()",
        {"body": body.data, "body_key": body.key},
        came_from=(State.GATHERING,),
    )
    cursor = await transaction.execute(
        """
        update ocean.message
           set state = 'done', body = null, body_key = null, merged_into = %s, updated_at = statement_timestamp()
         where site = %s and id = any(%s) and state = 'gathering'
        """,
        [first.id, lease.site, [it.id for it in others]],
    )
    if cursor.rowcount != len(others):
        raise MessageMovedError(f"The sitting of message {first.id} has changed.")


async def intend(transaction: Transaction, lease: Lease, message: Queued, plan: Sealed, digest: bytes) -> None:
    """Write down what is about to be sent. From here until it is settled, the EMR may have the plan's next write.

    Raises:
        LeaseLostError: Another worker may have begun: send nothing.
        MessageMovedError: It does not wait any more: send nothing.
    """
    await _step(
        transaction,
        lease,
        message,
        """
        state = 'sent', plan = %(plan)s, plan_key = %(plan_key)s, plan_digest = %(digest)s, epoch = %(epoch)s,
        sent_at = statement_timestamp()
        """,
        {"plan": plan.data, "plan_key": plan.key, "digest": digest},
    )


async def go_on(transaction: Transaction, lease: Lease, message: Queued, *, written: int, emr_ref: str) -> None:
    """Write down that the first `written` writes of the plan are in the EMR, and that the next is about to be sent.

    Raises:
        LeaseLostError: Another worker may have begun: send nothing.
        MessageMovedError: It does not wait any more: send nothing.
    """
    await _step(
        transaction,
        lease,
        message,
        """
        state = 'sent', written = %(written)s, emr_ref = %(emr_ref)s, epoch = %(epoch)s,
        sent_at = statement_timestamp()
        """,
        {"written": written, "emr_ref": emr_ref},
    )


async def finish(transaction: Transaction, lease: Lease, message: Queued, *, emr_ref: str) -> None:
    """All of it is in the EMR. Its content is forgotten, and the audit tells of it.

    Raises:
        LeaseLostError: Another worker may have begun.
        MessageMovedError: It does not wait any more.
    """
    await _step(
        transaction,
        lease,
        message,
        """
        state = 'done', body = null, body_key = null, plan = null, plan_key = null, plan_digest = null,
        emr_ref = nullif(%(emr_ref)s, ''), reason = null, note = null
        """,
        {"emr_ref": emr_ref},
        record=("message.deliver", "done"),
    )


async def hold(transaction: Transaction, lease: Lease, message: Queued, *, reason: str, note: str) -> None:
    """It waits for a person from now on, and is in nobody's way. The audit tells of it.

    Args:
        transaction: Where.
        lease: The worker's.
        message: Which.
        reason: One of the published reasons.
        note: What happened, in words that are safe to show.

    Raises:
        LeaseLostError: Another worker may have begun.
        MessageMovedError: It does not wait any more.
    """
    values = {"reason": reason, "note": note}
    changes = "state = 'held', reason = %(reason)s, note = %(note)s"
    waiting = (State.ACCEPTED, State.GATHERING, State.SENT)
    record = ("message.hold", reason)
    await _step(transaction, lease, message, changes, values, came_from=waiting, record=record)


async def postpone(  # noqa: PLR0913 - keywords, the facts of one attempt
    transaction: Transaction,
    lease: Lease,
    message: Queued,
    *,
    delay: timedelta,
    reason: str,
    note: str,
    tried: bool,
    settled: bool,
) -> None:
    """Try it again later.

    Args:
        transaction: Where.
        lease: The worker's.
        message: Which.
        delay: Not before this has passed.
        reason: Why, as one of the published reasons.
        note: Why, in words that are safe to show.
        tried: Whether this counts as an attempt.
        settled: Whether it is certain that the EMR has none of what was begun last. Then it is worked out anew, unless
            an earlier write of the same plan is there already.

    Raises:
        LeaseLostError: Another worker may have begun.
        MessageMovedError: It does not wait any more.
    """
    await _step(
        transaction,
        lease,
        message,
        """
        due_at = statement_timestamp() + %(delay)s, attempts = attempts + %(tried)s, reason = %(reason)s,
        note = %(note)s, state = case when %(settled)s then 'accepted' else state end,
        plan = case when not %(settled)s or written > 0 then plan end,
        plan_key = case when not %(settled)s or written > 0 then plan_key end,
        plan_digest = case when not %(settled)s or written > 0 then plan_digest end
        """,
        {"delay": delay, "tried": int(tried), "reason": reason, "note": note, "settled": settled},
    )


async def hurry(transaction: Transaction, lease: Lease, *, reasons: Sequence[str]) -> None:
    """What waits for one of `reasons` waits no longer, and is as good as never tried.

    Raises:
        LeaseLostError: Another worker may have begun.
    """
    await confirm(transaction, lease)
    await transaction.execute(
        """
        update ocean.message set due_at = statement_timestamp(), attempts = 0
         where site = %s and state = 'accepted' and due_at > statement_timestamp() and reason = any(%s)
        """,
        [lease.site, list(reasons)],
    )


async def _step(  # noqa: PLR0913 - what changes, and of what
    transaction: Transaction,
    lease: Lease,
    message: Queued,
    changes: str,
    values: Mapping[str, Any],
    *,
    came_from: Sequence[State] = (State.ACCEPTED, State.SENT),
    record: tuple[str, str] | None = None,
) -> None:
    """Change a row, if the lease still holds and the row still waits as `came_from` says, in one statement.

    Args:
        transaction: Where.
        lease: The worker's.
        message: The row.
        changes: What changes, in SQL.
        values: For `changes`.
        came_from: In which states it may be.
        record: Action and outcome for the audit, if it is to know.
    """
    cursor = await transaction.execute(
        f"""
        {_UNDER_LEASE}, stepped as (
          update ocean.message set {changes}, updated_at = statement_timestamp() from lease
           where message.site = %(site)s and message.id = %(id)s and message.state = any(%(came_from)s)
          returning message.id
        )
        select {"1" if record is None else _APPEND} from stepped
        """,
        {
            "site": lease.site,
            "holder": lease.holder,
            "epoch": lease.epoch,
            "id": message.id,
            "came_from": list(came_from),
            **values,
            **({} if record is None else _told(message, *record)),
        },
    )
    if cursor.rowcount != 1:
        await confirm(transaction, lease)
        raise MessageMovedError(f"Message {message.id} does not wait any more.")


_APPEND: Final = "ocean.append_audit(%(site)s, %(actor)s, %(action)s, %(what)s, %(outcome)s)"


def _told(message: Queued, action: str, outcome: str) -> dict[str, Any]:
    """What the audit is told."""
    what = {"message": message.id, "event": message.event, "kind": message.kind, "attempts": message.attempts + 1}
    if message.source_id:
        what |= {"source": message.source_id, "version": message.version}
    return {"actor": ACTOR, "action": action, "what": Jsonb(what), "outcome": outcome}
