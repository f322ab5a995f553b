"""What all tests of the operator share."""

from __future__ import annotations

import hypothesis
import pytest

# No time limit for an example: the machine may be busy.
hypothesis.settings.register_profile("operator", deadline=None, max_examples=60)
hypothesis.settings.load_profile("operator")


@pytest.fixture
def anyio_backend() -> str:
    """What the operator runs on."""
    return "asyncio"
