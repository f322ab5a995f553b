"""What the simulator holds for a site's messages: patients, notes, sessions, referrals, files, encrypted as Ocean does.

Everything is encrypted when it comes to be, under the key that the site has then: a changed key leaves it as it is.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from ocean_emr.ocean.crypto import BLOCK_BYTES, ONE_TIME_KEY_BYTES, SharedEncryptionKey, encrypt
from ocean_emr.ocean.inbound_profile import EventType

_VERSION: Final = "1"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A body and what its headers say."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that somebody sends along."""

    name: str
    content_type: str
    data: bytes = field(repr=False)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Upload:
        """The file in `{"name", "contentType", "data": base64}`."""
        return cls(value["name"], value["contentType"], base64.b64decode(value["data"]))


@dataclass(frozen=True, slots=True)
class Form:
    """A completed questionnaire."""

    title: str
    text: str
    updates: Mapping[str, str] = field(default_factory=dict)
    """`emrFieldUpdates`."""
    files: Sequence[Upload] = ()
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """`completedForms`."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Form:
        """The form in `{"title", "text", "updates", "files", "answers"}`; title and text may be empty."""
        return cls(
            title=value.get("title", ""),
            text=value.get("text", ""),
            updates=value.get("updates", {}),
            files=[Upload.from_json(each) for each in value.get("files", ())],
            answers=value.get("answers", {}),
        )


@dataclass(frozen=True, slots=True)
class Notice:
    """What there is to tell of: an event, and what somebody who checks us needs to know of it."""

    type: str
    ref: str
    session: str
    source: str = ""
    note_id: str = ""
    chart: str = ""
    """The patient's external reference; empty where Ocean knows none."""
    health_number: str = ""
    markers: tuple[str, ...] = ()
    """Texts that are to be seen in the EMR: a note's text, a transcript's, a walk-in's reason."""
    files: tuple[str, ...] = ()
    """References of what came along."""


class Mailbox:
    """One site's patients and what they have done. Its methods may be called from any thread."""

    def __init__(self, site_number: str, sek: Callable[[], SharedEncryptionKey | None]) -> None:
        """Hold nothing yet. `sek` gives the site's present key."""
        self._site_number = site_number
        self._sek = sek
        self._known: dict[str, dict[str, Any]] = {}
        self._patients: dict[str, Sealed] = {}
        self._notes: dict[tuple[str, str], Sealed] = {}
        self._sessions: dict[tuple[str, str], Sealed] = {}
        self._referrals: dict[str, bytes] = {}
        self._files: dict[tuple[str, str], bytes] = {}

    def put_patient(self, ref: str, content: Mapping[str, Any]) -> None:
        """Know the patient, whose `demographics` and `externalPatientRef` are in `content`."""
        known = {"ref": ref, "siteNum": self._site_number, **content}
        # Ocean uses one IV for the wrapped key and for the body.
        iv, key = secrets.token_bytes(BLOCK_BYTES), secrets.token_bytes(ONE_TIME_KEY_BYTES)
        headers = {
            "oneTimeKey": _text(_encrypt(key, self._key(), iv)),
            "iv": _text(iv),
            "extPatientRef": str(content.get("externalPatientRef") or ""),
        }
        self._known[ref] = known
        self._patients[ref] = Sealed(_encrypt(orjson.dumps(known), key, iv), headers)

    def forget_patient(self, ref: str) -> None:
        """Have the patient and all of his messages no more, as after a deletion in the portal."""
        self._known.pop(ref, None)
        self._patients.pop(ref, None)
        for kept in (self._notes, self._sessions):
            for there in [place for place in kept if place[0] == ref]:
                del kept[there]

    def complete(self, ref: str, form: Form, *, source: str = "PATIENT", last: bool = False) -> tuple[Notice, ...]:
        """The patient completed a form, in a session of its own; with `last`, it was the last that was asked for."""
        session, note_id, key = _session(), _ref("note"), secrets.token_bytes(ONE_TIME_KEY_BYTES)
        named = [self._put_file(ref, upload, key) for upload in form.files]
        update = {
            "progressNote": {"title": form.title, "text": form.text, "noteType": None},
            "completedForms": form.answers,
            "emrFieldUpdates": form.updates or None,
            "formMetadata": None,
            **({"attachments": named} if named else {}),
        }
        chart = self._known[ref].get("externalPatientRef") or ""
        extra = {"noteId": note_id, "externalPtRef": chart, "payloadVersion": _VERSION}
        self._notes[ref, session] = self._sealed(update, key, extra)
        first = self._notice(
            ref,
            EventType.NOTE_ADDED,
            session,
            source=source,
            note_id=note_id,
            markers=(form.text,) if form.text else (),
            files=tuple(each["fileRef"] for each in named),
        )
        if not last:
            return (first,)
        return (first, self._notice(ref, EventType.FORMS_COMPLETED, session, source=source, note_id=note_id))

    def check_in(self, ref: str, *, at: datetime | None = None) -> Notice:
        """The patient checked in at a kiosk."""
        return self._in_session(ref, EventType.CHECKED_IN, {"at": _moment(at)})

    def walk_in(self, ref: str, *, reason: str = "", at: datetime | None = None) -> Notice:
        """The patient checked in at a kiosk and has no appointment."""
        return self._in_session(ref, EventType.WALKED_IN, {"at": _moment(at), "reason": reason}, marker=reason)

    def transcript(self, ref: str, *, title: str, text: str, at: datetime | None = None) -> Notice:
        """A conversation by secure message is over."""
        content = {"at": _moment(at), "title": title, "text": text}
        return self._in_session(ref, EventType.MESSAGE_TRANSCRIPT, content, marker=text)

    def referral(
        self, patient: Mapping[str, Any], record: Mapping[str, Any], files: Sequence[Upload] = (), message: str = ""
    ) -> Notice:
        """A referral about `patient` is to be filed.

        Args:
            patient: As `put_patient` takes it; need not be known here.
            record: Ocean's fields that are not encrypted, such as `description` and `status`.
            files: What was sent along.
            message: Of the conversation, encrypted as Ocean does; empty for none.
        """
        ref, key = _ref("referral"), secrets.token_bytes(ONE_TIME_KEY_BYTES)
        named = [self._put_file(ref, upload, key) for upload in files]
        said = {"encryptedMsg": encrypt(orjson.dumps({"message": message}), key).to_json(), "message": None}
        whole = {
            "referralRef": ref,
            "modificationDate": int(time.time() * 1000),
            "encryptedPtData": encrypt(orjson.dumps(patient), key).to_json(),
            "oneTimeKeyEncryptedWithSiteSEK": encrypt(key, self._key()).to_json(),
            "bookingFileRefs": named,
            "externalConversation": [said] if message else [],
            **record,
        }
        self._referrals[ref] = orjson.dumps(whole)
        return Notice(
            type=EventType.REFERRAL_RECORD,
            ref=ref,
            session="",
            chart=str(patient.get("externalPatientRef") or ""),
            health_number=str((patient.get("demographics") or {}).get("hn") or ""),
            markers=(str(record["description"]),) if record.get("description") else (),
            files=tuple(each["fileRef"] for each in named),
        )

    def patient(self, ref: str) -> Sealed | None:
        """What is answered for the patient."""
        return self._patients.get(ref)

    def note(self, ref: str, session: str) -> Sealed | None:
        """What is answered for the note of a session."""
        return self._notes.get((ref, session))

    def session(self, ref: str, session: str) -> Sealed | None:
        """What is answered for a session of our own profile."""
        return self._sessions.get((ref, session))

    def referral_record(self, ref: str) -> bytes | None:
        """What is answered for a referral."""
        return self._referrals.get(ref)

    def file(self, ref: str, file: str) -> bytes | None:
        """What is answered for a file of the patient or referral `ref`."""
        return self._files.get((ref, file))

    def knows(self, ref: str) -> bool:
        """Whether there is such a patient."""
        return ref in self._known

    def _in_session(self, ref: str, event: str, content: Mapping[str, Any], *, marker: str = "") -> Notice:
        session = _session()
        self._sessions[ref, session] = self._sealed(content, secrets.token_bytes(ONE_TIME_KEY_BYTES), {})
        return self._notice(ref, event, session, markers=(marker,) if marker else ())

    def _notice(self, ref: str, event: str, session: str, **more: Any) -> Notice:
        known = self._known[ref]
        number = str((known.get("demographics") or {}).get("hn") or "")
        chart = str(known.get("externalPatientRef") or "")
        return Notice(type=event, ref=ref, session=session, chart=chart, health_number=number, **more)

    def _sealed(self, content: Mapping[str, Any], key: bytes, extra: Mapping[str, str]) -> Sealed:
        wrapped, body = encrypt(key, self._key()), encrypt(orjson.dumps(content), key)
        headers = {"oneTimeKey": _text(wrapped.data), "oneTimeKeyIv": _text(wrapped.iv), "iv": _text(body.iv)}
        return Sealed(body.data, {**headers, **extra})

    def _put_file(self, owner: str, upload: Upload, key: bytes) -> dict[str, Any]:
        """Keep the file under a key of its own; how a note or referral names it."""
        ref, own = _ref("file"), secrets.token_bytes(ONE_TIME_KEY_BYTES)
        answer = {"contentType": upload.content_type, "encryptedData": encrypt(upload.data, own).to_json()}
        self._files[owner, ref] = orjson.dumps(answer)
        return {
            "fileRef": ref,
            "fileName": "file",
            "encryptedFileName": encrypt(upload.name.encode(), key).to_json(),
            "encryptedEncryptionKey": encrypt(own, key).to_json(),
        }

    def _key(self) -> bytes:
        sek = self._sek()
        if sek is None:
            raise ValueError(f"Site {self._site_number} has no key at Ocean, so nothing can be encrypted for it.")
        return sek.key_bytes()


def _encrypt(plaintext: bytes, key: bytes, iv: bytes) -> bytes:
    """Under an IV of the caller's, which is used twice."""
    padder, encryptor = PKCS7(AES.block_size).padder(), Cipher(AES(key), CBC(iv)).encryptor()
    return encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _moment(at: datetime | None) -> str:
    return (at or datetime.now(UTC)).isoformat()


def _session() -> str:
    """As Ocean's look in OceanMD's sample: milliseconds, a letter, a number."""
    return f"{int(time.time() * 1000)}t{secrets.randbelow(900_000) + 100_000}{secrets.token_hex(4)}"


def _ref(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(8)}"
