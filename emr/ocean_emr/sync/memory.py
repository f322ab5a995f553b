"""What Ocean was told about a clinic, as one run reads and writes it. Every change depends on the run's lease.

Whatever is about to change at Ocean is written down first (`announce`, `doubt`), and once more when Ocean has
answered (`settle`, `forget`). A run that dies in between leaves nothing at Ocean that nobody remembers, and nothing
that is remembered wrongly: the next run tells Ocean again, which changes nothing there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from ocean_emr.envelope import DataKey, Place
from ocean_emr.ocean.profile import Upload
from ocean_emr.records import ProviderId
from ocean_emr.store import snapshots
from ocean_emr.store.database import Database
from ocean_emr.store.leases import Lease, confirm
from ocean_emr.store.snapshots import UNSETTLED, Kind, Known, Record


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record on its way to Ocean, with what is to be remembered of it."""

    upload: Upload
    known: Known


@dataclass(frozen=True, slots=True)
class Memory:
    """One run's view."""

    site: str
    data_key: DataKey
    database: Database
    lease: Lease
    run_id: UUID

    def reference(self, kind: Kind, ref: str) -> bytes:
        """By which digest the record with the EMR's id `ref` is remembered."""
        return self.data_key.digest(f"{kind}:{ref}".encode())

    def group(self, provider: ProviderId) -> bytes:
        """By which digest a provider's appointments are told apart."""
        return self.data_key.digest(f"provider:{provider}".encode())

    def outgoing(
        self, kind: Kind, upload: Upload, *, day: date | None = None, provider: ProviderId | None = None
    ) -> Outgoing:
        """`upload`, ready to be sent and remembered."""
        group = None if provider is None else self.group(provider)
        content = self.data_key.digest(upload.plaintext)
        return Outgoing(upload, Known(self.reference(kind, upload.ref), content, day, group))

    async def told(self, kind: Kind, references: Collection[bytes]) -> dict[bytes, bytes]:
        """The content digests of those records that Ocean was told of, by reference digest."""
        if not references:
            return {}
        async with self.database.transaction() as transaction:
            return await snapshots.contents(transaction, site=self.site, kind=kind, ref_digests=references)

    async def appointments(self) -> AsyncGenerator[Known, None]:
        """Every appointment Ocean was told of. Use it up at once: a transaction is open meanwhile."""
        async with self.database.transaction() as transaction:
            async for record in snapshots.read(transaction, site=self.site, kind=Kind.APPOINTMENT):
                yield record

    async def announce(self, kind: Kind, records: Sequence[Outgoing]) -> None:
        """Note that Ocean is about to be told of `records`."""
        await self._put(kind, [Outgoing(r.upload, replace(r.known, content_digest=UNSETTLED)) for r in records])

    async def settle(self, kind: Kind, records: Sequence[Outgoing]) -> None:
        """Note that Ocean has `records` as they are."""
        await self._put(kind, records)

    async def doubt(self, references: Collection[bytes]) -> dict[str, bytes]:
        """Note that these appointments are about to be removed. Returns the EMR's ids with their reference digests."""
        kind = Kind.APPOINTMENT
        async with self.database.transaction() as transaction:
            await confirm(transaction, self.lease)
            await snapshots.unsettle(transaction, site=self.site, kind=kind, ref_digests=references)
            bodies = await snapshots.bodies(transaction, site=self.site, kind=kind, ref_digests=references)
        return {self.data_key.open(body, self._place(kind, ref)).decode(): ref for ref, body in bodies.items()}

    async def forget(self, references: Collection[bytes]) -> None:
        """Note that Ocean does not have these appointments any more, or that they need not be compared again."""
        if not references:
            return
        async with self.database.transaction() as transaction:
            await confirm(transaction, self.lease)
            await snapshots.forget(transaction, site=self.site, kind=Kind.APPOINTMENT, ref_digests=references)

    async def miss(self, references: Collection[bytes]) -> None:
        """Note that this run missed these appointments in the EMR and did not remove them."""
        if not references:
            return
        async with self.database.transaction() as transaction:
            await confirm(transaction, self.lease)
            await snapshots.mark_missing(
                transaction, site=self.site, kind=Kind.APPOINTMENT, ref_digests=references, run_id=self.run_id
            )

    async def _put(self, kind: Kind, records: Sequence[Outgoing]) -> None:
        if not records:
            return
        rows = [
            Record(r.known, self.data_key.seal(r.upload.ref.encode(), self._place(kind, r.known.ref_digest)))
            for r in records
        ]
        async with self.database.transaction() as transaction:
            await confirm(transaction, self.lease)
            await snapshots.put(transaction, site=self.site, kind=kind, records=rows, run_id=self.run_id)

    def _place(self, kind: Kind, reference: bytes) -> Place:
        return Place(self.site, f"{kind}-snapshot", reference.hex())
