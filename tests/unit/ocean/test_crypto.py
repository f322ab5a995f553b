from __future__ import annotations

import base64
import contextlib
import copy
import dataclasses
import json
import pickle
import secrets
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocean_api.sek import problems_with
from ocean_emr.ocean.crypto import (
    EncryptedBlock,
    SealedPayload,
    SharedEncryptionKey,
    decrypt,
    encrypt,
    read_bytes,
    read_json_object,
)
from ocean_emr.ocean.errors import OceanAnswerUnreadableError, OceanError, SekMismatchError

# Source: a synthetic fixture OceanMD publishes (oceanmdlabs/autorouter, encryption-util.test.ts).
VECTOR_SEK = "TestKey1!2345678"
WRONG_SEK = "Another!Key12345"
VECTOR_IV = "Dw4NDAsKCQgHBgUEAwIBAA=="
VECTOR_WRAPPED = "ZCg4D4k1F2dDSlkkfIoLKQfq/pa/qUOJHKtd8M/rp+I="
VECTOR_PAYLOAD = "mQDoH29JfgfJ2sog9MRa9B3Mfm+P2TsIcXq86M8XbwE7bkKKV+Ff7P/ns/xcHgSy"

key_texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=48)
json_objects = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=5,
)


def vector(*, payload: object = VECTOR_PAYLOAD) -> SealedPayload:
    return SealedPayload(EncryptedBlock.of(VECTOR_WRAPPED, VECTOR_IV), EncryptedBlock.of(payload, VECTOR_IV))


def test_the_published_vector_opens() -> None:
    sek = SharedEncryptionKey(VECTOR_SEK)

    one_time_key = decrypt(vector().one_time_key, sek.key_bytes())

    assert one_time_key.hex() == "00112233445566778899aabbccddeeff"
    assert sek.open_json(vector()) == {"ref": "synthetic-ref", "status": "test"}


def test_the_published_vector_opens_as_an_array_of_signed_bytes() -> None:
    """Some of Ocean's calls answer so."""
    signed = [b - 256 if b > 127 else b for b in base64.b64decode(VECTOR_PAYLOAD)]

    assert min(signed) < 0
    assert SharedEncryptionKey(VECTOR_SEK).open_json(vector(payload=signed))["status"] == "test"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("TestKey1!2345678TestKey1", "pkIDPI6CwILjn4W/FtSNcw=="),
        ("TestKey1!2345678TestKey1!2345678", "UghYzGFKcjTf2P7p+/LVoA=="),
        ("short", "W8UhSWpPPJJ1PCG/F5iqMw=="),
    ],
)
def test_what_openssl_wrote_opens_for_each_size_of_key(text: str, data: str) -> None:
    """Made with `openssl enc -aes-SIZE-cbc -K … -iv …`, an implementation that is not ours."""
    plaintext = decrypt(EncryptedBlock.of(data, VECTOR_IV), SharedEncryptionKey(text).key_bytes())

    assert plaintext == b'{"ref":"p0001"}'


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("abc", b"abc0000000000000"),
        ("fifteen-letters", b"fifteen-letters0"),
        ("exactly-sixteen!", b"exactly-sixteen!"),
        ("seventeen-letters", b"seventeen-letter"),
        ("twenty-three-characters", b"twenty-three-cha"),
        ("exactly-twenty-four-long", b"exactly-twenty-four-long"),
        ("thirty-one-characters-in-length", b"thirty-one-characters-in"),
        ("thirty-two-characters-in-length!", b"thirty-two-characters-in-length!"),
        ("longer-than-thirty-two-characters", b"longer-than-thirty-two-character"),
        # Ocean pads until there are sixteen characters, and each of these takes two bytes.
        ("éééééééé", "éééééééé00000000".encode()),
        ("ééééééééé", "ééééééééé000000".encode()),
    ],
)
def test_the_aes_key_is_the_text_padded_with_zeros_or_cut(text: str, key: bytes) -> None:
    assert SharedEncryptionKey(text).key_bytes() == key


@given(key_texts)
def test_every_text_makes_an_aes_key(text: str) -> None:
    assert len(SharedEncryptionKey(text).key_bytes()) in {16, 24, 32}


@given(key_texts, st.binary(max_size=200))
def test_what_was_sealed_opens(text: str, plaintext: bytes) -> None:
    sek = SharedEncryptionKey(text)

    assert sek.open(sek.seal(plaintext)) == plaintext


@given(json_objects)
def test_json_survives_sealing_and_the_wire(value: dict[str, object]) -> None:
    sek = SharedEncryptionKey(VECTOR_SEK)
    sealed = sek.seal(json.dumps(value).encode())
    wire = json.loads(json.dumps([sealed.one_time_key.to_json(), sealed.payload.to_json()]))

    received = SealedPayload(EncryptedBlock.from_json(wire[0]), EncryptedBlock.from_json(wire[1]))

    assert sek.open_json(received) == value


def test_the_same_text_never_looks_the_same() -> None:
    sek = SharedEncryptionKey(VECTOR_SEK)
    sealed = [sek.seal(b"{}") for _ in range(200)]

    assert len({s.payload.data for s in sealed}) == 200
    assert len({s.one_time_key.iv for s in sealed} | {s.payload.iv for s in sealed}) == 400


def test_ten_thousand_wrong_keys_never_open_anything() -> None:
    """One in 256 gets past the padding: the one-time key's length and the JSON must catch those."""
    sealed = SharedEncryptionKey(VECTOR_SEK).seal(b'{"ref":"p0001"}')
    past_padding = opened = 0
    for _ in range(10_000):
        wrong = SharedEncryptionKey(secrets.token_urlsafe(12))
        try:
            decrypt(sealed.one_time_key, wrong.key_bytes())
            past_padding += 1
        except SekMismatchError:
            pass
        try:
            wrong.open_json(sealed)
            opened += 1
        except SekMismatchError:
            pass

    assert past_padding > 0
    assert opened == 0


@pytest.mark.parametrize("text", [b"{}", b'{"n":"a1"}', b'{"n":"' + b"f" * 400 + b'"}'])
def test_ten_thousand_wrong_keys_never_read_json_that_lies_right_under_the_key(text: bytes) -> None:
    """As with the site's private keys, where no one-time key stands between; down to the shortest object."""
    block = encrypt(text, SharedEncryptionKey(VECTOR_SEK).key_bytes())
    past_padding = opened = 0
    for _ in range(10_000):
        try:
            plaintext = decrypt(block, secrets.token_bytes(16))
            past_padding += 1
            read_json_object(plaintext)
            opened += 1
        except SekMismatchError:
            pass

    assert past_padding > 0
    assert opened == 0


@given(st.data())
@settings(max_examples=150)
def test_altered_ciphertext_raises_nothing_of_its_own(data: st.DataObject) -> None:
    """CBC cannot prove that nothing was altered; it must at least fail in our words or not at all."""
    sek = SharedEncryptionKey(VECTOR_SEK)
    sealed = sek.seal(b'{"ref":"p0001","note":"some words that fill more than one block"}')
    part = data.draw(st.sampled_from(["one_time_key", "payload"]))
    where = data.draw(st.sampled_from(["data", "iv"]))
    block: EncryptedBlock = getattr(sealed, part)
    content = bytearray(getattr(block, where))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    altered = dataclasses.replace(sealed, **{part: dataclasses.replace(block, **{where: bytes(content)})})

    try:
        result = sek.open_json(altered)
    except OceanError:
        return

    assert result != {"ref": "p0001", "note": "some words that fill more than one block"}


@given(st.integers(1, 95))
def test_a_cut_block_is_refused(cut: int) -> None:
    sek = SharedEncryptionKey(VECTOR_SEK)
    sealed = sek.seal(b'{"a":"' + b"b" * 80 + b'"}')

    with pytest.raises((OceanAnswerUnreadableError, SekMismatchError)):
        sek.open_json(
            SealedPayload(
                sealed.one_time_key,
                EncryptedBlock.of(base64.b64encode(sealed.payload.data[:-cut]).decode(), _text(sealed.payload.iv)),
            )
        )


@pytest.mark.parametrize(
    ("data", "iv"),
    [
        (None, VECTOR_IV),
        ("", VECTOR_IV),
        ("not base64!", VECTOR_IV),
        (VECTOR_PAYLOAD, None),
        (VECTOR_PAYLOAD, ""),
        (VECTOR_PAYLOAD, "AAAA"),
        (VECTOR_PAYLOAD[:-4], VECTOR_IV),
        ([1, 2, 3], VECTOR_IV),
        ([True] * 16, VECTOR_IV),
        ([300] * 16, VECTOR_IV),
        ([0.5] * 16, VECTOR_IV),
        ({"data": 1}, VECTOR_IV),
        ("Zé==", VECTOR_IV),
    ],
)
def test_what_is_no_block_is_not_called_a_wrong_key(data: object, iv: object) -> None:
    with pytest.raises(OceanAnswerUnreadableError):
        EncryptedBlock.of(data, iv)


@given(st.binary(max_size=64))
def test_both_encodings_of_bytes_read_alike(data: bytes) -> None:
    signed = [b - 256 if b > 127 else b for b in data]

    assert read_bytes(_text(data)) == read_bytes(signed) == read_bytes(list(data)) == data


@given(st.one_of(st.none(), st.text(), st.floats(), st.lists(st.one_of(st.integers(), st.text()))))
def test_reading_bytes_fails_in_our_words(value: object) -> None:
    with contextlib.suppress(OceanAnswerUnreadableError):
        assert isinstance(read_bytes(value), bytes)


@pytest.mark.parametrize("plaintext", [b"[1]", b'"text"', b"7", b"null"])
def test_json_that_is_no_object_is_not_called_a_wrong_key(plaintext: bytes) -> None:
    sek = SharedEncryptionKey(VECTOR_SEK)

    with pytest.raises(OceanAnswerUnreadableError):
        sek.open_json(sek.seal(plaintext))


def test_every_sign_of_a_wrong_key_gives_the_same_error() -> None:
    """Which one it was would help only somebody who alters ciphertext to learn what is in it."""
    right, wrong = SharedEncryptionKey(VECTOR_SEK), SharedEncryptionKey(WRONG_SEK)
    texts = set()
    for sealed, key in (
        (vector(), wrong),
        (right.seal(b"\xff\xfe not UTF-8"), right),
        (right.seal(b"not JSON"), right),
        (SealedPayload(encrypt(b"a key of 20 bytes...", right.key_bytes()), vector().payload), right),
    ):
        with pytest.raises(SekMismatchError) as caught:
            key.open_json(sealed)
        texts.add((str(caught.value), caught.value.remedy, caught.value.http_status))
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None

    assert len(texts) == 1


def test_the_error_says_what_to_do_and_quotes_nothing() -> None:
    wrong = WRONG_SEK  # by name, since a traceback holds source lines
    with pytest.raises(SekMismatchError) as caught:
        SharedEncryptionKey(wrong).open_json(vector())
    shown = "".join(traceback.format_exception(caught.value)) + caught.value.remedy

    assert caught.value.reason == "SekMismatch"
    assert "ompare the key" in caught.value.remedy
    for secret in (VECTOR_SEK, wrong, "synthetic-ref", VECTOR_WRAPPED):
        assert secret not in shown


def test_a_key_never_shows_itself() -> None:
    sek = SharedEncryptionKey(VECTOR_SEK)

    for shown in (repr(sek), str(sek), f"{sek}", f"{sek!r:>40}", f"{[sek]}", "%s" % sek):  # noqa: UP031
        assert VECTOR_SEK not in shown
    assert not hasattr(sek, "__dict__")
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(sek)
    with pytest.raises(TypeError):
        json.dumps({"sek": sek})
    with pytest.raises(TypeError):
        hash(sek)


def test_keys_are_equal_by_text() -> None:
    assert SharedEncryptionKey(VECTOR_SEK) == SharedEncryptionKey(VECTOR_SEK)
    assert SharedEncryptionKey(VECTOR_SEK) != SharedEncryptionKey(WRONG_SEK)
    assert SharedEncryptionKey(VECTOR_SEK) != VECTOR_SEK


@pytest.mark.parametrize("text", ["", "Half a pair: \ud800 secret"])
def test_what_cannot_be_a_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="Shared Encryption Key") as caught:
        SharedEncryptionKey(text)

    assert "Half" not in "".join(traceback.format_exception(caught.value))


def test_the_rules_for_keys_are_the_shared_ones() -> None:
    assert SharedEncryptionKey(VECTOR_SEK).problems() == ()
    assert SharedEncryptionKey("TestKey1!234567").problems() == problems_with("TestKey1!234567")


def test_a_generated_key_keeps_the_rules() -> None:
    key = SharedEncryptionKey.generate()

    assert key.problems() == ()
    assert len(key.key_bytes()) == 32


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
