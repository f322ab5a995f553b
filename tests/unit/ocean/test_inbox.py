"""Fetching what a webhook told of, against fixed bytes and against the simulator."""

from __future__ import annotations

import base64
import secrets
import traceback
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from starlette.responses import Response

from ocean_api.reasons import Reason
from ocean_emr.ocean.crypto import SharedEncryptionKey, encrypt
from ocean_emr.ocean.errors import (
    Call,
    MessageGoneError,
    MessageUnreadableError,
    OceanAccessRefusedError,
    OceanAnswerUnreadableError,
    OceanError,
    OceanUnavailableError,
    SekMismatchError,
)
from ocean_emr.ocean.inbound import NamedFile, OceanPatient, name_file
from ocean_emr.ocean.inbox import MAX_FILE_ANSWER_BYTES, OceanInbox
from ocean_emr.records import Sex
from ocean_emr.testing.ocean_sim import BodyForm, Fault, FaultKind, OceanSim
from ocean_emr.testing.ocean_sim.mailbox import Form, Upload
from unit.ocean.handing_out import HandingOut
from unit.ocean.uploads import SITE, SURNAME, access

# Source of key, wrapped key and payload: a synthetic fixture OceanMD publishes (oceanmdlabs/autorouter,
# encryption-util.test.ts). The other two were made with `openssl enc -aes-128-cbc -K … -iv …`, which is not ours.
IV = "Dw4NDAsKCQgHBgUEAwIBAA=="
WRAPPED = "ZCg4D4k1F2dDSlkkfIoLKQfq/pa/qUOJHKtd8M/rp+I="
ONE_TIME_KEY = bytes.fromhex("00112233445566778899aabbccddeeff")
PATIENT = "mQDoH29JfgfJ2sog9MRa9B3Mfm+P2TsIcXq86M8XbwE7bkKKV+Ff7P/ns/xcHgSy"
OTHER_IV = "AAECAwQFBgcICQoLDA0ODw=="
NOTE = (
    "4VTeJh1QQHVq82GXAjLo0QyiiENr7uAz6iE2jeQ/4qrRxraxS7AvQsUhK6x+/dSFuzZaBL8NJLcm8ABBnYM1B1Y5qtwMBLsgz7uXYqjWaWbU21Ux"
    "FF9Cc9U3RoCit9fuNUN7fvkaHMm0akHIN6HCfy0cjSFZeNiuerMEeg7D/19ZD3wJHDychKQp10KgXuPa"
)
FILE = "VKO2ozPwOUvYNOBLBLAAVg=="

PATIENT_PATH = "/svc/v1/patients/synthetic-ref"
NOTE_PATH = "/svc/v1/patients/p0001/notes?oceanSessionId=1759442545187t415674"
NOTE_HEADERS = {
    "noteId": "note-1",
    "oneTimeKey": WRAPPED,
    "oneTimeKeyIv": IV,
    "iv": OTHER_IV,
    "externalPtRef": "1001",
    "payloadVersion": "2",
}
SESSION = "1759442545187t415674"

_signed = [byte - 256 if byte > 127 else byte for byte in base64.b64decode(PATIENT)]


@pytest.fixture
def ocean_told() -> Iterator[HandingOut]:
    told = HandingOut()
    with told.served:
        yield told


@pytest.fixture
async def told_inbox(ocean_told: HandingOut) -> AsyncIterator[OceanInbox]:
    async with OceanInbox(ocean_told.access) as inbox:
        yield inbox


@pytest.fixture
async def inbox(sim: OceanSim) -> AsyncIterator[OceanInbox]:
    async with OceanInbox(access(sim)) as client:
        yield client


def demographics(**more: Any) -> dict[str, Any]:
    return {"firstName": "Zoé", "surname": SURNAME, "birthDate": "1980-02-29", "sex": "F", **more}


def everything_shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


@pytest.mark.parametrize("body", [PATIENT, _signed], ids=["base64", "signed bytes"])
async def test_the_published_vector_opens_as_a_patient(
    ocean_told: HandingOut, told_inbox: OceanInbox, sek: SharedEncryptionKey, body: object
) -> None:
    """One IV goes for the wrapped key and for the body."""
    ocean_told.give(PATIENT_PATH, body, {"oneTimeKey": WRAPPED, "iv": IV, "extPatientRef": "1001"})

    patient = await told_inbox.patient("synthetic-ref", [sek])

    assert (patient.ref, patient.external_patient_ref) == ("synthetic-ref", "1001")


async def test_a_note_made_by_another_implementation_opens(
    ocean_told: HandingOut, told_inbox: OceanInbox, sek: SharedEncryptionKey
) -> None:
    ocean_told.give(NOTE_PATH, NOTE, NOTE_HEADERS)

    note = await told_inbox.note("p0001", SESSION, [sek])

    assert (note.note_id, note.version, note.chart_id) == ("note-1", 2, "1001")
    assert note.update.progress_note.title == "Santé générale"
    assert note.update.progress_note.text == "Élève à l\N{RIGHT SINGLE QUOTATION MARK}école, ça va"
    assert note.update.emr_field_updates == {"mobilePhone": "514-555-0100"}
    assert note.one_time_key == ONE_TIME_KEY


async def test_a_file_made_by_another_implementation_opens(ocean_told: HandingOut, told_inbox: OceanInbox) -> None:
    answer = {"contentType": "application/pdf", "encryptedData": {"data": FILE, "iv": OTHER_IV}}
    ocean_told.give("/svc/v1/referrals/r1/attachments/f1", answer)

    file = await told_inbox.referral_file("r1", NamedFile(ref="f1", name="x", key=ONE_TIME_KEY))

    assert (file.content_type, file.data) == ("application/pdf", b"%PDF-1.7 p0001")


@pytest.mark.parametrize("form", BodyForm)
async def test_what_a_patient_did_is_fetched_whole(
    sim: OceanSim, inbox: OceanInbox, sek: SharedEncryptionKey, form: BodyForm
) -> None:
    site = sim.site(SITE)
    site.body_form = form
    address = {"line1": "1 rue Principale", "city": "Montréal", "postalCode": "H1H 1H1", "phone": "514-555-0101"}
    who = demographics(hn="9876543217", hnProv="ON", hnVC="AB", address=address, customFields={"mobilePhone": "1"})
    site.mailbox.put_patient("p0001", {"externalPatientRef": "1001", "demographics": who})
    upload = Upload("résultats de p0001.pdf", "application/pdf", b"%PDF-1.7")
    (notice,) = site.mailbox.complete("p0001", Form("Santé", "Ça va\nbien", {"email": "p@x.example"}, [upload]))

    patient = await inbox.patient("p0001", [sek])
    note = await inbox.note("p0001", notice.session, [sek])

    assert (patient.external_patient_ref, note.chart_id, note.note_id) == ("1001", "1001", notice.note_id)
    assert patient.demographics.birth_date == date(1980, 2, 29)
    assert (patient.demographics.sex, patient.demographics.hn_version) == (Sex.FEMALE, "AB")
    assert patient.demographics.address.city == "Montréal"
    assert note.update.progress_note.text == "Ça va\nbien"
    assert [each.file_ref for each in note.update.attachments] == list(notice.files)


async def test_what_was_encrypted_before_a_change_of_key_opens_with_the_earlier_one(
    sim: OceanSim, inbox: OceanInbox, sek: SharedEncryptionKey
) -> None:
    site = sim.site(SITE)
    site.mailbox.put_patient("p0001", {"demographics": demographics()})
    (before,) = site.mailbox.complete("p0001", Form("", "before"))
    new = SharedEncryptionKey("Another!Key12345")
    site.sek = new
    (after,) = site.mailbox.complete("p0001", Form("", "after"))

    texts = [
        (await inbox.note("p0001", notice.session, [new, sek])).update.progress_note.text for notice in (before, after)
    ]

    assert texts == ["before", "after"]
    with pytest.raises(SekMismatchError):
        await inbox.note("p0001", before.session, [new])


@pytest.mark.parametrize("status", [404, 410, 204])
async def test_what_ocean_does_not_have_is_gone(
    ocean_told: HandingOut, told_inbox: OceanInbox, sek: SharedEncryptionKey, status: int
) -> None:
    ocean_told.give(NOTE_PATH, None, status=status)
    if status == 204:
        ocean_told.answers[NOTE_PATH] = Response(status_code=204)

    with pytest.raises(MessageGoneError) as caught:
        await told_inbox.note("p0001", SESSION, [sek])

    assert caught.value.reason is Reason.MESSAGE_GONE


async def test_a_web_page_says_nothing_about_the_message(
    ocean_told: HandingOut, told_inbox: OceanInbox, sek: SharedEncryptionKey
) -> None:
    """A wrong address answers 404 too; then every message would count as gone."""
    ocean_told.answers[PATIENT_PATH] = Response("<html>404</html>", 404, media_type="text/html")

    with pytest.raises(OceanAnswerUnreadableError) as caught:
        await told_inbox.patient("synthetic-ref", [sek])

    assert not isinstance(caught.value, MessageGoneError)


@pytest.mark.parametrize("lacking", ["noteId", "oneTimeKey", "oneTimeKeyIv", "iv"])
async def test_a_missing_header_is_named(
    ocean_told: HandingOut, told_inbox: OceanInbox, sek: SharedEncryptionKey, lacking: str
) -> None:
    headers = {name: value for name, value in NOTE_HEADERS.items() if name != lacking}
    ocean_told.give(NOTE_PATH, NOTE, headers)

    with pytest.raises(MessageUnreadableError, match=lacking):
        await told_inbox.note("p0001", SESSION, [sek])


@pytest.mark.parametrize("version", ["", "two", "-1", "99999999999999"])
async def test_a_version_that_is_no_number_is_the_first(
    ocean_told: HandingOut, told_inbox: OceanInbox, sek: SharedEncryptionKey, version: str
) -> None:
    ocean_told.give(NOTE_PATH, NOTE, NOTE_HEADERS | {"payloadVersion": version})

    assert (await told_inbox.note("p0001", SESSION, [sek])).version == 0


def sealed(sek: SharedEncryptionKey, content: bytes) -> tuple[str, dict[str, str]]:
    """Body and headers of a note with this content."""
    key = secrets.token_bytes(16)
    wrapped, body = encrypt(key, sek.key_bytes()).to_json(), encrypt(content, key).to_json()
    return body["data"], NOTE_HEADERS | {
        "oneTimeKey": wrapped["data"],
        "oneTimeKeyIv": wrapped["iv"],
        "iv": body["iv"],
    }


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b'["p0001-secret"]', "no JSON object"),
        (b"p0001-secret", "no JSON object"),
        (b'{"progressNote": "p0001-secret"}', "progressNote"),
        (b'{"completedForms": {"p0001-secret": "x"}}', "completedForms"),
        (b'{"attachments": [{"fileName": "p0001-secret"}]}', "attachments.fileRef"),
        (b'{"attachments": [{"fileRef": "f", "encryptedFileName": {"data": "p0001-secret"}}]}', "encryptedFileName"),
    ],
)
async def test_what_cannot_be_used_is_named_and_never_quoted(
    ocean_told: HandingOut, told_inbox: OceanInbox, sek: SharedEncryptionKey, content: bytes, named: str
) -> None:
    ocean_told.give(NOTE_PATH, *sealed(sek, content))

    with pytest.raises(MessageUnreadableError, match=named) as caught:
        await told_inbox.note("p0001", SESSION, [sek])

    assert "secret" not in everything_shown(caught.value)
    assert caught.value.reason is Reason.MESSAGE_UNREADABLE


async def test_a_damaged_body_is_the_message_s_fault_and_not_the_key_s(
    ocean_told: HandingOut, told_inbox: OceanInbox, sek: SharedEncryptionKey
) -> None:
    """A wrong key stops the whole clinic, so it must not be blamed for one note."""
    damaged = base64.b64decode(NOTE)[:-16]
    ocean_told.give(NOTE_PATH, base64.b64encode(damaged).decode(), NOTE_HEADERS)

    with pytest.raises(MessageUnreadableError):
        await told_inbox.note("p0001", SESSION, [sek])


async def test_a_wrong_key_is_noticed(ocean_told: HandingOut, told_inbox: OceanInbox) -> None:
    ocean_told.give(NOTE_PATH, NOTE, NOTE_HEADERS)

    with pytest.raises(SekMismatchError):
        await told_inbox.note("p0001", SESSION, [SharedEncryptionKey("Another!Key12345")])


@pytest.mark.parametrize("stranger", [{"siteNum": "9999"}, {"ref": "p0002"}])
async def test_somebody_else_s_patient_is_not_taken(
    sim: OceanSim, inbox: OceanInbox, sek: SharedEncryptionKey, stranger: dict[str, str]
) -> None:
    sim.site(SITE).mailbox.put_patient("p0001", {"demographics": demographics(), **stranger})

    with pytest.raises(MessageUnreadableError, match="another"):
        await inbox.patient("p0001", [sek])


@pytest.mark.parametrize("ref", ["", "..", ".", "a/../b", "a b", "a?b=c", "é", "x" * 129, "a\n"])
async def test_a_reference_that_is_none_is_not_asked_for(
    ocean_told: HandingOut, told_inbox: OceanInbox, sek: SharedEncryptionKey, ref: str
) -> None:
    """It came with a webhook, and becomes part of a path."""
    with pytest.raises(MessageUnreadableError) as caught:
        await told_inbox.patient(ref, [sek])

    assert ocean_told.asked == []
    assert ref == "" or ref not in str(caught.value) or len(ref) < 3


async def test_one_enormous_message_is_its_own_fault(
    sim: OceanSim, inbox: OceanInbox, sek: SharedEncryptionKey
) -> None:
    sim.site(SITE).mailbox.put_patient("p0001", {"demographics": demographics()})
    sim.faults.add(Fault(FaultKind.ENDLESS, path="/svc/v1/patients"))

    with pytest.raises(MessageUnreadableError, match="larger than"):
        await inbox.patient("p0001", [sek])


async def test_a_file_may_be_larger_than_a_note(sim: OceanSim, inbox: OceanInbox, sek: SharedEncryptionKey) -> None:
    picture = secrets.token_bytes(MAX_FILE_ANSWER_BYTES // 2)
    mailbox = sim.site(SITE).mailbox
    mailbox.put_patient("p0001", {"demographics": demographics()})
    (notice,) = mailbox.complete("p0001", Form("", "x", files=[Upload("x", "image/png", picture)]))
    note = await inbox.note("p0001", notice.session, [sek])
    (ref,) = note.update.attachments
    assert ref.encrypted_encryption_key

    file = await inbox.patient_file("p0001", name_file(Call.READ_ATTACHMENT, ref, note.one_time_key))

    assert file.data == picture


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.UNAUTHORIZED, OceanAccessRefusedError),
        (FaultKind.FORBIDDEN, OceanAccessRefusedError),
        (FaultKind.AWAY, OceanUnavailableError),
        (FaultKind.RESET, OceanUnavailableError),
        (FaultKind.PAGE, OceanAnswerUnreadableError),
        (FaultKind.CUT_JSON, OceanAnswerUnreadableError),
        (FaultKind.REDIRECT, OceanAnswerUnreadableError),
    ],
)
async def test_other_failures_are_what_they_are_for_every_call(
    sim: OceanSim, inbox: OceanInbox, sek: SharedEncryptionKey, kind: FaultKind, error: type[OceanError]
) -> None:
    sim.site(SITE).mailbox.put_patient("p0001", {"demographics": demographics()})
    sim.faults.add(Fault(kind, times=None))

    with pytest.raises(error):
        await inbox.patient("p0001", [sek])


async def test_a_session_of_our_own_profile(sim: OceanSim, inbox: OceanInbox, sek: SharedEncryptionKey) -> None:
    mailbox = sim.site(SITE).mailbox
    mailbox.put_patient("p0001", {"demographics": demographics()})
    at = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    notice = mailbox.transcript("p0001", title="Échange", text="Bonjour", at=at)

    session = await inbox.session("p0001", notice.session, [sek])

    assert (session.at, session.title, session.text) == (at, "Échange", "Bonjour")


async def test_a_referral_by_the_copy_of_its_key_under_the_clinic_s(
    sim: OceanSim, inbox: OceanInbox, sek: SharedEncryptionKey
) -> None:
    about = {"ref": "p0001", "siteNum": SITE, "externalPatientRef": "1001", "demographics": demographics()}
    notice = sim.site(SITE).mailbox.referral(about, {"description": "Cardiologie", "status": "BOOKED"})

    referral = await inbox.referral(notice.ref, [sek])

    assert (referral.record.description, referral.record.status) == ("Cardiologie", "BOOKED")
    assert (referral.patient.external_patient_ref, referral.patient.demographics.first_name) == ("1001", "Zoé")
    assert referral.record.modification_date is not None
    assert referral.record.modification_date.tzinfo is not None


async def test_references_of_another_site_are_left_out_of_a_referral(
    sim: OceanSim, inbox: OceanInbox, sek: SharedEncryptionKey
) -> None:
    """They name other people here."""
    about = {"ref": "p0001", "siteNum": "9999", "externalPatientRef": "1001", "demographics": demographics()}
    notice = sim.site(SITE).mailbox.referral(about, {})

    referral = await inbox.referral(notice.ref, [sek])

    assert (referral.patient.ref, referral.patient.external_patient_ref) == ("", "")
    assert referral.patient.demographics.surname == SURNAME


def private_key_json(private: RSAPrivateKey) -> bytes:
    numbers = private.private_numbers()
    parts = {
        "n": numbers.public_numbers.n,
        "e": numbers.public_numbers.e,
        "d": numbers.d,
        "p": numbers.p,
        "q": numbers.q,
        "dmp1": numbers.dmp1,
        "dmq1": numbers.dmq1,
        "coeff": numbers.iqmp,
    }
    return orjson.dumps({name: f"{number:x}" for name, number in parts.items()})


@pytest.mark.parametrize("written", [lambda key: key, base64.b64encode], ids=["bytes", "base64"])
async def test_a_referral_by_one_of_the_site_s_private_keys(
    ocean_told: HandingOut, told_inbox: OceanInbox, sek: SharedEncryptionKey, written: Any
) -> None:
    own, other = (generate_private_key(65537, 1024) for _ in range(2))  # noqa: S505 - a test's
    block = encrypt(b"|".join(map(private_key_json, (other, own))), sek.key_bytes()).to_json()
    ocean_told.give("/svc/v1/site/privateKey", block["data"], {"iv": block["iv"]})
    key = secrets.token_bytes(16)
    about = {"siteNum": SITE, "ref": "p0001", "demographics": demographics()}
    copy = base64.b64encode(own.public_key().encrypt(written(key), PKCS1v15())).decode()
    record = {
        "referralRef": "r1",
        "encryptedPtData": encrypt(orjson.dumps(about), key).to_json(),
        "oneTimeKeyEncryptedWithTargetPublicKey": copy,
    }
    ocean_told.give("/svc/v1/referrals/r1", record)

    referral = await told_inbox.referral("r1", [SharedEncryptionKey("Another!Key12345"), sek])

    assert (referral.patient.ref, referral.one_time_key) == ("p0001", key)


async def test_a_referral_that_nothing_opens_is_unreadable(
    ocean_told: HandingOut, told_inbox: OceanInbox, sek: SharedEncryptionKey
) -> None:
    record = {"encryptedPtData": encrypt(b"{}", secrets.token_bytes(16)).to_json()}
    ocean_told.give("/svc/v1/referrals/r1", record)

    with pytest.raises(MessageUnreadableError, match="no copy of its key"):
        await told_inbox.referral("r1", [sek])


def test_no_model_shows_what_it_holds() -> None:
    patient = OceanPatient.model_validate({"ref": "p0001", "demographics": demographics()})

    assert SURNAME not in repr(patient) + str(patient) + repr([patient.demographics])
