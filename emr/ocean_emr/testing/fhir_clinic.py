"""Our records as FHIR R4 resources, which is the adapter's way back, and a sample clinic made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from ocean_emr.adapters.fhir_patient import SYSTEMS
from ocean_emr.clinic_time import clinic_time
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

Resource = dict[str, Any]

_VERSION_CODE: Final = "http://hl7.org/fhir/ca/baseline/StructureDefinition/ext-identifierversion"
_IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_PARTICIPANT_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_STATUS: Final = {AppointmentStatus.NO_SHOW: "noshow"}


def practitioner_resource(provider: Provider) -> Resource:
    """The provider; the display name is divided at its comma."""
    family, _, given = provider.display_name.partition(", ")
    name = {"family": family, "given": [given]} if given else {"text": family}
    return {"resourceType": "Practitioner", "id": provider.id, "active": provider.active, "name": [name]}


def patient_resource(patient: Patient) -> Resource:
    """The patient."""
    given = [name for name in (patient.first_name, patient.middle_names) if name]
    nicknames = [{"use": "nickname", "given": [patient.preferred_name]}] if patient.preferred_name else []
    resource = {
        "resourceType": "Patient",
        "id": patient.id,
        "active": patient.active,
        "identifier": [_health_card(patient.health_number)] if patient.health_number else [],
        "name": [{"use": "official", "family": patient.last_name, "given": given}, *nicknames],
        "telecom": [
            {"system": system, "use": use, "value": value}
            for system, use, value in (
                ("phone", "home", patient.home_phone),
                ("phone", "work", patient.work_phone),
                ("phone", "mobile", patient.mobile_phone),
                ("email", "home", patient.email),
            )
            if value
        ],
        "gender": patient.sex.value,
        "birthDate": patient.birth_date.isoformat() if patient.birth_date else None,
        "address": [_address(address) for address in patient.addresses],
        "communication": [{"language": {"coding": [{"code": patient.language}]}}] if patient.language else [],
    }
    return {name: value for name, value in resource.items() if value not in (None, [])}


def appointment_resource(appointment: Appointment, also: Sequence[ProviderId] = ()) -> Resource:
    """The booking, with its provider as the primary performer and those in `also` named before."""
    people = [_participant(f"Practitioner/{who}", "SPRF") for who in also]
    people.append(_participant(f"Practitioner/{appointment.provider_id}", "PPRF"))
    if appointment.patient_id:
        people.append(_participant(f"Patient/{appointment.patient_id}", "PART"))
    minutes = appointment.duration_minutes or 15
    return {
        "resourceType": "Appointment",
        "id": appointment.id,
        "status": appointment.status_raw or _STATUS.get(appointment.status, appointment.status.value),
        "start": appointment.start.isoformat(),
        # In UTC: over a clock change the clock's face adds up wrong.
        "end": (appointment.start.astimezone(UTC) + timedelta(minutes=minutes)).isoformat(),
        "minutesDuration": minutes,
        "participant": people,
    }


def sample_clinic(first_day: date, days: int, zone: ZoneInfo) -> Iterator[Resource]:
    """Two providers, eight patients whom they share, and six bookings a day from `first_day`."""
    providers = (Provider(ProviderId("dr1"), "Tremblay, Zoé"), Provider(ProviderId("dr2"), "Côté, Éric"))
    patients = [_sample_patient(number) for number in range(1, 9)]
    yield from map(practitioner_resource, providers)
    yield from map(patient_resource, patients)
    for day in range(days):
        date_ = first_day + timedelta(days=day)
        for place in range(6):
            yield appointment_resource(
                Appointment(
                    AppointmentId(f"a{date_:%Y%m%d}-{place}"),
                    providers[place % 2].id,
                    patients[(day + place) % len(patients)].id,
                    start=clinic_time(date_, time(9 + place // 2, 30 * (place % 2)), zone),
                    duration_minutes=30,
                    status=AppointmentStatus.BOOKED,
                    status_raw="booked",
                )
            )


def _sample_patient(number: int) -> Patient:
    return Patient(
        PatientId(f"p{number:04}"),
        active=True,
        first_name="Chloë",
        last_name=f"P{number:04}",
        birth_date=date(1950 + number, number, 15),
        sex=Sex.FEMALE,
        health_number=HealthNumber(f"{9_000_000_000 + number}", province="ON", version="AB"),
        addresses=(Address(f"{number}, rue de l'Été", "Ottawa", "ON", "K1A 0A1"),),
        mobile_phone=f"613-555-01{number:02}",
        email=f"p{number:04}@example.org",
        language="fr" if number % 2 else "en",
    )


def _health_card(card: HealthNumber) -> Resource:
    versions = [{"url": _VERSION_CODE, "valueString": card.version}] if card.version else []
    return {
        "use": "official",
        "type": {"coding": [{"system": _IDENTIFIER_TYPES, "code": "JHN"}]},
        **({"system": SYSTEMS[card.province]} if card.province else {}),
        "value": card.value,
        "extension": versions,
    }


def _address(address: Address) -> Resource:
    return {
        "use": "home",
        "line": (address.street or "").split("\n"),
        "city": address.city or "",
        "state": address.province or "",
        "postalCode": address.postal_code or "",
    }


def _participant(reference: str, kind: str) -> Resource:
    return {
        "type": [{"coding": [{"system": _PARTICIPANT_TYPES, "code": kind}]}],
        "actor": {"reference": reference},
        "status": "accepted",
    }
