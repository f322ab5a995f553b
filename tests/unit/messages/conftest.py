"""Fixtures of the tests of messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import time

import hypothesis
import pytest

from conformance.rigs.fhir import FhirRig
from conformance.rigs.oscar import OscarRig
from ocean_emr.ocean.client import OceanAccess
from ocean_emr.ocean.inbox import OceanInbox
from ocean_emr.ocean.login import SiteCredential
from ocean_emr.testing.conformance import Clinic
from ocean_emr.testing.conformance.clinic import DAY, booking
from ocean_emr.testing.conformance.rig import Rig
from ocean_emr.testing.ocean_sim import OceanSim, SimSite
from ocean_emr.testing.serving import LOOPBACK
from unit.messages.bridge import IMPORTING, SEK, SITE, WALK_INS, Bridge

# No time limit for an example: the machine may be busy.
hypothesis.settings.register_profile("messages", deadline=None)
hypothesis.settings.load_profile("messages")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The only event loop the product runs on."""
    return "asyncio"


@pytest.fixture(scope="module")
def running_sim() -> Iterator[OceanSim]:
    with OceanSim() as running:
        yield running


@pytest.fixture(scope="module")
async def fhir() -> AsyncIterator[Rig]:
    async with FhirRig() as rig:
        yield rig


@pytest.fixture(scope="module")
async def oscar() -> AsyncIterator[Rig]:
    async with OscarRig() as rig:
        yield rig


@pytest.fixture
def rig(fhir: Rig) -> Rig:
    return fhir


@pytest.fixture
async def bridge(running_sim: OceanSim, rig: Rig) -> AsyncIterator[Bridge]:
    running_sim.start_over(SimSite(SITE, "k", "c", sek=SEK))
    rig.suffer(None)
    rig.hold(Clinic())
    access = OceanAccess(running_sim.url, SITE, SiteCredential("k", "c"), addresses=LOOPBACK)
    async with OceanInbox(access) as inbox, rig.adapter() as adapter:
        yield Bridge(running_sim, inbox, adapter, rig)


@pytest.fixture(params=["fhir", "oscar"])
async def whole(running_sim: OceanSim, fhir: Rig, oscar: Rig, request: pytest.FixtureRequest) -> AsyncIterator[Bridge]:
    rig = {"fhir": fhir, "oscar": oscar}[request.param]
    running_sim.start_over(SimSite(SITE, "k", "c", sek=SEK))
    rig.suffer(None)
    rig.hold(Clinic((booking(1, DAY, time(9, 30)), booking(2, DAY, time(11)), booking(3, DAY, time(12)))))
    access = OceanAccess(running_sim.url, SITE, SiteCredential("k", "c"), addresses=LOOPBACK)
    async with OceanInbox(access) as inbox, rig.adapter() as adapter:
        yield Bridge(running_sim, inbox, adapter, rig, settings=IMPORTING.model_copy(update={"walk_ins": WALK_INS}))
