"""Checks of how an adapter fails: with the error its caller can act on, no lock-out, and without saying too much."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from datetime import datetime, time, timedelta
from typing import Final

from ocean_emr.contract import EmrAdapter
from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrError,
    EmrPermissionDeniedError,
    EmrRateLimitedError,
    EmrUnavailableError,
)
from ocean_emr.records import Operation
from ocean_emr.testing.conformance.clinic import ALICE, DAY, PATIENTS, PROVIDERS, ZONE, Clinic, busy_days
from ocean_emr.testing.conformance.rig import OF_WRITES, Check, NotApplicableError, Rig, Trouble, asking, pages_of
from ocean_emr.writes import PatientQuery

_MOST_REFUSALS: Final = 4
"""Requests that one refused operation may cost: a clock, a login, and one more try of it, freshly made."""
_WINDOW_DAYS: Final = 20

Call = Callable[[EmrAdapter], Awaitable[object]]


async def _list_appointments(adapter: EmrAdapter) -> object:
    return await pages_of(adapter, [ALICE], DAY, DAY + timedelta(days=1))


async def _list_patient_appointments(adapter: EmrAdapter) -> object:
    start = datetime.combine(DAY, time(0), ZONE)
    return await adapter.list_patient_appointments(PATIENTS[0].id, start, start + timedelta(hours=24), ZONE)


CALLS: Final[dict[Operation, Call]] = {
    Operation.CHECK_CONNECTION: lambda adapter: adapter.check_connection(),
    Operation.LIST_PROVIDERS: lambda adapter: adapter.list_providers(),
    Operation.LIST_APPOINTMENTS: _list_appointments,
    Operation.GET_PATIENT: lambda adapter: adapter.get_patient(PATIENTS[0].id),
    Operation.LIST_PATIENT_APPOINTMENTS: _list_patient_appointments,
    Operation.FIND_PATIENTS: lambda adapter: adapter.find_patients(PatientQuery(PATIENTS[0].health_number)),
}
"""Everything that reads."""


async def a_refused_login_is_not_tried_again(rig: Rig) -> None:
    """Each operation says so, and once it is certain the EMR is left in peace: accounts get locked otherwise."""
    rig.hold(_clinic())
    for operation in await _claimed(rig):
        rig.suffer(None)
        async with asking(rig, operation) as adapter:
            rig.suffer(Trouble.LOGIN_REFUSED)
            before = rig.requests()
            await _fails(adapter, operation, EmrAuthRefusedError)
            after = rig.requests()
            await _fails(adapter, operation, EmrAuthRefusedError)

            assert after - before <= _MOST_REFUSALS, f"{operation}: {after - before} requests with a refused login"
            assert after == rig.requests(), f"{operation}: asked again with a refused login"


async def a_login_refused_midway_is_noticed(rig: Rig) -> None:
    """A credential that worked a moment ago is refused like any other."""
    rig.hold(_clinic())
    async with asking(rig, Operation.LIST_PROVIDERS, Operation.GET_PATIENT) as adapter:
        await adapter.list_providers()
        rig.suffer(Trouble.LOGIN_REFUSED)
        await _fails(adapter, Operation.GET_PATIENT, EmrAuthRefusedError)


async def a_missing_right_is_not_an_empty_answer(rig: Rig) -> None:
    """Neither a free day, booked or not, nor a missing patient; and the connection is not reported as good."""
    for clinic in (_clinic(), Clinic()):
        rig.hold(clinic)
        for operation in await _claimed(rig):
            if operation is Operation.LIST_PROVIDERS:
                continue  # Who works at a clinic is no secret; some EMRs show it without any right.
            rig.suffer(None)
            async with asking(rig, operation) as adapter:
                rig.suffer(Trouble.RIGHT_MISSING)
                await _fails(adapter, operation, EmrPermissionDeniedError)


async def a_web_page_is_no_answer(rig: Rig) -> None:
    """A portal's page is not an empty list, whatever its status says."""
    await _each_fails(rig, Trouble.WEB_PAGE, EmrAnswerError)


async def half_an_answer_is_no_answer(rig: Rig) -> None:
    """JSON that breaks off is not read as far as it goes."""
    await _each_fails(rig, Trouble.CUT_JSON, EmrAnswerError)


async def an_outage_is_unavailable(rig: Rig) -> None:
    """Tried again a little, then told as what it is."""
    await _each_fails(rig, Trouble.UNAVAILABLE, EmrUnavailableError)


async def a_moment_of_outage_is_bridged(rig: Rig) -> None:
    """A restart behind a proxy costs nobody a run."""
    await _each_succeeds(rig, Trouble.UNAVAILABLE_ONCE)


async def a_rate_limit_is_respected(rig: Rig) -> None:
    """An hour's pause is not waited for, and not cut short by asking again."""
    rig.hold(_clinic())
    for operation in await _claimed(rig):
        async with asking(rig, operation) as adapter:
            rig.suffer(Trouble.RATE_LIMITED)
            before = rig.requests()
            await _fails(adapter, operation, EmrRateLimitedError)

            assert rig.requests() - before <= 2, f"{operation}: asked again too early"  # noqa: PLR2004 - a clock or token


async def a_short_rate_limit_is_waited_for(rig: Rig) -> None:
    """As long as the EMR asks, if that is short."""
    await _each_succeeds(rig, Trouble.RATE_LIMITED_ONCE)


async def a_broken_off_answer_concludes_nothing(rig: Rig) -> None:
    """An EMR that fails after some pages: what came is good, and no page says that it was all."""
    rig.hold(_clinic())
    pages = []
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        rig.suffer(Trouble.FAILS_HALFWAY)
        everybody = [provider.id for provider in PROVIDERS]
        end = DAY + timedelta(days=_WINDOW_DAYS)
        told = False
        try:
            async for page in adapter.list_appointments(everybody, DAY, end, ZONE):
                pages.append(page)  # noqa: PERF401 - what came before the failure is the point
        except EmrUnavailableError:
            told = True

    assert told, "half of the EMR's answers failed and nobody was told"
    assert any(page.items for page in pages), "the EMR did not fail halfway but at once"
    assert not any(page.last or page.complete for page in pages)


async def errors_show_nothing_they_should_not(rig: Rig) -> None:
    """No patient and no credential, in the text, in the representation, or in what a traceback prints."""
    clinic = _clinic()
    rig.hold(clinic)
    names = [patient.last_name for patient in clinic.patients] + [patient.first_name for patient in clinic.patients]
    secret = [text for text in (*names, *rig.forbidden) if text]
    for trouble in set(Trouble) - OF_WRITES - {Trouble.UNAVAILABLE_ONCE, Trouble.RATE_LIMITED_ONCE}:
        for operation in await _claimed(rig):
            rig.suffer(None)
            async with asking(rig, operation) as adapter:
                rig.suffer(trouble)
                told = shown(await _failure(adapter, operation))

            assert not [text for text in secret if text in told], f"{operation} under {trouble} shows too much"


async def errors_say_what_to_do(rig: Rig) -> None:
    """Which operation, what happened, a reason that is public, and a remedy."""
    rig.hold(_clinic())
    for trouble in (Trouble.LOGIN_REFUSED, Trouble.WEB_PAGE, Trouble.UNAVAILABLE):
        rig.suffer(None)
        async with asking(rig, Operation.LIST_PROVIDERS) as adapter:
            rig.suffer(trouble)
            error = await _failure(adapter, Operation.LIST_PROVIDERS)

            assert error is not None, f"{trouble} went unnoticed"
            assert Operation.LIST_PROVIDERS is error.op
            assert error.what in error.safe_message
            assert error.remedy.endswith(".")


def _clinic() -> Clinic:
    return Clinic(busy_days(DAY, days=_WINDOW_DAYS, a_day=6, providers=[ALICE]))


async def _claimed(rig: Rig) -> list[Operation]:
    async with rig.adapter() as adapter:
        claims = [operation for operation in CALLS if adapter.capabilities().supports(operation)]
    if not claims:
        raise NotApplicableError("read anything")
    return claims


async def _each_fails(rig: Rig, trouble: Trouble, kind: type[EmrError]) -> None:
    rig.hold(_clinic())
    for operation in await _claimed(rig):
        rig.suffer(None)
        async with asking(rig, operation) as adapter:
            rig.suffer(trouble)
            await _fails(adapter, operation, kind)


async def _each_succeeds(rig: Rig, trouble: Trouble) -> None:
    rig.hold(_clinic())
    for operation in await _claimed(rig):
        async with asking(rig, operation) as adapter:
            rig.suffer(trouble)
            error = await _failure(adapter, operation)

            assert error is None, f"{operation}: {error}"


async def _fails(adapter: EmrAdapter, operation: Operation, kind: type[EmrError]) -> None:
    error = await _failure(adapter, operation)

    assert error is not None, f"{operation}: an answer instead of {kind.__name__}"
    assert isinstance(error, kind), f"{operation}: {type(error).__name__} instead of {kind.__name__}"


async def _failure(adapter: EmrAdapter, operation: Operation) -> EmrError | None:
    try:
        await CALLS[operation](adapter)
    except EmrError as error:
        return error
    return None


def shown(error: EmrError | None) -> str:
    """All that somebody may get to see of `error`."""
    if error is None:
        return ""
    return "\n".join((repr(error), error.safe_message, error.remedy, *traceback.format_exception(error)))


CHECKS: Final[tuple[Check, ...]] = (
    a_refused_login_is_not_tried_again,
    a_login_refused_midway_is_noticed,
    a_missing_right_is_not_an_empty_answer,
    a_web_page_is_no_answer,
    half_an_answer_is_no_answer,
    an_outage_is_unavailable,
    a_moment_of_outage_is_bridged,
    a_rate_limit_is_respected,
    a_short_rate_limit_is_waited_for,
    a_broken_off_answer_concludes_nothing,
    errors_show_nothing_they_should_not,
    errors_say_what_to_do,
)
