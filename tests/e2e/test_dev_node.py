"""The cluster with a node runs pods, and is repaired under them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from ocean_dev import node
from ocean_dev.cluster import PodCluster
from ocean_dev.node import NodeCluster
from ocean_dev.node_config import PAUSE_IMAGE

POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: main, image: "{image}", imagePullPolicy: Never}}]
"""


@pytest.fixture
def namespace(node_cluster: PodCluster) -> Iterator[str]:
    """A namespace that is gone after the test."""
    if not isinstance(node_cluster, NodeCluster):
        pytest.skip("The cluster is somebody else's: nothing of it is killed.")
    node_cluster.kubectl("create", "namespace", "repaired")
    yield "repaired"
    node_cluster.kubectl("delete", "namespace", "repaired")


@pytest.mark.parametrize("victim", ["etcd", "kube-apiserver", "containerd", "kubelet"])
def test_pods_run_on_through_the_crash_of_a_server(node_cluster: PodCluster, namespace: str, victim: str) -> None:
    """After `up` the old pod is still the same, and a new one can start."""
    start(node_cluster, namespace, "before")

    os.kill(next(state.pid for state in node.status() if state.name == victim and state.pid), signal.SIGKILL)
    NodeCluster.up(durable=False)
    start(node_cluster, namespace, "after")

    restarts = "jsonpath={.items[*].status.containerStatuses[*].restartCount}"
    assert node_cluster.kubectl("get", "pods", "-n", namespace, "-o", restarts) == "0 0"


def start(cluster: PodCluster, namespace: str, name: str) -> None:
    """Start a pod and wait until it runs."""
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=POD.format(name=name, image=PAUSE_IMAGE))
    cluster.kubectl("wait", "-n", namespace, f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
