"""Fixtures of the EMR adapters' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ocean_emr.testing.oscar_sim import OscarSim, Profile
from unit.emr.oscar_clinic import clinic


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The only event loop the product runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def running() -> Iterator[dict[Profile, OscarSim]]:
    """A simulated OSCAR of each family, started once."""
    with OscarSim(profile=Profile.CLASSIC) as classic, OscarSim(profile=Profile.OPEN_O_2026) as current:
        yield {Profile.CLASSIC: classic, Profile.OPEN_O_2026: current}


@pytest.fixture
def profile() -> Profile:
    """For tests to which the family does not matter."""
    return Profile.OPEN_O_2026


@pytest.fixture
def sim(running: dict[Profile, OscarSim], profile: Profile) -> OscarSim:
    """Well, and with the clinic above."""
    sim = running[profile]
    sim.faults.clear()
    sim.ledger.clear()
    sim.logins.token_exists = True
    sim.clinic.become(clinic())
    return sim
