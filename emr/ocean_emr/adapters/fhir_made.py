"""What we create, as FHIR R4 resources. Pure, like fhir_resources.py, which reads.

Every one of them carries its key as an identifier of the form that FHIR gives to UUIDs, so that it can be searched for.
Source: FHIR R4, datatypes, Identifier; Ocean Cloud Connect FHIR guide and dougkavanagh/ocean-smart-fhir-ig, Patient,
Appointment and DocumentReference. The guide says nothing of keys: that they are kept and found is our own profile.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from ocean_emr.adapters.fhir_patient import SYSTEMS, Identifier
from ocean_emr.adapters.fhir_resources import Items, Part, read
from ocean_emr.messages.pdf import text_pdf
from ocean_emr.records import Address, HealthNumber
from ocean_emr.writes import NewAppointment, NewDocument, NewNote, NewPatient, NoteKind

Json = dict[str, Any]

NewRecord = NewPatient | NewAppointment | NewNote | NewDocument

_URI: Final = "urn:ietf:rfc:3986"
_LOINC: Final = "http://loinc.org"
_CLASSES: Final = "http://hl7.org/fhir/ValueSet/doc-classcodes"
_TYPES: Final = "http://hl7.org/fhir/ValueSet/doc-typecodes"
"""Names of value sets where systems are due, which is how Ocean's profile has them; sent beside LOINC's own name."""
_IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_PARTICIPATIONS: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_VERSION_CODE: Final = "http://ehealthontario.ca/API/fhir/StructureDefinition/ext-identifier-hcn-version-code"
"""Source: Ocean's Patient profile."""
_DISPLAYS: Final = {NoteKind.PROGRESS_NOTE: "Patient Note", NoteKind.SECURE_MESSAGE: "Instructions"}


def token(key: UUID) -> str:
    """`key` as the value of an identifier search."""
    return f"{_URI}|{key.urn}"


class _Keyed(Part):
    identifier: Items[Identifier] = ()
    master_identifier: Identifier = Identifier()


def carries(resource: object, key: UUID) -> bool:
    """Whether a resource has `key`. Where it stands is the EMR's: R4's master identifier is gone in R5."""
    keyed = read(_Keyed, resource) or _Keyed()
    return any(each.value.lower() == key.urn for each in (keyed.master_identifier, *keyed.identifier))


def unless_there(write: NewRecord, key: UUID) -> str:
    """The search of which a server that makes things conditionally must find nothing, as in an address.

    A patient's is for the health number, where its province is known: what somebody else has just made counts.
    """
    card = write.health_number if isinstance(write, NewPatient) else None
    system = SYSTEMS.get(card.province or "") if card else None
    wanted = f"{system}|{card.value}" if card and system else token(key)
    return f"identifier={quote(wanted, safe='')}"


def made(write: NewRecord, key: UUID) -> Json:
    """The resource to create, without an id."""
    identified = {"identifier": [_identifier(key)]}
    match write:
        case NewPatient():
            return _patient(write, key)
        case NewAppointment():
            return _appointment(write) | identified
        case NewNote():
            return _note(write) | identified | {"masterIdentifier": _identifier(key)}
        case NewDocument():
            content = [_attachment("application/pdf", write.pdf, write.title, write.observed_at)]
            document = _document(write, NoteKind.PROGRESS_NOTE, content)
            return document | identified | {"masterIdentifier": _identifier(key)}


def health_number(card: HealthNumber) -> Json:
    """A health number as an identifier."""
    identifier: Json = {
        "use": "official",
        "type": {"coding": [{"system": _IDENTIFIER_TYPES, "code": "JHN"}]},
        "value": card.value,
    }
    system = SYSTEMS.get(card.province or "")
    if system:
        identifier["system"] = system
    if card.version:
        identifier["extension"] = [{"url": _VERSION_CODE, "valueString": card.version}]
    if card.expires_on:
        identifier["period"] = {"end": card.expires_on.isoformat()}
    return identifier


def address_parts(address: Address) -> Json:
    """What is known of an address."""
    parts = {
        "line": [line for line in (address.street or "").split("\n") if line.strip()],
        "city": address.city,
        "state": address.province,
        "postalCode": address.postal_code,
        "country": address.country,
    }
    return {name: value for name, value in parts.items() if value}


def language(code: str) -> Json:
    """A language: as the standard has it, and for the two of this country also as Ocean's profile does."""
    codings = [{"system": "urn:ietf:bcp:47", "code": code}]
    three = {"en": "eng", "fr": "fra"}.get(code)
    if three:
        codings.append({"system": "http://terminology.hl7.org/CodeSystem/iso639-3", "code": three})
    return {"coding": codings}


def _identifier(key: UUID) -> Json:
    return {"system": _URI, "value": key.urn}


def _patient(write: NewPatient, key: UUID) -> Json:
    card = [health_number(write.health_number)] if write.health_number else []
    telecom = [
        {"system": system, "use": use, "value": value}
        for system, use, value in (
            ("phone", "home", write.home_phone),
            ("phone", "mobile", write.mobile_phone),
            ("email", "home", write.email),
        )
        if value
    ]
    resource: Json = {
        "resourceType": "Patient",
        "active": True,
        "identifier": [*card, _identifier(key)],
        "name": [{"use": "official", "family": write.last_name, "given": [write.first_name]}],
        "telecom": telecom,
        "gender": write.sex.value,
        "birthDate": write.birth_date.isoformat(),
        "address": [{"use": "home", **address_parts(write.address)}] if write.address else [],
        "communication": [{"language": language(write.language), "preferred": True}] if write.language else [],
        "generalPractitioner": [{"reference": f"Practitioner/{write.provider_id}"}] if write.provider_id else [],
    }
    return {name: value for name, value in resource.items() if value != []}


def _appointment(write: NewAppointment) -> Json:
    # In UTC: over a clock change the clock's face adds up wrong.
    end = (write.start.astimezone(UTC) + timedelta(minutes=write.duration_minutes)).astimezone(write.start.tzinfo)
    people = [
        _participant(f"Practitioner/{write.provider_id}", "PPRF"),
        _participant(f"Patient/{write.patient_id}", "PART"),
    ]
    if write.location:
        # By name: the settings hold what the clinic calls it, not the EMR's id of a Location.
        people.append({"actor": {"display": write.location}, "status": "accepted"})
    resource: Json = {
        "resourceType": "Appointment",
        "status": "arrived",
        "start": write.start.isoformat(),
        "end": end.isoformat(),
        "minutesDuration": write.duration_minutes,
        "participant": people,
    }
    if write.reason:
        resource |= {"reasonCode": [{"text": write.reason}], "description": write.reason}
    if write.appointment_type:
        code = write.appointment_type
        resource["appointmentType"] = {"coding": [{"code": code}], "text": code}
    return resource


def _participant(reference: str, kind: str) -> Json:
    return {
        "type": [{"coding": [{"system": _PARTICIPATIONS, "code": kind}]}],
        "actor": {"reference": reference},
        "status": "accepted",
    }


def _note(write: NewNote) -> Json:
    """The guide wants progress notes as PDF. The text itself comes second, so that what no font can print is kept."""
    content = [_attachment("text/plain", write.text.encode(), write.title, write.observed_at)]
    if write.kind is NoteKind.PROGRESS_NOTE:
        page = text_pdf(write.title, write.text, written_at=write.observed_at)
        content.insert(0, _attachment("application/pdf", page, write.title, write.observed_at))
    return _document(write, write.kind, content)


def _document(write: NewNote | NewDocument, kind: NoteKind, content: list[Json]) -> Json:
    patient = {"reference": f"Patient/{write.patient_id}"}
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": _loinc(_TYPES, kind.value, _DISPLAYS[kind]),
        "category": [_loinc(_CLASSES, "34109-9", "Note")],
        "subject": patient,
        # Source: dougkavanagh/ocean-smart-fhir-ig, DocumentReference: "Typically the document author is the patient".
        "author": [patient],
        "date": write.observed_at.isoformat(),
        **({"description": write.title} if write.title else {}),
        "content": content,
    }


def _loinc(also: str, code: str, display: str) -> Json:
    return {"coding": [{"system": system, "code": code, "display": display} for system in (_LOINC, also)]}


def _attachment(kind: str, content: bytes, title: str, created: datetime) -> Json:
    return {
        "attachment": {
            "contentType": kind,
            "data": base64.b64encode(content).decode(),
            "creation": created.isoformat(),
            **({"title": title} if title else {}),
        }
    }


def refers_to(write: NewRecord) -> tuple[str, ...]:
    """The ids of what `write` is about."""
    match write:
        case NewPatient():
            return (write.provider_id,) if write.provider_id else ()
        case NewAppointment():
            return (write.patient_id, write.provider_id)
        case _:
            return (write.patient_id,)
