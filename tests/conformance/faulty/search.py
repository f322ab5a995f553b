"""Adapters that find the wrong charts, or not all of a patient's appointments."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from conformance.faulty.good import Good
from ocean_emr.records import Appointment, AppointmentStatus, Patient, PatientId
from ocean_emr.testing.conformance import Check, search
from ocean_emr.testing.conformance.clinic import PATIENTS
from ocean_emr.writes import PatientQuery


class FindsLongerNumbersToo(Good):
    async def find_patients(self, query: PatientQuery) -> tuple[Patient, ...]:
        card = query.health_number
        longer = replace(query, health_number=replace(card, value=f"{card.value}0")) if card else query
        return (*await self.inner.find_patients(query), *await self.inner.find_patients(longer))


class ForgetsTheProvince(Good):
    async def find_patients(self, query: PatientQuery) -> tuple[Patient, ...]:
        card = query.health_number
        anywhere = replace(query, health_number=replace(card, province=None)) if card else query
        return await self.inner.find_patients(anywhere)


class WantsAccents(Good):
    async def find_patients(self, query: PatientQuery) -> tuple[Patient, ...]:
        found = await self.inner.find_patients(query)
        return tuple(patient for patient in found if query.last_name in {None, patient.last_name})


class LooksAtTheNumberAlone(Good):
    async def find_patients(self, query: PatientQuery) -> tuple[Patient, ...]:
        return await self.inner.find_patients(PatientQuery(query.health_number) if query.health_number else query)


class PassesOverWhoLeft(Good):
    async def find_patients(self, query: PatientQuery) -> tuple[Patient, ...]:
        return tuple(patient for patient in await self.inner.find_patients(query) if patient.active)


class FindsHardlyMoreThanNames(Good):
    async def find_patients(self, query: PatientQuery) -> tuple[Patient, ...]:
        return tuple(replace(patient, email=None) for patient in await self.inner.find_patients(query))


class FindsTheFirstHundred(Good):
    async def find_patients(self, query: PatientQuery) -> tuple[Patient, ...]:
        return (await self.inner.find_patients(query))[:100]


class TakesAnybodyForNobody(Good):
    async def find_patients(self, query: PatientQuery) -> tuple[Patient, ...]:
        return await self.inner.find_patients(query) or (await self.inner.get_patient(PATIENTS[0].id),)


class LeavesOutTheLastMinute(Good):
    async def list_patient_appointments(
        self, patient_id: PatientId, start: datetime, end: datetime, zone: ZoneInfo
    ) -> tuple[Appointment, ...]:
        return await self.inner.list_patient_appointments(patient_id, start, end - timedelta(seconds=1), zone)


class HidesTheCancelled(Good):
    async def list_patient_appointments(
        self, patient_id: PatientId, start: datetime, end: datetime, zone: ZoneInfo
    ) -> tuple[Appointment, ...]:
        found = await self.inner.list_patient_appointments(patient_id, start, end, zone)
        return tuple(item for item in found if item.status is not AppointmentStatus.CANCELLED)


class AsksForOneDay(Good):
    async def list_patient_appointments(
        self, patient_id: PatientId, start: datetime, end: datetime, zone: ZoneInfo
    ) -> tuple[Appointment, ...]:
        found = await self.inner.list_patient_appointments(patient_id, start, end, zone)
        return tuple(item for item in found if item.start.date() == start.date())


FAULTS: Final[tuple[tuple[type[Good], Check], ...]] = (
    (FindsLongerNumbersToo, search.a_health_number_finds_its_chart),
    (ForgetsTheProvince, search.the_same_digits_of_another_province_are_another_number),
    (WantsAccents, search.a_name_and_birth_date_find_their_chart),
    (LooksAtTheNumberAlone, search.all_that_is_asked_must_fit),
    (PassesOverWhoLeft, search.who_left_is_found_too),
    (FindsHardlyMoreThanNames, search.charts_that_are_found_are_whole),
    (FindsTheFirstHundred, search.many_that_fit_all_come),
    (TakesAnybodyForNobody, search.nobody_is_an_empty_answer),
    (LeavesOutTheLastMinute, search.a_patients_appointments_come_to_the_minute),
    (HidesTheCancelled, search.a_patients_appointments_come_to_the_minute),
    (AsksForOneDay, search.appointments_are_found_across_midnight),
)
