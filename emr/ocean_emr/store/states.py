"""What a process of a site says about itself. The operator hears of a change and turns it into status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from ocean_emr.store.database import Transaction


async def write(transaction: Transaction, *, site: str, process: str, state: Mapping[str, Any]) -> None:
    """Say `state`. Saying it again changes nothing and wakes nobody.

    Args:
        transaction: Where.
        site: The clinic, as `namespace/name`.
        process: Who says it: one row each, in lower case, such as `sync`.
        state: JSON without anything of a patient; 64 KiB at most.
    """
    await transaction.execute(
        """
        insert into ocean.site_state (site, process, state) values (%(site)s, %(process)s, %(state)s)
        on conflict (site, process) do update set state = excluded.state
        """,
        {"site": site, "process": process, "state": Jsonb(dict(state))},
    )


async def read(transaction: Transaction, *, site: str, process: str) -> dict[str, Any] | None:
    """What `process` said last; None when it never said anything."""
    cursor = await transaction.execute(
        "select state from ocean.site_state where site = %s and process = %s", [site, process]
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]
