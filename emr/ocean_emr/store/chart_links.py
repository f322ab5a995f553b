"""Which chart of the EMR is whose at Ocean. What is kept of the chart's id is sealed."""

from __future__ import annotations

import hashlib

from ocean_emr.store.database import Transaction
from ocean_emr.store.leases import Lease, confirm
from ocean_emr.store.messages import Sealed


def digest_of(site: str, ref: str) -> bytes:
    """By what a link is found. `ref` is a reference of Ocean's own making."""
    return hashlib.sha256(f"{site}/chart/{ref}".encode()).digest()


async def read(transaction: Transaction, *, site: str, ref: str) -> Sealed | None:
    """The sealed id of the chart that was found for Ocean's patient `ref`, if one was."""
    cursor = await transaction.execute(
        "select body, body_key from ocean.chart_link where site = %s and ref_digest = %s", [site, digest_of(site, ref)]
    )
    row = await cursor.fetchone()
    return None if row is None else Sealed(row[0], row[1])


async def put(transaction: Transaction, lease: Lease, *, ref: str, chart: Sealed) -> None:
    """Remember the chart of Ocean's patient `ref`, in the place of an earlier one.

    Raises:
        LeaseLostError: Another worker may have begun.
    """
    await confirm(transaction, lease)
    await transaction.execute(
        """
        insert into ocean.chart_link (site, ref_digest, body, body_key) values (%s, %s, %s, %s)
        on conflict (site, ref_digest) do update
           set body = excluded.body, body_key = excluded.body_key, updated_at = clock_timestamp()
        """,
        [lease.site, digest_of(lease.site, ref), chart.data, chart.key],
    )


async def forget(transaction: Transaction, lease: Lease, *, ref: str) -> None:
    """Forget the chart of Ocean's patient `ref`: it is not in the EMR any more.

    Raises:
        LeaseLostError: Another worker may have begun.
    """
    await confirm(transaction, lease)
    await transaction.execute(
        "delete from ocean.chart_link where site = %s and ref_digest = %s", [lease.site, digest_of(lease.site, ref)]
    )
