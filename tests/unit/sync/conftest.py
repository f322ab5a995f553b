"""Fixtures of the synchronisation's unit tests."""

from __future__ import annotations

import hypothesis
import pytest

# No time limit for an example: the machine may be busy.
hypothesis.settings.register_profile("sync", deadline=None, max_examples=150)
hypothesis.settings.load_profile("sync")


@pytest.fixture
def anyio_backend() -> str:
    """What the programs run on."""
    return "asyncio"
