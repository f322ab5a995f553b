"""What the gateway's tests share."""

from __future__ import annotations

import hypothesis
import pytest

from unit.gateway.wires import App

# No time limit for an example: the machine may be busy.
hypothesis.settings.register_profile("gateway", deadline=None, max_examples=150)
hypothesis.settings.load_profile("gateway")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """What the program runs on."""
    return "asyncio"


class Clock:
    """Seconds that go by when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Now."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def app() -> App:
    """With an open gate."""
    app = App()
    app.gate.set()
    return app
