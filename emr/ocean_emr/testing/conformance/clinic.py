"""The clinic that a rig's EMR holds while it is checked. Days are fixed, so that runs repeat; nobody in it is real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from ocean_emr.records import (
    Address,
    Appointment,
    AppointmentId,
    AppointmentStatus,
    HealthNumber,
    Patient,
    PatientId,
    Provider,
    ProviderId,
    Sex,
)

ZONE: Final = ZoneInfo("America/Toronto")
DAY: Final = date(2026, 11, 23)
"""A Monday without any clock change near it."""
CLOCK_CHANGE: Final = date(2026, 11, 1)
"""At 02:00 the clinic's clock goes back to 01:00."""

ALICE: Final = ProviderId("101")
ZOE: Final = ProviderId("0102")
"""Not the same as "102": ids are text."""
LOCUM: Final = ProviderId("A12")
"""Not every EMR's numbers are numbers."""

PROVIDERS: Final = (
    Provider(ALICE, "Alder, Alice", "012345"),
    Provider(ZOE, "Tremblay, Zoé"),
    Provider(LOCUM, "Locum, Lou"),
)

PATIENTS: Final = (
    Patient(
        PatientId("1001"),
        active=True,
        first_name="Zoë-Ünlü",
        last_name="p1001-Côté",
        birth_date=date(1980, 2, 29),
        sex=Sex.FEMALE,
        health_number=HealthNumber("9876543217", province="ON", version="AB"),
        addresses=(Address("1 rue Principale", "Montréal", "QC", "H1H 1H1"),),
        home_phone="416-555-0101",
        mobile_phone="416-555-0102",
        email="p1001@example.org",
        language="fr",
    ),
    Patient(
        PatientId("1002"),
        active=False,
        first_name="Given",
        last_name="p1002",
        birth_date=date(2019, 12, 31),
        sex=Sex.UNKNOWN,
    ),
)


@dataclass(frozen=True, slots=True)
class Clinic:
    """What the EMR holds. The EMR's technical accounts, if it has such, are the rig's to add."""

    appointments: tuple[Appointment, ...] = ()
    providers: tuple[Provider, ...] = PROVIDERS
    patients: tuple[Patient, ...] = PATIENTS
    zone: ZoneInfo = ZONE


_FIRST_PATIENT: Final = PATIENTS[0].id
_EVERYBODY: Final = tuple(provider.id for provider in PROVIDERS)


def booking(  # noqa: PLR0913 - a test's shorthand
    number: int,
    day: date,
    clock: time,
    *,
    provider: ProviderId = ALICE,
    patient: PatientId | None = _FIRST_PATIENT,
    status: AppointmentStatus = AppointmentStatus.BOOKED,
    status_raw: str = "",
) -> Appointment:
    """Appointment `number`, fifteen minutes long. Without `status_raw` the rig writes its EMR's code for `status`."""
    return Appointment(
        AppointmentId(str(number)),
        provider,
        patient,
        start=datetime.combine(day, clock, tzinfo=ZONE),
        duration_minutes=15,
        status=status,
        status_raw=status_raw,
    )


def busy_days(
    first: date, days: int, a_day: int, *, providers: Sequence[ProviderId] = _EVERYBODY
) -> tuple[Appointment, ...]:
    """`a_day` bookings on each of `days` days, one every five minutes from 06:00, `providers` taking turns."""
    start = datetime.combine(first, time(6))
    return tuple(
        booking(
            10_000 + day * 1_000 + place,
            (start + timedelta(days=day)).date(),
            (start + timedelta(minutes=5 * place)).time(),
            provider=providers[place % len(providers)],
        )
        for day in range(days)
        for place in range(a_day)
    )


def moment_utc(moment: datetime) -> datetime:
    """`moment` for comparing: wall clocks that show the same twice are told apart."""
    return moment.astimezone(UTC)
