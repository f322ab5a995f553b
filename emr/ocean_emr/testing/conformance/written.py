"""What the checks of writing write, and how they see what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Final
from uuid import UUID, uuid5

from ocean_emr.contract import EmrAdapter
from ocean_emr.errors import EmrError
from ocean_emr.records import Address, AppointmentId, HealthNumber, Operation, PatientId, Sex
from ocean_emr.testing.conformance.clinic import DAY, PATIENTS, ZOE, ZONE, Clinic, booking
from ocean_emr.testing.conformance.rig import NotApplicableError, Rig
from ocean_emr.writes import (
    Arrival,
    Demographics,
    DemographicsUpdate,
    NewAppointment,
    NewDocument,
    NewNote,
    NewPatient,
    NoteKind,
    ProbeResult,
    Write,
    WriteOutcome,
)

PATIENT: Final = PATIENTS[0]
EXPECTED: Final = booking(1, DAY, time(9))
"""The patient's booking, whose arrival is written."""
TEXT: Final = "Réponses du patient p1001 :\nDouleur : où ? Ça dépend. Sœur naïve, Noël, Ünlü, “oui”, 37 °C\n\nFin."
PDF: Final = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n" + bytes(range(256))
NOBODY: Final = PatientId("4004")

_SEEN: Final = datetime(2024, 5, 6, 14, 5, tzinfo=ZONE)

WRITES: Final[Mapping[Operation, Write]] = {
    Operation.CREATE_PATIENT: NewPatient(
        "Zoé-Ünlü",
        "p1003-Bélanger",
        datetime(1990, 8, 31, tzinfo=ZONE).date(),
        Sex.FEMALE,
        HealthNumber("1234567897", "ON", "CD"),
        Address("3 rue de l'Église", "Québec", "QC", "G1G 1G1"),
        home_phone="418-555-0103",
        email="p1003@example.org",
        language="fr",
        provider_id=ZOE,
    ),
    Operation.CREATE_APPOINTMENT: NewAppointment(
        PATIENT.id, ZOE, datetime.combine(DAY, time(14, 20), ZONE), 20, reason="Suivi : sœur fiévreuse"
    ),
    Operation.MARK_ARRIVED: Arrival(EXPECTED.id),
    Operation.WRITE_NOTE: NewNote(PATIENT.id, NoteKind.PROGRESS_NOTE, "Santé générale", TEXT, _SEEN),
    Operation.UPLOAD_DOCUMENT: NewDocument(PATIENT.id, "Référence à p1001", PDF, _SEEN),
    Operation.UPDATE_DEMOGRAPHICS: DemographicsUpdate(
        PATIENT.id, Demographics(email="p1001.née@example.org"), Demographics(email=PATIENT.email)
    ),
}
"""One of each kind, all possible in `CLINIC`."""

CLINIC: Final = Clinic((EXPECTED, booking(2, DAY, time(11), patient=PATIENTS[1].id)))

CREATING: Final = (
    Operation.CREATE_PATIENT,
    Operation.CREATE_APPOINTMENT,
    Operation.WRITE_NOTE,
    Operation.UPLOAD_DOCUMENT,
)
"""Writes that make a record, for which an earlier attempt is found by its key."""


def key(operation: Operation, number: int = 0) -> UUID:
    """A key of `operation`'s."""
    return uuid5(UUID(int=number), operation)


@dataclass(frozen=True, slots=True)
class Change:
    """What is there now and was not before, and the reverse: kind of record and patient, with how many."""

    added: Counter[tuple[str, str]]
    gone: Counter[tuple[str, str]]

    @property
    def nothing(self) -> bool:
        """Whether all is as it was."""
        return not self.added and not self.gone


class View:
    """Everything that a person at the clinic sees."""

    def __init__(self, rig: Rig) -> None:
        """Look now."""
        self._seen = Counter(_everything(rig))

    def change(self, rig: Rig) -> Change:
        """What has changed since."""
        now = Counter(_everything(rig))
        return Change(_labels(now - self._seen), _labels(self._seen - now))


def _everything(rig: Rig) -> Iterable[tuple[str, str, str]]:
    for patient, fields in rig.charts().items():
        yield "chart", patient, repr(sorted(fields.items()))
        for note in rig.notes(patient):
            yield "note", patient, note
        for document in rig.documents(patient):
            yield "document", patient, repr(document)
        for appointment in rig.bookings(patient):
            yield "booking", patient, repr((appointment, appointment.reason))


def _labels(records: Counter[tuple[str, str, str]]) -> Counter[tuple[str, str]]:
    labels: Counter[tuple[str, str]] = Counter()
    for (kind, patient, _), number in records.items():
        labels[kind, patient] += number
    return labels


def written_once(operation: Operation, change: Change) -> bool:
    """Whether `change` is that `operation`'s write was carried out once, and nothing else."""
    match operation:
        case Operation.CREATE_PATIENT:
            return [kind for kind, _ in change.added.elements()] == ["chart"] and not change.gone
        case Operation.MARK_ARRIVED | Operation.UPDATE_DEMOGRAPHICS:
            kind = "booking" if operation is Operation.MARK_ARRIVED else "chart"
            return change.added == change.gone == Counter({(kind, PATIENT.id): 1})
        case _:
            kind = {Operation.CREATE_APPOINTMENT: "booking", Operation.WRITE_NOTE: "note"}.get(operation, "document")
            return change.added == Counter({(kind, PATIENT.id): 1}) and not change.gone


async def claimed(rig: Rig, operations: Iterable[Operation] = WRITES) -> list[Operation]:
    """Those of `operations` that the adapter claims and the EMR takes.

    Raises:
        NotApplicableError: None.
    """
    wanted = [operation for operation in operations if operation not in rig.lacking]
    async with rig.adapter() as adapter:
        claims = [operation for operation in wanted if adapter.capabilities().supports(operation)]
    if not claims:
        raise NotApplicableError(" or ".join(wanted))
    return claims


async def found(rig: Rig, operations: Iterable[Operation] = WRITES) -> list[Operation]:
    """Those of `operations` that the adapter claims and the EMR can be searched for.

    Raises:
        NotApplicableError: None.
    """
    return await claimed(rig, [operation for operation in operations if operation in rig.searchable])


async def write(rig: Rig, operation: Operation, number: int = 0) -> WriteOutcome:
    """Carry out the write of `WRITES`, with an adapter of its own, as after a restart."""
    async with rig.adapter() as adapter:
        return await adapter.write(WRITES[operation], key(operation, number))


async def probe(rig: Rig, operation: Operation, number: int = 0) -> ProbeResult:
    """Probe for it, likewise."""
    async with rig.adapter() as adapter:
        return await adapter.probe(WRITES[operation], key(operation, number))


async def failure(adapter: EmrAdapter, wanted: Write, with_key: UUID) -> EmrError | None:
    """How the write fails; None if it does not."""
    try:
        await adapter.write(wanted, with_key)
    except EmrError as error:
        return error
    return None


def appointment_id(number: int) -> AppointmentId:
    """The id of `booking(number, …)`."""
    return AppointmentId(str(number))
