"""A good adapter that lets everything through, for the faulty ones to spoil, and the rig that makes them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Self, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from conformance.rigs.oscar import OscarRig
from ocean_emr.contract import Capabilities, ConnectionReport, EmrAdapter
from ocean_emr.records import Appointment, AppointmentPage, Patient, PatientId, Provider, ProviderId
from ocean_emr.testing.conformance import Clinic, Trouble
from ocean_emr.testing.conformance.rig import FAST
from ocean_emr.testing.oscar_sim import Profile
from ocean_emr.transport import Limits
from ocean_emr.writes import PatientQuery, ProbeResult, Write, WriteOutcome

_T = TypeVar("_T")
Renew = Callable[[], EmrAdapter]


class Good:
    """Passes everything through. `renew` makes another adapter to the same EMR."""

    limits: Limits = FAST
    profile: Profile = Profile.CLASSIC
    """The EMR it speaks to."""

    def __init__(self, inner: EmrAdapter, renew: Renew) -> None:
        self.inner = inner
        self.renew = renew

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.inner.__aexit__()

    def capabilities(self) -> Capabilities:
        return self.inner.capabilities()

    async def check_connection(self) -> ConnectionReport:
        return await self.asked(self.inner.check_connection)

    async def list_providers(self) -> tuple[Provider, ...]:
        return await self.asked(self.inner.list_providers)

    async def list_appointments(
        self, provider_ids: Sequence[ProviderId], start: date, end_exclusive: date, zone: ZoneInfo
    ) -> AsyncGenerator[AppointmentPage, None]:
        async for page in self.inner.list_appointments(provider_ids, start, end_exclusive, zone):
            yield self.page(page)

    async def get_patient(self, patient_id: PatientId) -> Patient:
        return await self.asked(lambda: self.inner.get_patient(patient_id))

    async def list_patient_appointments(
        self, patient_id: PatientId, start: datetime, end: datetime, zone: ZoneInfo
    ) -> tuple[Appointment, ...]:
        return await self.asked(lambda: self.inner.list_patient_appointments(patient_id, start, end, zone))

    async def find_patients(self, query: PatientQuery) -> tuple[Patient, ...]:
        return await self.asked(lambda: self.inner.find_patients(query))

    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        return await self.inner.write(write, key)

    async def probe(self, write: Write, key: UUID) -> ProbeResult:
        return await self.inner.probe(write, key)

    async def asked(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """The outcome of `call`."""
        return await call()

    def page(self, page: AppointmentPage) -> AppointmentPage:
        """What becomes of a page."""
        return replace(page, items=tuple(self.item(item) for item in page.items))

    def item(self, item: Appointment) -> Appointment:
        """What becomes of an appointment."""
        return item


class FaultyRig:
    """A good rig whose adapters are `fault`."""

    def __init__(self, rig: OscarRig, fault: type[Good]) -> None:
        """Break what `rig` makes; the rig stays the caller's to start and stop."""
        self._rig = rig
        self._fault = fault
        self.forbidden = rig.forbidden
        self.searchable = rig.searchable
        self.lacking = rig.lacking

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Whoever started the rig stops it."""

    def adapter(self) -> EmrAdapter:
        """A broken one."""
        return self._fault(self._rig.adapter(self._fault.limits), self._rig.adapter)

    # All the rest as the rig.

    def hold(self, clinic: Clinic) -> None:
        self._rig.hold(clinic)

    def suffer(self, trouble: Trouble | None) -> None:
        self._rig.suffer(trouble)

    def requests(self) -> int:
        return self._rig.requests()

    def writes(self) -> int:
        return self._rig.writes()

    def charts(self) -> Mapping[PatientId, Mapping[str, object]]:
        return self._rig.charts()

    def notes(self, patient: PatientId) -> Sequence[str]:
        return self._rig.notes(patient)

    def edit_note(self, patient: PatientId, text: str) -> None:
        self._rig.edit_note(patient, text)

    def documents(self, patient: PatientId) -> Sequence[tuple[str, bytes]]:
        return self._rig.documents(patient)

    def bookings(self, patient: PatientId) -> Sequence[Appointment]:
        return self._rig.bookings(patient)
