from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import pickle
import secrets
import traceback

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocean_emr.envelope import DataKey, Place, StoredDataUnreadableError
from ocean_emr.ocean.crypto import SharedEncryptionKey

SITE = "clinics/downtown"
HERE = Place(SITE, "appointment-snapshot", "a0001")
KEY = DataKey.new()

texts = st.text(st.characters(codec="utf-8"), max_size=12)
places = st.builds(Place, texts, texts, texts)


@given(st.binary(max_size=500), places)
def test_what_was_sealed_opens_in_its_place(plaintext: bytes, place: Place) -> None:
    assert KEY.open(KEY.seal(plaintext, place), place) == plaintext


@given(places, places)
def test_it_opens_nowhere_else(one: Place, other: Place) -> None:
    """A row moved to another site, kind or record must not pass for one of its new place."""
    sealed = KEY.seal(b"p0001", one)

    if one == other:
        assert KEY.open(sealed, other) == b"p0001"
    else:
        with pytest.raises(StoredDataUnreadableError):
            KEY.open(sealed, other)


def test_places_whose_parts_join_alike_are_different() -> None:
    assert Place("a/b", "c").bound() != Place("a", "b/c").bound()
    assert Place("a", "b", "c").bound() != Place("a", "bc", "").bound()


@given(st.data())
@settings(max_examples=150)
def test_any_altered_bit_is_noticed(data: st.DataObject) -> None:
    sealed = bytearray(KEY.seal(b"p0001 at nine", HERE))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(StoredDataUnreadableError):
        KEY.open(bytes(sealed), HERE)


def test_every_truncation_is_noticed() -> None:
    sealed = KEY.seal(b"p0001 at nine", HERE)

    for length in range(len(sealed)):
        with pytest.raises(StoredDataUnreadableError):
            KEY.open(sealed[:length], HERE)


def test_another_data_key_opens_nothing() -> None:
    with pytest.raises(StoredDataUnreadableError):
        DataKey.new().open(KEY.seal(b"p0001", HERE), HERE)


def test_sealing_twice_gives_different_bytes() -> None:
    assert len({KEY.seal(b"same", HERE) for _ in range(1_000)}) == 1_000


def test_a_wrapped_key_unwraps_under_its_sek(sek: SharedEncryptionKey) -> None:
    wrapped = KEY.wrap(sek, fingerprint="fp-1", site=SITE)

    again = DataKey.unwrap(wrapped, sek, site=SITE)

    assert again.open(KEY.seal(b"p0001", HERE), HERE) == b"p0001"
    assert again.digest(b"x") == KEY.digest(b"x")


@pytest.mark.parametrize(
    "text", ["short", "TestKey1!2345678TestKey1", "TestKey1!2345678TestKey1!2345678 and more", "Zoé"]
)
def test_a_sek_of_any_length_wraps(text: str) -> None:
    wrapped = KEY.wrap(SharedEncryptionKey(text), fingerprint="fp-1", site=SITE)

    assert DataKey.unwrap(wrapped, SharedEncryptionKey(text), site=SITE).digest(b"x") == KEY.digest(b"x")


def test_the_fingerprint_chooses_the_sek(sek: SharedEncryptionKey) -> None:
    """After a change of key the old version is needed once, to wrap anew."""
    new_sek = SharedEncryptionKey.generate()
    keys = {"fp-1": sek, "fp-2": new_sek}
    wrapped = KEY.wrap(sek, fingerprint="fp-1", site=SITE)
    sealed = KEY.seal(b"p0001", HERE)

    data_key = DataKey.unwrap(wrapped, keys[DataKey.fingerprint_of(wrapped)], site=SITE)
    rewrapped = data_key.wrap(new_sek, fingerprint="fp-2", site=SITE)

    assert DataKey.fingerprint_of(rewrapped) == "fp-2"
    assert DataKey.unwrap(rewrapped, new_sek, site=SITE).open(sealed, HERE) == b"p0001"


@pytest.mark.parametrize("wrong", ["sek", "site", "fingerprint"])
def test_a_wrapped_key_unwraps_for_nobody_else(sek: SharedEncryptionKey, wrong: str) -> None:
    wrapped = KEY.wrap(sek, fingerprint="fp-1", site=SITE)
    if wrong == "fingerprint":
        wrapped = orjson.dumps(orjson.loads(wrapped) | {"fingerprint": "fp-2"})

    with pytest.raises(StoredDataUnreadableError):
        DataKey.unwrap(
            wrapped,
            SharedEncryptionKey.generate() if wrong == "sek" else sek,
            site="clinics/uptown" if wrong == "site" else SITE,
        )


def test_keys_that_give_ocean_the_same_aes_key_are_different_here() -> None:
    """Ocean pads and cuts; the whole text counts here."""
    short, padded = SharedEncryptionKey("abc"), SharedEncryptionKey("abc0000000000000")
    wrapped = KEY.wrap(short, fingerprint="fp-1", site=SITE)

    assert short.key_bytes() == padded.key_bytes()
    with pytest.raises(StoredDataUnreadableError):
        DataKey.unwrap(wrapped, padded, site=SITE)


@given(
    st.one_of(
        st.binary(max_size=80),
        st.recursive(
            st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
            lambda inner: st.dictionaries(
                st.sampled_from(["version", "fingerprint", "salt", "nonce", "data"]), inner, max_size=5
            ),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_what_is_no_wrapped_key_fails_in_our_words(wrapped: bytes) -> None:
    with pytest.raises(StoredDataUnreadableError):
        DataKey.unwrap(wrapped, SharedEncryptionKey("TestKey1!2345678"), site=SITE)
    with contextlib.suppress(StoredDataUnreadableError):
        assert isinstance(DataKey.fingerprint_of(wrapped), str)


@pytest.mark.parametrize("part", ["version", "salt", "nonce", "data"])
@pytest.mark.parametrize("value", [2, "", "AAAA", "not base64!", None, "Zé"])
def test_a_wrapped_key_with_a_spoiled_part_is_refused(sek: SharedEncryptionKey, part: str, value: object) -> None:
    wrapped = orjson.dumps(orjson.loads(KEY.wrap(sek, fingerprint="fp-1", site=SITE)) | {part: value})

    with pytest.raises(StoredDataUnreadableError):
        DataKey.unwrap(wrapped, sek, site=SITE)


def test_the_wrapped_key_holds_neither_key(sek: SharedEncryptionKey) -> None:
    raw = secrets.token_bytes(32)
    wrapped = DataKey(raw).wrap(sek, fingerprint="fp-1", site=SITE)

    assert sek.reveal().encode() not in wrapped
    assert raw not in wrapped
    assert KEY.wrap(sek, fingerprint="fp-1", site=SITE) != KEY.wrap(sek, fingerprint="fp-1", site=SITE)


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_digests_tell_same_from_different(one: bytes, other: bytes) -> None:
    assert (KEY.digest(one) == KEY.digest(other)) is (one == other)
    assert len(KEY.digest(one)) == 32


def test_a_digest_says_nothing_without_the_key() -> None:
    assert KEY.digest(b"1990-01-01") != DataKey.new().digest(b"1990-01-01")
    assert KEY.digest(b"1990-01-01") != hashlib.sha256(b"1990-01-01").digest()


def test_a_data_key_never_shows_itself() -> None:
    raw = b"0123456789abcdef0123456789abcdef"
    key = DataKey(raw)

    assert "0123" not in f"{key} {key!r} {[key]}"
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(key)


def test_a_data_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        DataKey(b"short")


def test_the_error_names_the_kind_and_nothing_else() -> None:
    with pytest.raises(StoredDataUnreadableError) as caught:
        DataKey.new().open(KEY.seal(b"p0001", HERE), HERE)
    shown = "".join(traceback.format_exception(caught.value))

    assert "appointment-snapshot" in str(caught.value)
    assert "a0001" not in str(caught.value)
    assert "InvalidTag" not in shown
