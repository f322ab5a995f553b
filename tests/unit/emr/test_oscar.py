"""The OSCAR adapter against a simulated OSCAR and everything that can befall it while it is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from ocean_emr.adapters.oscar import OscarAdapter
from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrBlockedError,
    EmrClockSkewError,
    EmrError,
    EmrNotFoundError,
    EmrPermissionDeniedError,
    EmrRateLimitedError,
    EmrRecordError,
    EmrTlsError,
    EmrUnavailableError,
)
from ocean_emr.records import AppointmentPage, AppointmentStatus, PatientId, ProviderId
from ocean_emr.testing.conformance.rig import FAST
from ocean_emr.testing.oscar_sim import (
    Fault,
    FaultKind,
    OscarSim,
    Profile,
    SimAppointment,
    SimClinic,
    SimPatient,
    SimProvider,
)
from unit.emr.certificates import Authority

ZONE: Final = ZoneInfo("America/Toronto")
DAY: Final = date(2026, 11, 23)
P101: Final = ProviderId("101")
PATIENT: Final = PatientId("1001")
HASTY: Final = replace(FAST, silence_seconds=0.2, attempt_seconds=0.4, attempts=2)
BOTH: Final = pytest.mark.parametrize("profile", Profile)


def clinic() -> SimClinic:
    """One provider, two patients, three bookings on `DAY` and one a week later."""
    held = SimClinic()
    held.add(
        SimProvider("101", "Alder", "Alice"),
        SimPatient(1001, "p1001", "Zoë-Ünlü", date(1980, 2, 29), hin="9876543217"),
        SimPatient(1002, "p1002", "Given", date(2000, 1, 1)),
        SimAppointment(1, "101", DAY, time(9), demographic_no=1001),
        SimAppointment(2, "101", DAY, time(10), demographic_no=1002, status="C"),
        SimAppointment(3, "101", DAY, time(11)),
        SimAppointment(4, "101", DAY + timedelta(days=7), time(9), demographic_no=1001),
    )
    return held


@pytest.fixture(scope="module")
def running() -> Iterator[dict[Profile, OscarSim]]:
    with OscarSim(profile=Profile.CLASSIC) as classic, OscarSim(profile=Profile.OPEN_O_2026) as current:
        yield {Profile.CLASSIC: classic, Profile.OPEN_O_2026: current}


@pytest.fixture
def profile() -> Profile:
    """For tests to which the family does not matter."""
    return Profile.OPEN_O_2026


@pytest.fixture
def sim(running: dict[Profile, OscarSim], profile: Profile) -> OscarSim:
    """Well, and with the clinic above."""
    sim, held = running[profile], clinic()
    sim.faults.clear()
    sim.ledger.clear()
    sim.logins.token_exists = True
    sim.clinic.providers, sim.clinic.appointments, sim.clinic.patients = (
        held.providers,
        held.appointments,
        held.patients,
    )
    return sim


@asynccontextmanager
async def adapter_to(sim: OscarSim, **changes: str) -> AsyncIterator[OscarAdapter]:
    async with OscarAdapter(sim.url, {**sim.credentials.as_secret(), **changes}, limits=HASTY) as adapter:
        yield adapter


async def window(adapter: OscarAdapter, *providers: str, days: int = 1) -> list[AppointmentPage]:
    chosen = [ProviderId(provider) for provider in providers or ("101",)]
    return [page async for page in adapter.list_appointments(chosen, DAY, DAY + timedelta(days=days), ZONE)]


async def read_everything(sim: OscarSim) -> None:
    async with adapter_to(sim) as adapter:
        await adapter.list_providers()
        await window(adapter, days=14)
        await adapter.get_patient(PATIENT)


def ids(pages: list[AppointmentPage]) -> list[str]:
    return [item.id for page in pages for item in page.items]


# Connection


@BOTH
async def test_a_connection_is_proven_by_login_and_rights(sim: OscarSim, profile: Profile) -> None:
    async with adapter_to(sim) as adapter:
        report = await adapter.check_connection()

    assert (report.interface, report.principal, report.roles) == (f"OSCAR {profile}", "104", ("doctor",))
    assert (report.encrypted, report.warnings) == (False, ())
    assert abs(report.clock_skew_seconds or 0) < 5


@BOTH
@pytest.mark.parametrize("right", [FaultKind.NO_APPOINTMENT_RIGHT, FaultKind.NO_DEMOGRAPHIC_RIGHT])
async def test_a_missing_right_is_found_although_the_login_is_good(sim: OscarSim, right: FaultKind) -> None:
    sim.faults.add(right)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrPermissionDeniedError):
            await adapter.check_connection()


@BOTH
async def test_a_disabled_user_is_a_refused_login(sim: OscarSim) -> None:
    """Though classic builds answer 200."""
    sim.faults.add(FaultKind.USER_DISABLED)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrAuthRefusedError):
            await adapter.check_connection()


async def test_a_200_that_names_nobody_is_a_refused_login(sim: OscarSim) -> None:
    """Open-O answers `oauth/info` to anybody, with an error in the body."""
    sim.faults.add(Fault(FaultKind.BARE_ARRAY, path="/oauth/info"))
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrAuthRefusedError, match="names no provider"):
            await adapter.check_connection()


async def test_a_right_that_cannot_be_proven_is_a_warning(sim: OscarSim) -> None:
    sim.faults.add(Fault(FaultKind.SERVER_ERROR_PAGE, path="/appointmentHistory"))
    async with adapter_to(sim) as adapter:
        report = await adapter.check_connection()

    assert ["_appointment" in warning for warning in report.warnings] == [True]


async def test_an_address_without_context_path_is_a_warning(sim: OscarSim) -> None:
    """It is also wrong here, so that only the report's part of it can be looked at."""
    adapter = OscarAdapter("https://emr.invalid", sim.credentials.as_secret())

    assert any("context path" in warning for warning in adapter._warnings([]))
    await adapter.__aexit__()


async def test_missing_credentials_are_named_before_anybody_is_asked() -> None:
    with pytest.raises(EmrAuthRefusedError, match="lack consumerSecret, tokenSecret"):
        OscarAdapter("https://emr.invalid/oscar", {"consumerKey": "k", "token": "t", "consumerSecret": ""})


# Logins


@BOTH
@pytest.mark.parametrize("key", ["consumerKey", "consumerSecret", "token", "tokenSecret"])
async def test_each_wrong_credential_is_refused(sim: OscarSim, key: str) -> None:
    async with adapter_to(sim, **{key: "wrong"}) as adapter:
        with pytest.raises(EmrAuthRefusedError) as caught:
            await adapter.list_providers()

    assert "proxyName" in caught.value.remedy
    assert [entry.login for entry in sim.ledger.received].count("accepted") == 0
    assert sim.ledger.total <= 3


@BOTH
@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.BARE_401),
        Fault(FaultKind.TOKEN_EXPIRED, skip=4),
        Fault(FaultKind.OTHER_HOST),
        Fault(FaultKind.USER_DISABLED),
    ],
    ids=lambda fault: fault.kind,
)
async def test_a_login_that_goes_bad_stops_the_run_and_the_calls(sim: OscarSim, fault: Fault) -> None:
    sim.faults.add(fault)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrError) as caught:
            for _ in range(20):
                await adapter.list_providers()
                await adapter.check_connection()
        before = sim.ledger.total
        if isinstance(caught.value, EmrAuthRefusedError):
            for _ in range(3):
                with pytest.raises(EmrAuthRefusedError):
                    await adapter.get_patient(PATIENT)

    assert isinstance(caught.value, EmrAuthRefusedError | EmrUnavailableError)
    assert sim.ledger.total - before <= 2


@pytest.mark.parametrize("kind", [FaultKind.OTHER_HOST])
async def test_named_codes_are_told(sim: OscarSim, kind: FaultKind) -> None:
    sim.faults.add(FaultKind.NAMED_CODES, kind)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrAuthRefusedError, match="invalid_signature"):
            await adapter.list_providers()


async def test_a_missing_scope_is_a_missing_right(sim: OscarSim) -> None:
    sim.faults.add(FaultKind.SCOPE_403)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrPermissionDeniedError):
            await adapter.list_providers()


@pytest.mark.parametrize("profile", [Profile.CLASSIC])
async def test_repetitions_do_not_cost_the_token(sim: OscarSim) -> None:
    """Classic builds delete a token whose nonce comes twice."""
    sim.faults.add(Fault(FaultKind.UNAVAILABLE, path="/demographics", times=1), Fault(FaultKind.RESET, skip=3, times=1))
    await read_everything(sim)

    assert sim.logins.token_exists
    assert "503" in [entry.fault for entry in sim.ledger.received]


@pytest.mark.parametrize("profile", [Profile.CLASSIC])
async def test_a_wrong_clock_does_not_cost_the_token(sim: OscarSim) -> None:
    sim.faults.add(FaultKind.CLOCK_AHEAD)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrClockSkewError, match="ahead of"):
            await adapter.list_providers()

    assert sim.logins.token_exists
    assert sim.ledger.total == 1


# What stands between


@pytest.mark.parametrize(
    ("fault", "kind", "most"),
    [
        (Fault(FaultKind.BAD_GATEWAY), EmrUnavailableError, 3),
        (Fault(FaultKind.UNAVAILABLE, retry_after="0"), EmrUnavailableError, 3),
        (Fault(FaultKind.UNAVAILABLE, retry_after="600"), EmrUnavailableError, 2),
        (Fault(FaultKind.RATE_LIMITED), EmrRateLimitedError, 3),
        (Fault(FaultKind.RATE_LIMITED, retry_after="600"), EmrRateLimitedError, 2),
        (Fault(FaultKind.FIREWALL_PAGE), EmrBlockedError, 2),
        (Fault(FaultKind.REDIRECT), EmrAnswerError, 2),
        (Fault(FaultKind.REST_OFF), EmrAnswerError, 2),
        (Fault(FaultKind.SERVER_ERROR_PAGE), EmrUnavailableError, 2),
        (Fault(FaultKind.NOT_ACCEPTABLE), EmrAnswerError, 2),
        (Fault(FaultKind.WEB_PAGE), EmrAnswerError, 2),
        (Fault(FaultKind.XML), EmrAnswerError, 2),
        (Fault(FaultKind.CUT_JSON), EmrAnswerError, 2),
        (Fault(FaultKind.RESET), EmrUnavailableError, 3),
        (Fault(FaultKind.SILENCE), EmrUnavailableError, 3),
        (Fault(FaultKind.DRIP), EmrUnavailableError, 3),
    ],
    ids=lambda it: f"{it.kind}-{it.retry_after}" if isinstance(it, Fault) else None,
)
async def test_each_trouble_is_told_apart_and_not_made_worse(
    sim: OscarSim, fault: Fault, kind: type[EmrError], most: int
) -> None:
    sim.faults.add(fault)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrError) as caught:
            await adapter.list_providers()

    assert type(caught.value) is kind
    assert sim.ledger.total <= most
    assert "p1001" not in caught.value.safe_message + caught.value.remedy


async def test_an_endless_answer_is_cut_off(sim: OscarSim) -> None:
    sim.faults.add(FaultKind.ENDLESS)
    limits = replace(FAST, body_bytes=1_000_000)
    async with OscarAdapter(sim.url, sim.credentials.as_secret(), limits=limits) as adapter:
        with pytest.raises(EmrAnswerError, match="larger than"):
            await adapter.list_providers()


async def test_a_wrong_context_path_is_named(sim: OscarSim) -> None:
    async with OscarAdapter(sim.url + "/kai", sim.credentials.as_secret(), limits=HASTY) as adapter:
        with pytest.raises(EmrAnswerError, match="nothing at this address|no REST interface"):
            await adapter.list_providers()


async def test_tls_with_the_clinics_own_authority(tmp_path: Path) -> None:
    authority = Authority.new()
    with OscarSim(clinic(), tls=authority.server(tmp_path)) as sim:
        secret = sim.credentials.as_secret()
        async with OscarAdapter(sim.url, secret, ca_bundle=authority.pem, limits=HASTY) as adapter:
            assert (await adapter.check_connection()).encrypted
        async with OscarAdapter(sim.url, secret, limits=HASTY) as adapter:
            with pytest.raises(EmrTlsError):
                await adapter.check_connection()


# The schedule


@BOTH
async def test_a_booking_is_read_whole(sim: OscarSim, profile: Profile) -> None:
    sim.clinic.add(replace(sim.clinic.appointments[1], reason="Suivi prénatal", type="visit", minutes=20))
    async with adapter_to(sim) as adapter:
        first, *_ = [item for page in await window(adapter) for item in page.items]

    assert (first.id, first.provider_id, first.patient_id) == ("1", "101", "1001")
    assert first.start.isoformat() == "2026-11-23T09:00:00-05:00"
    assert (first.status, first.status_raw) == (AppointmentStatus.BOOKED, "t")
    # The one-call list of classic builds has neither length nor reason.
    told = (20, "Suivi prénatal", "visit") if profile is Profile.OPEN_O_2026 else (None, None, None)
    assert (first.duration_minutes, first.reason, first.visit_type) == told


@pytest.mark.parametrize("profile", [Profile.OPEN_O_2026])
async def test_a_build_whose_one_call_list_fails_is_asked_once(sim: OscarSim) -> None:
    async with adapter_to(sim) as adapter:
        for _ in range(2):
            assert ids(await window(adapter, days=14)) == ["1", "2", "3", "4"]

    assert len([entry for entry in sim.ledger.received if "fetchDays" in entry.path]) == 1


@pytest.mark.parametrize("profile", [Profile.CLASSIC])
async def test_a_one_call_list_needs_one_call(sim: OscarSim) -> None:
    sim.clinic.add(SimProvider("102", "Two", "T"))
    async with adapter_to(sim) as adapter:
        await window(adapter, "101", "102", days=7)

    paths = [entry.path.rpartition("/services/")[2] for entry in sim.ledger.received]
    assert paths[1:] == ["providerService/providers_json", "schedule/fetchDays/2026-11-23/2026-11-29/101,102"]


@BOTH
@pytest.mark.parametrize(
    "shape",
    [FaultKind.DAYS_AS_MOMENTS, FaultKind.DAYS_AS_UTC_MOMENTS, FaultKind.CLOCKS_WITH_AM_PM, FaultKind.DAYS_WITH_TIME],
)
async def test_every_known_shape_of_dates_is_read_alike(sim: OscarSim, shape: FaultKind) -> None:
    async with adapter_to(sim) as adapter:
        plain = [item for page in await window(adapter, days=14) for item in page.items]
    sim.faults.add(shape)
    async with adapter_to(sim) as adapter:
        shaped = [item for page in await window(adapter, days=14) for item in page.items]

    assert len(plain) == 4
    assert shaped == plain


@pytest.mark.parametrize("profile", [Profile.CLASSIC])
async def test_dates_in_no_known_shape_are_no_free_day(sim: OscarSim) -> None:
    sim.faults.add(FaultKind.DAYS_UNKNOWN)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrAnswerError, match="none of 3 appointments"):
            await window(adapter)


@BOTH
@pytest.mark.parametrize("shape", [FaultKind.BARE_ARRAY, FaultKind.NO_CONTENT])
async def test_wrapped_or_not_the_list_is_the_same(sim: OscarSim, shape: FaultKind) -> None:
    sim.faults.add(Fault(shape, path="/schedule/fetch"))
    async with adapter_to(sim) as adapter:
        pages = await window(adapter, days=14)

    assert ids(pages) == ["1", "2", "3", "4"]
    assert pages[-1].complete


@BOTH
async def test_one_bad_row_is_a_doubt_and_not_the_end(sim: OscarSim) -> None:
    sim.clinic.add(SimAppointment(9, "", DAY, time(8)))
    sim.clinic.appointments[1] = replace(sim.clinic.appointments[1], no=1, provider_no="101")
    sim.faults.add(Fault(FaultKind.SERVER_ERROR_PAGE, path="/getAppointment", times=1))
    async with adapter_to(sim) as adapter:
        pages = await window(adapter)

    expected = 2 if [e for e in sim.ledger.received if "getAppointment" in e.path] else 3
    assert len(ids(pages)) == expected
    assert pages[-1].complete is (expected == 3)


@BOTH
@pytest.mark.parametrize("cap", [FaultKind.CAPPED, FaultKind.CAPPED_AND_TOLD])
async def test_a_cut_list_is_read_in_parts_or_doubted(sim: OscarSim, cap: FaultKind) -> None:
    """Nobody may take the fifty-first booking for a cancelled one."""
    sim.clinic.appointments.clear()
    sim.clinic.add(
        *(SimAppointment(n, "101", DAY + timedelta(days=n % 2), time(9 + n % 9, n // 9)) for n in range(1, 61))
    )
    sim.faults.add(cap)
    async with adapter_to(sim) as adapter:
        over_days = await window(adapter, days=2)
        sim.clinic.add(*(SimAppointment(n, "101", DAY, time(8)) for n in range(100, 150)))
        in_a_day = await window(adapter, days=1)

    assert len(ids(over_days)) == 60
    assert over_days[-1].complete
    assert len(ids(in_a_day)) == 50
    assert [*in_a_day[-1].doubts] == ["The EMR may have cut a list short."]


@BOTH
async def test_a_provider_hidden_by_the_emr_is_reported(sim: OscarSim) -> None:
    sim.clinic.add(SimProvider("102", "Two", "T"), SimAppointment(8, "102", DAY, time(9)))
    sim.faults.add(Fault(FaultKind.PROVIDER_HIDDEN, detail="102"))
    async with adapter_to(sim) as adapter:
        pages = await window(adapter, "101", "102")

    assert ids(pages) == ["1", "2", "3"]
    assert pages[-1].hidden_provider_ids == {"102"}
    assert not pages[-1].complete


@BOTH
async def test_a_schedule_without_right_is_refused_although_the_lists_do_not_say_why(sim: OscarSim) -> None:
    sim.faults.add(FaultKind.NO_APPOINTMENT_RIGHT)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrPermissionDeniedError):
            await window(adapter)


@pytest.mark.parametrize("profile", [Profile.OPEN_O_2026])
async def test_a_booking_deleted_between_list_and_detail_is_doubted(sim: OscarSim) -> None:
    """OSCAR tells a booking that is gone by the same failure as one it cannot read."""
    async with adapter_to(sim) as adapter:
        pages = adapter.list_appointments([P101], DAY, DAY + timedelta(days=14), ZONE)
        got = [await anext(pages)]
        sim.faults.add(Fault(FaultKind.SERVER_ERROR_PAGE, path="/getAppointment", times=1))
        got += [page async for page in pages]

    assert ids(got) == ["1", "2", "3"]
    assert not got[-1].complete


@pytest.mark.parametrize("profile", [Profile.OPEN_O_2026])
async def test_a_failure_among_many_details_ends_the_others(sim: OscarSim) -> None:
    sim.clinic.add(*(SimAppointment(n, "101", DAY, time(8)) for n in range(100, 130)))
    sim.faults.add(Fault(FaultKind.BARE_401, path="/getAppointment", skip=5))
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrAuthRefusedError):
            await window(adapter)

    refused = [entry for entry in sim.ledger.received if entry.login == "refused"]
    assert len(refused) <= 5


@BOTH
async def test_hours_of_clock_changes(sim: OscarSim) -> None:
    """02:30 is skipped in March, 01:30 comes twice in November."""
    spring, autumn = date(2026, 3, 8), date(2026, 11, 1)
    sim.clinic.appointments.clear()
    sim.clinic.add(SimAppointment(1, "101", spring, time(2, 30)), SimAppointment(2, "101", autumn, time(1, 30)))
    found = []
    async with adapter_to(sim) as adapter:
        for day in (spring, autumn):
            pages = adapter.list_appointments([P101], day, day + timedelta(days=1), ZONE)
            found += [item.start.isoformat() async for page in pages for item in page.items]

    assert found == ["2026-03-08T03:30:00-04:00", "2026-11-01T01:30:00-04:00"]


# Patients


@BOTH
@pytest.mark.parametrize("way", [None, FaultKind.MISSING_IS_NULL, FaultKind.MISSING_IS_404])
async def test_a_patient_who_is_gone_is_not_found(sim: OscarSim, way: FaultKind | None) -> None:
    """Deleted after the schedule was read, whichever way this build says so."""
    if way:
        sim.faults.add(way)
    async with adapter_to(sim) as adapter:
        await window(adapter)
        del sim.clinic.patients[1001]
        with pytest.raises(EmrNotFoundError):
            await adapter.get_patient(PATIENT)
        assert (await adapter.get_patient(PatientId("1002"))).id == "1002"


async def test_a_chart_that_oscar_trips_over_is_set_aside(sim: OscarSim) -> None:
    sim.faults.add(Fault(FaultKind.SERVER_ERROR_PAGE, path="/demographics/1001"))
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrRecordError):
            await adapter.get_patient(PATIENT)
        assert (await adapter.get_patient(PatientId("1002"))).id == "1002"


async def test_another_patients_chart_is_not_taken(sim: OscarSim) -> None:
    sim.faults.add(FaultKind.FOREIGN_CHART)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrAnswerError, match="another patient"):
            await adapter.get_patient(PATIENT)


@pytest.mark.parametrize("odd", ["../providerService/providers_json", "1001/x", "1001?x=1", "p 1001"])
async def test_an_odd_id_is_one_path_segment(sim: OscarSim, odd: str) -> None:
    """Ids come from the EMR: they must not lead to another of its addresses."""
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrNotFoundError):
            await adapter.get_patient(PatientId(odd))

    assert not [entry for entry in sim.ledger.received if entry.path.endswith("providers_json")]
