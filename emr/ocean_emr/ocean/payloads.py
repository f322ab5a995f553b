"""What stands inside the encrypted block: an EMR's record in Ocean's words.

The patient's field names are Ocean's. Source: `src/entities/models/ocean-patient.ts` in oceanmdlabs/autorouter.
UNVERIFIED, and ours until OceanMD publishes it: the whole appointment, how `sex` is written, and `mobilePhone` and
`workPhone` among the custom fields (Ocean's address has one telephone number). A field the EMR does not give is left
out, never sent empty: an empty one could be read as an order to delete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ocean_emr.ocean.profile import Upload
from ocean_emr.records import Address, Appointment, Patient


def patient_upload(patient: Patient, *, site_number: str) -> Upload:
    """The patient as Ocean keeps one.

    Raises:
        OceanRecordRejectedError: This record cannot be sent; the others can.
    """
    number = patient.health_number
    emergency = patient.emergency_contact
    demographics = {
        "title": patient.title,
        "firstName": patient.first_name,
        "secondName": patient.middle_names,
        "surname": patient.last_name,
        "preferredName": patient.preferred_name,
        "birthDate": patient.birth_date.isoformat() if patient.birth_date else None,
        "sex": patient.sex.value,
        "hn": number.value if number else None,
        "hnProv": number.province if number else None,
        "hnVC": number.version if number else None,
        "hnExpiryDate": number.expires_on.isoformat() if number and number.expires_on else None,
        "alternateId": patient.alternate_id,
        "address": _home(patient),
        "address2": _postal(patient.addresses[1]) if len(patient.addresses) > 1 else None,
        "emergencyContact": emergency.name if emergency else None,
        "emergencyContactPhone": emergency.phone if emergency else None,
        "language": patient.language,
        "familyDoc": {"name": patient.family_doctor} if patient.family_doctor else None,
        "customFields": _given({"mobilePhone": patient.mobile_phone, "workPhone": patient.work_phone}),
    }
    payload = {"externalPatientRef": patient.id, "siteNum": site_number, "demographics": _given(demographics)}
    return Upload.of(patient.id, payload)


def appointment_upload(appointment: Appointment, *, site_number: str, provider_name: str | None) -> Upload:
    """The appointment, with its patient and provider by their ids in the EMR.

    Args:
        appointment: Its start keeps the clinic's offset, so it is one moment wherever it is read.
        site_number: The clinic's number at Ocean.
        provider_name: As people at the clinic know the provider.

    Raises:
        OceanRecordRejectedError: This record cannot be sent; the others can.
    """
    payload = {
        "externalAppointmentRef": appointment.id,
        "externalPatientRef": appointment.patient_id,
        "siteNum": site_number,
        "externalProviderRef": appointment.provider_id,
        "providerName": provider_name,
        "start": appointment.start.isoformat(),
        "durationMinutes": appointment.duration_minutes,
        "status": appointment.status.value,
        "apptReason": appointment.reason,
        "visitType": appointment.visit_type,
    }
    return Upload.of(appointment.id, _given(payload))


def _home(patient: Patient) -> dict[str, Any]:
    """The first address, with the telephone number and e-mail address that Ocean keeps beside it."""
    postal = _postal(patient.addresses[0]) if patient.addresses else {}
    return postal | _given({"phone": patient.home_phone, "email": patient.email})


def _postal(address: Address) -> dict[str, Any]:
    first, *others = (address.street or "").splitlines() or [""]
    return _given(
        {
            "line1": first,
            "line2": ", ".join(others),
            "city": address.city,
            "province": address.province,
            "country": address.country,
            "postalCode": address.postal_code,
        }
    )


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`fields` without those that hold nothing."""
    return {name: value for name, value in fields.items() if value not in (None, "", {})}
