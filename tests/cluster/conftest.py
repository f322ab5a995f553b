"""One control plane for all tests of this folder: each test works in a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ocean_dev.control_plane import ControlPlane


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server with its controllers, where no pod runs. Every request is in its audit log."""
    with ControlPlane.start(tmp_path_factory.mktemp("control-plane"), audit=True) as plane:
        yield plane
