"""The FHIR adapter against the gateway with the stub behind it: each way to fail, and what comes of it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, time, timedelta
from typing import Any

import pytest

from conformance.rigs.fhir import CLIENT_ID, CLIENT_SECRET, FhirRig
from ocean_emr.adapters.fhir_r4 import FhirR4Adapter
from ocean_emr.clinic_time import midnight
from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrBlockedError,
    EmrError,
    EmrNotFoundError,
    EmrNotSupportedError,
    EmrPermissionDeniedError,
    EmrRateLimitedError,
    EmrRecordError,
    EmrUnavailableError,
)
from ocean_emr.records import AppointmentPage, HealthNumber, Operation, PatientId, Provider, ProviderId
from ocean_emr.testing.conformance import Clinic
from ocean_emr.testing.conformance.clinic import ALICE, DAY, LOCUM, PATIENTS, PROVIDERS, ZOE, ZONE, booking
from ocean_emr.testing.conformance.rig import FAST, items_of, pages_of
from ocean_emr.testing.fhir_faults import Fault, FaultKind
from ocean_emr.testing.fhir_gateway import FHIR_PATH, TOKEN_PATH
from ocean_emr.testing.fhir_stub import Habits
from ocean_emr.writes import PatientQuery

_NEXT = DAY + timedelta(days=1)
_CLINIC = Clinic(tuple(booking(n, DAY, time(8 + n // 12, n % 12 * 5)) for n in range(120)))
_SECRETS = (CLIENT_ID, CLIENT_SECRET, "gateway-token-", "p1001", "P0001", "1980-02-29")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def running() -> Iterator[FhirRig]:
    rig = FhirRig().start()
    yield rig
    rig.stop()


@pytest.fixture
def rig(running: FhirRig) -> FhirRig:
    running.renew()
    running.hold(_CLINIC)
    return running


async def _pages(rig: FhirRig, *providers: ProviderId) -> list[AppointmentPage]:
    async with rig.adapter() as adapter:
        return await pages_of(adapter, providers or [ALICE], DAY, _NEXT)


_ERRORS = {
    FaultKind.BARE_401: (EmrAuthRefusedError, 401),
    FaultKind.FORBIDDEN: (EmrPermissionDeniedError, 403),
    FaultKind.FORBIDDEN_PAGE: (EmrBlockedError, 403),
    FaultKind.TOO_MANY: (EmrRateLimitedError, 429),
    FaultKind.THROTTLED: (EmrRateLimitedError, 400),
    FaultKind.ACCESS_DENIED: (EmrPermissionDeniedError, 500),
    FaultKind.BROKEN: (EmrUnavailableError, 500),
    FaultKind.AWAY: (EmrUnavailableError, 503),
    FaultKind.GONE: (EmrAnswerError, 410),
    FaultKind.REDIRECT: (EmrAnswerError, 302),
    FaultKind.PAGE: (EmrAnswerError, 200),
    FaultKind.XML: (EmrAnswerError, 200),
    FaultKind.CUT_JSON: (EmrAnswerError, 200),
    FaultKind.OUTCOME: (EmrAnswerError, None),
    FaultKind.RESET: (EmrUnavailableError, None),
}


@pytest.mark.parametrize(("kind", "expected"), _ERRORS.items(), ids=[kind.value for kind in _ERRORS])
async def test_each_failure_says_what_to_do_next(
    rig: FhirRig, kind: FaultKind, expected: tuple[type[EmrError], int | None]
) -> None:
    """And shows neither credential nor patient, not even in a traceback."""
    rig.state.faults.add(Fault(kind, path=FHIR_PATH))
    with pytest.raises(EmrError) as raised:
        await _pages(rig)

    shown = "".join(traceback.format_exception(raised.value))
    assert (type(raised.value), raised.value.http_status) == expected
    assert [secret for secret in _SECRETS if secret in shown] == []


async def test_a_server_that_falls_silent_after_half_of_the_pages_concludes_nothing(rig: FhirRig) -> None:
    rig.state.faults.add(Fault(FaultKind.SILENCE, path="_getpages", after=1))
    quick = replace(FAST, silence_seconds=0.1, attempts=2)
    async with rig.adapter(limits=quick) as adapter:
        pages = adapter.list_appointments([ALICE], DAY, _NEXT, _CLINIC.zone)
        seen = [await anext(pages), await anext(pages)]
        with pytest.raises(EmrUnavailableError):
            await anext(pages)

    assert [len(page.items) for page in seen] == [50, 50]
    assert not any(page.last for page in seen)


async def test_a_result_the_server_forgot_is_asked_for_again_by_the_next_run(rig: FhirRig) -> None:
    """410 on a page link is nobody's fault: not an interface that changed."""
    rig.state.faults.add(Fault(FaultKind.GONE, path="_getpages"))
    with pytest.raises(EmrUnavailableError) as raised:
        await _pages(rig)

    assert raised.value.http_status == 410


@pytest.mark.parametrize("kind", [FaultKind.FOREIGN_LINK, FaultKind.CIRCULAR_LINK])
async def test_page_links_that_lead_astray_are_not_followed(rig: FhirRig, kind: FaultKind) -> None:
    rig.state.faults.add(Fault(kind))
    with pytest.raises(EmrAnswerError):
        await _pages(rig)

    assert rig.state.requests(FHIR_PATH) <= 4


@pytest.mark.parametrize(
    ("kind", "doubt"),
    [
        (FaultKind.LOST_LINK, "announced more"),
        (FaultKind.SHORTENED, "announced more"),
        (FaultKind.SUPPRESSED, "may lack something: suppressed"),
        (FaultKind.GARBLED, "could not be read"),
        (FaultKind.OTHER_RECORDS, "not of whom was asked for"),
    ],
)
async def test_each_defect_of_an_answer_leaves_it_incomplete(rig: FhirRig, kind: FaultKind, doubt: str) -> None:
    rig.state.faults.add(Fault(kind, path="/Appointment"))
    pages = await _pages(rig)

    assert len(pages[-1].doubts) == 1
    assert doubt in pages[-1].doubts[0]
    assert not pages[-1].complete


async def test_a_provider_who_is_silently_absent_is_hidden(rig: FhirRig) -> None:
    """The server answers about her as about somebody who has a free day."""
    rig.hold(replace(_CLINIC, appointments=(booking(1, DAY, time(9)), booking(2, DAY, time(9), provider=ZOE))))
    rig.state.faults.add(Fault(FaultKind.HIDDEN, ids=frozenset({ZOE})))
    pages = await _pages(rig, ALICE, ZOE)

    assert [item.id for page in pages for item in page.items] == ["1"]
    assert pages[-1].hidden_provider_ids == {ZOE}
    assert not any(("practitioner", ZOE) in seen.query for seen in rig.state.ledger)


@pytest.mark.parametrize("kind", [FaultKind.LOST_LINK, FaultKind.SHORTENED])
async def test_a_list_of_providers_that_is_cut_short_is_no_list(rig: FhirRig, kind: FaultKind) -> None:
    """Whoever is missing from it would be taken for gone, with all their bookings."""
    rig.hold(Clinic(providers=tuple(Provider(ProviderId(f"dr{n}"), f"Doctor, {n}") for n in range(60))))
    rig.state.faults.add(Fault(kind))
    async with rig.adapter() as adapter:
        with pytest.raises(EmrAnswerError):
            await adapter.list_providers()


async def test_a_provider_with_an_unreadable_name_goes_by_the_id(rig: FhirRig) -> None:
    rig.state.faults.add(Fault(FaultKind.GARBLED, path="/Practitioner"))
    async with rig.adapter() as adapter:
        found = await adapter.list_providers()

    assert [provider.id for provider in found] == [ALICE, ZOE, LOCUM]
    assert found[0].display_name == ALICE


async def test_more_providers_than_one_page_all_come(rig: FhirRig) -> None:
    rig.hold(Clinic(providers=tuple(Provider(ProviderId(f"dr{n}"), f"Doctor, {n}") for n in range(120))))
    async with rig.adapter() as adapter:
        found = await adapter.list_providers()

    assert [provider.id for provider in found] == [f"dr{n}" for n in range(120)]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.GARBLED, EmrRecordError),
        (FaultKind.OTHER_RECORDS, EmrAnswerError),
        (FaultKind.GONE, EmrNotFoundError),
        (FaultKind.OUTCOME, EmrRecordError),
        (FaultKind.FORBIDDEN, EmrPermissionDeniedError),
    ],
)
async def test_a_chart_that_is_not_right_is_not_taken(rig: FhirRig, kind: FaultKind, error: type[EmrError]) -> None:
    """Above all not another patient's."""
    rig.state.faults.add(Fault(kind, path="/Patient"))
    async with rig.adapter() as adapter:
        with pytest.raises(EmrError) as raised:
            await adapter.get_patient(PatientId("1001"))

    assert type(raised.value) is error


@pytest.mark.parametrize("id_", ["", "..", "1001/../1002", "1001?x=1", "a|b", "1001#", "é"])
async def test_an_id_that_could_lead_elsewhere_is_not_asked_for(rig: FhirRig, id_: str) -> None:
    async with rig.adapter() as adapter:
        with pytest.raises(EmrNotFoundError):
            await adapter.get_patient(PatientId(id_))

    assert rig.requests() == 0


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.GARBLED, EmrRecordError),
        (FaultKind.SUPPRESSED, EmrAnswerError),
        (FaultKind.OUTCOME, EmrAnswerError),
        (FaultKind.FORBIDDEN, EmrPermissionDeniedError),
    ],
)
async def test_a_search_for_a_patient_is_whole_or_fails(rig: FhirRig, kind: FaultKind, error: type[EmrError]) -> None:
    """Whoever is missing from it would get a second chart."""
    rig.state.faults.add(Fault(kind, path="/Patient?"))
    async with rig.adapter() as adapter:
        with pytest.raises(EmrError) as raised:
            await adapter.find_patients(PatientQuery(birth_date=PATIENTS[0].birth_date))

    assert type(raised.value) is error
    assert raised.value.op is Operation.FIND_PATIENTS


async def test_a_server_that_ignores_the_search_for_a_patient_is_not_believed(rig: FhirRig) -> None:
    rig.store.habits = Habits(ignored={"identifier"})
    async with rig.adapter() as adapter:
        with pytest.raises(EmrAnswerError, match="not looked for"):
            await adapter.find_patients(PatientQuery(HealthNumber("5555555555", "ON")))


@pytest.mark.parametrize(
    "kind", [FaultKind.LOST_LINK, FaultKind.SHORTENED, FaultKind.SUPPRESSED, FaultKind.GARBLED, FaultKind.OUTCOME]
)
async def test_a_patients_appointments_are_whole_or_fail(rig: FhirRig, kind: FaultKind) -> None:
    """Or somebody in the waiting room would not be marked as arrived."""
    rig.state.faults.add(Fault(kind, path="/Appointment"))
    start = midnight(DAY, ZONE)
    async with rig.adapter() as adapter:
        with pytest.raises(EmrAnswerError) as raised:
            await adapter.list_patient_appointments(PATIENTS[0].id, start, start + timedelta(days=1), ZONE)

    assert raised.value.op is Operation.LIST_PATIENT_APPOINTMENTS


async def test_the_first_login_is_by_form_and_asks_for_the_scopes(rig: FhirRig) -> None:
    rig.state.takes_basic = False
    async with rig.adapter() as adapter:
        await adapter.list_providers()

    assert rig.state.scopes == ["user/*"]


async def test_one_token_serves_until_shortly_before_its_end(rig: FhirRig) -> None:
    async with rig.adapter() as adapter:
        for _ in range(3):
            await adapter.list_providers()

    assert rig.state.requests(TOKEN_PATH) == 1


async def test_a_token_about_to_expire_is_renewed_before_it_is_refused(rig: FhirRig) -> None:
    rig.state.token_seconds = 20
    async with rig.adapter() as adapter:
        for _ in range(2):
            await adapter.list_providers()

    assert rig.state.requests(TOKEN_PATH) == 2
    assert {seen.status for seen in rig.state.ledger} == {200}


async def test_a_token_withdrawn_midway_is_replaced_once(rig: FhirRig) -> None:
    rig.state.faults.add(Fault(FaultKind.EXPIRED_TOKENS, path="_getpages", times=1))
    pages = await _pages(rig)

    assert sum(len(page.items) for page in pages) == 120
    assert pages[-1].complete
    assert rig.state.requests(TOKEN_PATH) == 2


async def test_a_401_to_a_fresh_token_ends_all_calls(rig: FhirRig) -> None:
    """Once more with another token, then never again: accounts get locked."""
    rig.state.faults.add(Fault(FaultKind.BARE_401, path=FHIR_PATH))
    async with rig.adapter() as adapter:
        for _ in range(2):
            with pytest.raises(EmrAuthRefusedError):
                await adapter.list_providers()

    assert [seen.path for seen in rig.state.ledger] == [TOKEN_PATH, f"{FHIR_PATH}/Practitioner"] * 2


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.BARE_401, EmrAuthRefusedError),
        (FaultKind.PAGE, EmrAnswerError),
        (FaultKind.CUT_JSON, EmrAnswerError),
        (FaultKind.AWAY, EmrUnavailableError),
        (FaultKind.BROKEN, EmrUnavailableError),
        (FaultKind.TOO_MANY, EmrRateLimitedError),
        (FaultKind.RESET, EmrUnavailableError),
    ],
)
async def test_trouble_at_the_token_endpoint(rig: FhirRig, kind: FaultKind, error: type[EmrError]) -> None:
    """The EMR itself is not asked, and the endpoint no more often than the limits say."""
    rig.state.faults.add(Fault(kind, path=TOKEN_PATH, retry_after="3600"))
    with pytest.raises(EmrError) as raised:
        await _pages(rig)

    assert type(raised.value) is error
    assert rig.state.requests(FHIR_PATH) == 0
    assert rig.requests() <= FAST.attempts


async def test_a_silent_token_endpoint_is_not_waited_for_without_end(rig: FhirRig) -> None:
    rig.state.faults.add(Fault(FaultKind.SILENCE, path=TOKEN_PATH))
    async with rig.adapter(limits=replace(FAST, silence_seconds=0.1, attempts=1)) as adapter:
        with pytest.raises(EmrUnavailableError):
            await adapter.list_providers()


@pytest.mark.parametrize("missing", ["clientId", "clientSecret"])
def test_credentials_that_lack_a_key_are_refused_by_name(missing: str) -> None:
    held = {"clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET} | {missing: ""}
    with pytest.raises(EmrAuthRefusedError, match=missing):
        FhirR4Adapter("http://127.0.0.1:1/fhir", held, token_url="http://127.0.0.1:1/token", scopes="user/*")


async def test_a_good_connection_is_described_without_warnings(rig: FhirRig) -> None:
    """One provider, one booking and its patient were read, which the capability statement alone would not prove."""
    today = date.today()  # noqa: DTZ011 - whatever today is where the test runs, the week around it is tried
    rig.hold(Clinic(tuple(booking(n, today + timedelta(days=n), time(9)) for n in range(-2, 3))))
    async with rig.adapter() as adapter:
        report = await adapter.check_connection()

    assert report.interface == "FHIR R4 (FHIR stub 1)"
    assert report.warnings == ()
    assert report.clock_skew_seconds is not None
    assert not report.encrypted
    assert rig.state.requests("/Patient/1001") == 1
    assert ("mode", "oceancc") in rig.state.ledger[1].query


async def test_an_empty_emr_is_reported_with_what_could_not_be_proven(rig: FhirRig) -> None:
    rig.hold(Clinic(providers=()))
    async with rig.adapter() as adapter:
        report = await adapter.check_connection()

    assert report.warnings == ("The right to read could not be tried: the EMR showed no provider.",)


async def test_a_missing_right_fails_the_check(rig: FhirRig) -> None:
    """Although the capability statement was shown."""
    rig.state.faults.add(Fault(FaultKind.FORBIDDEN, path="/Practitioner"))
    async with rig.adapter() as adapter:
        with pytest.raises(EmrPermissionDeniedError) as raised:
            await adapter.check_connection()

    assert raised.value.op is Operation.CHECK_CONNECTION


def _statement(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "software": {"name": "x"}, **elements}


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        (_statement(fhirVersion="3.0.2"), EmrNotSupportedError),
        (_statement(fhirVersion=None), EmrAnswerError),
        ({"resourceType": "Bundle"}, EmrAnswerError),
    ],
)
async def test_what_is_no_r4_interface_is_refused(
    rig: FhirRig, statement: dict[str, Any], error: type[EmrError]
) -> None:
    rig.store.statement = statement
    async with rig.adapter() as adapter:
        with pytest.raises(EmrError) as raised:
            await adapter.check_connection()

    assert type(raised.value) is error


async def test_what_the_interface_does_not_list_is_a_warning(rig: FhirRig) -> None:
    """Some servers list less than they can: what counts is what was tried."""
    rig.store.statement = _statement()
    async with rig.adapter() as adapter:
        report = await adapter.check_connection()

    listed = [warning.rpartition(" of ")[2] for warning in report.warnings]
    assert listed[:3] == ["Practitioner.", "Appointment.", "Patient."]


async def test_order_of_providers_is_the_servers(rig: FhirRig) -> None:
    async with rig.adapter() as adapter:
        assert [provider.id for provider in await adapter.list_providers()] == [each.id for each in PROVIDERS]


async def test_an_empty_window_asks_nobody(rig: FhirRig) -> None:
    async with rig.adapter() as adapter:
        assert await items_of(adapter, [ALICE], DAY, DAY) == []

    assert rig.requests() == 0
