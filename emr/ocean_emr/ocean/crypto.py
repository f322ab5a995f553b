"""Ocean's cryptography, exactly as Ocean does it, and nothing more.

AES-CBC with PKCS#7 and no authentication, under the bytes of a text: this is for
Ocean's boundary only. What we store ourselves goes through `ocean_emr.envelope`.

Source for all of this file: OceanMD's public sample clients, `encryption-util.ts` in
dougkavanagh/ocean-ts-integration and oceanmdlabs/autorouter.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from ocean_api import sek
from ocean_api.sek import KeyProblem
from ocean_emr.ocean.errors import OceanAnswerUnreadableError, SekMismatchError

BLOCK_BYTES = 16
ONE_TIME_KEY_BYTES = 16
_AES_KEY_SIZES = (32, 24, 16)
# Ocean's own reader puts the numbers into an Int8Array, for which 200 and -56 are the same byte.
_SIGNED_OR_NOT = range(-128, 256)


@dataclass(frozen=True, slots=True)
class EncryptedBlock:
    """One piece of ciphertext as Ocean passes it around."""

    data: bytes
    iv: bytes

    @classmethod
    def from_json(cls, value: object) -> EncryptedBlock:
        """The block in `{"data": …, "iv": …}`; `data` in either encoding of `read_bytes`.

        Raises:
            OceanAnswerUnreadableError: It is no such block.
        """
        if not isinstance(value, Mapping):
            raise OceanAnswerUnreadableError("an encrypted block is missing from Ocean's answer")
        return cls.of(value.get("data"), value.get("iv"))

    @classmethod
    def of(cls, data: object, iv: object) -> EncryptedBlock:
        """The block whose parts came separately, such as `data` in a body and `iv` in a header.

        Raises:
            OceanAnswerUnreadableError: Not ciphertext of whole blocks with a 16-byte IV.
        """
        block = cls(read_bytes(data), read_bytes(iv))
        if len(block.iv) != BLOCK_BYTES or not block.data or len(block.data) % BLOCK_BYTES:
            raise OceanAnswerUnreadableError("an encrypted block in Ocean's answer is cut short or malformed")
        return block

    def to_json(self) -> dict[str, str]:
        """The block with both parts in base64."""
        return {"data": base64.b64encode(self.data).decode(), "iv": base64.b64encode(self.iv).decode()}


@dataclass(frozen=True, slots=True)
class SealedPayload:
    """A payload under its own one-time key, and that key under the SEK."""

    one_time_key: EncryptedBlock
    payload: EncryptedBlock


class SharedEncryptionKey:
    """A site's Shared Encryption Key (SEK). Never shows itself: only `reveal` returns the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not text:
            # Padding would turn it into sixteen zeros, a key everybody knows.
            raise ValueError("A Shared Encryption Key cannot be empty.")
        try:
            text.encode()
        except UnicodeEncodeError:
            # `from None`: the error of the codec quotes the text.
            raise ValueError("A Shared Encryption Key must be text that UTF-8 can hold.") from None
        self._text = text

    @classmethod
    def generate(cls) -> SharedEncryptionKey:
        """A new key that keeps Ocean's rules."""
        return cls(sek.generate())

    def reveal(self) -> str:
        """The key's text. Whoever calls this answers for where it goes."""
        return self._text

    def problems(self) -> tuple[KeyProblem, ...]:
        """Where the key falls short of Ocean's rules; empty when it keeps them."""
        return sek.problems_with(self._text)

    def key_bytes(self) -> bytes:
        """The AES key: the text's bytes, padded with `0` to 16 characters or cut to 32, 24 or 16 bytes."""
        # Ocean counts characters as JavaScript does, in UTF-16 units.
        units = len(self._text.encode("utf-16-le")) // 2
        padded = self._text + "0" * (BLOCK_BYTES - units)
        key = padded.encode()
        return key[: next(size for size in _AES_KEY_SIZES if size <= len(key))]

    def seal(self, plaintext: bytes) -> SealedPayload:
        """Encrypt `plaintext` under a new one-time key, and that key under this one."""
        one_time_key = secrets.token_bytes(ONE_TIME_KEY_BYTES)
        return SealedPayload(
            one_time_key=encrypt(one_time_key, self.key_bytes()),
            payload=encrypt(plaintext, one_time_key),
        )

    def open(self, sealed: SealedPayload) -> bytes:
        """What `seal` was given.

        CBC proves nothing about the content: an altered payload may open to altered
        text. A wrong key is noticed all the same, for a one-time key has 16 bytes and
        a wrong key yields that length once in 2**128 tries.

        Raises:
            SekMismatchError: Not sealed under this key.
        """
        one_time_key = decrypt(sealed.one_time_key, self.key_bytes())
        if len(one_time_key) != ONE_TIME_KEY_BYTES:
            raise SekMismatchError
        return decrypt(sealed.payload, one_time_key)

    def open_json(self, sealed: SealedPayload) -> dict[str, Any]:
        """The JSON object that was sealed.

        Raises:
            SekMismatchError: Not sealed under this key.
            OceanAnswerUnreadableError: Sealed under this key, but not a JSON object.
        """
        return read_json_object(self.open(sealed))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SharedEncryptionKey):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    __hash__ = None  # type: ignore[assignment]  # a key is not looked up by its text

    def __repr__(self) -> str:
        return "SharedEncryptionKey(<hidden>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Shared Encryption Key is neither pickled nor copied.")


def encrypt(plaintext: bytes, key: bytes) -> EncryptedBlock:
    """`plaintext` under `key`, with a random IV."""
    iv = secrets.token_bytes(BLOCK_BYTES)
    padder = PKCS7(AES.block_size).padder()
    padded = padder.update(plaintext) + padder.finalize()
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    return EncryptedBlock(data=encryptor.update(padded) + encryptor.finalize(), iv=iv)


def decrypt(block: EncryptedBlock, key: bytes) -> bytes:
    """The plaintext of `block`.

    Raises:
        SekMismatchError: Another key; but one wrong key in 256 is not noticed here,
            only by what it yields.
    """
    decryptor = Cipher(AES(key), CBC(block.iv)).decryptor()
    unpadder = PKCS7(AES.block_size).unpadder()
    try:
        padded = decryptor.update(block.data) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise SekMismatchError from None


def read_json_object(plaintext: bytes) -> dict[str, Any]:
    """The JSON object in decrypted text.

    Raises:
        SekMismatchError: Not JSON, which is how a wrong key looks.
        OceanAnswerUnreadableError: JSON, so the key is right, but no object.
    """
    try:
        value = orjson.loads(plaintext)
    except orjson.JSONDecodeError:
        raise SekMismatchError from None
    if not isinstance(value, dict):
        raise OceanAnswerUnreadableError("the key opens what Ocean sent, but it holds no JSON object")
    return value


def read_bytes(value: object) -> bytes:
    """Binary data as Ocean writes it: base64 text, or a JSON array of signed bytes.

    Raises:
        OceanAnswerUnreadableError: Neither of them.

    Source: `readAndParseOceanData` in oceanmdlabs/autorouter; some calls answer with the array.
    """
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
        if isinstance(value, list) and all(type(n) is int and n in _SIGNED_OR_NOT for n in value):
            return bytes(n & 0xFF for n in value)
    except (binascii.Error, ValueError):
        pass
    raise OceanAnswerUnreadableError("binary data in Ocean's answer is neither base64 nor an array of bytes")
