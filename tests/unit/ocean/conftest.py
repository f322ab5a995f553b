"""A running simulator of Ocean, a client of it, and a certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest
import stamina

from ocean_emr.ocean.client import OceanClient
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.testing.ocean_sim import OceanSim, SimSite
from unit.ocean.certificates import Tls
from unit.ocean.uploads import CREDENTIAL, SITE, access

# No time limit for an example: the machine may be busy.
hypothesis.settings.register_profile("ocean", deadline=None, max_examples=60)
hypothesis.settings.load_profile("ocean")

SEK = "TestKey1!2345678"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """Repetitions come at once."""
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
def sek() -> SharedEncryptionKey:
    return SharedEncryptionKey(SEK)


@pytest.fixture(scope="session")
def running_sim() -> Iterator[OceanSim]:
    with OceanSim() as running:
        yield running


@pytest.fixture
def sim(running_sim: OceanSim, sek: SharedEncryptionKey) -> OceanSim:
    """The simulator as if just started, knowing one site."""
    running_sim.start_over(
        SimSite(SITE, CREDENTIAL.site_key, CREDENTIAL.site_credential, "client-0001", "clientsecret-0001", sek)
    )
    return running_sim


@pytest.fixture
async def ocean(sim: OceanSim) -> AsyncIterator[OceanClient]:
    async with OceanClient(access(sim)) as client:
        yield client


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return Tls.made_in(tmp_path_factory.mktemp("tls"))
