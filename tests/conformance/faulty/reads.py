"""Adapters that misread: what they claim, providers, patients, and the schedule."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import UTC, date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from conformance.faulty.good import Good
from ocean_emr.contract import Basis, Capabilities, Capability, ConnectionReport
from ocean_emr.errors import EmrNotFoundError
from ocean_emr.records import (
    Appointment,
    AppointmentPage,
    AppointmentStatus,
    Operation,
    Patient,
    PatientId,
    Provider,
    ProviderId,
)
from ocean_emr.testing.conformance import Check, records, schedule


class NamesNoSource(Good):
    def capabilities(self) -> Capabilities:
        return Capabilities({Operation.GET_PATIENT: Capability(Basis.VERIFIED, " ")})


class AnswersWhatItDoesNotClaim(Good):
    def capabilities(self) -> Capabilities:
        return Capabilities({})


class NeverAsks(Good):
    async def check_connection(self) -> ConnectionReport:
        return ConnectionReport(interface="surely")


class KeepsTechnicalAccounts(Good):
    async def list_providers(self) -> tuple[Provider, ...]:
        return (Provider(ProviderId("999998"), "oscardoc, doctor"), *await self.inner.list_providers())


class LosesAccents(Good):
    async def get_patient(self, patient_id: PatientId) -> Patient:
        patient = await self.inner.get_patient(patient_id)
        return replace(patient, first_name=(patient.first_name or "").encode("ascii", "replace").decode())


class InventsPatients(Good):
    async def get_patient(self, patient_id: PatientId) -> Patient:
        try:
            return await self.inner.get_patient(patient_id)
        except EmrNotFoundError:
            return Patient(patient_id)


class IncludesTheDayAfter(Good):
    def list_appointments(
        self, provider_ids: Sequence[ProviderId], start: date, end_exclusive: date, zone: ZoneInfo
    ) -> AsyncGenerator[AppointmentPage, None]:
        return super().list_appointments(provider_ids, start, end_exclusive + timedelta(days=1), zone)


class DropsTheLastOfManyDays(Good):
    def list_appointments(
        self, provider_ids: Sequence[ProviderId], start: date, end_exclusive: date, zone: ZoneInfo
    ) -> AsyncGenerator[AppointmentPage, None]:
        end = max(start + timedelta(days=1), end_exclusive - timedelta(days=1))
        return super().list_appointments(provider_ids, start, end, zone)


class KeepsTheFirstFifty(Good):
    def page(self, page: AppointmentPage) -> AppointmentPage:
        return replace(page, items=page.items[:50])


class Doubles(Good):
    def page(self, page: AppointmentPage) -> AppointmentPage:
        return replace(page, items=page.items + page.items[-1:])


class Hoards(Good):
    async def list_appointments(
        self, provider_ids: Sequence[ProviderId], start: date, end_exclusive: date, zone: ZoneInfo
    ) -> AsyncGenerator[AppointmentPage, None]:
        for page in [p async for p in self.inner.list_appointments(provider_ids, start, end_exclusive, zone)]:
            yield page


class CallsEveryPageTheLast(Good):
    def page(self, page: AppointmentPage) -> AppointmentPage:
        return replace(page, last=True)


class NeverEnds(Good):
    def page(self, page: AppointmentPage) -> AppointmentPage:
        return replace(page, last=False)


class ComparesIdsAsNumbers(Good):
    def item(self, item: Appointment) -> Appointment:
        return replace(item, provider_id=ProviderId(item.provider_id.lstrip("0")))


class HidesCancelled(Good):
    def page(self, page: AppointmentPage) -> AppointmentPage:
        return replace(page, items=tuple(i for i in page.items if i.status is not AppointmentStatus.CANCELLED))


class GuessesStatuses(Good):
    def item(self, item: Appointment) -> Appointment:
        return replace(item, status=AppointmentStatus.BOOKED)


class BelievesInPatientZero(Good):
    def item(self, item: Appointment) -> Appointment:
        return replace(item, patient_id=item.patient_id or PatientId("0"))


class TakesTheClockForUtc(Good):
    def item(self, item: Appointment) -> Appointment:
        return replace(item, start=item.start.replace(tzinfo=UTC).astimezone(item.start.tzinfo))


class AnswersInUtc(Good):
    def item(self, item: Appointment) -> Appointment:
        return replace(item, start=item.start.astimezone(UTC))


class ForgetsTheLastMinute(Good):
    def item(self, item: Appointment) -> Appointment:
        return replace(item, duration_minutes=14)


class PassesTheHiddenOver(Good):
    def page(self, page: AppointmentPage) -> AppointmentPage:
        return replace(page, hidden_provider_ids=frozenset())


class AlwaysDoubts(Good):
    def page(self, page: AppointmentPage) -> AppointmentPage:
        return replace(page, doubts=("Who knows.",)) if page.last else page


class AsksForNobody(Good):
    async def list_appointments(
        self, provider_ids: Sequence[ProviderId], start: date, end_exclusive: date, zone: ZoneInfo
    ) -> AsyncGenerator[AppointmentPage, None]:
        await self.inner.list_providers()
        async for page in self.inner.list_appointments(provider_ids, start, end_exclusive, zone):
            yield page


FAULTS: Final[tuple[tuple[type[Good], Check], ...]] = (
    (NamesNoSource, records.capabilities_name_their_source),
    (AnswersWhatItDoesNotClaim, records.what_is_not_claimed_is_refused_unasked),
    (NeverAsks, records.a_good_connection_is_reported),
    (KeepsTechnicalAccounts, records.providers_are_the_clinics_own),
    (LosesAccents, records.patients_come_with_their_demographics),
    (InventsPatients, records.a_missing_patient_is_not_found),
    (IncludesTheDayAfter, schedule.the_window_is_whole_clinic_days),
    (DropsTheLastOfManyDays, schedule.windows_meet_without_gap_or_overlap),
    (KeepsTheFirstFifty, schedule.every_appointment_comes_once),
    (Doubles, schedule.every_appointment_comes_once),
    (Hoards, schedule.pages_are_read_as_they_are_taken),
    (CallsEveryPageTheLast, schedule.only_the_last_page_concludes),
    (NeverEnds, schedule.only_the_last_page_concludes),
    (ComparesIdsAsNumbers, schedule.only_chosen_providers_come),
    (HidesCancelled, schedule.cancelled_and_missed_ones_come_too),
    (GuessesStatuses, schedule.a_code_of_the_clinics_own_is_unknown),
    (BelievesInPatientZero, schedule.a_booking_may_have_no_patient),
    (TakesTheClockForUtc, schedule.starts_are_the_clinics_clock),
    (AnswersInUtc, schedule.starts_are_the_clinics_clock),
    (ForgetsTheLastMinute, schedule.lengths_are_right_where_told),
    (PassesTheHiddenOver, schedule.somebody_who_is_not_shown_is_reported),
    (AlwaysDoubts, schedule.an_empty_day_is_complete),
    (AsksForNobody, schedule.nobody_chosen_asks_nobody),
)
