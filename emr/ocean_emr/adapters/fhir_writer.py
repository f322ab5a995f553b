"""The write side of a FHIR R4 interface: look, write once, look again. Loaded when something is to be written.

Source: Ocean Cloud Connect FHIR Implementation Guide, Kiosk, Website Forms and profiles; FHIR R4, http, "Conditional
create" and "Managing Resource Contention". docs/emr/fhir-r4.md says what of this is our own.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, assert_never
from uuid import UUID

from ocean_emr.adapters.fhir_client import FhirClient, Held, bundle
from ocean_emr.adapters.fhir_made import NewRecord, carries, made, refers_to, token, unless_there
from ocean_emr.adapters.fhir_merge import merged, patient_of, without_generated_text
from ocean_emr.adapters.fhir_resources import ARRIVABLE, HERE, MOST_BYTES, STATUSES, is_id
from ocean_emr.errors import (
    EmrAnswerError,
    EmrConflictError,
    EmrError,
    EmrNotFoundError,
    EmrNotSupportedError,
    EmrOutcomeUnknownError,
    EmrPermissionDeniedError,
    EmrWriteRefusedError,
)
from ocean_emr.records import Operation
from ocean_emr.updating import fields_to_write
from ocean_emr.writes import (
    Arrival,
    DemographicsUpdate,
    NewAppointment,
    NewDocument,
    NewNote,
    NewPatient,
    Probe,
    ProbeResult,
    Write,
    WriteOutcome,
    WriteStatus,
)

_NO_SEARCH: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.GONE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""How servers refuse a search that they do not know."""
_KINDS: Final = {
    Operation.CREATE_PATIENT: "Patient",
    Operation.CREATE_APPOINTMENT: "Appointment",
    Operation.WRITE_NOTE: "DocumentReference",
    Operation.UPLOAD_DOCUMENT: "DocumentReference",
}


class FhirWriter:
    """Writes and probes by way of one client."""

    def __init__(self, client: FhirClient) -> None:
        """Ask nobody yet."""
        self._client = client
        self._drops_keys: set[str] = set()
        """Kinds of resources whose key this server was seen to drop: not finding it proves nothing."""

    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        """As the contract says."""
        match write:
            case Arrival():
                return await self._arrive(write)
            case DemographicsUpdate():
                return await self._update(write)
            case NewPatient() | NewAppointment() | NewNote() | NewDocument():
                return await self._create(write, key)
            case _:
                assert_never(write)

    async def probe(self, write: Write, key: UUID) -> ProbeResult:
        """As the contract says. Arrivals and updates are looked for by what they bring about."""
        try:
            match write:
                case Arrival():
                    shown = await self._client.held(write.operation, "Appointment", write.appointment_id)
                    done, ref = _status(shown) in HERE, str(write.appointment_id)
                case DemographicsUpdate():
                    done, ref = not (await self._pending(write))[1], str(write.patient_id)
                case NewPatient() | NewAppointment() | NewNote() | NewDocument():
                    return await self._find(write.operation, key)
                case _:
                    assert_never(write)
        except (EmrNotFoundError, EmrConflictError, EmrWriteRefusedError):
            return ProbeResult(Probe.NOT_APPLIED)
        return ProbeResult(Probe.APPLIED, ref) if done else ProbeResult(Probe.NOT_APPLIED)

    async def _create(self, write: NewRecord, key: UUID) -> WriteOutcome:
        op = write.operation
        if not all(map(is_id, refers_to(write))):
            raise EmrNotFoundError("FHIR has no ids of this form, so the EMR has no such record", op=op)
        if isinstance(write, NewDocument) and len(write.pdf) > MOST_BYTES:
            what = f"it is larger than the {MOST_BYTES // 1_000_000} MB that EMRs take"
            raise EmrWriteRefusedError(what, op=op)
        before = await self._find(op, key)
        if before.probe is Probe.APPLIED:
            return WriteOutcome(WriteStatus.ALREADY_PRESENT, before.ref)
        if not isinstance(write, NewPatient):
            # Some servers keep what is for nobody.
            await self._client.held(op, "Patient", write.patient_id)
        # A server that cannot search by identifier would refuse the condition, and the write with it.
        unless = unless_there(write, key) if before.probe is Probe.NOT_APPLIED else None
        try:
            ref, is_new = await self._client.create(op, made(write, key), unless=unless)
        except EmrConflictError:
            # HAPI answers so to whoever is second of two at once, and then the first one's is there.
            return await self._already_there(op, key)
        try:
            return await self._proven(op, key, ref, is_new=is_new)
        except (EmrConflictError, EmrOutcomeUnknownError):
            raise
        except EmrError as error:
            raise _unseen(error, op) from None

    async def _already_there(self, op: Operation, key: UUID) -> WriteOutcome:
        found = await self._find(op, key)
        if found.probe is Probe.APPLIED:
            return WriteOutcome(WriteStatus.ALREADY_PRESENT, found.ref)
        raise EmrConflictError(
            f"the EMR has such a {_KINDS[op]} already, or refuses two at once, and it is not ours", op=op
        )

    async def _proven(self, op: Operation, key: UUID, ref: str | None, *, is_new: bool) -> WriteOutcome:
        """The outcome of a create that the EMR took, after looking at what is there."""
        kind = _KINDS[op]
        if ref is None:
            found = await self._find(op, key)
            if found.probe is not Probe.APPLIED:
                raise EmrOutcomeUnknownError("the EMR took it and does not tell where it is", op=op)
            ref = found.ref
        try:
            ours = carries((await self._client.held(op, kind, ref)).resource, key)
        except (EmrPermissionDeniedError, EmrNotSupportedError):
            # Writing was allowed and reading is not: this EMR cannot be read back.
            ours = is_new
        if is_new:
            if not ours:
                self._drops_keys.add(kind)
            return WriteOutcome(WriteStatus.CREATED, ref)
        if ours:
            return WriteOutcome(WriteStatus.ALREADY_PRESENT, ref)
        return await self._already_there(op, key)

    async def _find(self, op: Operation, key: UUID) -> ProbeResult:
        """Whether something with `key` is there. A server that ignores the search answers with what is not ours."""
        kind = _KINDS[op]
        try:
            page = bundle(await self._client.get(op, kind, ("identifier", token(key))), op)
        except EmrNotSupportedError:
            return ProbeResult(Probe.CANNOT_TELL)
        except EmrAnswerError as error:
            if error.http_status in _NO_SEARCH:
                return ProbeResult(Probe.CANNOT_TELL)
            raise
        found = list(page.matches(kind))
        ours = next((str(each.get("id")) for each in found if carries(each, key)), None)
        if ours is not None:
            return ProbeResult(Probe.APPLIED, ours)
        silent = not found and not page.less_than_all() and kind not in self._drops_keys
        return ProbeResult(Probe.NOT_APPLIED if silent else Probe.CANNOT_TELL)

    async def _arrive(self, write: Arrival) -> WriteOutcome:
        op, id_ = write.operation, write.appointment_id
        for last in (False, True):
            held = await self._client.held(op, "Appointment", id_)
            status = _status(held)
            if status in HERE:
                return WriteOutcome(WriteStatus.NOT_NEEDED, id_)
            if status not in ARRIVABLE:
                shown = status if status in STATUSES else "of a status that is the EMR's own"
                raise EmrConflictError(f"nobody arrives for an appointment that is {shown}", op=op)
            arrived = without_generated_text(held.resource) | {"status": "arrived"}
            try:
                await self._client.update(op, arrived, tag=held.tag)
                break
            except EmrConflictError:
                # Somebody at the clinic was faster; what they did decides.
                if last:
                    raise
            except EmrWriteRefusedError as error:
                raise EmrWriteRefusedError(
                    f"the EMR lets no appointment that is {status} become arrived; {error.what}",
                    op=op,
                    http_status=error.http_status,
                    remedy="Mark the patient as arrived in the EMR, then dismiss the message.",
                ) from None
        return await self._seen_arrived(write)

    async def _seen_arrived(self, write: Arrival) -> WriteOutcome:
        op = write.operation
        try:
            shown = await self._client.held(op, "Appointment", write.appointment_id)
        except EmrError as error:
            raise _unseen(error, op) from None
        if _status(shown) not in HERE:
            raise EmrWriteRefusedError("the EMR took the arrival and shows another status", op=op)
        return WriteOutcome(WriteStatus.CREATED, write.appointment_id)

    async def _update(self, write: DemographicsUpdate) -> WriteOutcome:
        op, id_ = write.operation, write.patient_id
        for last in (False, True):
            held, names = await self._pending(write)
            if not names:
                return WriteOutcome(WriteStatus.NOT_NEEDED, id_)
            try:
                await self._client.update(op, merged(held.resource, write, names), tag=held.tag)
                break
            except EmrConflictError:
                # Another version; whether it still is as the caller saw it is looked at once more.
                if last:
                    raise
        return await self._seen_updated(write)

    async def _seen_updated(self, write: DemographicsUpdate) -> WriteOutcome:
        op = write.operation
        try:
            _, names = await self._pending(write)
        except EmrConflictError:
            # The EMR writes phone numbers or names in a form of its own; what was there before is gone.
            names = frozenset()
        except EmrError as error:
            raise _unseen(error, op) from None
        if names:
            what = f"the EMR took the update and shows what was there before: {', '.join(sorted(names))}"
            raise EmrWriteRefusedError(what, op=op)
        return WriteOutcome(WriteStatus.CREATED, write.patient_id)

    async def _pending(self, write: DemographicsUpdate) -> tuple[Held, frozenset[str]]:
        held = await self._client.held(write.operation, "Patient", write.patient_id)
        return held, fields_to_write(write, patient_of(held.resource))


def _status(appointment: Held) -> str:
    return str(appointment.resource.get("status", ""))


def _unseen(error: EmrError, op: Operation) -> EmrOutcomeUnknownError:
    """What was taken and could not be looked at afterwards."""
    what = f"the EMR took it, and looking at it failed: {error.what}"
    return EmrOutcomeUnknownError(what, op=op, http_status=error.http_status)
