"""Real servers for the integration tests: each starts once in a test process, on loopback, and ends with it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import anyio
import psycopg
import pytest

from integration.installation import Installation, make_reviewer, surroundings
from integration.logins import Logins, LoginSource, where
from integration.queue_desk import Desk, lease_of
from integration.real_fhir import Emr
from integration.sites import Site
from integration.sync.clinic import Tls
from ocean_api import names
from ocean_dev.control_plane import ControlPlane
from ocean_dev.servers.fhir import FhirServer
from ocean_dev.servers.openbao import openbao
from ocean_dev.servers.postgres import Postgres, postgres
from ocean_emr.store.database import Database
from ocean_emr.store.migrate import migrate, upgrade
from ocean_emr.testing.ocean_sim import OceanSim

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """What the programs run on."""
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A PostgreSQL with Ocean's roles and its whole schema."""
    with postgres() as running:
        upgrade(where(running), Logins(running).new("ocean-migrate"))
        yield running


@pytest.fixture(scope="session")
def emr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emr]:
    """A real FHIR server."""
    with FhirServer.start(tmp_path_factory.mktemp("fhir")) as running:
        emr = Emr(running.base_url)
        # The first capability statement takes seconds, longer than the suite's short limits wait.
        assert emr.http.get("metadata").is_success
        yield emr


@pytest.fixture(scope="session")
def logins(server: Postgres) -> Logins:
    """Makes logins the way Vault does."""
    return Logins(server)


@pytest.fixture
def admin(server: Postgres) -> Iterator[psycopg.Connection]:
    """A superuser's connection, for looking at what nobody else may see."""
    with psycopg.connect(server.admin, autocommit=True) as connection:
        yield connection


@pytest.fixture
def operator(logins: Logins) -> Iterator[psycopg.Connection]:
    """The operator's connection."""
    with logins.connect("ocean-operator") as connection:
        yield connection


@pytest.fixture
def site_a(operator: psycopg.Connection) -> Site:
    """A registered clinic of its own for each test."""
    return _register(operator)


@pytest.fixture
def site_b(operator: psycopg.Connection) -> Site:
    """Another one."""
    return _register(operator)


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Kubernetes, PostgreSQL and OpenBao, started in the chart's order and migrated by way of Vault."""
    with (
        ControlPlane.start(tmp_path_factory.mktemp("control-plane")) as cluster,
        postgres() as database,
        openbao(surroundings(cluster, database, make_reviewer(cluster))) as bao,
    ):
        installed = Installation(cluster, database, bao, tmp_path_factory.mktemp("tokens"))
        installed.prepare()
        anyio.run(migrate, installed.migrate_settings())
        yield installed


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """The simulators' certificate."""
    return Tls.made_in(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def running_ocean(tls: Tls) -> Iterator[OceanSim]:
    """One Ocean for all tests; each clinic begins it anew."""
    with OceanSim(tls=tls.files) as running:
        yield running


@pytest.fixture
def gateway(logins: Logins) -> Iterator[psycopg.Connection]:
    """The gateway's connection."""
    with logins.connect(names.VAULT_GATEWAY_DATABASE_ROLE) as connection:
        yield connection


@pytest.fixture
async def database(server: Postgres, logins: Logins, site_a: Site) -> AsyncIterator[Database]:
    """A database as the clinic's worker has it."""
    async with Database(where(server), LoginSource(logins, site_a.vault_role), application="test") as opened:
        yield opened


@pytest.fixture
async def desk(database: Database, site_a: Site) -> Desk:
    """A worker with a lease."""
    return Desk(database, site_a, await lease_of(database, site_a))


def _register(operator: psycopg.Connection) -> Site:
    number = next(_numbers)
    site = Site(namespace=f"clinic-{number}", name=f"site-{number}", number=str(number))
    site.register(operator)
    return site
