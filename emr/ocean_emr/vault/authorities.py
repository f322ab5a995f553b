"""Certificate authorities as files, for libraries that only take a path, in pods that may write no file."""

from __future__ import annotations

import os
from functools import lru_cache

import certifi


def public_authorities() -> str:
    """The path of a bundle of the public authorities."""
    return certifi.where()


@lru_cache
def authority_file(pem: str) -> str:
    """A path at which this process reads `pem`; of an empty text, that of the public authorities.

    The file is in memory and lives as long as the process.
    """
    if not pem:
        return public_authorities()
    descriptor = os.memfd_create("authorities")
    with os.fdopen(descriptor, "w", closefd=False) as file:
        file.write(pem)
    return f"/proc/self/fd/{descriptor}"
