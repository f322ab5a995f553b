"""OSCAR's JSON as our records."""

from __future__ import annotations

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ocean_emr.adapters.oscar_rows import AppointmentRow, PatientRow, ProviderRow, content_of, status_of
from ocean_emr.records import AppointmentStatus, HealthNumber, Sex

TORONTO = ZoneInfo("America/Toronto")
BOOKING = {
    "appointmentNo": 5,
    "providerNo": "101",
    "appointmentDate": "2026-11-23",
    "startTime": "09:00:00",
    "demographicNo": 1001,
    "status": "t",
}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("t", AppointmentStatus.BOOKED),
        ("T", AppointmentStatus.BOOKED),
        ("H", AppointmentStatus.ARRIVED),
        ("HS", AppointmentStatus.ARRIVED),
        ("PV", AppointmentStatus.ARRIVED),
        ("E", AppointmentStatus.ARRIVED),
        ("BV", AppointmentStatus.FULFILLED),
        ("C", AppointmentStatus.CANCELLED),
        ("N", AppointmentStatus.NO_SHOW),
        ("a", AppointmentStatus.UNKNOWN),
        ("c", AppointmentStatus.UNKNOWN),
        ("h", AppointmentStatus.UNKNOWN),
        ("Hx", AppointmentStatus.UNKNOWN),
        ("HSV", AppointmentStatus.UNKNOWN),
        ("", AppointmentStatus.UNKNOWN),
    ],
)
def test_codes_are_told_apart_by_case_and_second_letter(code: str, status: AppointmentStatus) -> None:
    assert status_of(code) is status


@pytest.mark.parametrize(
    ("start", "end", "minutes"),
    [
        ("09:00:00", "09:14:00", 15),
        ("09:00:00", "09:00:00", 1),
        ("09:00:00", None, None),
        ("09:00:00", "08:59:00", None),
        ("23:50:00", "00:04:00", None),
        ("09:00:00", "soon", None),
    ],
)
def test_the_last_minute_counts(start: str, end: str | None, minutes: int | None) -> None:
    """OSCAR stores the last minute; what crosses midnight is not known to be meant."""
    row = AppointmentRow.model_validate({**BOOKING, "startTime": start, "endTime": end})

    assert row.record(TORONTO).duration_minutes == minutes


@pytest.mark.parametrize(
    ("number", "patient"), [(1001, "1001"), ("1001", "1001"), (0, None), ("0", None), (None, None)]
)
def test_patient_zero_is_nobody(number: object, patient: str | None) -> None:
    assert AppointmentRow.model_validate({**BOOKING, "demographicNo": number}).record(TORONTO).patient_id == patient


@pytest.mark.parametrize(
    ("answer", "rows"),
    [
        ([1, 2], [1, 2]),
        ({"content": [1]}, [1]),
        ({"content": None, "total": 0}, []),
        ({"total": 0, "timestamp": 1}, []),
        ({"appointmentExt": [1], "total": 0}, [1]),
        ({"appointmentExt": []}, []),
        ({"content": {"appointmentExt": [1]}}, [1]),
        ({"error": "no"}, None),
        ("no", None),
        (7, None),
    ],
)
def test_rows_are_found_in_every_wrapping(answer: Any, rows: list[Any] | None) -> None:
    """And an answer that is none is not an empty one."""
    assert content_of(answer, ("appointmentExt",)) == rows


def chart(**fields: Any) -> dict[str, Any]:
    return {"demographicNo": 1001, **fields}


def test_a_chart_with_nothing_in_it_is_a_patient() -> None:
    patient = PatientRow.model_validate(chart(firstName="", hin=None, address=None, extras=None)).record()

    assert patient.id == "1001"
    assert (patient.first_name, patient.health_number, patient.addresses) == (None, None, ())
    assert (patient.birth_date, patient.active, patient.sex) == (None, None, Sex.UNKNOWN)


def test_a_chart_is_read_as_far_as_it_goes() -> None:
    patient = PatientRow.model_validate(
        chart(
            lastName=" p1001 ",
            dobYear="1980",
            dobMonth="2",
            dobDay="29",
            dateOfBirth=320_630_400_000,
            sex="f",
            hin="9876543217",
            ver="AB",
            hcType="on",
            hcRenewDate="2030-01-31",
            patientStatus="IN",
            officialLanguage="French",
            familyDoctor="<rdohip>123</rdohip><rd>Doe, D</rd>",
            extras={"key": "demo_cell", "value": "416-555-0102"},
        )
    ).record()

    assert patient.last_name == "p1001"
    assert patient.birth_date == date(1980, 2, 29)
    assert patient.sex is Sex.FEMALE
    assert patient.health_number == HealthNumber("9876543217", "ON", "AB", date(2030, 1, 31))
    assert patient.active is False
    assert patient.language == "fr"
    assert patient.family_doctor == "Doe, D"
    assert patient.mobile_phone == "416-555-0102"


@pytest.mark.parametrize("fields", [{"dobDay": "31", "dobMonth": "2", "dobYear": "1980"}, {"dobYear": "198O"}])
def test_a_birth_date_that_is_none_is_left_out(fields: dict[str, str]) -> None:
    assert PatientRow.model_validate(chart(**fields)).record().birth_date is None


def test_a_card_without_a_province_we_know_names_none() -> None:
    """OSCAR's list of card types also holds states, such as "US-NY"."""
    card = PatientRow.model_validate(chart(hin="1", hcType="US-NY", hcRenewDate=1)).record().health_number

    assert card == HealthNumber("1")


def test_a_provider_is_named_as_far_as_there_is_a_name() -> None:
    names = [
        ProviderRow.model_validate({"providerNo": 101, **fields}).record().display_name
        for fields in ({"lastName": "Côté", "firstName": "Zoé"}, {"lastName": "Côté"}, {"name": "Z Côté"}, {})
    ]

    assert names == ["Côté, Zoé", "Côté", "Z Côté", "101"]


def test_nothing_of_a_patient_is_in_a_repr() -> None:
    patient = PatientRow.model_validate(chart(lastName="p1001-last", hin="9876543217", email="p1001@example.org"))

    shown = repr(patient.record())
    assert "p1001" not in shown
    assert "9876543217" not in shown
