"""One cluster with real pods for all tests of this folder."""

from __future__ import annotations

import pytest

from ocean_dev import existing
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
