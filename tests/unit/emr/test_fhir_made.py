"""What we create, on paper: no server."""

from __future__ import annotations

import base64
import io
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader

from ocean_emr.adapters.fhir_made import carries, made, refers_to, token, unless_there
from ocean_emr.adapters.fhir_patient import PatientResource
from ocean_emr.adapters.fhir_resources import AppointmentResource, read
from ocean_emr.records import Address, AppointmentStatus, HealthNumber, PatientId, ProviderId, Sex
from ocean_emr.testing.conformance.clinic import ZONE
from ocean_emr.writes import NewAppointment, NewDocument, NewNote, NewPatient, NoteKind

KEY = UUID("6f1d3c5e-0000-5000-8000-000000000001")
_SEEN = datetime(2026, 11, 23, 9, 30, tzinfo=ZONE)
_TEXT = "Douleur : où ?\nÇa dépend \N{EM DASH} 漢字"
_NOTE = NewNote(PatientId("p0001"), NoteKind.PROGRESS_NOTE, "Santé générale", _TEXT, _SEEN)
_PERSON = NewPatient(
    "Zoë",
    "P0001",
    date(1980, 2, 29),
    Sex.FEMALE,
    HealthNumber("9876543217", "ON", "AB", date(2027, 8, 11)),
    Address("1, rue de l'Été\nbureau 2", "Ottawa", "ON", "K1A 0A1"),
    home_phone="613-555-0101",
    mobile_phone="613-555-0102",
    email="p0001@example.org",
    language="fr",
    provider_id=ProviderId("dr1"),
)


def _contents(resource: dict[str, Any]) -> list[tuple[str, bytes]]:
    attached = [content["attachment"] for content in resource["content"]]
    return [(each["contentType"], base64.b64decode(each["data"])) for each in attached]


def test_a_progress_note_is_a_pdf_and_its_text() -> None:
    """Nothing is lost that the font cannot print."""
    note = made(_NOTE, KEY)
    (kind, page), (second, text) = _contents(note)
    printed = PdfReader(io.BytesIO(page)).pages[0].extract_text()

    assert (kind, second) == ("application/pdf", "text/plain")
    assert text.decode() == _TEXT
    assert printed.startswith("Santé générale\nDouleur : où ?\nÇa dépend —")


def test_a_secure_message_is_plain_text() -> None:
    note = made(NewNote(PatientId("p0001"), NoteKind.SECURE_MESSAGE, "Réponse", _TEXT, _SEEN), KEY)

    assert _contents(note) == [("text/plain", _TEXT.encode())]
    assert [coding["code"] for coding in note["type"]["coding"]] == ["69730-0", "69730-0"]


def test_a_document_is_what_it_was() -> None:
    document = made(NewDocument(PatientId("p0001"), "Référence", b"%PDF-1.7 \xff", _SEEN), KEY)

    assert _contents(document) == [("application/pdf", b"%PDF-1.7 \xff")]


@pytest.mark.parametrize(
    "write",
    [_NOTE, NewDocument(PatientId("p0001"), "Référence", b"%PDF", _SEEN)],
    ids=["note", "document"],
)
def test_documents_say_whose_and_what_they_are(write: NewNote | NewDocument) -> None:
    resource = made(write, KEY)

    assert resource["subject"] == {"reference": "Patient/p0001"}
    assert resource["status"] == "current"
    assert resource["date"] == "2026-11-23T09:30:00-05:00"
    assert resource["description"] == write.title
    assert {"system": "http://loinc.org", "code": "51855-5", "display": "Patient Note"} in resource["type"]["coding"]
    assert {coding["code"] for coding in resource["category"][0]["coding"]} == {"34109-9"}
    assert "title" in resource["content"][0]["attachment"]


def test_what_has_no_title_has_no_empty_one() -> None:
    """FHIR forbids empty strings."""
    resource = made(NewDocument(PatientId("p0001"), "", b"%PDF", _SEEN), KEY)

    assert "description" not in resource
    assert "title" not in resource["content"][0]["attachment"]


def test_a_new_chart_reads_as_it_was_meant() -> None:
    resource = made(_PERSON, KEY)
    chart = read(PatientResource, resource | {"id": "1"})
    assert chart is not None
    patient = chart.to_patient()

    for name in ("first_name", "last_name", "birth_date", "sex", "health_number", "language", "email"):
        assert getattr(_PERSON, name) == getattr(patient, name)
    assert (_PERSON.home_phone, _PERSON.mobile_phone) == (patient.home_phone, patient.mobile_phone)
    assert (_PERSON.address,) == patient.addresses
    assert _PERSON.provider_id == patient.primary_provider_id
    assert patient.active


def test_a_chart_of_somebody_of_whom_little_is_known_has_no_empty_elements() -> None:
    resource = made(NewPatient("Zoë", "P0001", date(1980, 2, 29), Sex.UNKNOWN), KEY)

    assert sorted(resource) == ["active", "birthDate", "gender", "identifier", "name", "resourceType"]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(2026, 11, 23, 9, 30, tzinfo=ZONE), "2026-11-23T09:50:00-05:00"),
        (datetime(2026, 11, 1, 1, 50, tzinfo=ZONE), "2026-11-01T01:10:00-05:00"),
        (datetime(2026, 3, 8, 1, 50, tzinfo=ZONE), "2026-03-08T03:10:00-04:00"),
        (datetime(2026, 7, 1, 9, 30, tzinfo=ZoneInfo("Europe/Paris")), "2026-07-01T09:50:00+02:00"),
    ],
)
def test_a_walk_in_ends_twenty_minutes_later_on_the_clinics_clock(start: datetime, end: str) -> None:
    walk_in = NewAppointment(PatientId("p0001"), ProviderId("dr1"), start, 20)
    resource = made(walk_in, KEY)

    assert resource["start"] == start.isoformat()
    assert resource["end"] == end
    assert resource["minutesDuration"] == 20


def test_a_walk_in_has_arrived_at_its_provider() -> None:
    walk_in = NewAppointment(
        PatientId("p0001"), ProviderId("dr1"), _SEEN, 20, reason="Fièvre", appointment_type="WALK", location="Kiosque"
    )
    resource = made(walk_in, KEY)
    booking = read(AppointmentResource, resource | {"id": "a1"})
    assert booking is not None
    read_back = booking.to_appointment(frozenset(), ZONE)

    assert (read_back.provider_id, read_back.patient_id) == ("dr1", "p0001")
    assert read_back.status is AppointmentStatus.ARRIVED
    assert (read_back.reason, read_back.visit_type) == ("Fièvre", "WALK")
    assert {part["status"] for part in resource["participant"]} == {"accepted"}
    assert resource["participant"][-1]["actor"] == {"display": "Kiosque"}


@pytest.mark.parametrize("write", [_NOTE, _PERSON, NewAppointment(PatientId("p"), ProviderId("d"), _SEEN, 5)])
def test_everything_carries_its_key_and_no_other(write: Any) -> None:
    resource = made(write, KEY)

    assert carries(resource, KEY)
    assert not carries(resource, UUID(int=1))


@pytest.mark.parametrize(
    ("resource", "there"),
    [
        ({"masterIdentifier": {"value": KEY.urn}}, True),
        ({"identifier": [{"system": "urn:else", "value": KEY.urn.upper()}]}, True),
        ({"identifier": [None, {"value": None}]}, False),
        ({"identifier": "garbled"}, False),
        ([], False),
    ],
)
def test_a_key_is_found_wherever_the_emr_put_it(resource: object, *, there: bool) -> None:
    assert carries(resource, KEY) is there


def test_a_key_is_searched_for_as_fhir_writes_uuids() -> None:
    assert token(KEY) == "urn:ietf:rfc:3986|urn:uuid:6f1d3c5e-0000-5000-8000-000000000001"


def test_a_chart_is_not_made_where_the_health_number_is_held() -> None:
    system = "https%3A%2F%2Ffhir.infoway-inforoute.ca%2FNamingSystem%2Fca-on-patient-hcn"

    assert unless_there(_PERSON, KEY) == f"identifier={system}%7C9876543217"


@pytest.mark.parametrize("card", [None, HealthNumber("9876543217"), HealthNumber("9876543217", "XX")])
def test_without_a_province_the_key_alone_decides(card: HealthNumber | None) -> None:
    """A bare number may be somebody's chart number."""
    person = NewPatient("Zoë", "P0001", date(1980, 2, 29), Sex.FEMALE, card)

    assert unless_there(person, KEY) == f"identifier=urn%3Aietf%3Arfc%3A3986%7Curn%3Auuid%3A{KEY}"


def test_what_a_write_refers_to() -> None:
    assert refers_to(_NOTE) == ("p0001",)
    assert refers_to(_PERSON) == ("dr1",)
    assert refers_to(NewAppointment(PatientId("p"), ProviderId("d"), _SEEN, 5)) == ("p", "d")
