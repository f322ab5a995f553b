"""What an event and what was fetched for it become."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ocean_api.reasons import Reason
from ocean_api.v1alpha1.spec import MessagesSpec
from ocean_emr.messages.deliveries import (
    AppointmentContent,
    ArrivedContent,
    Delivery,
    DemographicsContent,
    DocumentContent,
    Event,
    Kind,
    MessageHeldError,
    NoteContent,
    PatientContent,
    write_key,
)
from ocean_emr.messages.expand import Fetched, FetchedFile, expand
from ocean_emr.messages.words import Words
from ocean_emr.ocean.crypto import encrypt
from ocean_emr.ocean.inbound import (
    File,
    OceanNote,
    OceanPatient,
    OpenedReferral,
    PatientUpdate,
    Referral,
    SessionRecord,
)
from ocean_emr.ocean.inbound_profile import EventType
from ocean_emr.records import HealthNumber, Sex
from ocean_emr.writes import Demographics
from unit.messages.people import AT, BORN

KEY = bytes(16)
RECEIVED = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
PATIENT = OceanPatient.model_validate(
    {
        "ref": "p0001",
        "externalPatientRef": "1001",
        "reasonForVisit": "Suivi",
        "demographics": {
            "firstName": "Zoé",
            "surname": "Côté",
            "birthDate": "1980-02-29",
            "sex": "F",
            "hn": "9876543217",
            "hnProv": "ON",
            "address": {"city": "Montréal"},
        },
    }
)
PLAIN = MessagesSpec()
IMPORTING = MessagesSpec(import_attachments=True)
FILES = (
    FetchedFile("f1", "a.pdf", File(content_type="application/pdf", data=b"%PDF-")),
    FetchedFile("f2", "b.pdf", trouble=Reason.MESSAGE_GONE),
)


def event(type_: str, session: str = "s1", ref: str = "p0001") -> Event:
    return Event(type_, ref, session, "PATIENT", RECEIVED)


def note(update: dict[str, Any], version: int = 2) -> OceanNote:
    read = PatientUpdate.model_validate(update)
    return OceanNote(note_id="n1", version=version, chart_id="1001", update=read, one_time_key=KEY)


WHOLE = {
    "progressNote": {"title": " PHQ-9\n2026 ", "text": "\nScore: 3\r\nCalme\n "},
    "emrFieldUpdates": {"mobilePhone": "514-555-0100", "pharmacy": "Rexall"},
}


def completed(
    update: dict[str, Any], settings: MessagesSpec = PLAIN, *, files: tuple[FetchedFile, ...] = ()
) -> tuple[Delivery, ...]:
    fetched = Fetched(patient=PATIENT, note=note(update), files=files)
    return expand(event(EventType.NOTE_ADDED), fetched, settings)


def ids(deliveries: tuple[Delivery, ...]) -> list[tuple[str, int, str]]:
    return [(each.source_id, each.version, each.kind) for each in deliveries]


def test_a_completed_form_becomes_a_note_and_what_the_patient_changed() -> None:
    first, second = completed(WHOLE)

    assert ids((first, second)) == [("note/n1", 2, "note"), ("note/n1/demographics", 2, "demographics")]
    assert isinstance(first.content, NoteContent)
    assert [(part.title, part.text) for part in first.content.parts] == [("PHQ-9 2026", "Score: 3\nCalme")]
    assert first.content.observed_at == RECEIVED
    assert isinstance(second.content, DemographicsContent)
    assert second.content.given == Demographics(mobile_phone="514-555-0100")
    assert second.content.others == (("pharmacy", "Rexall"),)


def test_who_it_is_about_goes_with_it() -> None:
    (delivery, *_) = completed(WHOLE)

    assert isinstance(delivery.content, NoteContent)
    who = delivery.content.person
    assert (who.ref, who.chart_id, who.birth_date, who.sex) == ("p0001", "1001", BORN, Sex.FEMALE)
    assert who.health_number == HealthNumber("9876543217", "ON")


def test_files_come_only_where_they_are_wanted_each_once_for_ever() -> None:
    assert ids(completed(WHOLE, files=FILES))[2:] == []

    *_, one, gone = completed(WHOLE, IMPORTING, files=FILES)

    assert ids((one, gone)) == [("note/n1/file/f1", 0, "document"), ("note/n1/file/f2", 0, "document")]
    assert isinstance(one.content, DocumentContent)
    assert (one.content.title, one.content.data) == ("a.pdf", b"%PDF-")
    assert isinstance(gone.content, DocumentContent)
    assert gone.content.trouble is Reason.MESSAGE_GONE


def test_with_combined_notes_the_note_comes_last() -> None:
    """What stands beside it need not wait for the end of the sitting."""
    kinds = [
        each.kind for each in completed(WHOLE, MessagesSpec(combine_notes=True, import_attachments=True), files=FILES)
    ]

    assert kinds == [Kind.DEMOGRAPHICS, Kind.DOCUMENT, Kind.DOCUMENT, Kind.NOTE]


def test_where_ocean_made_no_note_the_answers_are_the_note() -> None:
    (delivery,) = completed(
        {
            "progressNote": None,
            "completedForms": {
                "Allergies": {"Pollen": True, "Cats": False, "Other": None, "Since": 1999, "id": "x"},
                "Empty": {"a": "", "b": None},
                "Several": {"picked": ["a", "b"], "more": {"c": "d"}},
            },
            "formMetadata": {"Allergies": {"id": {"hidden": True}, "Cats": None}},
        }
    )

    assert isinstance(delivery.content, NoteContent)
    assert [(part.title, part.text) for part in delivery.content.parts] == [
        ("Allergies", "Pollen: [x]\nCats: [ ]\nSince: 1999"),
        ("Several", "picked: a, b\nmore: c: d"),
    ]


def test_a_form_that_says_nothing_becomes_nothing() -> None:
    assert completed({"progressNote": {"title": "PHQ-9", "text": " \n"}, "emrFieldUpdates": {"email": ""}}) == ()


def test_the_end_of_a_sitting_brings_the_same_note_or_none() -> None:
    """Ocean tells of the last form twice; one id makes one note of it."""
    last = event(EventType.FORMS_COMPLETED)
    fetched = Fetched(patient=PATIENT, note=note(WHOLE))

    assert last.ends_sitting
    assert not event(EventType.NOTE_ADDED).ends_sitting
    assert expand(last, fetched, PLAIN) == completed(WHOLE)
    assert expand(last, Fetched(patient=PATIENT), PLAIN) == ()


def test_a_check_in() -> None:
    fetched = Fetched(patient=PATIENT, session=SessionRecord(at=AT))
    (delivery,) = expand(event(EventType.CHECKED_IN), fetched, PLAIN)

    assert ids((delivery,)) == [("checked-in/p0001/s1", 0, "arrived")]
    assert delivery.own_lane
    assert isinstance(delivery.content, ArrivedContent)
    assert delivery.content.at == AT
    assert expand(event(EventType.CHECKED_IN), fetched, MessagesSpec(arrived_within_hours=0)) == ()


@pytest.mark.parametrize(("given", "expected"), [("Toux\n", "Toux"), ("", "Suivi")])
def test_a_walk_in_is_a_patient_and_an_appointment_after(given: str, expected: str) -> None:
    fetched = Fetched(patient=PATIENT, session=SessionRecord(at=AT, reason=given))
    first, second = expand(event(EventType.WALKED_IN), fetched, PLAIN)

    assert ids((first, second)) == [
        ("walk-in/p0001/s1/patient", 0, "patient"),
        ("walk-in/p0001/s1/appointment", 0, "appointment"),
    ]
    assert isinstance(first.content, PatientContent)
    assert first.content.details.address is not None
    assert isinstance(second.content, AppointmentContent)
    assert (second.content.reason, second.content.at) == (expected, AT)
    assert not second.own_lane


def test_a_transcript() -> None:
    session = SessionRecord(at=AT, title="Échange", text="Bonjour\n")
    (delivery,) = expand(event(EventType.MESSAGE_TRANSCRIPT), Fetched(patient=PATIENT, session=session), PLAIN)

    assert ids((delivery,)) == [("transcript/p0001/s1", 0, "transcript")]
    assert isinstance(delivery.content, NoteContent)
    assert delivery.content.parts[0].text == "Bonjour"
    assert delivery.content.observed_at == AT


def referral(**more: Any) -> OpenedReferral:
    record = {
        "referralRef": "r1",
        "description": "Cardiologie",
        "status": "BOOKED",
        "services": ["Écho", "Holter"],
        "referrer": {"firstName": "Alice", "surname": "Alder"},
        "srcSiteName": "Clinique du Nord",
        "scheduledAppointment": 1_793_863_800_000,
        "modificationDate": "2026-11-23T14:00:00Z",
        "encryptedPtData": encrypt(b"{}", KEY).to_json(),
        "internalConversation": [{"message": "Clair", "userFullName": "Lou", "commentDate": "2026-11-22T14:00:00Z"}],
        "externalConversation": [{"encryptedMsg": encrypt(b'{"message": "\xc3\x80 je\xc3\xbbn"}', KEY).to_json()}],
        **more,
    }
    return OpenedReferral(record=Referral.model_validate(record), patient=PATIENT, one_time_key=KEY)


def test_a_referral_becomes_a_record_and_its_files() -> None:
    fetched = Fetched(referral=referral(), files=FILES)
    told = event(EventType.REFERRAL_RECORD, session="", ref="r1")
    record, *files = expand(told, fetched, IMPORTING)

    assert expand(told, fetched, PLAIN) == ()
    assert [each.source_id for each in files] == ["referral/r1/file/f1", "referral/r1/file/f2"]
    assert isinstance(record.content, DocumentContent)
    assert record.content.title == "Cardiologie"
    assert [(part.heading, part.text) for part in record.content.record] == [
        (Words.REFERRAL, "Cardiologie"),
        (Words.STATUS, "BOOKED"),
        (Words.SERVICES, "Écho, Holter"),
        (Words.REFERRED_BY, "Alice Alder, Clinique du Nord"),
        (Words.APPOINTMENT, ""),
        (Words.MESSAGE, "Lou\nClair"),
        (Words.MESSAGE, "À jeûn"),
    ]


def test_a_referral_that_changed_is_another_version_and_one_that_did_not_is_the_same() -> None:
    told = event(EventType.REFERRAL_RECORD, session="", ref="r1")

    def version(**more: Any) -> tuple[str, int]:
        (record,) = expand(told, Fetched(referral=referral(**more)), IMPORTING)
        assert 0 <= record.version < 2**31
        return record.source_id, record.version

    assert version() == version()
    assert version()[0] == version(modificationDate="2026-11-23T14:00:01Z")[0]
    assert version()[1] < version(modificationDate="2026-11-23T14:00:01Z")[1]
    assert version(modificationDate=None) == ("referral/r1", 0)
    assert version(modificationDate="2019-01-01T00:00:00Z") == ("referral/r1", 0)


@pytest.mark.parametrize(
    ("type_", "fetched"),
    [
        ("something-new", Fetched(patient=PATIENT)),
        (EventType.MESSAGE_TRANSCRIPT, Fetched(patient=PATIENT, session=SessionRecord(at=AT))),
    ],
)
def test_what_cannot_be_delivered_is_held(type_: str, fetched: Fetched) -> None:
    with pytest.raises(MessageHeldError) as caught:
        expand(event(type_), fetched, PLAIN)

    assert caught.value.reason is Reason.MESSAGE_UNREADABLE
    assert "something-new" not in str(caught.value)


def everything() -> list[Delivery]:
    session = SessionRecord(at=AT, reason="r", title="t", text="t")
    together = Fetched(patient=PATIENT, note=note(WHOLE), session=session, referral=referral(), files=FILES)
    return [each for type_ in EventType for each in expand(event(type_), together, IMPORTING)]


def test_every_kind_is_kept_and_read_back_whole() -> None:
    assert {each.kind for each in everything()} == set(Kind)
    for each in everything():
        assert Delivery.of(each.source_id, each.version, each.kind, each.body()) == each


@pytest.mark.parametrize("body", [b"", b"{}", b'{"person": "p0001"}', b"[]"])
def test_what_was_kept_in_another_form_is_held(body: bytes) -> None:
    for kind in Kind:
        with pytest.raises(MessageHeldError) as caught:
            Delivery.of("note/n1", 0, kind, body)
        assert "p0001" not in str(caught.value)


def test_no_delivery_shows_what_it_holds() -> None:
    for each in everything():
        shown = repr(each) + str(each.content) + repr([each])
        assert not any(text in shown for text in ("Zoé", "Côté", "Score", "Rexall", "9876543217", "a.pdf"))


def test_a_write_s_key_follows_from_the_message_alone() -> None:
    key = write_key("ocean-demo/north", "note/n1", 2, 0)

    assert str(key) == "fd64cf24-cf1d-5145-8c04-55ff494e0c75"
    others = [
        write_key("ocean-demo/south", "note/n1", 2, 0),
        write_key("ocean-demo/north", "note/n2", 2, 0),
        write_key("ocean-demo/north", "note/n1", 3, 0),
        write_key("ocean-demo/north", "note/n1", 2, 1),
    ]
    assert len({key, *others}) == 5
