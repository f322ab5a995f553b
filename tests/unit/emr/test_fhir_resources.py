"""What FHIR resources become, on paper: no server."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ocean_emr.adapters.fhir_patient import SYSTEMS, PatientResource
from ocean_emr.adapters.fhir_resources import (
    AppointmentResource,
    Bundle,
    OperationOutcome,
    PractitionerResource,
    Reference,
    Software,
    is_id,
    read,
)
from ocean_emr.records import (
    Address,
    AppointmentStatus,
    EmergencyContact,
    HealthNumber,
    Patient,
    ProviderId,
    Sex,
)
from ocean_emr.testing.conformance.clinic import DAY, PATIENTS, ZONE, booking
from ocean_emr.testing.fhir_clinic import appointment_resource, patient_resource

_ONTARIO = "https://fhir.infoway-inforoute.ca/NamingSystem/ca-on-patient-hcn"
_JHN = {"coding": [{"system": "http://hl7.org/fhir/v2/0203", "code": "JHN"}]}


def _patient(**elements: Any) -> Patient:
    resource = read(PatientResource, {"resourceType": "Patient", "id": "p0001", **elements})
    assert resource is not None
    return resource.to_patient()


def _appointment(**elements: Any) -> AppointmentResource:
    usual = {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "booked",
        "start": "2026-11-23T14:00:00Z",
        "participant": [{"actor": {"reference": "Practitioner/dr1"}}],
    }
    resource = read(AppointmentResource, usual | elements)
    assert resource is not None
    return resource


def test_a_patient_survives_the_way_there_and_back() -> None:
    for patient in PATIENTS:
        resource = read(PatientResource, patient_resource(patient))

        assert resource is not None
        assert resource.to_patient() == patient


def test_an_almost_empty_patient_is_a_patient() -> None:
    assert _patient() == Patient(_patient().id)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([{"family": "P0001", "given": ["Zoé"]}], ("Zoé", None, "P0001")),
        ([{"family": "P0001", "given": ["Zoé", None, "Anne", "Ève"]}], ("Zoé", "Anne Ève", "P0001")),
        ([{"use": "old", "family": "P0002"}, {"use": "official", "family": "P0001"}], (None, None, "P0001")),
        ([{"use": "maiden", "family": "P0002"}], (None, None, None)),
        ([{"use": "usual", "family": "P0002"}, {"use": "official", "family": "P0001"}], (None, None, "P0001")),
        ([{"use": "nickname", "given": ["Zo"]}, {"family": "P0001"}], (None, None, "P0001")),
        ([{"family": "P0001", "given": [" ", "Anne"]}], (None, "Anne", "P0001")),
        # Dividing a name that the EMR did not divide would be guessing.
        ([{"text": "Zoé P0001"}], (None, None, None)),
    ],
)
def test_names(names: list[Any], expected: tuple[str | None, ...]) -> None:
    patient = _patient(name=names)

    assert (patient.first_name, patient.middle_names, patient.last_name) == expected


def test_a_nickname_is_the_preferred_name() -> None:
    assert _patient(name=[{"use": "nickname", "given": ["Zo"]}]).preferred_name == "Zo"


@pytest.mark.parametrize(
    ("identifiers", "expected"),
    [
        ([{"system": _ONTARIO, "value": "1234567890"}], ("1234567890", "ON", None)),
        # Ocean's own example bundle writes the system in small letters.
        ([{"system": _ONTARIO.lower(), "value": "1234567890", "type": _JHN}], ("1234567890", "ON", None)),
        ([{"type": _JHN, "value": "1234567890"}], ("1234567890", None, None)),
        ([{"type": _JHN, "value": "1"}, {"system": _ONTARIO, "value": "2"}], ("2", "ON", None)),
        ([{"system": _ONTARIO, "value": "1", "use": "old"}, {"system": _ONTARIO, "value": "2"}], ("2", "ON", None)),
        ([{"system": _ONTARIO, "value": 1234567890}], ("1234567890", "ON", None)),
        ([{"system": _ONTARIO, "value": " "}], None),
        ([{"system": _ONTARIO}], None),
        ([{"system": "urn:clinic", "value": "77"}], None),
    ],
)
def test_health_numbers(identifiers: list[Any], expected: tuple[str, str | None, str | None] | None) -> None:
    number = _patient(identifier=identifiers).health_number

    assert (number and (number.value, number.province, number.version)) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://hl7.org/fhir/ca/baseline/StructureDefinition/ext-identifierversion",
        "http://hl7.org/fhir/ca/core/StructureDefinition/ext-identifierversion",
        "http://ehealthontario.ca/fhir/StructureDefinition/ext-id-health-card-version-code",
        "http://ehealthontario.ca/API/fhir/StructureDefinition/ext-identifier-hcn-version-code",
    ],
)
def test_a_version_code_is_read_in_each_published_form(url: str) -> None:
    card = {
        "system": _ONTARIO,
        "value": "1",
        "extension": [{"url": "urn:else", "valueString": "no"}, {"url": url, "valueString": "AB"}],
        "period": {"end": "2027-08-11T04:00:00.000Z"},
    }

    assert _patient(identifier=[card]).health_number == HealthNumber("1", "ON", "AB", date(2027, 8, 11))


def test_every_province_and_territory_has_its_system() -> None:
    assert " ".join(sorted(SYSTEMS)) == "AB BC MB NB NL NS NT NU ON PE QC SK YT"


@pytest.mark.parametrize("text", ["1980", "1980-02", "1980-02-30", "", "29/02/1980", "19800229", "1980-W09-5"])
def test_a_birth_date_that_is_not_a_whole_date_is_none(text: str) -> None:
    assert _patient(birthDate=text).birth_date is None


def test_ways_to_reach_a_patient() -> None:
    patient = _patient(
        telecom=[
            {"system": "phone", "use": "home", "value": "1", "rank": 2},
            {"system": "phone", "use": "home", "value": "2", "rank": 1},
            {"system": "phone", "use": "old", "value": "3"},
            {"system": "phone", "use": "work", "value": "4"},
            {"system": "sms", "value": "5"},
            {"system": "fax", "use": "home", "value": "6"},
            {"system": "email", "value": "p0001@example.org"},
            {"system": "email", "use": "old", "value": "p0002@example.org", "rank": 1},
            {"use": "home"},
        ]
    )

    assert (patient.home_phone, patient.work_phone, patient.mobile_phone) == ("2", "4", "5")
    assert patient.email == "p0001@example.org"


def test_a_phone_of_no_particular_use_is_the_home_phone() -> None:
    assert _patient(telecom=[{"system": "phone", "value": "1"}]).home_phone == "1"


def test_addresses_come_home_first_and_without_empty_ones() -> None:
    patient = _patient(
        address=[
            {"use": "home", "type": "postal"},
            {"use": "work", "city": "Ottawa"},
            {"use": "home", "line": ["1, rue de l'Été", "app. 2"], "city": "Québec", "state": "QC", "country": "CA"},
            {"use": "old", "city": "Hull"},
        ]
    )

    assert patient.addresses == (
        Address("1, rue de l'Été\napp. 2", "Québec", "QC", country="CA"),
        Address(city="Ottawa"),
    )


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (["fr-CA"], "fr"),
        (["eng"], "en"),
        (["fre"], "fr"),
        (["EN"], "en"),
        (["cr-Cans"], "cr"),
        (["oji"], None),
        ([], None),
    ],
)
def test_languages_are_two_letters(codes: list[str], expected: str | None) -> None:
    spoken = [{"language": {"coding": [{"code": code}]}} for code in codes]

    assert _patient(communication=spoken).language == expected


def test_the_preferred_language_wins() -> None:
    spoken = [{"language": {"coding": [{"code": "en"}]}}, {"language": {"coding": [{"code": "fr"}]}, "preferred": True}]

    assert _patient(communication=spoken).language == "fr"


@pytest.mark.parametrize(("gender", "expected"), [("other", Sex.OTHER), ("", Sex.UNKNOWN), ("F", Sex.UNKNOWN)])
def test_a_gender_the_standard_does_not_know_is_unknown(gender: str, expected: Sex) -> None:
    assert _patient(gender=gender).sex is expected


def test_doctors_here_and_elsewhere_are_told_apart() -> None:
    patient = _patient(
        generalPractitioner=[
            {"display": "Dr. Elsewhere"},
            {"reference": "https://emr.example/fhir/Practitioner/dr1", "display": "Dr. Here"},
        ]
    )

    assert (patient.primary_provider_id, patient.family_doctor) == ("dr1", "Dr. Elsewhere")


def test_an_emergency_contact_is_one_who_is_called_so() -> None:
    patient = _patient(
        contact=[
            {"relationship": [{"coding": [{"code": "N"}]}], "name": {"text": "P0002"}},
            {
                "relationship": [{"coding": [{"code": "C"}]}, {"text": "sister"}],
                "name": {"given": ["Ève"], "family": "P0003"},
                "telecom": [{"system": "phone", "value": "1"}],
            },
        ]
    )

    assert patient.emergency_contact == EmergencyContact("Ève P0003", "1", "sister")


def test_null_is_absent() -> None:
    patient = _patient(name=[{"family": None, "given": None}], telecom=None, birthDate=None, address=[None])

    assert patient == Patient(patient.id)


def test_no_chart_shows_in_a_representation() -> None:
    resource = patient_resource(PATIENTS[0]) | {"birthDate": {"an": "object that is no date, of p1001-Côté"}}

    assert read(PatientResource, resource) is None
    assert "Côté" not in repr(_patient(name=[{"family": "Côté"}]))
    assert "Côté" not in repr(read(PatientResource, patient_resource(PATIENTS[0])))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("proposed", AppointmentStatus.PENDING),
        ("pending", AppointmentStatus.PENDING),
        ("waitlist", AppointmentStatus.PENDING),
        ("booked", AppointmentStatus.BOOKED),
        ("arrived", AppointmentStatus.ARRIVED),
        ("checked-in", AppointmentStatus.ARRIVED),
        ("fulfilled", AppointmentStatus.FULFILLED),
        ("cancelled", AppointmentStatus.CANCELLED),
        ("entered-in-error", AppointmentStatus.CANCELLED),
        ("noshow", AppointmentStatus.NO_SHOW),
        ("z", AppointmentStatus.UNKNOWN),
        ("", AppointmentStatus.UNKNOWN),
    ],
)
def test_statuses(code: str, expected: AppointmentStatus) -> None:
    found = _appointment(status=code).to_appointment(frozenset({ProviderId("dr1")}), ZONE)

    assert (found.status, found.status_raw) == (expected, code)


@pytest.mark.parametrize(
    ("elements", "minutes"),
    [
        ({"minutesDuration": 20, "end": "2026-11-23T14:15:00Z"}, 20),
        ({"end": "2026-11-23T14:15:00Z"}, 15),
        ({"end": "2026-11-23T09:15:00-05:00"}, 15),
        ({"end": "2026-11-23T13:00:00Z"}, None),
        ({"minutesDuration": 0}, None),
        ({}, None),
    ],
)
def test_durations(elements: dict[str, Any], minutes: int | None) -> None:
    found = _appointment(**elements).to_appointment(frozenset({ProviderId("dr1")}), ZONE)

    assert found.duration_minutes == minutes


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    """The offset says which of the two; the clinic's clock alone does not."""
    chosen = frozenset({ProviderId("dr1")})
    first = _appointment(start="2026-11-01T01:30:00-04:00").to_appointment(chosen, ZONE).start
    second = _appointment(start="2026-11-01T01:30:00-05:00").to_appointment(chosen, ZONE).start

    assert [first.astimezone(UTC).hour, second.astimezone(UTC).hour] == [5, 6]
    assert [first.fold, second.fold] == [0, 1]
    assert first.tzinfo is ZONE


@pytest.mark.parametrize("start", ["2026-11-23T09:00:00", "2026-11-23", "soon", "1764000000", None, 1764000000])
def test_a_start_that_is_no_moment_is_unreadable(start: object) -> None:
    resource = appointment_resource(booking(1, DAY, datetime(2026, 11, 23, 9, tzinfo=UTC).time())) | {"start": start}

    assert read(AppointmentResource, resource) is None


def test_the_primary_performer_is_the_provider_whoever_is_named_first() -> None:
    people = [
        {"type": [{"coding": [{"code": "SPRF"}]}], "actor": {"reference": "Practitioner/dr2"}},
        {"type": [{"coding": [{"code": "PPRF"}]}], "actor": {"reference": "Practitioner/dr1"}},
        {"actor": {"reference": "Patient/p0001"}},
        {"actor": {"reference": "Location/l1"}},
        {"status": "accepted"},
    ]
    resource = _appointment(participant=people)
    both, second = frozenset({ProviderId("dr1"), ProviderId("dr2")}), frozenset({ProviderId("dr2")})

    assert resource.providers == ("dr1", "dr2")
    assert resource.to_appointment(both, ZONE).provider_id == "dr1"
    assert resource.to_appointment(second, ZONE).provider_id == "dr2"
    assert resource.patient == "p0001"


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"reasonCode": [{"text": "toux"}], "description": "suivi"}, "toux"),
        ({"reasonCode": [{"coding": [{"code": "R05"}]}]}, "R05"),
        ({"description": " suivi "}, "suivi"),
        ({"description": " "}, None),
    ],
)
def test_reasons(elements: dict[str, Any], reason: str | None) -> None:
    assert _appointment(**elements).to_appointment(frozenset({ProviderId("dr1")}), ZONE).reason == reason


@pytest.mark.parametrize(
    ("reference", "id_"),
    [
        ("Patient/p1", "p1"),
        ("https://emr.example/fhir/Patient/p1", "p1"),
        ("Patient/p1/_history/3", "p1"),
        ("Practitioner/p1", None),
        ("NotAPatient/p1", None),
        ("Patient/", None),
        ("Patient/..", None),
        ("Patient/p1?x=1", None),
        ("#contained", None),
        ("", None),
    ],
)
def test_references(reference: str, id_: str | None) -> None:
    assert Reference(reference=reference).id_of("Patient") == id_


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/b", "a|b", "a b", "é", "a\n", "x" * 65, "%2e", "a,b", "$everything"]
)
def test_what_could_lead_elsewhere_is_no_id(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize(
    ("practitioner", "shown"),
    [
        ({"name": [{"family": "Tremblay", "given": ["Zoé", "A."]}]}, "Tremblay, Zoé A."),
        ({"name": [{"text": "Dr. Zoé Tremblay", "family": "Tremblay"}]}, "Dr. Zoé Tremblay"),
        ({"name": [{"family": "Tremblay"}]}, "Tremblay"),
        ({"name": [{"use": "old", "text": "Roy"}, {"text": "Tremblay"}]}, "Tremblay"),
        ({}, "dr1"),
    ],
)
def test_providers_are_shown_by_name_or_id(practitioner: dict[str, Any], shown: str) -> None:
    resource = read(PractitionerResource, {"resourceType": "Practitioner", "id": "dr1", **practitioner})

    assert resource is not None
    assert resource.to_provider().display_name == shown


def test_only_the_standards_issue_codes_are_taken() -> None:
    issues = [
        {"severity": "error", "code": "throttled", "diagnostics": "p0001"},
        {"severity": "error", "code": "p0001 was born 1980-02-29", "details": {"text": "p0001"}},
    ]
    outcome = read(OperationOutcome, {"resourceType": "OperationOutcome", "issue": issues})

    assert outcome is not None
    assert outcome.codes == ("throttled",)
    assert "diagnostics" not in outcome.model_dump_json()


@pytest.mark.parametrize(
    ("severity", "code", "told"),
    [
        ("information", "suppressed", ("suppressed",)),
        ("warning", "incomplete", ("incomplete",)),
        ("error", "processing", ("processing",)),
        ("error", "p0001", ("error",)),
        ("warning", "informational", ()),
        ("information", "code-invalid", ()),
    ],
)
def test_an_outcome_among_the_entries_tells_that_some_are_missing(
    severity: str, code: str, told: tuple[str, ...]
) -> None:
    issue = {"severity": severity, "code": code}
    entry = {"resource": {"resourceType": "OperationOutcome", "issue": [issue]}, "search": {"mode": "outcome"}}
    bundle = read(Bundle, {"resourceType": "Bundle", "entry": [entry]})

    assert bundle is not None
    assert bundle.less_than_all() == told


def test_what_was_only_included_is_no_match() -> None:
    entries = [
        {"resource": {"resourceType": "Patient", "id": "p0001"}, "search": {"mode": "include"}},
        {"resource": {"resourceType": "Appointment", "id": "a1"}, "search": {"mode": "include"}},
        {"resource": {"resourceType": "Appointment", "id": "a2"}},
        {"fullUrl": "urn:x"},
    ]
    bundle = read(Bundle, {"resourceType": "Bundle", "entry": entries})

    assert bundle is not None
    assert [each["id"] for each in bundle.matches("Appointment")] == ["a2"]


def test_what_a_server_calls_itself_is_cleaned() -> None:
    assert Software(name="HAPI <b>é\n", version="8.8.0").words == "HAPI b 8.8.0"
    assert len(Software(name="x" * 200).words) == 64
    assert Software().words == "unnamed server"


def test_times_are_on_the_clinics_clock() -> None:
    found = _appointment().to_appointment(frozenset({ProviderId("dr1")}), ZoneInfo("America/St_Johns"))

    assert found.start.isoformat() == "2026-11-23T10:30:00-03:30"
