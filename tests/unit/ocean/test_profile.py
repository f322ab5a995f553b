from __future__ import annotations

import json
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_emr.ocean import profile
from ocean_emr.ocean.crypto import EncryptedBlock, SealedPayload, SharedEncryptionKey
from ocean_emr.ocean.errors import Call, OceanAnswerUnreadableError, OceanRecordRejectedError
from ocean_emr.ocean.exchange import retry_after_seconds
from ocean_emr.ocean.payloads import appointment_upload, patient_upload
from ocean_emr.ocean.profile import Upload, read_results
from ocean_emr.records import (
    Address,
    Appointment,
    AppointmentId,
    AppointmentStatus,
    EmergencyContact,
    HealthNumber,
    Patient,
    PatientId,
    ProviderId,
    Sex,
)

CALL = Call.UPSERT_PATIENTS
PATIENT = Patient(
    id=PatientId("p0001"),
    title="Mme",
    first_name="Zoé",
    middle_names="Marie",
    last_name="Test",
    preferred_name="Zo",
    birth_date=date(1990, 1, 2),
    sex=Sex.FEMALE,
    health_number=HealthNumber("9876543225", "ON", "AB", date(2030, 5, 6)),
    alternate_id="c0001",
    addresses=(Address("1 Test Street\nUnit 2\nRear", "Toronto", "ON", "M5V 1A1", "CA"), Address("2 Test Road")),
    home_phone="555-0101",
    work_phone="555-0102",
    mobile_phone="555-0103",
    email="p0001@example.org",
    language="fr",
    family_doctor="Dr Test",
    emergency_contact=EmergencyContact("Contact Test", "555-0104"),
)
APPOINTMENT = Appointment(
    id=AppointmentId("a0001"),
    provider_id=ProviderId("d0001"),
    patient_id=PatientId("p0001"),
    start=datetime(2026, 11, 1, 9, 30, tzinfo=ZoneInfo("America/Toronto")),
    duration_minutes=15,
    status=AppointmentStatus.BOOKED,
    status_raw="t",
    reason="Test reason",
    visit_type="Follow-up",
)


def test_a_patient_becomes_oceans_patient() -> None:
    upload = patient_upload(PATIENT, site_number="1001")

    assert upload.ref == "p0001"
    assert json.loads(upload.plaintext) == {
        "externalPatientRef": "p0001",
        "siteNum": "1001",
        "demographics": {
            "title": "Mme",
            "firstName": "Zoé",
            "secondName": "Marie",
            "surname": "Test",
            "preferredName": "Zo",
            "birthDate": "1990-01-02",
            "sex": "female",
            "hn": "9876543225",
            "hnProv": "ON",
            "hnVC": "AB",
            "hnExpiryDate": "2030-05-06",
            "alternateId": "c0001",
            "address": {
                "line1": "1 Test Street",
                "line2": "Unit 2, Rear",
                "city": "Toronto",
                "province": "ON",
                "country": "CA",
                "postalCode": "M5V 1A1",
                "phone": "555-0101",
                "email": "p0001@example.org",
            },
            "address2": {"line1": "2 Test Road"},
            "emergencyContact": "Contact Test",
            "emergencyContactPhone": "555-0104",
            "language": "fr",
            "familyDoc": {"name": "Dr Test"},
            "customFields": {"mobilePhone": "555-0103", "workPhone": "555-0102"},
        },
    }


def test_what_the_emr_does_not_give_is_left_out() -> None:
    """An empty field could be read as an order to delete."""
    upload = patient_upload(Patient(id=PatientId("p0002"), last_name="", home_phone="555-0101"), site_number="1001")

    assert json.loads(upload.plaintext)["demographics"] == {"sex": "unknown", "address": {"phone": "555-0101"}}


def test_an_appointment_is_one_moment_wherever_it_is_read() -> None:
    upload = appointment_upload(APPOINTMENT, site_number="1001", provider_name="Dr Test")

    assert json.loads(upload.plaintext) == {
        "externalAppointmentRef": "a0001",
        "externalPatientRef": "p0001",
        "siteNum": "1001",
        "externalProviderRef": "d0001",
        "providerName": "Dr Test",
        "start": "2026-11-01T09:30:00-05:00",
        "durationMinutes": 15,
        "status": "booked",
        "apptReason": "Test reason",
        "visitType": "Follow-up",
    }


def test_nothing_of_a_patient_shows() -> None:
    shown = repr(patient_upload(PATIENT, site_number="1001"))

    assert shown == "Upload(ref='p0001')"


@given(st.dictionaries(st.text(max_size=6), st.text(max_size=6), max_size=6))
def test_the_same_record_gives_the_same_bytes_whatever_its_order(fields: dict[str, str]) -> None:
    backwards = dict(reversed(fields.items()))

    assert Upload.of("p0001", fields).plaintext == Upload.of("p0001", backwards).plaintext


@pytest.mark.parametrize(
    ("ref", "payload", "code"),
    [
        ("", {}, "RefUnusable"),
        ("p" * 129, {}, "RefUnusable"),
        ("p0001\n", {}, "RefUnusable"),
        ("p\ud800", {}, "RefUnusable"),
        ("p0001", {"surname": "half a pair \ud800"}, "NotText"),
        ("p0001", {"number": 2**70}, "NotText"),
        ("p0001", {"comments": "x" * (64 * 1024)}, "TooLarge"),
    ],
)
def test_a_record_that_cannot_be_sent_is_set_aside_alone(ref: str, payload: object, code: str) -> None:
    with pytest.raises(OceanRecordRejectedError) as caught:
        Upload.of(ref, payload)

    assert caught.value.code == code
    assert "half a pair" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_largest_batch_is_under_ten_mebibytes(sek: SharedEncryptionKey) -> None:
    batch = [Upload(f"{n:0>128}", b"x" * profile.MAX_PAYLOAD_BYTES) for n in range(profile.MAX_BATCH)]

    assert len(profile.upsert_body(batch, sek)) < 10 * 1024 * 1024


def test_each_item_has_its_own_one_time_key(sek: SharedEncryptionKey) -> None:
    body = json.loads(profile.upsert_body([Upload("p0001", b"{}"), Upload("p0002", b"{}")], sek))
    keys = [
        SealedPayload(EncryptedBlock.from_json(item["oneTimeKey"]), EncryptedBlock.from_json(item["payload"]))
        for item in body["items"]
    ]

    assert [sek.open_json(key) for key in keys] == [{}, {}]
    with pytest.raises(Exception, match="not the same"):
        sek.open(SealedPayload(keys[0].one_time_key, keys[1].payload))


def test_results_come_back_in_the_batchs_order() -> None:
    answer = {
        "results": [
            {"ref": "p0003", "status": "accepted"},
            {"ref": "p0002", "status": "rejected", "code": "NoConsent"},
            {"ref": "p0001", "status": "accepted"},
        ]
    }

    result = read_results(answer, ["p0001", "p0002", "p0003"], CALL)

    assert result.accepted == ("p0001", "p0003")
    assert [(item.ref, item.code) for item in result.rejected] == [("p0002", "NoConsent")]


@pytest.mark.parametrize("code", [None, 7, "", "Zoé", "the name is p0001", "x" * 41, "Code\n"])
def test_a_code_that_may_say_something_of_a_patient_is_not_shown(code: object) -> None:
    answer = {"results": [{"ref": "p0001", "status": "rejected", "code": code}]}

    assert read_results(answer, ["p0001"], CALL).rejected[0].code == "Unnamed"


OK = {"ref": "p0001", "status": "accepted"}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"results": None},
        {"results": []},
        {"results": [OK, OK]},
        {"results": [OK, {"ref": "p0009", "status": "accepted"}]},
        {"results": [{"ref": "p0001", "status": "maybe"}]},
        {"results": [{"ref": 1, "status": "accepted"}]},
        {"results": ["p0001"]},
    ],
)
def test_not_exactly_one_result_for_each_item_is_unreadable(answer: object) -> None:
    with pytest.raises(OceanAnswerUnreadableError):
        read_results(answer, ["p0001"], CALL)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["p0001", "accepted", "rejected"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["results", "ref", "status", "code", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_no_answer_makes_reading_fail_otherwise(answer: object) -> None:
    try:
        result = read_results(answer, ["p0001"], CALL)
    except OceanAnswerUnreadableError:
        return

    assert {*result.accepted, *(item.ref for item in result.rejected)} == {"p0001"}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("0", 0.0),
        ("120", 120.0),
        ("9" * 400, 999_999_999.0),
        ("٣", None),
        ("Sun, 01 Nov 2026 09:01:00 GMT", 60.0),
        ("Sun, 01 Nov 2026 08:59:00 GMT", 0.0),
        ("Sun, 99 Nov 2026 08:59:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, now=datetime(2026, 11, 1, 9, 0, tzinfo=UTC)) == seconds
