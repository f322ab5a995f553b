"""One clinic's records on their way to Ocean: patients first, then appointments, each only if it is news.

What Ocean was told is written down in the same transaction that proves this run still holds the lease. A crash
between Ocean's answer and that transaction means the records are sent once more, which changes nothing there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

import structlog

from ocean_api.report import SyncKind
from ocean_emr.contract import EmrAdapter
from ocean_emr.envelope import DataKey, Place
from ocean_emr.errors import EmrRecordError
from ocean_emr.ocean.client import OceanClient
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.ocean.errors import OceanRecordRejectedError
from ocean_emr.ocean.payloads import appointment_upload, patient_upload
from ocean_emr.ocean.profile import MAX_BATCH, Upload
from ocean_emr.records import Appointment, PatientId, ProviderId
from ocean_emr.store import snapshots
from ocean_emr.store.database import Database
from ocean_emr.store.leases import Lease, confirm
from ocean_emr.store.snapshots import Kind, Known, Record
from ocean_emr.sync.decide import Fate, Removals, fate

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Tally:
    """What the run has done so far."""

    appointments: int = 0
    sent: int = 0
    removed: int = 0
    rejected: int = 0


@dataclass(slots=True)
class Outgoing:
    """A record to send, with what is to be remembered of it."""

    upload: Upload
    ref_digest: bytes
    content_digest: bytes
    day: date | None = None
    group_digest: bytes | None = None


@dataclass(slots=True)
class Exchange:
    """The state of one run. `take` pages in any order, then `remove` once."""

    site: str
    site_number: str
    kind: SyncKind
    run_id: UUID
    adapter: EmrAdapter
    ocean: OceanClient
    sek: SharedEncryptionKey
    data_key: DataKey
    database: Database
    lease: Lease
    provider_names: dict[ProviderId, str]
    known: dict[bytes, bytes]
    """Appointments Ocean was told of: reference digest to content digest."""
    known_patients: dict[bytes, bytes]
    tally: Tally = field(default_factory=Tally)
    seen: set[bytes] = field(default_factory=set)
    """Reference digests of appointments that are on the schedule."""
    patients: set[PatientId] = field(default_factory=set)
    """Patients already looked at in this run."""

    async def take(self, page: Sequence[Appointment]) -> None:
        """Send what is news in `page`. Memory is bounded by the page."""
        outgoing, visits = [], []
        for appointment in page:
            self.tally.appointments += 1
            ref = self.data_key.digest(b"appointment:" + appointment.id.encode())
            record = self._outgoing(appointment, ref)
            if record is None:
                self.seen.add(ref)
                continue
            what = fate(appointment, record.content_digest, self.known.get(record.ref_digest), self.kind)
            if what in {Fate.SEND, Fate.KEEP}:
                self.seen.add(record.ref_digest)
            if what is Fate.SEND:
                outgoing.append(record)
            if what is Fate.SEND or (what is Fate.KEEP and self.kind is SyncKind.FULL):
                visits.append(appointment)
        await self._send_patients(visits)
        await self._send(Kind.APPOINTMENT, outgoing)

    async def remove(self, removals: Removals) -> None:
        """Take appointments from Ocean, and forget those and what is over."""
        for start in range(0, len(removals.remove), MAX_BATCH):
            batch = removals.remove[start : start + MAX_BATCH]
            async with self.database.transaction() as transaction:
                bodies = await snapshots.bodies(transaction, site=self.site, kind=Kind.APPOINTMENT, ref_digests=batch)
            refs = {self._opened(digest, body): digest for digest, body in bodies.items()}
            result = await self.ocean.remove_appointments(list(refs))
            self.tally.removed += len(result.accepted)
            self.tally.rejected += len(result.rejected)
            await self._forget([refs[ref] for ref in result.accepted])
        await self._forget(removals.forget)

    def _opened(self, digest: bytes, body: bytes) -> str:
        return self.data_key.open(body, self._place(Kind.APPOINTMENT, digest)).decode()

    async def _forget(self, digests: Sequence[bytes]) -> None:
        if not digests:
            return
        async with self.database.transaction() as transaction:
            await confirm(transaction, self.lease)
            await snapshots.forget(transaction, site=self.site, kind=Kind.APPOINTMENT, ref_digests=digests)

    def _outgoing(self, appointment: Appointment, ref: bytes) -> Outgoing | None:
        name = self.provider_names.get(appointment.provider_id)
        try:
            upload = appointment_upload(appointment, site_number=self.site_number, provider_name=name)
        except OceanRecordRejectedError as error:
            self._reject(error)
            return None
        return Outgoing(
            upload,
            ref,
            self.data_key.digest(upload.plaintext),
            appointment.start.date(),
            self.group(appointment.provider_id),
        )

    def group(self, provider: ProviderId) -> bytes:
        """How a provider's appointments are told apart in what is remembered."""
        return self.data_key.digest(b"provider:" + provider.encode())

    async def _send_patients(self, visits: Sequence[Appointment]) -> None:
        outgoing = []
        for patient_id in dict.fromkeys(v.patient_id for v in visits if v.patient_id):
            if patient_id in self.patients:
                continue
            self.patients.add(patient_id)
            try:
                patient = await self.adapter.get_patient(patient_id)
                upload = patient_upload(patient, site_number=self.site_number)
            except (EmrRecordError, OceanRecordRejectedError) as error:
                self._reject(error)
                continue
            ref = self.data_key.digest(b"patient:" + patient_id.encode())
            content = self.data_key.digest(upload.plaintext)
            if self.known_patients.get(ref) != content:
                outgoing.append(Outgoing(upload, ref, content))
        await self._send(Kind.PATIENT, outgoing)

    async def _send(self, kind: Kind, records: Sequence[Outgoing]) -> None:
        """Send in batches, and remember each batch as soon as Ocean has it."""
        put = self.ocean.upsert_patients if kind is Kind.PATIENT else self.ocean.upsert_appointments
        for start in range(0, len(records), MAX_BATCH):
            batch = {record.upload.ref: record for record in records[start : start + MAX_BATCH]}
            result = await put([record.upload for record in batch.values()], self.sek)
            for error in result.rejected:
                self._reject(error)
            await self._remember(kind, [batch[ref] for ref in result.accepted])
            self.tally.sent += len(result.accepted)

    async def _remember(self, kind: Kind, records: Sequence[Outgoing]) -> None:
        rows = [
            Record(
                Known(record.ref_digest, record.content_digest, record.day, record.group_digest),
                self.data_key.seal(record.upload.ref.encode(), self._place(kind, record.ref_digest)),
            )
            for record in records
        ]
        async with self.database.transaction() as transaction:
            await confirm(transaction, self.lease)
            await snapshots.put(transaction, site=self.site, kind=kind, records=rows, run_id=self.run_id)
        known = self.known_patients if kind is Kind.PATIENT else self.known
        known.update({record.ref_digest: record.content_digest for record in records})

    def _place(self, kind: Kind, ref_digest: bytes) -> Place:
        return Place(self.site, f"{kind}-snapshot", ref_digest.hex())

    def _reject(self, error: EmrRecordError | OceanRecordRejectedError) -> None:
        """Count a single record that was spoilt or refused; the others go on."""
        self.tally.rejected += 1
        log.warning("record set aside", site=self.site, reason=error.reason.value)
