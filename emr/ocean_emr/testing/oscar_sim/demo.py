"""The clinic of the demo. Nobody in it is real."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Final

from ocean_emr.testing.oscar_sim.clinic import SimAppointment, SimClinic, SimPatient, SimProvider

_FIRST_NAMES: Final = ("Zoé", "Amélie", "Noël", "Jordan", "Sam", "Robin", "François", "Maëlle", "Kim", "Théo")
_REASONS: Final = ("Checkup", "Suivi", "Prénatal", "Vaccination", "Follow-up")
_DEMO_DAYS: Final = 70
_DEMO_PATIENTS: Final = 40
_SATURDAY: Final = 5


def demo_clinic(today: date) -> SimClinic:
    """Four providers, forty patients, and bookings on the weekdays and the next few days from `today` on.

    Every day, a Sunday too, has at least three bookings, so that a demo never shows an empty clinic.
    """
    clinic = SimClinic()
    clinic.add(
        SimProvider("101", "Tremblay", "Zoé", "012345"),
        SimProvider("102", "Singh", "Arjun", "023456"),
        SimProvider("103", "Côté", "François", "034567"),
        SimProvider("104", "Connect", "Ocean"),
    )
    clinic.add(*(_demo_patient(number) for number in range(1, _DEMO_PATIENTS + 1)))
    number = 5000
    for ahead in range(-1, _DEMO_DAYS):
        day = today + timedelta(days=ahead)
        for turn in range(12 if day.weekday() < _SATURDAY else 3):
            number += 1
            clinic.add(_demo_appointment(number, day, turn))
    return clinic


def _demo_patient(number: int) -> SimPatient:
    return SimPatient(
        1000 + number,
        last_name=f"p{number:04d}",
        first_name=_FIRST_NAMES[number % len(_FIRST_NAMES)],
        birth=date(1930 + number * 2 % 90, 1 + number % 12, 1 + number % 28),
        sex="FM"[number % 2],
        hin=f"{9_000_000_000 + number * 7_919}",
        version="AB",
        phone=f"416-555-{number:04d}",
        mobile=f"647-555-{number:04d}",
        email=f"p{number:04d}@example.org",
        language="French" if number % 3 == 0 else "English",
        street=f"{number} rue Principale",
        city="Toronto",
        home_province="ON",
        postal="M5V 1A1",
        provider_no=f"10{1 + number % 3}",
    )


def _demo_appointment(number: int, day: date, turn: int) -> SimAppointment:
    blocked = turn == 11  # noqa: PLR2004 - the last of a weekday
    return SimAppointment(
        number,
        provider_no=f"10{1 + turn % 3}",
        day=day,
        clock=time(9 + turn // 3, 20 * (turn % 3)),
        minutes=20,
        demographic_no=0 if blocked else 1001 + number % _DEMO_PATIENTS,
        status="tttHtNttCttt"[turn],
        reason="Blocked" if blocked else _REASONS[number % len(_REASONS)],
    )
