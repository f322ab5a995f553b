"""Creating and changing OSCAR charts.

Neither is safe by itself there: a new chart is saved before its admission, which may fail, and a change replaces the
whole row, whoever has changed it meanwhile. So charts are looked for, compared, and read again afterwards.
Source: open-osp/Open-O and scoophealth/oscar DemographicService, DemographicManager, PersonaService.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ocean_emr.adapters.oscar_calls import SERVICES, chart, parsed, proving, refused
from ocean_emr.adapters.oscar_chart_bodies import changed_chart, new_chart
from ocean_emr.adapters.oscar_rows import PatientRow
from ocean_emr.adapters.oscar_search import Search
from ocean_emr.answers import Read, Send
from ocean_emr.errors import EmrConflictError, EmrOutcomeUnknownError, EmrWriteRefusedError
from ocean_emr.fitting import same_name
from ocean_emr.records import Operation, Patient, Sex
from ocean_emr.transport import Transport
from ocean_emr.updating import fields_to_write
from ocean_emr.writes import (
    Demographics,
    DemographicsUpdate,
    NewPatient,
    PatientQuery,
    Probe,
    ProbeResult,
    WriteOutcome,
    WriteStatus,
)

_PATH: Final = f"{SERVICES}/demographics"


class Charts:
    """The charts of one clinic, for writing."""

    def __init__(self, transport: Transport) -> None:
        """Ask nobody yet."""
        self._transport = transport
        self._search = Search(transport)

    async def update(self, update: DemographicsUpdate) -> WriteOutcome:
        """Make the change, if what it changes is as the caller saw it.

        Raises:
            EmrConflictError: It is not.
            EmrWriteRefusedError: It would replace what is never replaced, or OSCAR has no room for it.
            EmrError: As the contract says.
        """
        op = Operation.UPDATE_DEMOGRAPHICS
        raw, row = await chart(self._transport, op, update.patient_id)
        lacking = fields_to_write(update, row.record())
        if not lacking:
            return WriteOutcome(WriteStatus.NOT_NEEDED, update.patient_id)
        await self._put(op, changed_chart(raw, update.changes, lacking))
        with proving(op):
            _, now = await chart(self._transport, op, update.patient_id)
        if fields_to_write(update, now.record()):
            raise EmrOutcomeUnknownError("the EMR took the change and does not show it", op=op)
        return WriteOutcome(WriteStatus.CREATED, update.patient_id)

    async def updated(self, update: DemographicsUpdate) -> ProbeResult:
        """Whether the chart is as the update would make it."""
        _, row = await chart(self._transport, Operation.UPDATE_DEMOGRAPHICS, update.patient_id)
        try:
            lacking = fields_to_write(update, row.record())
        except (EmrConflictError, EmrWriteRefusedError):
            return ProbeResult(Probe.NOT_APPLIED)
        return ProbeResult(Probe.NOT_APPLIED) if lacking else ProbeResult(Probe.APPLIED, update.patient_id)

    async def create(self, patient: NewPatient) -> WriteOutcome:
        """Make a chart, unless there is one; OSCAR has no place for a key, so the person is the key.

        Raises:
            EmrConflictError: Several charts fit, or somebody else's has the health number.
            EmrError: As the contract says.
        """
        op = Operation.CREATE_PATIENT
        there = await self._there(patient)
        if there is not None:
            await self._complete(patient, there)
            return WriteOutcome(WriteStatus.ALREADY_PRESENT, there.id)
        body = new_chart(patient, await self._programme(op))
        made = parsed(PatientRow, await self._transport.write_json(Send(op, _PATH, json=body)))
        if made is None:
            raise EmrOutcomeUnknownError("the EMR's answer does not say which chart it made", op=op)
        with proving(op):
            _, row = await chart(self._transport, op, made.demographicNo)
            if not _is_of(patient, row.record()):
                raise EmrOutcomeUnknownError("the EMR's new chart is not the patient's", op=op)
            await self._complete(patient, row.record())
        return WriteOutcome(WriteStatus.CREATED, made.demographicNo)

    async def created(self, patient: NewPatient) -> ProbeResult:
        """Whether the person has a chart, and it has all that we can put there."""
        try:
            there = await self._there(patient)
        except EmrConflictError:
            return ProbeResult(Probe.CANNOT_TELL)
        if there is None or _lacks_mobile(patient, there):
            return ProbeResult(Probe.NOT_APPLIED)
        return ProbeResult(Probe.APPLIED, there.id)

    async def _there(self, patient: NewPatient) -> Patient | None:
        op = Operation.CREATE_PATIENT
        if patient.health_number is not None:
            fitting = await self._search.find(PatientQuery(patient.health_number), op)
            if any(each.birth_date != patient.birth_date for each in fitting):
                raise EmrConflictError("a chart of somebody born on another day has this health number", op=op)
        else:
            query = PatientQuery(last_name=patient.last_name, birth_date=patient.birth_date)
            fitting = tuple(each for each in await self._search.find(query, op) if _is_of(patient, each))
        if len(fitting) > 1:
            raise EmrConflictError(f"{len(fitting)} charts fit this person", op=op)
        return fitting[0] if fitting else None

    async def _complete(self, patient: NewPatient, there: Patient) -> None:
        """Add to a chart that we have made what OSCAR does not take with a new one."""
        if _lacks_mobile(patient, there):
            op = Operation.CREATE_PATIENT
            raw, _ = await chart(self._transport, op, there.id)
            mobile = Demographics(mobile_phone=patient.mobile_phone)
            await self._put(op, changed_chart(raw, mobile, ("mobile_phone",)))

    async def _put(self, op: Operation, body: Mapping[str, Any]) -> None:
        # Open-O answers a PUT in XML and nothing else: asked for JSON, it refuses. The answer is not read.
        await self._transport.write(Send(op, _PATH, method="PUT", json=body, accept="*/*"))

    async def _programme(self, op: Operation) -> int:
        """The login's own programme, to which a new patient is admitted. Without one, OSCAR would keep half a chart."""
        answer = await self._transport.read_json(Read(op, f"{SERVICES}/persona/navbar"))
        current = answer.get("currentProgram") if isinstance(answer, dict) else None
        programme = current.get("programId") if isinstance(current, dict) else None
        if not isinstance(programme, int):
            raise refused(
                "the login's provider belongs to no programme, to which OSCAR would admit the patient",
                op,
                "In OSCAR, make the provider a member of the programme OSCAR. Then retry the message.",
            )
        return programme


def _is_of(patient: NewPatient, there: Patient) -> bool:
    """Whether a chart is this person's, by name, birth date and sex; capitals and accents are the EMR's."""
    return (
        same_name(patient.last_name, there.last_name or "")
        and same_name(patient.first_name, there.first_name or "")
        and patient.birth_date == there.birth_date
        and there.sex in {patient.sex, Sex.UNKNOWN}
    )


def _lacks_mobile(patient: NewPatient, there: Patient) -> bool:
    """Whether this is a chart as we make it, and a second step is still to come."""
    ours = (patient.home_phone, patient.email) == (there.home_phone, there.email) and _is_of(patient, there)
    return bool(patient.mobile_phone) and not there.mobile_phone and ours
