"""Fixtures of the tests of messages."""

from __future__ import annotations

import hypothesis
import pytest

# No time limit for an example: the machine may be busy.
hypothesis.settings.register_profile("messages", deadline=None)
hypothesis.settings.load_profile("messages")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The only event loop the product runs on."""
    return "asyncio"
