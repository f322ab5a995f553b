"""Fixtures of the EMR adapters' tests."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The only event loop the product runs on."""
    return "asyncio"
