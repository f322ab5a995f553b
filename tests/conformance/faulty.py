"""Adapters broken on purpose, each in one way: what the conformance checks must notice.

They stand around a good adapter and spoil what passes through.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, timedelta
from typing import Final, NoReturn, Self, TypeVar
from zoneinfo import ZoneInfo

from conformance.rigs.oscar import OscarRig
from ocean_emr.contract import Basis, Capabilities, Capability, ConnectionReport, EmrAdapter
from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrError,
    EmrNotFoundError,
    EmrPermissionDeniedError,
    EmrRateLimitedError,
    EmrUnavailableError,
)
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
from ocean_emr.testing.conformance import Check, Clinic, Trouble, failures, records, schedule
from ocean_emr.testing.conformance.clinic import PATIENTS
from ocean_emr.testing.conformance.rig import FAST
from ocean_emr.transport import Limits

_T = TypeVar("_T")
Renew = Callable[[], EmrAdapter]


class Good:
    """Passes everything through. `renew` makes another adapter to the same EMR."""

    limits: Limits = FAST

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

    async def asked(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """The outcome of `call`."""
        return await call()

    def page(self, page: AppointmentPage) -> AppointmentPage:
        """What becomes of a page."""
        return replace(page, items=tuple(self.item(item) for item in page.items))

    def item(self, item: Appointment) -> Appointment:
        """What becomes of an appointment."""
        return item


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


class TriesRefusedLoginsAgain(Good):
    async def get_patient(self, patient_id: PatientId) -> Patient:
        try:
            return await self.inner.get_patient(patient_id)
        except EmrAuthRefusedError:
            async with self.renew() as another:
                return await another.get_patient(patient_id)


class TakesRefusalForAbsence(Good):
    async def get_patient(self, patient_id: PatientId) -> Patient:
        try:
            return await self.inner.get_patient(patient_id)
        except EmrAuthRefusedError:
            _raise(EmrNotFoundError)


class TakesFailureForAFreeDay(Good):
    failure: type[EmrError] = EmrError

    async def list_appointments(
        self, provider_ids: Sequence[ProviderId], start: date, end_exclusive: date, zone: ZoneInfo
    ) -> AsyncGenerator[AppointmentPage, None]:
        try:
            async for page in self.inner.list_appointments(provider_ids, start, end_exclusive, zone):
                yield page
        except self.failure:
            yield AppointmentPage((), last=True)


class TakesAMissingRightForAFreeDay(TakesFailureForAFreeDay):
    failure = EmrPermissionDeniedError


class TakesAPageForAFreeDay(TakesFailureForAFreeDay):
    failure = EmrAnswerError


class ConcludesWhenBrokenOff(TakesFailureForAFreeDay):
    failure = EmrUnavailableError


class TakesHalfForAnOutage(Good):
    async def asked(self, call: Callable[[], Awaitable[_T]]) -> _T:
        try:
            return await call()
        except EmrAnswerError:
            _raise(EmrUnavailableError)


class TakesAnOutageForARefusal(Good):
    async def asked(self, call: Callable[[], Awaitable[_T]]) -> _T:
        try:
            return await call()
        except EmrUnavailableError:
            _raise(EmrAuthRefusedError)


class GivesUpAtOnce(Good):
    limits = replace(FAST, attempts=1)


class WaitsForNothing(Good):
    limits = replace(FAST, wait_max_seconds=-1)


class AsksAgainTooEarly(Good):
    async def asked(self, call: Callable[[], Awaitable[_T]]) -> _T:
        for _ in range(3):
            try:
                return await call()
            except EmrRateLimitedError:
                pass
        return await call()


class QuotesTheAnswer(Good):
    async def asked(self, call: Callable[[], Awaitable[_T]]) -> _T:
        try:
            return await call()
        except EmrAnswerError as error:
            raise EmrAnswerError(f"could not read {PATIENTS[0].last_name}", op=error.op) from None


class KeepsTheCause(Good):
    async def asked(self, call: Callable[[], Awaitable[_T]]) -> _T:
        try:
            return await call()
        except EmrAnswerError as error:
            raise error from ValueError(f"{PATIENTS[0].first_name} is no number")


class NamesAnotherOperation(Good):
    async def asked(self, call: Callable[[], Awaitable[_T]]) -> _T:
        try:
            return await call()
        except EmrError as error:
            error.op = Operation.GET_PATIENT
            raise


class KnowsNoRemedy(Good):
    async def asked(self, call: Callable[[], Awaitable[_T]]) -> _T:
        try:
            return await call()
        except EmrError as error:
            error.remedy = ""
            raise


def _raise(kind: type[EmrError]) -> NoReturn:
    raise kind("wrongly", op=Operation.GET_PATIENT) from None


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
    (TriesRefusedLoginsAgain, failures.a_refused_login_is_not_tried_again),
    (TakesRefusalForAbsence, failures.a_login_refused_midway_is_noticed),
    (TakesAMissingRightForAFreeDay, failures.a_missing_right_is_not_an_empty_answer),
    (TakesAPageForAFreeDay, failures.a_web_page_is_no_answer),
    (TakesHalfForAnOutage, failures.half_an_answer_is_no_answer),
    (TakesAnOutageForARefusal, failures.an_outage_is_unavailable),
    (GivesUpAtOnce, failures.a_moment_of_outage_is_bridged),
    (AsksAgainTooEarly, failures.a_rate_limit_is_respected),
    (WaitsForNothing, failures.a_short_rate_limit_is_waited_for),
    (ConcludesWhenBrokenOff, failures.a_broken_off_answer_concludes_nothing),
    (QuotesTheAnswer, failures.errors_show_nothing_they_should_not),
    (KeepsTheCause, failures.errors_show_nothing_they_should_not),
    (NamesAnotherOperation, failures.errors_say_what_to_do),
    (KnowsNoRemedy, failures.errors_say_what_to_do),
)
"""Each fault and the check that is there for it."""


class FaultyRig:
    """A good rig whose adapters are `fault`."""

    def __init__(self, rig: OscarRig, fault: type[Good]) -> None:
        """Break what `rig` makes; the rig stays the caller's to start and stop."""
        self._rig = rig
        self._fault = fault
        self.forbidden = rig.forbidden

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Whoever started the rig stops it."""

    def adapter(self) -> EmrAdapter:
        """A broken one."""
        return self._fault(self._rig.adapter(self._fault.limits), self._rig.adapter)

    def hold(self, clinic: Clinic) -> None:
        """As the rig."""
        self._rig.hold(clinic)

    def suffer(self, trouble: Trouble | None) -> None:
        """As the rig."""
        self._rig.suffer(trouble)

    def requests(self) -> int:
        """As the rig."""
        return self._rig.requests()
