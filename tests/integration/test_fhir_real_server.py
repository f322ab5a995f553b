"""The FHIR adapter against a real FHIR R4 server (HAPI), with the gateway's token endpoint in front.

The conformance suite runs here a second time, so that nothing rests on the stub being what we think a server is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from integration.real_fhir import Emr, RealRig
from ocean_emr.clinic_time import clinic_time
from ocean_emr.errors import EmrNotFoundError
from ocean_emr.records import Appointment, AppointmentId, PatientId, ProviderId
from ocean_emr.testing.conformance import CHECKS, Check, Clinic, NotApplicableError
from ocean_emr.testing.conformance.clinic import ALICE, CLOCK_CHANGE, DAY, PATIENTS, ZOE, ZONE, booking, moment_utc
from ocean_emr.testing.conformance.rig import pages_of
from ocean_emr.testing.fhir_clinic import appointment_resource
from ocean_emr.testing.fhir_faults import Fault, FaultKind
from ocean_emr.testing.fhir_gateway import TOKEN_PATH

pytestmark = pytest.mark.xdist_group("fhir-server")

_SPRING = date(2026, 3, 8)
"""At 02:00 the clock in Toronto goes forward to 03:00."""


@pytest.fixture
async def rig(emr: Emr) -> AsyncIterator[RealRig]:
    async with RealRig(emr) as rig:
        yield rig


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_contract_holds_on_a_real_server(rig: RealRig, check: Check) -> None:
    try:
        await check(rig)
    except NotApplicableError as operation:
        pytest.skip(f"does not claim to {operation}")


@pytest.mark.parametrize(("day", "hours"), [(_SPRING, 23), (CLOCK_CHANGE, 25)], ids=["spring", "autumn"])
async def test_a_day_of_a_clock_change_is_whole(rig: RealRig, day: date, hours: int) -> None:
    """Every half hour that there is on that day, each once, and nothing of the days beside it."""
    first = clinic_time(day, time(0), ZONE)
    moments = [first.astimezone(UTC) + timedelta(minutes=30 * n) for n in range(-1, 2 * hours + 1)]
    held = {AppointmentId(f"t{n}"): moment for n, moment in enumerate(moments)}
    rig.hold(Clinic(tuple(_at(id_, moment) for id_, moment in held.items())))
    async with rig.adapter() as adapter:
        pages = await pages_of(adapter, [ALICE], day, day + timedelta(days=1))

    found = {item.id: moment_utc(item.start) for page in pages for item in page.items}
    assert dict([*held.items()][1:-1]) == found
    assert pages[-1].complete


async def test_a_clinic_east_of_greenwich_gets_its_own_day(rig: RealRig) -> None:
    """A `+` in an address means a space, so an offset that is sent as it is written is lost on the way."""
    paris = ZoneInfo("Europe/Paris")
    midnight = datetime(2026, 7, 1, tzinfo=paris)
    moments = [midnight + timedelta(minutes=15 * n) for n in (-1, 0, 95, 96)]
    rig.hold(Clinic(tuple(_at(AppointmentId(f"t{n}"), moment) for n, moment in enumerate(moments))))
    async with rig.adapter() as adapter:
        window = adapter.list_appointments([ALICE], midnight.date(), date(2026, 7, 2), paris)
        found = [item async for page in window for item in page.items]

    assert sorted(item.id for item in found) == ["t1", "t2"]


async def test_five_pages_of_one_provider_all_come(rig: RealRig) -> None:
    """HAPI tells no total while there are further pages; only the links do."""
    bookings = tuple(booking(n, DAY + timedelta(days=n // 60), time(8 + n % 60 // 6, n % 6 * 10)) for n in range(250))
    rig.hold(Clinic(bookings))
    async with rig.adapter() as adapter:
        pages = await pages_of(adapter, [ALICE], DAY, DAY + timedelta(days=5))

    assert [len(page.items) for page in pages if page.items] == [50] * 5
    assert {item.id for item in bookings} == {item.id for page in pages for item in page.items}
    assert pages[-1].complete


async def test_a_change_between_two_pages_loses_nobody(rig: RealRig) -> None:
    """Somebody books and somebody cancels while we read."""
    bookings = tuple(booking(n, DAY, time(8 + n // 12, n % 12 * 5)) for n in range(120))
    rig.hold(Clinic(bookings))
    async with rig.adapter() as adapter:
        pages = adapter.list_appointments([ALICE], DAY, DAY + timedelta(days=1), ZONE)
        first = await anext(pages)
        rig.emr.delete(f"Appointment/{first.items[0].id}")
        rig.emr.put(appointment_resource(booking(999, DAY, time(7))))
        later = [item async for page in pages for item in page.items]

    found = [item.id for item in (*first.items, *later) if item.id != "999"]
    assert sorted(item.id for item in bookings) == sorted(found)


@pytest.mark.parametrize("asked", [[ALICE, ZOE], [ZOE, ALICE]], ids=["first", "second"])
async def test_a_booking_of_two_providers_comes_once(rig: RealRig, asked: list[ProviderId]) -> None:
    """As the primary performer's, whoever is asked about first; the patient they share keeps one id."""
    rig.hold(Clinic((booking(1, DAY, time(9)), booking(2, DAY, time(10), provider=ZOE))))
    rig.emr.put(appointment_resource(booking(3, DAY, time(11)), also=[ZOE]))
    async with rig.adapter() as adapter:
        pages = await pages_of(adapter, asked, DAY, DAY + timedelta(days=1))

    found = sorted((item.id, item.provider_id, item.patient_id) for page in pages for item in page.items)
    assert found == [("1", ALICE, "1001"), ("2", ZOE, "1001"), ("3", ALICE, "1001")]
    assert pages[-1].complete


async def test_accents_arrive_as_they_were_written(rig: RealRig) -> None:
    rig.hold(Clinic())
    rig.emr.put(appointment_resource(booking(1, DAY, time(9))) | {"description": "Suivi d'été, à jeun — Ÿ"})
    async with rig.adapter() as adapter:
        pages = await pages_of(adapter, [ALICE], DAY, DAY + timedelta(days=1))
        patient = await adapter.get_patient(PATIENTS[0].id)

    assert [item.reason for page in pages for item in page.items] == ["Suivi d'été, à jeun — Ÿ"]
    assert PATIENTS[0].addresses == patient.addresses


async def test_a_chart_deleted_between_two_reads_is_not_found(rig: RealRig) -> None:
    """HAPI says 410. The booking still names the patient; the next chart is read."""
    rig.hold(Clinic((booking(1, DAY, time(9)),)))
    async with rig.adapter() as adapter:
        pages = await pages_of(adapter, [ALICE], DAY, DAY + timedelta(days=1))
        rig.emr.delete("Patient/1001")
        with pytest.raises(EmrNotFoundError):
            await adapter.get_patient(PatientId("1001"))
        other = await adapter.get_patient(PatientId("1002"))

    assert [PatientId("1001")] == [item.patient_id for page in pages for item in page.items]
    assert other.id == "1002"


async def test_a_deleted_provider_is_hidden_and_their_bookings_not_gone(rig: RealRig) -> None:
    """The server still finds the bookings of somebody whom it does not list any more."""
    rig.hold(Clinic((booking(1, DAY, time(9)),)))
    rig.emr.delete(f"Practitioner/{ALICE}")
    async with rig.adapter() as adapter:
        pages = await pages_of(adapter, [ALICE], DAY, DAY + timedelta(days=1))

    assert frozenset({ALICE}) == pages[-1].hidden_provider_ids
    assert not pages[-1].complete


async def test_tokens_that_expire_between_pages_cost_nothing(rig: RealRig) -> None:
    rig.hold(Clinic(tuple(booking(n, DAY, time(8 + n // 12, n % 12 * 5)) for n in range(120))))
    rig.state.faults.add(Fault(FaultKind.EXPIRED_TOKENS, path="_getpages", after=1, times=1))
    async with rig.adapter() as adapter:
        pages = await pages_of(adapter, [ALICE], DAY, DAY + timedelta(days=1))

    assert sum(len(page.items) for page in pages) == 120
    assert pages[-1].complete
    assert rig.state.requests(TOKEN_PATH) == 2


def _at(id_: AppointmentId, moment: datetime) -> Appointment:
    return replace(booking(0, DAY, time(0)), id=id_, start=moment)
