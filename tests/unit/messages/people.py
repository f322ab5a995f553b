"""Who the tests of messages are about. Nobody is real."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from ocean_emr.messages.deliveries import Person
from ocean_emr.records import HealthNumber, Patient, PatientId, Sex

BORN = date(1980, 2, 29)
NUMBER = HealthNumber("9876543217", province="ON", version="AB")
AT = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
"""09:00 in Toronto."""


def person(**more: Any) -> Person:
    """As Ocean knows p0001."""
    known: dict[str, Any] = {
        "ref": "p0001",
        "first_name": "Zoé",
        "last_name": "Côté",
        "birth_date": BORN,
        "sex": Sex.FEMALE,
        "health_number": NUMBER,
    }
    return Person(**(known | more))


def chart(number: int = 1001, **more: Any) -> Patient:
    """The chart of p0001 in the EMR."""
    known: dict[str, Any] = {
        "active": True,
        "first_name": "ZOE",
        "last_name": "COTE",
        "birth_date": BORN,
        "sex": Sex.FEMALE,
        "health_number": NUMBER,
    }
    return Patient(PatientId(str(number)), **(known | more))
