"""A clinic of its own for every test of the synchronisation, on the servers that all of them share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

from integration.installation import Installation
from integration.sync.clinic import ZONE, Clinic, Tls, make_clinic, small_clinic
from ocean_emr.testing.ocean_sim import OceanSim
from ocean_emr.testing.oscar_sim import OscarSim


@pytest.fixture
def oscar(tls: Tls) -> Iterator[OscarSim]:
    """The clinic's EMR."""
    with OscarSim(small_clinic(), zone=ZONE, tls=tls.files) as running:
        yield running


@pytest.fixture
def clinic(
    installation: Installation, tmp_path: Path, tls: Tls, oscar: OscarSim, running_ocean: OceanSim
) -> Iterator[Clinic]:
    """A clinic with OSCAR, whose pods can be run."""
    made = make_clinic(installation, tmp_path, tls, oscar, running_ocean)
    yield made
    made.gate.open()


@pytest.fixture
def no_pauses() -> Iterator[None]:
    """Repetitions come at once."""
    with stamina.set_testing(True, attempts=2):
        yield
