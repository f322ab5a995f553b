"""Fixtures of the conformance tests."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The only event loop the product runs on; for the session, since servers are shared by its tests."""
    return "asyncio"
