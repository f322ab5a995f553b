"""How fast the operator turns many OceanSites into objects, beside a bare loop of server-side applies.

`python tests/benchmarks/reconcile.py [--sites N]`. Everything runs on one control plane of its own (no nodes),
in one run, so the ratio holds although the machine is shared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ocean_api import crdgen, names
from ocean_dev.control_plane import ControlPlane
from ocean_operator.cluster import Cluster
from ocean_operator.core.children import desired_children
from ocean_operator.core.plan import with_hash
from ocean_operator.core.platform import Platform
from ocean_operator.core.site import read_site

CHILD_KINDS = ("ServiceAccount", "ConfigMap", "NetworkPolicy", "CronJob")
CHILDREN_PER_SITE = 5
AT_ONCE = 16


@dataclass
class Figure:
    """One measured number."""

    name: str
    value: float
    unit: str


def site(number: int, *, days: int = 1) -> dict[str, Any]:
    """The OceanSite of clinic `number`."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": f"clinic-{number:05d}", "namespace": f"fleet-{number % 10}"},
        "spec": {
            "siteNumber": str(100_000 + number),
            "displayName": f"Clinic {number}",
            "timeZone": "America/Toronto",
            "contacts": {"clinicalAdministrators": ["admin@clinic.example"]},
            "ocean": {"credentialsSecret": "ocean"},
            "emr": {
                "type": "OscarPro",
                "oscarPro": {"url": "https://emr.clinic.example/oscar", "credentialsSecret": "oscar"},
            },
            "key": {"source": "Generate"},
            "schedule": {"days": days, "providers": "All"},
        },
    }


async def gather(at_once: int, jobs: list[Callable[[], Any]]) -> None:
    """Run `jobs`, `at_once` at a time."""
    queue = list(reversed(jobs))

    async def worker() -> None:
        while queue:
            await queue.pop()()

    await asyncio.gather(*(worker() for _ in range(at_once)))


async def bare_loop(cluster: Cluster, count: int) -> float:
    """Server-side applies per second of what the operator would write, without an operator: children and statuses."""
    platform = Platform(image="bare")
    status = {"observedGeneration": 1, "summary": "Bare", "conditions": []}
    writes: list[Callable[[], Any]] = []
    await gather(AT_ONCE, [lambda n=n: cluster.apply(bare_site(n), manager="bench") for n in range(count)])
    for number in range(count):
        body = bare_site(number)
        seen = read_site({**body, "metadata": {**body["metadata"], "uid": "none", "resourceVersion": "1"}})
        for child in desired_children(seen, platform, may_work=False):
            child["metadata"].pop("ownerReferences")
            child["metadata"]["labels"].pop(names.MANAGED_BY_LABEL)
            writes.append(lambda c=with_hash(child): cluster.apply(c))
        head = {k: body[k] for k in ("apiVersion", "kind", "metadata")}
        writes.append(lambda h=head: cluster.apply({**h, "status": status}, subresource="status"))
    began = time.monotonic()
    await gather(AT_ONCE, writes)
    return len(writes) / (time.monotonic() - began)


def bare_site(number: int) -> dict[str, Any]:
    """A clinic that the operator does not see, in a namespace of its own, applied before the operator runs."""
    body = site(number)
    body["metadata"] = {"name": f"bare-{number:05d}", "namespace": "bare"}
    return body


@contextmanager
def operator(plane: ControlPlane, log: Path, **extra: str) -> Iterator[subprocess.Popen[bytes]]:
    """The operator as a process of its own."""
    env = {
        **os.environ,
        "KUBECONFIG": str(plane.kubeconfig),
        "OCEAN_LISTEN_HOST": "127.0.0.1",
        "OCEAN_WEBHOOK_PORT": "0",
        **extra,
    }
    with log.open("ab") as sink:
        process = subprocess.Popen([sys.executable, "-m", "ocean_operator.main"], env=env, stderr=sink)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def memory(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Resident and peak memory of a process, in MB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) / 1000 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return found["VmRSS"], found["VmHWM"]


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """Processor time a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Metrics:
    """What the operator says of itself."""

    def __init__(self, port: int) -> None:
        self._client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}")

    async def writes(self) -> float:
        """Objects applied so far: children and statuses."""
        return await self._sum("ocean_api_writes_total", 'verb="apply"')

    async def leads(self) -> bool:
        """Whether the operator has begun to work."""
        return await self._sum("ocean_operator_leader") == 1

    async def _sum(self, name: str, label: str = "") -> float:
        try:
            text = (await self._client.get("/metrics")).text
        except httpx.TransportError:
            return 0.0
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.startswith((name + "{", name + " ")) and label in line
        )

    async def until(self, target: float) -> None:
        """Wait until `target` objects were written."""
        while await self.writes() < target:
            await asyncio.sleep(0.05)


async def complete(cluster: Cluster, count: int) -> bool:
    """Whether every clinic has all children and a status."""
    owned = 0
    for kind in CHILD_KINDS:
        found, _ = await cluster.versions(kind, selector=f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY}")
        owned += len(found)
    sites = await cluster.find(names.KIND, field_selector="metadata.namespace!=bare")
    return owned == count * CHILDREN_PER_SITE and count == sum(
        1 for s in sites if s.get("status", {}).get("observedGeneration")
    )


def writes_since(audit: Path, offset: int) -> tuple[int, int]:
    """Writes by the operator in the audit log after `offset` bytes, except to its Lease; and the log's length."""
    count = 0
    with audit.open("rb") as lines:
        lines.seek(offset)
        for line in lines:
            entry = json.loads(line)
            agent = entry.get("userAgent", "")
            if entry["verb"] in {"create", "update", "patch", "delete"} and "python" in agent.lower():
                count += entry["objectRef"]["resource"] != "leases"
        return count, lines.tell()


async def edits(cluster: Cluster, count: int, rounds: int) -> list[float]:
    """Seconds from the answer to an edit of one clinic to its ConfigMap changed, `rounds` times, sorted."""
    found = []
    for turn in range(rounds):
        number = (turn * 37) % count
        body = site(number, days=2 + turn % 20)
        name, namespace = names.child(body["metadata"]["name"], "site"), body["metadata"]["namespace"]
        before = await cluster.get("ConfigMap", namespace, name)
        began = time.monotonic()
        await cluster.apply(body, manager="bench")
        while True:
            now = await cluster.get("ConfigMap", namespace, name)
            if now and before and now["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]:
                break
        found.append(time.monotonic() - began)
    return sorted(found)


async def measure(plane: ControlPlane, count: int) -> list[Figure]:
    """Every figure, in the order of docs/benchmarks.md."""
    os.environ["KUBECONFIG"] = str(plane.kubeconfig)
    cluster = await Cluster.connect(at_once=AT_ONCE)
    log, figures = plane.audit_log.parent / "operator.log", []
    port = free_port()
    plane.kubectl("apply", "-f", "-", input=crdgen.crd_yaml())
    plane.kubectl("wait", "--for=condition=Established", f"crd/{names.PLURAL}.{names.GROUP}")
    for name in ("ocean-system", "bare", *(f"fleet-{n}" for n in range(10))):
        plane.kubectl("create", "namespace", name)
    bare = await bare_loop(cluster, min(count, 300))
    figures.append(Figure("bare loop of server-side applies", bare, "objects/s"))
    plane.kubectl("delete", "oceansites", "--all", "-n", "bare", "--wait=false")
    metrics = Metrics(port)
    with operator(plane, log, OCEAN_PROBE_PORT=str(port)) as process:
        while not await metrics.leads():
            await asyncio.sleep(0.05)
        began, used = time.monotonic(), cpu_seconds(process)
        await gather(AT_ONCE, [lambda n=n: cluster.apply(site(n), manager="bench") for n in range(count)])
        applied = time.monotonic() - began
        await metrics.until(count * (CHILDREN_PER_SITE + 1))
        took = time.monotonic() - began
        assert await complete(cluster, count)
        figures += [
            Figure("sites applied within", applied, "s"),
            Figure("all children and statuses within", took, "s"),
            Figure("children", count * CHILDREN_PER_SITE / took, "children/s"),
            Figure("ratio to the bare loop", count * (CHILDREN_PER_SITE + 1) / took / bare, ""),
            Figure("operator CPU", cpu_seconds(process) - used, "s"),
            Figure("operator memory, resident", memory(process)[0], "MB"),
            Figure("operator memory, peak", memory(process)[1], "MB"),
        ]
        latencies = await edits(cluster, count, 200)
        figures.append(Figure("edit to child, p50", latencies[100] * 1000, "ms"))
        figures.append(Figure("edit to child, p99", latencies[197] * 1000, "ms"))
    return figures


def free_port() -> int:
    """A loopback port nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sites", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ControlPlane.start(Path(folder) / "plane", audit=True) as plane:
        for figure in asyncio.run(measure(plane, options.sites)):
            print(f"{figure.name:40s} {figure.value:10.2f} {figure.unit}")


if __name__ == "__main__":
    main()
