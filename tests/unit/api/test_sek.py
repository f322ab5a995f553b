from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api.sek import LENGTHS, KeyProblem, generate, problems_with

GOOD = "TestKey1!2345678"


@pytest.mark.parametrize("length", LENGTHS)
def test_a_key_of_each_length(length: int) -> None:
    assert problems_with(GOOD.ljust(length, "a")) == ()


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", KeyProblem.LENGTH),
        (GOOD[:-1], KeyProblem.LENGTH),
        (f"{GOOD}a", KeyProblem.LENGTH),
        (GOOD * 3, KeyProblem.LENGTH),
        ("TestKeyA!bcdefgh", KeyProblem.NO_DIGIT),
        ("testkey1!2345678", KeyProblem.NO_UPPER_CASE),
        ("TESTKEY1!2345678", KeyProblem.NO_LOWER_CASE),
        ("TestKey112345678", KeyProblem.NO_PUNCTUATION),
        ("TestKéy1!2345678", KeyProblem.OTHER_CHARACTERS),
        ("TestKey1!234567\t", KeyProblem.SURROUNDING_SPACE),
        (f"{GOOD}\n", KeyProblem.SURROUNDING_SPACE),
        (f" {GOOD}", KeyProblem.SURROUNDING_SPACE),
        ("TestKey1! 345678", KeyProblem.OTHER_CHARACTERS),
        ("TestKey1!\x00345678", KeyProblem.OTHER_CHARACTERS),
    ],
)
def test_a_key_that_breaks_a_rule(key: str, problem: KeyProblem) -> None:
    assert problem in problems_with(key)


def test_fifteen_characters_and_a_space_are_no_sixteen() -> None:
    """What a person pastes ends with a space more often than a key does."""
    assert KeyProblem.LENGTH in problems_with(f"{GOOD[:-1]} ")


@given(st.text(max_size=40))
def test_what_is_wrong_is_said_without_the_key(key: str) -> None:
    said = problems_with(f"Zq7#{key}")

    assert all("Zq7#" not in problem for problem in said)


def test_generated_keys_keep_the_rules_and_differ() -> None:
    keys = {generate() for _ in range(200)}

    assert len(keys) == 200
    assert {len(key) for key in keys} == {32}
    assert [key for key in keys if problems_with(key)] == []
