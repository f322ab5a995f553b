"""One cluster with real pods for all tests of this folder."""

from __future__ import annotations

import contextlib
import io

import pytest

from ocean_dev import demo, existing
from ocean_dev.cluster import PodCluster
from ocean_dev.node import NodeCluster


@pytest.fixture(scope="session")
def node_cluster() -> PodCluster:
    """The cluster that the environment names, else our own, started as far as it does not run.

    It is left running: the next run starts in a second. `python -m ocean_dev down` ends it.
    """
    if existing.is_chosen():
        cluster = existing.ExistingCluster()
        cluster.check()
        return cluster
    return NodeCluster.up(durable=False)


@pytest.fixture(scope="session")
def shown(node_cluster: PodCluster) -> str:
    """What the demo prints. Afterwards its clinics are there for the tests."""
    del node_cluster
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        demo.run()
    return printed.getvalue()
