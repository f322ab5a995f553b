"""From the EMR's schedule to Ocean: the true chain of Vault, database, OSCAR and Ocean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.installation import Installation
from integration.sync_clinic import Clinic, Tls, ZONE, make_clinic, small_clinic
from ocean_emr.testing.ocean_sim import OceanSim
from ocean_emr.testing.oscar_sim import OscarSim


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return Tls.made_in(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def oscar(tls: Tls) -> Iterator[OscarSim]:
    with OscarSim(small_clinic(), zone=ZONE, tls=tls.files) as running:
        yield running


@pytest.fixture
def ocean(tls: Tls) -> Iterator[OceanSim]:
    with OceanSim(tls=tls.files) as running:
        yield running


@pytest.fixture
def clinic(installation: Installation, tmp_path: Path, tls: Tls, oscar: OscarSim, ocean: OceanSim) -> Clinic:
    return make_clinic(installation, tmp_path, tls, oscar, ocean)


async def test_first(clinic: Clinic, oscar: OscarSim) -> None:
    assert await clinic.sync("full", "--trigger", "Initial", "--token", "t1", "--window", "w1") == 0
    print(clinic.report().model_dump_json(indent=1))
    print(clinic.appointments_at_ocean(), clinic.patients_at_ocean(), clinic.audit())
    p = clinic.start("sync", "recent")
    print(await p.status(), p.said)
    print(await clinic.check(), clinic.check_report())
    assert 0
