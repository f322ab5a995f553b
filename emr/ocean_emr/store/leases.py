# ruff: noqa: S608 - what varies is the name of a table of ours
"""One writer of a kind for each site: a row with an end and an epoch that only grows, by the database's clock.

The EMR and Ocean know nothing of epochs, so whoever holds a lease renews it well before its end, keeps its
requests shorter than what is left, and writes to the database only together with `confirm`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from ocean_emr.store.database import Transaction
from ocean_emr.store.errors import LeaseLostError, LeaseTakenError


class Writer(StrEnum):
    """What there is one of for each site: the table of its leases."""

    SYNC = "sync_lease"
    WORKER = "worker_lease"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to be the only one at work for a site."""

    site: str
    holder: str
    """Who: unique for each process, such as the pod's name."""
    epoch: int
    """Larger than that of every earlier lease of the site."""
    writer: Writer = Writer.SYNC


async def acquire(  # noqa: PLR0913 - keywords, the facts of one lease
    transaction: Transaction,
    *,
    site: str,
    holder: str,
    lifetime: timedelta,
    writer: Writer = Writer.SYNC,
    after_itself: bool = False,
) -> Lease:
    """A new lease.

    Args:
        transaction: Where.
        site: The clinic, as `namespace/name`.
        holder: Who, as in `Lease`.
        lifetime: How long it lasts if it is not renewed.
        writer: Of which kind.
        after_itself: Whether an earlier lease of the same holder is at an end, whatever it says: whoever had it under
            this name is known to be dead.

    Raises:
        LeaseTakenError: Another lease has not ended yet.
    """
    cursor = await transaction.execute(
        f"""
        insert into ocean.{writer} as lease (site, holder, epoch, expires_at)
        values (%(site)s, %(holder)s, 1, clock_timestamp() + %(lifetime)s)
        on conflict (site) do update
           set holder = excluded.holder, epoch = lease.epoch + 1, expires_at = excluded.expires_at
         where lease.expires_at <= clock_timestamp() or (%(after_itself)s and lease.holder = excluded.holder)
        returning epoch
        """,
        {"site": site, "holder": holder, "lifetime": lifetime, "after_itself": after_itself},
    )
    row = await cursor.fetchone()
    if row is None:
        raise LeaseTakenError(f"Another one is at work for {site}.")
    return Lease(site, holder, row[0], writer)


async def renew(transaction: Transaction, lease: Lease, *, lifetime: timedelta) -> None:
    """Let `lease` end `lifetime` from now.

    Raises:
        LeaseLostError: It has ended already; another one may be at work.
    """
    cursor = await transaction.execute(
        f"""
        update ocean.{lease.writer} set expires_at = clock_timestamp() + %(lifetime)s
         where site = %(site)s and holder = %(holder)s and epoch = %(epoch)s and expires_at > clock_timestamp()
        """,
        {"site": lease.site, "holder": lease.holder, "epoch": lease.epoch, "lifetime": lifetime},
    )
    if cursor.rowcount != 1:
        raise LeaseLostError(f"The lease on {lease.site} has run out.")


async def confirm(transaction: Transaction, lease: Lease) -> None:
    """Make what this transaction writes depend on `lease`: nobody can take it over before the commit.

    Renewing waits as well, so keep such transactions short.

    Raises:
        LeaseLostError: It has ended; nothing of this transaction may be kept.
    """
    cursor = await transaction.execute(
        f"""
        select 1 from ocean.{lease.writer}
         where site = %(site)s and holder = %(holder)s and epoch = %(epoch)s and expires_at > clock_timestamp()
           for share
        """,
        {"site": lease.site, "holder": lease.holder, "epoch": lease.epoch},
    )
    if await cursor.fetchone() is None:
        raise LeaseLostError(f"The lease on {lease.site} has run out.")


async def release(transaction: Transaction, lease: Lease) -> None:
    """End `lease` now. One that was lost is left alone."""
    await transaction.execute(
        f"""
        update ocean.{lease.writer} set expires_at = clock_timestamp()
         where site = %(site)s and holder = %(holder)s and epoch = %(epoch)s and expires_at > clock_timestamp()
        """,
        {"site": lease.site, "holder": lease.holder, "epoch": lease.epoch},
    )
