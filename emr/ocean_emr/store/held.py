# ruff: noqa: S608 - what is put into the SQL are words of this file
"""What people do with a site's messages: look, have one tried again, dismiss one with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ocean_api.reasons import Reason
from ocean_emr.store import audit
from ocean_emr.store.database import Transaction
from ocean_emr.store.errors import MessageMovedError
from ocean_emr.store.messages import Sealed, State

MOST_SHOWN: Final = 500
LONGEST_WHY: Final = 500


@dataclass(frozen=True, slots=True)
class Row:
    """A message as people see it. Nothing of a patient is in it."""

    id: int
    kind: str
    state: State
    received_at: datetime
    due_at: datetime
    updated_at: datetime
    attempts: int
    reason: str
    note: str
    source_id: str
    version: int
    emr_ref: str
    """What the EMR calls what was written of it so far."""
    place: tuple[int, int]
    """Its order: the event it came from, and its number among what came from it."""


_COLUMNS: Final = """
    id, kind, state, received_at, due_at, updated_at, attempts, coalesce(reason, ''), coalesce(note, ''),
    coalesce(source_id, ''), coalesce(version, 0), coalesce(emr_ref, ''), event, step
"""


async def held(transaction: Transaction, *, site: str, after: tuple[int, int] = (0, 0)) -> tuple[Row, ...]:
    """The site's held messages in their order, at most `MOST_SHOWN`.

    Args:
        transaction: Where.
        site: The clinic, as `namespace/name`.
        after: For the next page: `place` of the last one of the page before.
    """
    return await _listed(transaction, site, "state = 'held'", after)


async def waiting(transaction: Transaction, *, site: str, after: tuple[int, int] = (0, 0)) -> tuple[Row, ...]:
    """The site's messages that wait for the EMR, for Ocean or for the end of a sitting; otherwise as `held`."""
    return await _listed(transaction, site, "state in ('accepted', 'gathering', 'sent')", after)


async def _listed(transaction: Transaction, site: str, which: str, after: tuple[int, int]) -> tuple[Row, ...]:
    # Written out and not passed as a value: only so PostgreSQL sees that the small indexes serve.
    cursor = await transaction.execute(
        f"""
        select {_COLUMNS} from ocean.message
         where site = %s and {which} and (event, step) > (%s, %s) order by event, step limit %s
        """,
        [site, *after, MOST_SHOWN],
    )
    return tuple(_row(row) for row in await cursor.fetchall())


async def shown(transaction: Transaction, *, site: str, number: int) -> tuple[Row, Sealed | None] | None:
    """One message with its sealed content; None where there is none of that number."""
    cursor = await transaction.execute(
        f"select {_COLUMNS}, body, body_key from ocean.message where site = %s and id = %s", [site, number]
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    *first, body, key = row
    return _row(first), None if body is None else Sealed(body, key)


async def retry(transaction: Transaction, *, site: str, number: int, actor: str) -> None:
    """Have a held message tried again, or a waiting one now. The audit tells who asked.

    Of one whose outcome nobody knows, the person says by this that the EMR does not have it.

    Raises:
        MessageMovedError: It is neither held nor waiting, or just now under way.
    """
    cursor = await transaction.execute(
        """
        update ocean.message
           set state = 'accepted', attempts = 0, due_at = statement_timestamp(), updated_at = statement_timestamp(),
               reason = null, note = null,
               plan = case when written > 0 then plan end, plan_key = case when written > 0 then plan_key end,
               plan_digest = case when written > 0 then plan_digest end
         where site = %s and id = %s and state in ('held', 'accepted')
        """,
        [site, number],
    )
    await _tell(transaction, cursor.rowcount, site=site, number=number, actor=actor, action="message.retry")


async def dismiss(transaction: Transaction, *, site: str, number: int, actor: str, why: str) -> None:
    """Take a held message out of the queue for ever. Its content is forgotten; the audit keeps who and why.

    Args:
        transaction: Where.
        site: The clinic, as `namespace/name`.
        number: The message's id.
        actor: Who asks.
        why: For the audit, without anything of the patient.

    Raises:
        MessageMovedError: It is not held.
        ValueError: There is no reason, or a very long one.
    """
    if not why.strip() or len(why) > LONGEST_WHY:
        raise ValueError(f"Give a reason of at most {LONGEST_WHY} characters.")
    cursor = await transaction.execute(
        """
        update ocean.message
           set state = 'dismissed', reason = %s, body = null, body_key = null, plan = null, plan_key = null,
               plan_digest = null, updated_at = statement_timestamp()
         where site = %s and id = %s and state = 'held'
        """,
        [Reason.MESSAGE_DISMISSED, site, number],
    )
    await _tell(
        transaction, cursor.rowcount, site=site, number=number, actor=actor, action="message.dismiss", why=why.strip()
    )


async def _tell(  # noqa: PLR0913 - what was done to which
    transaction: Transaction, rows: int, *, site: str, number: int, actor: str, action: str, why: str | None = None
) -> None:
    if rows != 1:
        raise MessageMovedError(f"Message {number} is not in a state that allows this.")
    what: dict[str, Any] = {"message": number} if why is None else {"message": number, "why": why}
    await audit.append(transaction, site=site, actor=actor, action=action, what=what, outcome="done")


def _row(row: Sequence[Any]) -> Row:
    number, kind, state, received, due, updated, attempts, reason, note, source_id, version, emr_ref, *place = row
    return Row(
        id=number,
        kind=kind,
        state=State(state),
        received_at=received,
        due_at=due,
        updated_at=updated,
        attempts=attempts,
        reason=reason,
        note=note,
        source_id=source_id,
        version=version,
        emr_ref=emr_ref,
        place=(place[0], place[1]),
    )
