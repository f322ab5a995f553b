"""How we keep a clinic's records at rest: authenticated encryption under a data key, which is kept under the SEK.

Ours alone; Ocean never sees any of it. A data key (AES-256-GCM) belongs to one site and is stored beside the rows it
protects, wrapped under a key derived from the Shared Encryption Key. So whoever has the database but not the key in
Vault reads nothing, and a change of the SEK re-wraps one small value instead of every row. What is sealed is bound to
its site, kind and record: a row that was moved to another place does not open there.

A wrapped key names the SEK it was wrapped under by *fingerprint*: the random id kept with the key's metadata in Vault.
It is not computed from the SEK, so nothing can be tried against it.

Limits, to know before relying on more. HKDF is fast: a SEK that people chose badly can be guessed by whoever holds the
wrapped key, as it can from anything Ocean stores under it. GCM with random nonces is good for 2**32 seals under one
data key (NIST SP 800-38D, 8.3), which is a million a day for eleven years.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import NoReturn

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ocean_emr.ocean.crypto import SharedEncryptionKey

_KEY_BYTES = 32
_SALT_BYTES = 16
_NONCE_BYTES = 12
_TAG_BYTES = 16
_VERSION = 1
_VERSION_BYTE = bytes([_VERSION])

# One label for each use: keys derived for one are of no use in another.
_WRAP = b"ocean-operator/envelope/1/wrap"
_SEAL = b"ocean-operator/envelope/1/seal"
_DIGEST = b"ocean-operator/envelope/1/digest"


class StoredDataUnreadableError(Exception):
    """What was stored does not open: another key, another place, or altered. Stop, and let a person look.

    Authenticated encryption cannot tell which it was. Compare `DataKey.fingerprint_of` with the fingerprint in Vault
    first: if they differ, the SEK's version is the wrong one.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} does not open: it was stored under another key or for another place, or was altered")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something sealed belongs. It opens there only."""

    site: str
    """The clinic, as `namespace/name`."""
    kind: str
    """What it is, for instance `appointment-snapshot`."""
    record: str = ""
    """Which one of its kind; empty where a site has only one."""

    def bound(self) -> bytes:
        """The place as bytes, different for different places."""
        return orjson.dumps([self.site, self.kind, self.record])


class DataKey:
    """A site's key for what we store. Never shows itself."""

    __slots__ = ("_digest_key", "_key", "_seal")

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise ValueError(f"A data key has {_KEY_BYTES} bytes.")
        self._key = key
        self._seal = AESGCM(_derive(key, _SEAL, salt=b""))
        self._digest_key = _derive(key, _DIGEST, salt=b"")

    @classmethod
    def new(cls) -> DataKey:
        """A random key."""
        return cls(secrets.token_bytes(_KEY_BYTES))

    def wrap(self, sek: SharedEncryptionKey, *, fingerprint: str, site: str) -> bytes:
        """This key under `sek`, as JSON for storing.

        Args:
            sek: The site's current Shared Encryption Key.
            fingerprint: Its random id in Vault's metadata.
            site: The clinic, as `namespace/name`. The key unwraps for no other.
        """
        salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
        wrapping = AESGCM(_derive(sek.reveal().encode(), _WRAP, salt=salt))
        data = wrapping.encrypt(nonce, self._key, _wrap_bound(site, fingerprint))
        fields = {"salt": salt, "nonce": nonce, "data": data}
        texts = {name: base64.b64encode(value).decode() for name, value in fields.items()}
        return orjson.dumps({"version": _VERSION, "fingerprint": fingerprint} | texts)

    @staticmethod
    def fingerprint_of(wrapped: bytes) -> str:
        """The fingerprint of the SEK that `wrapped` needs. A hint for choosing it: `unwrap` proves it.

        Raises:
            StoredDataUnreadableError: Not a wrapped key.
        """
        return _Wrapped.parse(wrapped).fingerprint

    @classmethod
    def unwrap(cls, wrapped: bytes, sek: SharedEncryptionKey, *, site: str) -> DataKey:
        """The key that was wrapped under `sek` for `site`.

        Raises:
            StoredDataUnreadableError: Another SEK, another site, or altered.
        """
        parts = _Wrapped.parse(wrapped)
        wrapping = AESGCM(_derive(sek.reveal().encode(), _WRAP, salt=parts.salt))
        try:
            return cls(wrapping.decrypt(parts.nonce, parts.data, _wrap_bound(site, parts.fingerprint)))
        except (InvalidTag, ValueError):
            raise StoredDataUnreadableError("the site's data key") from None

    def seal(self, plaintext: bytes, place: Place) -> bytes:
        """`plaintext`, encrypted for `place`. Each time other bytes: use `digest` to compare."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION_BYTE + nonce + self._seal.encrypt(nonce, plaintext, place.bound())

    def open(self, sealed: bytes, place: Place) -> bytes:
        """What was sealed for `place`.

        Raises:
            StoredDataUnreadableError: Another key, another place, or altered in any bit.
        """
        nonce, data = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION_BYTE or len(data) < _TAG_BYTES:
            raise StoredDataUnreadableError(f"a stored {place.kind}")
        try:
            return self._seal.decrypt(nonce, data, place.bound())
        except InvalidTag:
            raise StoredDataUnreadableError(f"a stored {place.kind}") from None

    def digest(self, data: bytes) -> bytes:
        """32 bytes that tell whether `data` is the same as before, and nothing else to whoever lacks this key.

        A plain hash would not do: birth dates and health numbers are few enough to try them all.
        """
        return hmac.digest(self._digest_key, data, sha256)

    def __repr__(self) -> str:
        return "DataKey(<hidden>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A data key is neither pickled nor copied; wrap it.")


@dataclass(frozen=True, slots=True)
class _Wrapped:
    """The parts of a wrapped key as stored."""

    fingerprint: str
    salt: bytes
    nonce: bytes
    data: bytes

    @classmethod
    def parse(cls, wrapped: bytes) -> _Wrapped:
        try:
            match orjson.loads(wrapped):
                case {
                    "version": 1,
                    "fingerprint": str(name),
                    "salt": str(salt),
                    "nonce": str(nonce),
                    "data": str(data),
                }:
                    decoded = (base64.b64decode(text, validate=True) for text in (salt, nonce, data))
                    return cls(name, *decoded)
        except ValueError:
            pass
        raise StoredDataUnreadableError("the site's data key")


def _wrap_bound(site: str, fingerprint: str) -> bytes:
    return Place(site, "data-key", fingerprint).bound()


def _derive(secret: bytes, use: bytes, *, salt: bytes) -> bytes:
    """A key for one use. Source: RFC 5869."""
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=salt, info=use).derive(secret)
