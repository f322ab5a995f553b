"""Finding charts in OSCAR, whose search matches patterns and one half of the charts at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Final

import pytest

from ocean_emr.errors import EmrAnswerError, EmrNotSupportedError
from ocean_emr.records import HealthNumber
from ocean_emr.testing.oscar_sim import Fault, FaultKind, OscarSim, SimPatient
from ocean_emr.writes import PatientQuery
from unit.emr.oscar_clinic import BOTH, writer_to

BORN: Final = date(1980, 2, 5)


def add(sim: OscarSim, *numbers: int, last_name: str = "p3000", hin: str = "", born: date = BORN) -> None:
    for number in numbers:
        sim.clinic.add(SimPatient(number, last_name, "Given", born, hin=hin))


@BOTH
@pytest.mark.parametrize("written", ["9999 999 991", "9999-999-991", "9999999991"])
async def test_a_number_is_found_however_the_chart_has_it(sim: OscarSim, written: str) -> None:
    """Missing a chart would mean a second one for the same patient."""
    add(sim, 3001, hin=written)
    async with writer_to(sim) as adapter:
        found = await adapter.find_patients(PatientQuery(HealthNumber("9999999991")))

    assert [patient.id for patient in found] == ["3001"]


async def test_letters_of_a_number_count(sim: OscarSim) -> None:
    """In Quebec the digits are a birth date and little more."""
    add(sim, 3001, hin="PAAA80020511")
    add(sim, 3002, hin="PBBB80020511")
    async with writer_to(sim) as adapter:
        found = await adapter.find_patients(PatientQuery(HealthNumber("paaa 8002 0511")))

    assert [patient.id for patient in found] == ["3001"]


async def test_every_status_is_looked_at(sim: OscarSim) -> None:
    add(sim, 3001, 3002, 3003, hin="9999999991")
    sim.clinic.add(replace(sim.clinic.patients[3002], status="DE"), replace(sim.clinic.patients[3003], status="XX"))
    async with writer_to(sim) as adapter:
        found = await adapter.find_patients(PatientQuery(HealthNumber("9999999991")))

    assert {patient.id for patient in found} == {"3001", "3002", "3003"}


async def test_days_that_end_alike_are_other_days(sim: OscarSim) -> None:
    """OSCAR takes the day for a pattern."""
    add(sim, 3001)
    add(sim, 3002, born=date(1980, 2, 15))
    add(sim, 3003, born=date(1980, 2, 25))
    async with writer_to(sim) as adapter:
        found = await adapter.find_patients(PatientQuery(last_name="p3000", birth_date=BORN))

    assert [patient.id for patient in found] == ["3001"]


async def test_a_day_of_birth_without_its_zero_is_the_same_day(sim: OscarSim) -> None:
    add(sim, 3001)
    sim.faults.add(FaultKind.BIRTHS_WITHOUT_ZERO)
    async with writer_to(sim) as adapter:
        found = await adapter.find_patients(PatientQuery(last_name="p3000", birth_date=BORN))

    assert [patient.id for patient in found] == ["3001"]


async def test_pages_of_a_search_are_put_together(sim: OscarSim) -> None:
    add(sim, *range(3000, 3130))
    sim.faults.add(FaultKind.CAPPED_AND_TOLD)
    async with writer_to(sim) as adapter:
        found = await adapter.find_patients(PatientQuery(last_name="p3000", birth_date=BORN))

    assert len({patient.id for patient in found}) == 130


async def test_a_list_of_a_suspicious_length_is_an_error(sim: OscarSim) -> None:
    add(sim, *range(3000, 3070))
    sim.faults.add(FaultKind.CAPPED)
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrAnswerError, match="cut"):
            await adapter.find_patients(PatientQuery(last_name="p3000", birth_date=BORN))


async def test_a_crowd_fits_no_question(sim: OscarSim) -> None:
    add(sim, *range(3000, 4050))
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrAnswerError, match="announced more"):
            await adapter.find_patients(PatientQuery(last_name="p4000", birth_date=BORN))


async def test_a_name_alone_is_no_question(sim: OscarSim) -> None:
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrNotSupportedError):
            await adapter.find_patients(PatientQuery(last_name="p3000"))

    assert sim.ledger.total == 0


async def test_who_is_deleted_in_between_is_nobody(sim: OscarSim) -> None:
    add(sim, 3001, hin="9999999991")
    async with writer_to(sim) as adapter:
        sim.faults.add(Fault(FaultKind.MISSING_IS_404))
        sim.faults.add(Fault(FaultKind.CHART_GONE))
        assert await adapter.find_patients(PatientQuery(HealthNumber("9999999991"))) == ()


async def test_no_name_is_in_an_address(sim: OscarSim) -> None:
    """Accents there break signatures, and addresses get into logs."""
    async with writer_to(sim) as adapter:
        await adapter.find_patients(PatientQuery(last_name="p1001-Côté", birth_date=BORN))

    assert {entry.method for entry in sim.ledger.received if "search" in entry.path} == {"POST"}
