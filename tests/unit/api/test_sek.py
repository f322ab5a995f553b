from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api.sek import KeyProblem, generate, problems_with


@pytest.mark.parametrize(
    ("key", "problems"),
    [
        ("TestKey1!2345678", ()),
        ("TestKey1!2345678TestKey1", ()),
        ("TestKey1!2345678TestKey1!2345678", ()),
        ("TestKey1!234567", (KeyProblem.LENGTH,)),
        ("TestKey1!23456789", (KeyProblem.LENGTH,)),
        ("testkey1!2345678", (KeyProblem.NO_UPPER_CASE,)),
        ("TESTKEY1!2345678", (KeyProblem.NO_LOWER_CASE,)),
        ("TestKeyI!abcdefg", (KeyProblem.NO_DIGIT,)),
        ("TestKey112345678", (KeyProblem.NO_PUNCTUATION,)),
        ("TestKéy1!2345678", (KeyProblem.OTHER_CHARACTERS,)),
        ("TestKey1! 345678", (KeyProblem.OTHER_CHARACTERS,)),
        ("TestKey1!2345678\n", (KeyProblem.SURROUNDING_SPACE,)),
        (" TestKey1!2345678", (KeyProblem.SURROUNDING_SPACE,)),
        (
            "abc",
            (KeyProblem.LENGTH, KeyProblem.NO_DIGIT, KeyProblem.NO_UPPER_CASE, KeyProblem.NO_PUNCTUATION),
        ),
        ("", tuple(KeyProblem)[1:6]),
    ],
)
def test_problems_are_listed_by_name(key: str, problems: tuple[KeyProblem, ...]) -> None:
    assert problems_with(key) == problems


@given(st.text(st.characters(codec="utf-8"), max_size=48))
def test_problems_never_quote_the_key(key: str) -> None:
    shown = " ".join(problems_with(key))

    assert len(key.strip()) < 6 or key not in shown


def test_generated_keys_keep_the_rules_and_differ() -> None:
    keys = [generate() for _ in range(2_000)]

    assert all(problems_with(key) == () for key in keys)
    assert {len(key) for key in keys} == {32}
    assert len(set(keys)) == 2_000
    assert not set("0O1lI\"'\\$&` ") & set("".join(keys))


def test_generated_keys_use_their_whole_alphabet() -> None:
    used = set("".join(generate() for _ in range(2_000)))

    assert len(used & set(string.digits)) == 8
    assert len(used & set(string.ascii_uppercase)) == 24
    assert len(used & set(string.ascii_lowercase)) == 25
    assert len(used & set(string.punctuation)) == 13
