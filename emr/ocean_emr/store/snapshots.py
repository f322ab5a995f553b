"""What Ocean was last told about a site, record by record, to find out what is new, changed or gone.

References and contents are keyed digests, bodies are sealed (`ocean_emr.envelope`): this module sees bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID

from ocean_emr.store.database import Transaction

UNSETTLED = b""
"""In the place of a content digest: Ocean may have been told, or not, and has to be told again."""

_PAGE = 500


class Kind(StrEnum):
    """What a record is."""

    APPOINTMENT = "appointment"
    PATIENT = "patient"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Known:
    """A record that Ocean was told of, without its body."""

    ref_digest: bytes
    """Which record: a keyed digest of the EMR's reference."""
    content_digest: bytes
    """A keyed digest of what Ocean was told, or `UNSETTLED`."""
    day: date | None = None
    """An appointment's local day at the clinic."""
    group_digest: bytes | None = None
    """What it belongs to: a keyed digest of an appointment's provider."""
    run_id: UUID | None = None
    """The run that last told Ocean of it, or missed it in the EMR."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record to remember."""

    known: Known
    body: bytes
    """The EMR's reference, sealed."""


async def read(
    transaction: Transaction, *, site: str, kind: Kind, first_day: date | None = None, end_day: date | None = None
) -> AsyncIterator[Known]:
    """The records known of one kind, by reference, a page at a time.

    Args:
        transaction: Where.
        site: The clinic, as `namespace/name`.
        kind: Which kind.
        first_day: If given, only those of this day or later.
        end_day: If given, only those before this day.
    """
    after = b""
    while True:
        cursor = await transaction.execute(
            """
            select ref_digest, content_digest, day, group_digest, run_id from ocean.snapshot
             where site = %(site)s and kind = %(kind)s and ref_digest > %(after)s
               and (%(first_day)s::date is null or day >= %(first_day)s)
               and (%(end_day)s::date is null or day < %(end_day)s)
             order by ref_digest limit %(page)s
            """,
            {
                "site": site,
                "kind": kind,
                "after": after,
                "first_day": first_day,
                "end_day": end_day,
                "page": _PAGE,
            },
        )
        rows = await cursor.fetchall()
        for ref_digest, content_digest, day, group_digest, run_id in rows:
            yield Known(ref_digest, content_digest, day, group_digest, run_id)
        if len(rows) < _PAGE:
            return
        after = rows[-1][0]


async def contents(
    transaction: Transaction, *, site: str, kind: Kind, ref_digests: Collection[bytes]
) -> dict[bytes, bytes]:
    """The content digests of those records that are known, by reference."""
    cursor = await transaction.execute(
        "select ref_digest, content_digest from ocean.snapshot where site = %s and kind = %s and ref_digest = any(%s)",
        [site, kind, list(ref_digests)],
    )
    return dict(await cursor.fetchall())


async def bodies(
    transaction: Transaction, *, site: str, kind: Kind, ref_digests: Collection[bytes]
) -> dict[bytes, bytes]:
    """The sealed bodies of those records that are known, by reference."""
    cursor = await transaction.execute(
        "select ref_digest, body from ocean.snapshot where site = %s and kind = %s and ref_digest = any(%s)",
        [site, kind, list(ref_digests)],
    )
    return dict(await cursor.fetchall())


async def put(transaction: Transaction, *, site: str, kind: Kind, records: Sequence[Record], run_id: UUID) -> None:
    """Remember `records` as told by `run_id`, in the place of what was known of them."""
    rows = [
        (
            site,
            kind,
            record.known.ref_digest,
            record.known.day,
            record.known.group_digest,
            record.known.content_digest,
            record.body,
            run_id,
        )
        for record in records
    ]
    async with transaction.cursor() as cursor:
        await cursor.executemany(
            """
            insert into ocean.snapshot
                   (site, kind, ref_digest, day, group_digest, content_digest, body, run_id)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (site, kind, ref_digest) do update
               set day = excluded.day, group_digest = excluded.group_digest,
                   content_digest = excluded.content_digest, body = excluded.body, run_id = excluded.run_id
            """,
            rows,
        )


async def unsettle(transaction: Transaction, *, site: str, kind: Kind, ref_digests: Collection[bytes]) -> None:
    """Note that what Ocean has under these references is about to change."""
    await transaction.execute(
        "update ocean.snapshot set content_digest = %s where site = %s and kind = %s and ref_digest = any(%s)",
        [UNSETTLED, site, kind, list(ref_digests)],
    )


async def mark_missing(
    transaction: Transaction, *, site: str, kind: Kind, ref_digests: Collection[bytes], run_id: UUID
) -> None:
    """Note that `run_id` missed these records in the EMR."""
    await transaction.execute(
        "update ocean.snapshot set run_id = %s where site = %s and kind = %s and ref_digest = any(%s)",
        [run_id, site, kind, list(ref_digests)],
    )


async def forget(transaction: Transaction, *, site: str, kind: Kind, ref_digests: Collection[bytes]) -> None:
    """Forget these records: Ocean has been told that they are gone."""
    await transaction.execute(
        "delete from ocean.snapshot where site = %s and kind = %s and ref_digest = any(%s)",
        [site, kind, list(ref_digests)],
    )


async def forget_all(transaction: Transaction, *, site: str) -> None:
    """Forget everything: it was sealed under a key that is no longer in use."""
    await transaction.execute("delete from ocean.snapshot where site = %s", [site])
