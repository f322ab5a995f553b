"""Fetching what a webhook told of: Ocean's calls for patients, notes, sessions, referrals and their files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import orjson
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers, RSAPublicNumbers

from ocean_emr.ocean import inbound, inbound_profile
from ocean_emr.ocean.client import OceanClient
from ocean_emr.ocean.crypto import ONE_TIME_KEY_BYTES, EncryptedBlock, SharedEncryptionKey, decrypt, read_bytes
from ocean_emr.ocean.errors import (
    Call,
    MessageGoneError,
    MessageUnreadableError,
    OceanAnswerTooLargeError,
    OceanError,
    SekMismatchError,
)
from ocean_emr.ocean.exchange import MAX_ANSWER_BYTES, Answer, expect_success
from ocean_emr.ocean.inbound import (
    Attachment,
    File,
    NamedFile,
    OceanNote,
    OceanPatient,
    OpenedReferral,
    PatientUpdate,
    Referral,
    SessionRecord,
)

PATIENT_PATH = "/svc/v1/patients/{ref}"
NOTE_PATH = "/svc/v1/patients/{ref}/notes?oceanSessionId={session}"
REFERRAL_PATH = "/svc/v1/referrals/{ref}"
REFERRAL_FILE_PATH = "/svc/v1/referrals/{ref}/attachments/{file}"

MAX_FILE_ANSWER_BYTES = 14 * 1024 * 1024
"""Room for a file of 10 MiB in base64, of 3 MiB as an array of numbers. Ocean's own limit is not published."""

_REF = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~:-]{0,127}\Z")
_VERSION = re.compile(r"[0-9]{1,9}\Z")


class OceanInbox(OceanClient):
    """An `OceanClient` that also fetches what a message is about.

    Besides what every call raises, each of these raises `MessageGoneError` when Ocean has nothing there,
    `MessageUnreadableError` when this one thing cannot be used, and `SekMismatchError` when none of the keys opens it.
    """

    async def patient(self, ref: str, keys: Sequence[SharedEncryptionKey]) -> OceanPatient:
        """The patient. One IV is used for the wrapped key and for the body.

        Source: `getPatient` in oceanmdlabs/autorouter.
        """
        call = Call.READ_PATIENT
        answer = await self._get(call, _path(call, PATIENT_PATH, ref=ref))
        content, _ = _opened(call, answer, keys, key_iv="iv")
        patient = inbound.read(call, OceanPatient, content)
        if patient.ref not in {"", ref} or patient.site_num not in {"", self.site_number}:
            raise MessageUnreadableError("Ocean answered with another patient, or another site's", call=call)
        chart = answer.headers.get("extPatientRef") or patient.external_patient_ref
        return patient.model_copy(update={"ref": ref, "external_patient_ref": chart})

    async def note(self, ref: str, session: str, keys: Sequence[SharedEncryptionKey]) -> OceanNote:
        """The note of a patient's session.

        Source: `getPatientNote` in oceanmdlabs/autorouter.
        """
        call = Call.READ_NOTE
        answer = await self._get(call, _path(call, NOTE_PATH, ref=ref, session=session))
        note_id, version = answer.headers.get("noteId", ""), answer.headers.get("payloadVersion", "")
        if not _REF.match(note_id):
            raise MessageUnreadableError("the header noteId is missing from Ocean's answer, or malformed", call=call)
        content, key = _opened(call, answer, keys, key_iv="oneTimeKeyIv")
        return OceanNote(
            note_id=note_id,
            version=int(version) if _VERSION.match(version) else 0,
            chart_id=answer.headers.get("externalPtRef", ""),
            update=inbound.read(call, PatientUpdate, content),
            one_time_key=key,
        )

    async def session(self, ref: str, session: str, keys: Sequence[SharedEncryptionKey]) -> SessionRecord:
        """What happened in a session. UNVERIFIED: see inbound_profile.py."""
        call = Call.READ_SESSION
        answer = await self._get(call, _path(call, inbound_profile.SESSION_PATH, ref=ref, session=session))
        content, _ = _opened(call, answer, keys, key_iv="oneTimeKeyIv")
        return inbound.read(call, SessionRecord, content)

    async def referral(self, ref: str, keys: Sequence[SharedEncryptionKey]) -> OpenedReferral:
        """The referral, with its patient, whose references are left out unless they are of this site.

        Its key is taken from the copy under the site's SEK; where there is none, from a copy under one of the site's
        RSA keys. UNVERIFIED: how the key is written there; sixteen bytes and base64 of them are both taken.

        Source: `getReferral` and `decryptReferralPatient` in dougkavanagh/ocean-ts-integration.
        """
        call = Call.READ_REFERRAL
        answer = await self._get(call, _path(call, REFERRAL_PATH, ref=ref))
        record = inbound.read(call, Referral, answer.json(call))
        if record.referral_ref not in {"", ref}:
            raise MessageUnreadableError("Ocean answered with another referral", call=call)
        if record.key_under_sek:
            key = inbound.open_key(call, record.key_under_sek, keys)
            patient = inbound.open_object(call, record.encrypted_pt_data, key)
        else:
            key, patient = await self._by_private_key(record, keys)
        opened = inbound.read(call, OceanPatient, patient)
        if opened.site_num != self.site_number:
            # Another site's references name other people here, in Ocean and in the EMR.
            opened = opened.model_copy(update={"ref": "", "external_patient_ref": ""})
        return OpenedReferral(record=record, patient=opened, one_time_key=key)

    async def referral_file(self, ref: str, file: NamedFile) -> File:
        """The content of one of a referral's files.

        Source: `getReferralAttachment` in dougkavanagh/ocean-ts-integration.
        """
        return await self._file(REFERRAL_FILE_PATH, ref, file)

    async def patient_file(self, ref: str, file: NamedFile) -> File:
        """The content of a file that came with a patient's note. UNVERIFIED: see inbound_profile.py."""
        return await self._file(inbound_profile.PATIENT_FILE_PATH, ref, file)

    async def _file(self, template: str, ref: str, file: NamedFile) -> File:
        call = Call.READ_ATTACHMENT
        path = _path(call, template, ref=ref, file=file.ref)
        answer = await self._get(call, path, most_bytes=MAX_FILE_ANSWER_BYTES)
        attachment = inbound.read(call, Attachment, answer.json(call))
        data = inbound.open_bytes(call, attachment.encrypted_data, file.key)
        return File(content_type=attachment.content_type, data=data)

    async def _get(self, call: Call, path: str, *, most_bytes: int = MAX_ANSWER_BYTES) -> Answer:
        try:
            answer = await self._ask(call, "GET", path, most_bytes=most_bytes)
        except OceanAnswerTooLargeError as error:
            raise MessageUnreadableError(error.what, call=call, http_status=error.http_status) from None
        gone = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.NO_CONTENT}
        # A web page says that nobody there knows the path: the address is wrong, and not this message.
        if answer.status in gone and not answer.is_page:
            raise MessageGoneError("Ocean has nothing under this reference", call=call, http_status=answer.status)
        expect_success(call, answer)
        return answer

    async def _by_private_key(
        self, record: Referral, keys: Sequence[SharedEncryptionKey]
    ) -> tuple[bytes, dict[str, Any]]:
        """The referral's key and patient, by whichever of the site's RSA keys opens them."""
        call = Call.READ_REFERRAL
        copies = [copy for copy in (record.key_under_target, record.key_under_site) if copy]
        if not copies:
            raise MessageUnreadableError("the referral has no copy of its key for this site", call=call)
        block = await self.private_key_block()
        for private in _private_keys(_decrypt_any(block, keys)) if block else ():
            for key in (key for copy in copies for key in _unwrapped(call, private, copy)):
                # A wrong private key gives random bytes, now and then sixteen of them.
                try:
                    return key, inbound.open_object(call, record.encrypted_pt_data, key)
                except MessageUnreadableError:
                    continue
        raise MessageUnreadableError("none of the site's private keys opens the referral", call=call)


def _decrypt_any(block: EncryptedBlock, keys: Sequence[SharedEncryptionKey]) -> bytes:
    """JSON that was encrypted under one of `keys` itself.

    Raises:
        SekMismatchError: Under none of them.
    """
    for key in keys:
        try:
            plaintext = decrypt(block, key.key_bytes())
        except SekMismatchError:
            continue
        if plaintext.lstrip()[:1] == b"{":
            return plaintext
    raise SekMismatchError(call=Call.READ_PRIVATE_KEY)


def _private_keys(joined: bytes) -> Iterator[RSAPrivateKey]:
    """The usable ones among JSON objects joined by `|`, with their numbers in hexadecimal."""
    for text in joined.split(b"|"):
        try:
            pair = {name: int(number, 16) for name, number in orjson.loads(text).items()}
            public = RSAPublicNumbers(e=pair["e"], n=pair["n"])
            yield RSAPrivateNumbers(
                p=pair["p"],
                q=pair["q"],
                d=pair["d"],
                dmp1=pair["dmp1"],
                dmq1=pair["dmq1"],
                iqmp=pair["coeff"],
                public_numbers=public,
            ).private_key()
        except (ValueError, KeyError, TypeError, AttributeError):
            continue


def _unwrapped(call: Call, private: RSAPrivateKey, copy: str) -> Iterator[bytes]:
    """The one-time keys that `copy` may hold under `private`: none or one."""
    try:
        plain = private.decrypt(_ciphertext(call, copy), PKCS1v15())
    except ValueError:
        return
    for key in (plain, _base64(plain)):
        if len(key) == ONE_TIME_KEY_BYTES:
            yield key


def _ciphertext(call: Call, text: str) -> bytes:
    """A wrapped key.

    Raises:
        MessageUnreadableError: It is none.
    """
    try:
        return read_bytes(text)
    except OceanError:
        raise MessageUnreadableError("a wrapped key in Ocean's answer is malformed", call=call) from None


def _base64(plain: bytes) -> bytes:
    try:
        return read_bytes(plain.decode("ascii"))
    except (OceanError, UnicodeDecodeError):
        return b""


def _opened(
    call: Call, answer: Answer, keys: Sequence[SharedEncryptionKey], *, key_iv: str
) -> tuple[dict[str, Any], bytes]:
    """The object in an answer whose body is ciphertext and whose headers hold its key; and that key."""
    data, headers = answer.json(call), answer.headers
    wrapped = inbound.block_of(
        call, headers.get("oneTimeKey"), headers.get(key_iv), f"the header oneTimeKey or {key_iv}"
    )
    body = inbound.block_of(call, data, headers.get("iv"), "the body or the header iv")
    key = inbound.open_key(call, wrapped, keys)
    return inbound.open_object(call, body, key), key


def _path(call: Call, template: str, **parts: str) -> str:
    """`template` with `parts`, which came from outside.

    Raises:
        MessageUnreadableError: One of them cannot be a reference of Ocean's. It is not quoted: it may be anything.
    """
    if not all(_REF.match(part) for part in parts.values()):
        raise MessageUnreadableError("a reference in the message is not of a form that Ocean's have", call=call)
    return template.format(**{name: quote(part, safe="") for name, part in parts.items()})
