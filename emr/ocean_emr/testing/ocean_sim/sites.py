"""What the simulator knows of each site, and what it was sent for it: raw requests and visible state, apart."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

import orjson

from ocean_emr.ocean.crypto import EncryptedBlock, SealedPayload, SharedEncryptionKey, encrypt
from ocean_emr.ocean.errors import OceanError, SekMismatchError
from ocean_emr.ocean.profile import WRONG_KEY
from ocean_emr.testing.ocean_sim.mailbox import Mailbox

# Enough for any test; bounded, since the demo's server runs for days.
_REQUESTS_KEPT = 2_000


def _synthetic_key_pairs() -> bytes:
    """Two key pairs by form; their numbers are random and no key of anything."""
    parts: Sequence[str] = ("n", "e", "d", "p", "q", "dmp1", "dmq1", "coeff")
    return b"|".join(orjson.dumps({part: secrets.token_hex(64) for part in parts}) for _ in range(2))


class BodyForm(StrEnum):
    """How a body of ciphertext is written. Ocean does both."""

    BASE64 = "base64"
    SIGNED_BYTES = "signed-bytes"


class ClientAuth(StrEnum):
    """How the token endpoint wants the client shown."""

    BOTH = "both"
    FORM = "form"
    BASIC = "basic"


@dataclass(frozen=True, slots=True)
class RawRequest:
    """One request as it came, whatever became of it."""

    at: datetime
    method: str
    path: str
    body: bytes = field(repr=False)
    fault: str | None
    """What it was answered with instead of the truth."""


@dataclass(slots=True)
class Stored:
    """One record as it came, still encrypted."""

    sealed: SealedPayload = field(repr=False)
    upserts: int = 1


@dataclass(slots=True)
class SimSite:
    """One site: how it logs in, which key Ocean's material for it is encrypted under, and what it has sent."""

    site_number: str
    site_key: str | None = field(default=None, repr=False)
    site_credential: str | None = field(default=None, repr=False)
    client_id: str | None = field(default=None, repr=False)
    client_secret: str | None = field(default=None, repr=False)
    sek: SharedEncryptionKey | None = None
    """None: Ocean has no material for the site. Then everything is taken, and nothing can be shown."""
    body_form: BodyForm = BodyForm.BASE64
    client_auth: ClientAuth = ClientAuth.BOTH
    token_seconds: float = 3600.0
    stored_patients: dict[str, Stored] = field(default_factory=dict)
    stored_appointments: dict[str, Stored] = field(default_factory=dict)
    requests: deque[RawRequest] = field(default_factory=lambda: deque(maxlen=_REQUESTS_KEPT))
    mailbox: Mailbox = field(init=False, repr=False)
    """Its patients' messages."""
    _key_pairs: bytes = field(default_factory=_synthetic_key_pairs, repr=False)

    def __post_init__(self) -> None:
        self.mailbox = Mailbox(self.site_number, lambda: self.sek)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The site in `{"siteNum", "siteKey", "siteCredential", "clientId", "clientSecret", "sharedEncryptionKey", …}`.

        Only `siteNum` is needed; `bodyForm` and `clientAuth` may be added.
        """
        sek = value.get("sharedEncryptionKey")
        return cls(
            site_number=value["siteNum"],
            site_key=value.get("siteKey"),
            site_credential=value.get("siteCredential"),
            client_id=value.get("clientId"),
            client_secret=value.get("clientSecret"),
            sek=SharedEncryptionKey(sek) if sek else None,
            body_form=BodyForm(value.get("bodyForm", BodyForm.BASE64)),
            client_auth=ClientAuth(value.get("clientAuth", ClientAuth.BOTH)),
        )

    def take_over(self, other: SimSite) -> None:
        """Take credentials and key of `other`, and keep what was sent."""
        for name in ("site_key", "site_credential", "client_id", "client_secret", "sek", "body_form", "client_auth"):
            setattr(self, name, getattr(other, name))

    def record(self, method: str, path: str, body: bytes, fault: str | None) -> None:
        """Keep one request as it came."""
        self.requests.append(RawRequest(datetime.now(UTC), method, path, body, fault))

    def private_key_block(self) -> EncryptedBlock | None:
        """Key pairs under the site's SEK, as Ocean hands them out."""
        return encrypt(self._key_pairs, self.sek.key_bytes()) if self.sek else None

    def upsert(self, kind: str, item: Any) -> str | None:
        """Put `item` in the place of what is there under its ref; the code of a rejection, or None."""
        try:
            sealed = SealedPayload(
                one_time_key=EncryptedBlock.from_json(item.get("oneTimeKey")),
                payload=EncryptedBlock.from_json(item.get("payload")),
            )
            if self.sek and (code := _fault_of(kind, item["ref"], self.site_number, self.sek.open_json(sealed))):
                return code
        except SekMismatchError:
            return WRONG_KEY
        except OceanError:
            return "Malformed"
        there = self._kept(kind)
        before = there[item["ref"]].upserts if item["ref"] in there else 0
        there[item["ref"]] = Stored(sealed, before + 1)
        return None

    def remove_appointment(self, ref: str) -> None:
        """Forget the appointment, if it is known."""
        self.stored_appointments.pop(ref, None)

    def admit(self, ref: str) -> bool:
        """Let a patient whom a sync has sent take part in messages. Returns whether there is such a patient."""
        if not self.mailbox.knows(ref):
            content = _content(self.sek, self.stored_patients[ref].sealed) if ref in self.stored_patients else None
            if content is None:
                return False
            self.mailbox.put_patient(ref, content)
        return True

    def patients(self) -> list[dict[str, Any]]:
        """What somebody at the clinic sees under Portal, Patients, by ref."""
        return self._visible("patients")

    def appointments(self) -> list[dict[str, Any]]:
        """What the tablets and reminders would work with, by ref."""
        return self._visible("appointments")

    def _kept(self, kind: str) -> dict[str, Stored]:
        return self.stored_patients if kind == "patients" else self.stored_appointments

    def _visible(self, kind: str) -> list[dict[str, Any]]:
        """Each record with its content; `content` is null where the site's present key does not open it."""
        return [
            {"ref": ref, "upserts": stored.upserts, "content": _content(self.sek, stored.sealed)}
            for ref, stored in sorted(self._kept(kind).items())
        ]


def _content(sek: SharedEncryptionKey | None, sealed: SealedPayload) -> dict[str, Any] | None:
    if sek is None:
        return None
    try:
        return sek.open_json(sealed)
    except OceanError:
        return None


def _fault_of(kind: str, ref: str, site_number: str, content: Mapping[str, Any]) -> str | None:
    """What is wrong with a record that was opened, as our profile sees it; None if nothing is."""
    own_ref = "externalPatientRef" if kind == "patients" else "externalAppointmentRef"
    if content.get("siteNum") != site_number:
        return "WrongSite"
    if content.get(own_ref) != ref:
        return "WrongRef"
    if kind == "appointments" and not _is_moment(content.get("start")):
        return "NoStart"
    return None


def _is_moment(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False
