"""Ocean's rules for a Shared Encryption Key, which both planes apply."""

from __future__ import annotations

import secrets
import string
from typing import Final

LENGTHS: Final = (16, 24, 32)
"""Characters, which are bytes: other lengths would be padded or cut by Ocean's own code (docs/explanation/ocean-boundary.md)."""

_CLASSES: Final = {
    "has no digit": string.digits,
    "has no upper-case letter": string.ascii_uppercase,
    "has no lower-case letter": string.ascii_lowercase,
    "has no punctuation mark": string.punctuation,
}
_GENERATED_LENGTH: Final = 32


def problems_with(key: str) -> tuple[str, ...]:
    """Which of Ocean's rules `key` breaks, each as the end of a sentence; empty for a good key. Never quotes it.

    Source: Ocean support, "Encryption" (digit, upper case, lower case, punctuation; 16 characters) and the Ocean
    security FAQ (24 and 32 characters).
    """
    found = []
    if len(key) not in LENGTHS:
        found.append(f"has {len(key)} characters, not 16, 24 or 32")
    if not key.isascii() or not key.isprintable():
        found.append("has characters other than letters, digits and punctuation marks of ASCII")
    found += [words for words, members in _CLASSES.items() if not set(members) & set(key)]
    return tuple(found)


def generate() -> str:
    """A new key that keeps the rules: 32 characters, so that AES runs with 256 bits."""
    alphabet = "".join(_CLASSES.values())
    while True:
        key = "".join(secrets.choice(alphabet) for _ in range(_GENERATED_LENGTH))
        if not problems_with(key):
            return key
