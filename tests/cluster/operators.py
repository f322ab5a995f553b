"""The operator as a process of its own, against any cluster, with or without Vault and PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from ocean_dev.cluster import Cluster
from ocean_dev.servers.ports import free_port

NAMESPACE = "ocean-system"
_POLL_SECONDS = 0.1


@dataclass
class OperatorProcess:
    """One replica."""

    kubeconfig: Path
    log: Path
    name: str = "ocean-operator-0"
    extra: Mapping[str, str] = field(default_factory=dict)
    probe_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it leads when it gets the Lease."""
        env = {
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(self.kubeconfig),
            "OCEAN_NAMESPACE": NAMESPACE,
            "OCEAN_POD_NAME": self.name,
            "OCEAN_LISTEN_HOST": "127.0.0.1",
            "OCEAN_PROBE_PORT": str(self.probe_port),
            "OCEAN_WEBHOOK_PORT": "0",
            **self.extra,
        }
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ocean_operator.main"], env=env, stdout=sink, stderr=sink
            )

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The process."""
        assert self.process is not None
        return self.process

    def kill(self) -> None:
        """As a node's failure would end it."""
        self.running.send_signal(signal.SIGKILL)
        self.running.wait()

    def stop(self) -> int:
        """As Kubernetes ends it. Returns the exit status."""
        self.running.send_signal(signal.SIGTERM)
        return self.running.wait(30)

    def metric(self, name: str, label: str = "") -> float:
        """The sum of a metric over its labels, 0 while nobody answers."""
        try:
            text = httpx.get(f"http://127.0.0.1:{self.probe_port}/metrics").text
        except httpx.TransportError:
            return 0.0
        lines = [line for line in text.splitlines() if line.startswith((name + "{", name + " ")) and label in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    @property
    def answers(self) -> bool:
        """Whether it serves its probes."""
        return self.probe("/readyz") is not None

    def probe(self, path: str) -> int | None:
        """The status of a probe; None while nobody answers."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.probe_port}{path}").status_code
        except httpx.TransportError:
            return None

    @property
    def leads(self) -> bool:
        """Whether it works."""
        return self.metric("ocean_operator_leader") == 1


@contextmanager
def running_operator(
    cluster: Cluster, log: Path, name: str = "ocean-operator-0", **extra: str
) -> Iterator[OperatorProcess]:
    """A replica that is stopped at the end, however the block ends."""
    replica = OperatorProcess(cluster.kubeconfig, log, name, extra)
    replica.start()
    try:
        yield replica
    finally:
        if replica.running.poll() is None:
            replica.stop()


def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait until `condition` holds; fail with `what` when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(_POLL_SECONDS)
