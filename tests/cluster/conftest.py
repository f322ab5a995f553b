"""One control plane, and one installation in it, for all tests: each works in a namespace of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import anyio
import pytest

from cluster.clinics import Clinic, Landscape
from integration.installation import Installation, make_reviewer, surroundings
from ocean_api import names
from ocean_dev.control_plane import ControlPlane
from ocean_dev.servers.openbao import openbao
from ocean_dev.servers.postgres import postgres
from ocean_emr.store.migrate import migrate

_namespaces = itertools.count(1)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server with its controllers, where no pod runs. Every request is in its audit log."""
    with ControlPlane.start(tmp_path_factory.mktemp("control-plane"), audit=True) as plane:
        yield plane


@pytest.fixture(scope="session")
def landscape(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landscape]:
    """The control plane with OpenBao and PostgreSQL beside it, set up as the chart does it; no operator yet."""
    with (
        postgres() as database,
        openbao(surroundings(control_plane, database, make_reviewer(control_plane))) as bao,
    ):
        installation = Installation(control_plane, database, bao, tmp_path_factory.mktemp("tokens"))
        installation.prepare()
        anyio.run(migrate, installation.migrate_settings())
        made = Landscape(installation, tmp_path_factory.mktemp("operator"))
        made.install()
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def running(landscape: Landscape) -> Landscape:
    """The installation with one operator that leads, whatever the test before did to it."""
    landscape.lead()
    return landscape


@pytest.fixture
def namespace(landscape: Landscape) -> Iterator[str]:
    """A namespace whose clinics are deleted after the test."""
    made = landscape.namespace(f"test-{next(_namespaces)}")
    yield made
    landscape.api.delete_all(names.KIND, made)


@pytest.fixture
def clinic(namespace: str) -> Clinic:
    """The place of a clinic that is not there yet."""
    return Clinic(namespace, "maple")
