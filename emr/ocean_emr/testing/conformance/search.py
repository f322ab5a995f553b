"""Checks of the reads that a message needs: whose chart it is, and which appointments the patient has."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Final

from ocean_emr.errors import EmrAnswerError
from ocean_emr.records import AppointmentStatus, HealthNumber, Operation, Patient, PatientId
from ocean_emr.testing.conformance.clinic import DAY, LOCUM, PATIENTS, ZOE, ZONE, Clinic, booking, moment_utc
from ocean_emr.testing.conformance.rig import Check, Rig, asking
from ocean_emr.writes import PatientQuery

_BORN: Final = date(1980, 2, 29)
_CROWD: Final = 120
"""More than any server puts on one page of a search unasked."""


def _patient(number: int, last_name: str, born: date = _BORN, hn: str = "", province: str | None = "ON") -> Patient:
    card = HealthNumber(hn, province) if hn else None
    return Patient(
        PatientId(str(number)),
        active=True,
        first_name="Given",
        last_name=last_name,
        birth_date=born,
        health_number=card,
        home_phone="416-555-0100",
    )


async def a_health_number_finds_its_chart(rig: Rig) -> None:
    """Written with spaces or without, and nobody whose number begins, ends or continues alike."""
    right = _patient(2001, "p2001", hn="9876543217")
    others = [
        _patient(2002, "p2002", hn="98765432170"),
        _patient(2003, "p2003", hn="19876543217"),
        _patient(2004, "p2004", hn="987654321"),
        _patient(2005, "p2005"),
    ]
    rig.hold(Clinic(patients=(right, *others)))
    async with asking(rig, Operation.FIND_PATIENTS) as adapter:
        for written in ("9876543217", "9876 543 217", "9876-543-217"):
            found = await adapter.find_patients(PatientQuery(HealthNumber(written, "ON")))
            assert [right.id] == [patient.id for patient in found]


async def the_same_digits_of_another_province_are_another_number(rig: Rig) -> None:
    """Where both sides say which province; who does not say may be meant."""
    charts = (
        _patient(2001, "p2001", hn="9876543217", province="ON"),
        _patient(2002, "p2002", hn="9876543217", province="BC"),
    )
    rig.hold(Clinic(patients=charts))
    async with asking(rig, Operation.FIND_PATIENTS) as adapter:
        ontarian = await adapter.find_patients(PatientQuery(HealthNumber("9876543217", "ON")))
        anybody = await adapter.find_patients(PatientQuery(HealthNumber("9876543217")))

    assert [patient.id for patient in ontarian] == ["2001"]
    assert {patient.id for patient in anybody} == {"2001", "2002"}


async def a_name_and_birth_date_find_their_chart(rig: Rig) -> None:
    """Both together, exactly, however a name is typed or accented; what searches take for a pattern is a letter."""
    rig.hold(
        Clinic(
            patients=(
                _patient(2001, "p2001-Côté"),
                _patient(2002, "p2001-Côté", date(1980, 2, 28)),
                _patient(2003, "p2001-Côtés"),
                _patient(2004, "O'p2004 (née .*)"),
                _patient(2005, "O'p2004 (née xy)"),
            )
        )
    )
    async with asking(rig, Operation.FIND_PATIENTS) as adapter:
        for name, expected in (
            ("p2001-Côté", ["2001"]),
            ("P2001-COTE", ["2001"]),
            ("p2001", []),
            ("O'p2004 (née .*)", ["2004"]),
        ):
            found = await adapter.find_patients(PatientQuery(last_name=name, birth_date=_BORN))
            assert expected == [patient.id for patient in found]


async def all_that_is_asked_must_fit(rig: Rig) -> None:
    """A right number with a wrong birth date is nobody."""
    rig.hold(Clinic(patients=(_patient(2001, "p2001", hn="9876543217"),)))
    card = HealthNumber("9876543217", "ON")
    async with asking(rig, Operation.FIND_PATIENTS) as adapter:
        right = await adapter.find_patients(PatientQuery(card, "p2001", _BORN))
        wrong = await adapter.find_patients(PatientQuery(card, "p2001", date(1999, 1, 1)))

    assert [patient.id for patient in right] == ["2001"]
    assert wrong == ()


async def who_left_is_found_too(rig: Rig) -> None:
    """Inactive charts come, or the patient would get a second one."""
    gone = replace(_patient(2001, "p2001", hn="9876543217"), active=False)
    rig.hold(Clinic(patients=(gone, _patient(2002, "p2001"))))
    async with asking(rig, Operation.FIND_PATIENTS) as adapter:
        by_number = await adapter.find_patients(PatientQuery(gone.health_number))
        by_name = await adapter.find_patients(PatientQuery(last_name="p2001", birth_date=_BORN))

    assert [patient.id for patient in by_number] == ["2001"]
    assert {patient.id for patient in by_name} == {"2001", "2002"}


async def charts_that_are_found_are_whole(rig: Rig) -> None:
    """As `get_patient` gives them."""
    rig.hold(Clinic())
    async with asking(rig, Operation.FIND_PATIENTS, Operation.GET_PATIENT) as adapter:
        (found,) = await adapter.find_patients(PatientQuery(PATIENTS[0].health_number))
        chart = await adapter.get_patient(PATIENTS[0].id)

    assert chart == found


async def many_that_fit_all_come(rig: Rig) -> None:
    """Or it is an error: a list that was cut looks like a clear answer."""
    crowd = tuple(_patient(3000 + number, "p3000") for number in range(_CROWD))
    rig.hold(Clinic(patients=crowd))
    async with asking(rig, Operation.FIND_PATIENTS) as adapter:
        try:
            found = await adapter.find_patients(PatientQuery(last_name="p3000", birth_date=_BORN))
        except EmrAnswerError:
            return

    assert len({patient.id for patient in found}) == _CROWD


async def nobody_is_an_empty_answer(rig: Rig) -> None:
    """Not an error, and nobody else."""
    rig.hold(Clinic())
    async with asking(rig, Operation.FIND_PATIENTS) as adapter:
        assert await adapter.find_patients(PatientQuery(HealthNumber("1111111111", "ON"))) == ()
        assert await adapter.find_patients(PatientQuery(last_name="p4004", birth_date=_BORN)) == ()


async def a_patients_appointments_come_to_the_minute(rig: Rig) -> None:
    """From the first moment to the last, both included, by time, with whomever, cancelled or not; nobody else's."""
    rig.hold(
        Clinic(
            (
                booking(1, DAY, time(8, 59)),
                booking(2, DAY, time(11), provider=LOCUM),
                booking(3, DAY, time(9)),
                booking(4, DAY, time(10), provider=ZOE, status=AppointmentStatus.CANCELLED),
                booking(5, DAY, time(11, 1)),
                booking(6, DAY, time(10), patient=PATIENTS[1].id),
                booking(7, DAY + timedelta(days=1), time(10)),
                booking(8, DAY, time(10, 30), patient=None),
            )
        )
    )
    start, end = (datetime.combine(DAY, time(hour), ZONE) for hour in (9, 11))
    async with asking(rig, Operation.LIST_PATIENT_APPOINTMENTS) as adapter:
        found = await adapter.list_patient_appointments(PATIENTS[0].id, start, end, ZONE)

    assert [item.id for item in found] == ["3", "4", "2"]
    assert [item.provider_id for item in found] == ["101", ZOE, LOCUM]
    assert {item.patient_id for item in found} == {PATIENTS[0].id}
    assert found[1].status is AppointmentStatus.CANCELLED
    assert moment_utc(found[0].start) == moment_utc(start)


async def appointments_are_found_across_midnight(rig: Rig) -> None:
    """Hours are hours, whatever the date says."""
    night = booking(1, DAY, time(23, 50)), booking(2, DAY + timedelta(days=1), time(0, 10))
    rig.hold(Clinic(night))
    start = datetime.combine(DAY, time(23, 30), ZONE)
    async with asking(rig, Operation.LIST_PATIENT_APPOINTMENTS) as adapter:
        found = await adapter.list_patient_appointments(PATIENTS[0].id, start, start + timedelta(hours=1), ZONE)

    assert [item.id for item in found] == ["1", "2"]


CHECKS: Final[tuple[Check, ...]] = (
    a_health_number_finds_its_chart,
    the_same_digits_of_another_province_are_another_number,
    a_name_and_birth_date_find_their_chart,
    all_that_is_asked_must_fit,
    who_left_is_found_too,
    charts_that_are_found_are_whole,
    many_that_fit_all_come,
    nobody_is_an_empty_answer,
    a_patients_appointments_come_to_the_minute,
    appointments_are_found_across_midnight,
)
