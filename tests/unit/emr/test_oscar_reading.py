"""What the OSCAR adapter reads of the schedule and of charts, and what it makes of odd ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time, timedelta

import pytest

from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrError,
    EmrNotFoundError,
    EmrPermissionDeniedError,
    EmrRecordError,
    EmrUnavailableError,
)
from ocean_emr.records import AppointmentPage, AppointmentStatus, PatientId
from ocean_emr.testing.oscar_sim import (
    Fault,
    FaultKind,
    OscarSim,
    Profile,
    SimAppointment,
    SimProvider,
)
from unit.emr.oscar_clinic import (
    BOTH,
    DAY,
    P101,
    PATIENT,
    ZONE,
    adapter_to,
    ids,
    window,
)


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
    sim.faults.add(FaultKind.ROW_SPOILED)
    async with adapter_to(sim) as adapter:
        pages = await window(adapter)

    assert ids(pages) == ["1", "2"]
    assert pages[-1].doubts == ("Appointments that could not be read: 1.",)
    assert not pages[-1].complete


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


@BOTH
async def test_an_empty_day_without_right_is_no_free_day(sim: OscarSim) -> None:
    """The lists show nothing and say nothing."""
    sim.clinic.appointments.clear()
    sim.faults.add(FaultKind.NO_APPOINTMENT_RIGHT)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrPermissionDeniedError):
            await window(adapter)


@BOTH
async def test_an_empty_day_whose_right_cannot_be_proven_is_in_doubt(sim: OscarSim) -> None:
    sim.clinic.appointments.clear()
    sim.faults.add(
        Fault(FaultKind.SERVER_ERROR_PAGE, path="/fetchDays"),
        Fault(FaultKind.SERVER_ERROR_PAGE, path="/appointmentHistory"),
    )
    async with adapter_to(sim) as adapter:
        pages = await window(adapter)

    assert ids(pages) == []
    assert pages[-1].doubts == ("The EMR does not say whether the login may read appointments.",)


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
async def test_a_silence_after_half_of_the_pages_concludes_nothing(sim: OscarSim) -> None:
    sim.faults.add(Fault(FaultKind.SILENCE, path="/schedule/fetch", skip=2))
    pages: list[AppointmentPage] = []
    error: EmrError | None = None
    async with adapter_to(sim) as adapter:
        try:
            async for page in adapter.list_appointments([P101], DAY, DAY + timedelta(days=28), ZONE):
                pages.append(page)  # noqa: PERF401 - what came before the failure is the point
        except EmrError as caught:
            error = caught

    assert isinstance(error, EmrUnavailableError)
    assert "in time" in error.what
    assert "1" in ids(pages)
    assert not any(page.last for page in pages)


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


@pytest.mark.parametrize("odd", ["../providerService/providers_json", "1001/x", "1001?x=1", "-1", "\u0661", ""])
async def test_an_id_that_is_no_number_is_not_asked_for(sim: OscarSim, odd: str) -> None:
    """It could lead to another of the EMR's addresses."""
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrNotFoundError):
            await adapter.get_patient(PatientId(odd))

    assert sim.ledger.total == 0
