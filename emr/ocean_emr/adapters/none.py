"""A clinic without an integrated EMR: nothing can be asked, and nobody is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import date, datetime
from typing import NoReturn, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from ocean_emr.contract import Capabilities, ConnectionReport
from ocean_emr.errors import EmrNotSupportedError
from ocean_emr.records import Appointment, AppointmentPage, Operation, Patient, PatientId, Provider, ProviderId
from ocean_emr.writes import PatientQuery, ProbeResult, Write, WriteOutcome


class NoEmrAdapter:
    """Every question is refused before it is asked, and nothing is written."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Nothing is open."""

    def capabilities(self) -> Capabilities:
        """None at all."""
        return Capabilities({})

    async def check_connection(self) -> ConnectionReport:
        """Refused."""
        _refuse(Operation.CHECK_CONNECTION)

    async def list_providers(self) -> tuple[Provider, ...]:
        """Refused."""
        _refuse(Operation.LIST_PROVIDERS)

    async def list_appointments(
        self,
        provider_ids: Sequence[ProviderId],  # noqa: ARG002 - the contract's
        start: date,  # noqa: ARG002 - the contract's
        end_exclusive: date,  # noqa: ARG002 - the contract's
        zone: ZoneInfo,  # noqa: ARG002 - the contract's
    ) -> AsyncGenerator[AppointmentPage, None]:
        """Refused when the first page is taken."""
        _refuse(Operation.LIST_APPOINTMENTS)
        yield AppointmentPage(())  # Makes this an async generator, as the contract has it.

    async def get_patient(self, patient_id: PatientId) -> Patient:  # noqa: ARG002 - the contract's
        """Refused."""
        _refuse(Operation.GET_PATIENT)

    async def list_patient_appointments(
        self,
        patient_id: PatientId,  # noqa: ARG002 - the contract's
        start: datetime,  # noqa: ARG002 - the contract's
        end: datetime,  # noqa: ARG002 - the contract's
        zone: ZoneInfo,  # noqa: ARG002 - the contract's
    ) -> tuple[Appointment, ...]:
        """Refused."""
        _refuse(Operation.LIST_PATIENT_APPOINTMENTS)

    async def find_patients(self, query: PatientQuery) -> tuple[Patient, ...]:  # noqa: ARG002 - the contract's
        """Refused."""
        _refuse(Operation.FIND_PATIENTS)

    async def write(self, write: Write, key: UUID) -> WriteOutcome:  # noqa: ARG002 - the contract's
        """Refused."""
        _refuse(write.operation)

    async def probe(self, write: Write, key: UUID) -> ProbeResult:  # noqa: ARG002 - the contract's
        """Refused."""
        _refuse(write.operation)


def _refuse(op: Operation) -> NoReturn:
    raise EmrNotSupportedError("this clinic has no integrated EMR", op=op)
