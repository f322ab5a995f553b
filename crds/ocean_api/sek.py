"""Ocean's rules for a Shared Encryption Key, and a key that keeps them: one definition for both planes."""

from __future__ import annotations

import secrets
import string
from enum import StrEnum
from typing import Final

LENGTHS: Final = (16, 24, 32)
"""Characters, which are bytes. Ocean's own code would pad or cut other lengths: docs/explanation/ocean-boundary.md."""

# Without 0 and O, 1, l and I: a key is read off a printed card in an emergency. Without quotes,
# backslash, `$` and `&`: it survives being pasted into a shell, YAML or a web form.
_DIGITS: Final = "23456789"
_UPPER: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_LOWER: Final = "abcdefghijkmnopqrstuvwxyz"
_PUNCTUATION: Final = "!%+-./:=?@^_~"
_ALLOWED: Final = frozenset({*string.ascii_letters, *string.digits, *string.punctuation})


class KeyProblem(StrEnum):
    """What is wrong with a key, by name. The words are for the person who handed it over: "the key …"."""

    SURROUNDING_SPACE = "begins or ends with a space or line break (was it written with `echo`? use `printf %s`)"
    LENGTH = "must be exactly 16, 24 or 32 characters long"
    NO_DIGIT = "needs a digit"
    NO_UPPER_CASE = "needs an upper-case letter"
    NO_LOWER_CASE = "needs a lower-case letter"
    NO_PUNCTUATION = "needs a punctuation character"
    OTHER_CHARACTERS = "may hold only unaccented letters, digits and punctuation"


def problems_with(key: str) -> tuple[KeyProblem, ...]:
    """Where `key` falls short of Ocean's rules, in the order of `KeyProblem`; empty when it keeps them.

    Source: OceanMD support, section Encryption: sixteen characters with digit, upper case, lower case and
    punctuation; the security FAQ adds 24 and 32. Unaccented text only is our own rule: Ocean pads by characters but
    cuts by bytes, which agree only there.
    """
    inside = key.strip()
    kept = {
        KeyProblem.SURROUNDING_SPACE: key == inside,
        KeyProblem.LENGTH: len(inside) in LENGTHS,
        KeyProblem.NO_DIGIT: any(c in string.digits for c in key),
        KeyProblem.NO_UPPER_CASE: any(c in string.ascii_uppercase for c in key),
        KeyProblem.NO_LOWER_CASE: any(c in string.ascii_lowercase for c in key),
        KeyProblem.NO_PUNCTUATION: any(c in string.punctuation for c in key),
        KeyProblem.OTHER_CHARACTERS: all(c in _ALLOWED for c in inside),
    }
    return tuple(problem for problem in KeyProblem if not kept[problem])


def generate() -> str:
    """A new key that keeps the rules, from the operating system's random source.

    The longest one: AES takes the characters themselves as its key, and sixteen of this alphabet hold about 98 bits
    of chance, fewer than AES-128 is made for; thirty-two hold about 196.
    """
    alphabet = _DIGITS + _UPPER + _LOWER + _PUNCTUATION
    while True:
        key = "".join(secrets.choice(alphabet) for _ in range(max(LENGTHS)))
        if not problems_with(key):
            return key
