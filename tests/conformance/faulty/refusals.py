"""Adapters that fail in the wrong way: with another error, too eagerly, or saying too much."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Final, NoReturn, TypeVar
from zoneinfo import ZoneInfo

from conformance.faulty.good import Good
from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrError,
    EmrNotFoundError,
    EmrPermissionDeniedError,
    EmrRateLimitedError,
    EmrUnavailableError,
)
from ocean_emr.records import AppointmentPage, Operation, Patient, PatientId, ProviderId
from ocean_emr.testing.conformance import Check, failures
from ocean_emr.testing.conformance.clinic import PATIENTS
from ocean_emr.testing.conformance.rig import FAST

_T = TypeVar("_T")


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
