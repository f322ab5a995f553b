"""One clinic's records on their way to Ocean: patients first, then appointments, each only if it is news."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ocean_api.report import Counts, SyncKind
from ocean_emr.contract import EmrAdapter
from ocean_emr.errors import EmrRecordError
from ocean_emr.ocean.client import OceanClient
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.ocean.errors import OceanRecordRejectedError
from ocean_emr.ocean.payloads import appointment_upload, patient_upload
from ocean_emr.ocean.profile import MAX_BATCH
from ocean_emr.records import Appointment, PatientId, ProviderId
from ocean_emr.store.snapshots import UNSETTLED, Kind
from ocean_emr.sync.decide import Fate, Removals, fate, on_schedule
from ocean_emr.sync.memory import Memory, Outgoing

_T = TypeVar("_T")


@dataclass(slots=True)
class Tally:
    """What the run has done so far."""

    appointments: int = 0
    sent: int = 0
    removed: int = 0
    patients: set[PatientId] = field(default_factory=set)
    """With an appointment on the schedule."""
    set_aside: Counter[str] = field(default_factory=Counter)
    """How many single records the EMR or Ocean spoilt or refused, by what was said of them."""

    def counts(self) -> Counts:
        """For the report."""
        return Counts(
            appointments=self.appointments,
            sent=self.sent,
            removed=self.removed,
            patients=len(self.patients),
            rejected=self.set_aside.total(),
        )


@dataclass(frozen=True, slots=True)
class Exchange:
    """One run between the EMR and Ocean. `take` pages in any order, then, after a full one, `remove` once."""

    kind: SyncKind
    site_number: str
    adapter: EmrAdapter
    ocean: OceanClient
    sek: SharedEncryptionKey
    memory: Memory
    provider_names: Mapping[ProviderId, str]
    tally: Tally
    seen: set[bytes] = field(default_factory=set)
    """Reference digests of appointments that are on the schedule."""
    _visited: set[PatientId] = field(default_factory=set)

    async def take(self, page: Sequence[Appointment]) -> None:
        """Send what is news in `page`. Memory is bounded by the page, but for ids."""
        self.tally.appointments += len(page)
        references = {self.memory.reference(Kind.APPOINTMENT, a.id): a for a in page}
        self.seen.update(ref for ref, appointment in references.items() if on_schedule(appointment))
        told = await self.memory.told(Kind.APPOINTMENT, references)
        outgoing, unchanged = [], []
        for ref, appointment in references.items():
            record = self._outgoing(appointment)
            if record is None:
                continue
            match fate(appointment, record.known.content_digest, told.get(ref)):
                case Fate.SEND:
                    outgoing.append((appointment, record))
                case Fate.KEEP:
                    unchanged.append(appointment)
        await self._send_patients([a for a, _ in outgoing], unchanged)
        await self._send(Kind.APPOINTMENT, [record for _, record in outgoing])

    async def remove(self, removals: Removals) -> None:
        """Take appointments from Ocean, forget those and what is over, and mark what is held."""
        for batch in _batches(removals.remove):
            refs = await self.memory.doubt(batch)
            result = await self.ocean.remove_appointments(list(refs))
            self.tally.removed += len(result.accepted)
            self._set_aside(*result.rejected)
            await self.memory.forget([refs[ref] for ref in result.accepted])
        await self.memory.forget(removals.forget)
        await self.memory.miss(removals.held)

    def _outgoing(self, appointment: Appointment) -> Outgoing | None:
        name = self.provider_names.get(appointment.provider_id)
        try:
            upload = appointment_upload(appointment, site_number=self.site_number, provider_name=name)
        except OceanRecordRejectedError as error:
            self._set_aside(error)
            return None
        day, provider = appointment.start.date(), appointment.provider_id
        return self.memory.outgoing(Kind.APPOINTMENT, upload, day=day, provider=provider)

    async def _send_patients(self, changed: Sequence[Appointment], unchanged: Sequence[Appointment]) -> None:
        """Send the patients of the page whom Ocean does not have as they are.

        A recent run asks the EMR only for those of new and changed appointments, and for those Ocean lacks.
        """
        met = dict.fromkeys(a.patient_id for a in (*unchanged, *changed) if a.patient_id and on_schedule(a))
        self.tally.patients |= met.keys()
        references = {self.memory.reference(Kind.PATIENT, patient): patient for patient in met}
        told = await self.memory.told(Kind.PATIENT, references)
        news = {a.patient_id for a in changed}
        outgoing = []
        for ref, patient in references.items():
            lacking = told.get(ref, UNSETTLED) == UNSETTLED
            if patient in self._visited or not (lacking or patient in news or self.kind is SyncKind.FULL):
                continue
            self._visited.add(patient)
            record = await self._patient(patient)
            if record is not None and record.known.content_digest != told.get(ref):
                outgoing.append(record)
        await self._send(Kind.PATIENT, outgoing)

    async def _patient(self, patient: PatientId) -> Outgoing | None:
        try:
            upload = patient_upload(await self.adapter.get_patient(patient), site_number=self.site_number)
        except (EmrRecordError, OceanRecordRejectedError) as error:
            self._set_aside(error)
            return None
        return self.memory.outgoing(Kind.PATIENT, upload)

    async def _send(self, kind: Kind, records: Sequence[Outgoing]) -> None:
        put = self.ocean.upsert_patients if kind is Kind.PATIENT else self.ocean.upsert_appointments
        for batch in _batches(records):
            await self.memory.announce(kind, batch)
            result = await put([record.upload for record in batch], self.sek)
            accepted = set(result.accepted)
            await self.memory.settle(kind, [record for record in batch if record.upload.ref in accepted])
            self.tally.sent += len(accepted)
            self._set_aside(*result.rejected)

    def _set_aside(self, *errors: EmrRecordError | OceanRecordRejectedError) -> None:
        """Count single records that were spoilt or refused; the others go on."""
        self.tally.set_aside.update(
            f"{error.reason}/{error.code}" if isinstance(error, OceanRecordRejectedError) else str(error.reason)
            for error in errors
        )


def _batches(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (items[start : start + MAX_BATCH] for start in range(0, len(items), MAX_BATCH))
