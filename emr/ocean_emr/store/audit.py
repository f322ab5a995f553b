"""The audit as a site's pods reach it: they add to their own chain, and can neither read nor change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from ocean_emr.store.database import Transaction


async def append(  # noqa: PLR0913 - keywords, the fields of one record
    transaction: Transaction, *, site: str, actor: str, action: str, what: Mapping[str, Any], outcome: str
) -> int:
    """Add a record in the transaction of the effect it tells of, so that there is never one without the other.

    Writers of one site wait for each other until the commit: keep such transactions short.

    Args:
        transaction: Where.
        site: The clinic, as `namespace/name`.
        actor: Who acted. PostgreSQL adds the login, which cannot be made up.
        action: What was done, such as `sync.full`.
        what: To what and why: our own ids, counts and reasons, never anything of a patient or a key.
        outcome: How it ended, such as `done` or a reason.

    Returns:
        The record's number in the site's chain.
    """
    cursor = await transaction.execute(
        "select ocean.append_audit(%s, %s, %s, %s, %s)", [site, actor, action, Jsonb(dict(what)), outcome]
    )
    row = await cursor.fetchone()
    if row is None:
        raise AssertionError("append_audit always answers")
    number: int = row[0]
    return number
