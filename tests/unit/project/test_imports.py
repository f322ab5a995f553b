"""Each import contract holds, and each has been seen to break: a contract that nothing can break is none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGES = {"ocean_api": "crds", "ocean_operator": "operator", "ocean_emr": "emr"}


class Plant(NamedTuple):
    """An import that must not be, and the contract that must notice."""

    contract: str
    file: str
    line: str


APART = "The planes never import each other"
SHARED = "The shared API knows neither plane"
NO_CLIENT = "The data plane has no Kubernetes client"
CORE = "The core decides and touches nothing"
PASSES = "Passes work without kopf"
CLUSTER = "Only the cluster module holds a Kubernetes client"

PLANTS = (
    Plant(APART, "ocean_emr/errors.py", "import ocean_operator.metrics"),
    Plant(APART, "ocean_operator/metrics.py", "import ocean_emr.errors"),
    Plant(SHARED, "ocean_api/names.py", "import ocean_operator.metrics"),
    Plant(SHARED, "ocean_api/names.py", "import ocean_emr.errors"),
    Plant(NO_CLIENT, "ocean_emr/errors.py", "import kopf"),
    Plant(NO_CLIENT, "ocean_emr/errors.py", "from kubernetes.aio import client"),
    Plant(NO_CLIENT, "ocean_api/names.py", "import kubernetes"),
    Plant(CORE, "ocean_operator/core/plan.py", "import asyncio"),
    Plant(CORE, "ocean_operator/core/status.py", "from ocean_operator.cluster import Cluster"),
    Plant(CORE, "ocean_operator/core/parts/common.py", "import structlog"),
    Plant(PASSES, "ocean_operator/passes/sites.py", "import kopf"),
    Plant(PASSES, "ocean_operator/passes/release.py", "from ocean_operator.handlers import watches"),
    Plant(CLUSTER, "ocean_operator/passes/stores.py", "from kubernetes.aio import client"),
    Plant(CLUSTER, "ocean_operator/handlers/watches.py", "import kubernetes"),
    Plant(CLUSTER, "ocean_operator/health.py", "import kubernetes"),
    Plant(CLUSTER, "ocean_operator/main.py", "from kubernetes.aio import client"),
)


@pytest.fixture(scope="module")
def broken(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Plant | None, list[str]]:
    """The contracts that each plant breaks, and under None those that are broken without any."""
    copy = tmp_path_factory.mktemp("packages")
    for package, folder in PACKAGES.items():
        shutil.copytree(root / folder / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    plants = [{"file": str(copy / plant.file), "line": plant.line} for plant in PLANTS]
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, Path(__file__).with_name("lint_planted.py"), root / "pyproject.toml"],
        input=json.dumps(plants),
        env={**os.environ, "PYTHONPATH": str(copy)},
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    return dict(zip((None, *PLANTS), json.loads(done.stdout), strict=True))


def test_every_contract_holds(broken: dict[Plant | None, list[str]]) -> None:
    assert broken[None] == []


@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(
            plant,
            id=f"{plant.file} {plant.line}",
        )
        for plant in PLANTS
    ],
)
def test_a_planted_import_breaks_its_contract(plant: Plant, broken: dict[Plant | None, list[str]]) -> None:
    assert plant.contract in broken[plant]


def test_every_contract_has_a_plant(root: Path) -> None:
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

    assert {contract["name"] for contract in contracts} == {plant.contract for plant in PLANTS}
