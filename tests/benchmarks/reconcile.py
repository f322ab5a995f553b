"""How fast the operator turns many OceanSites into objects, beside a bare loop of server-side applies in the same run.

`python -m benchmarks.reconcile [--sites N] [--stores]` on a control plane of its own, where no pod runs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from benchmarks import fleet
from benchmarks.figures import Figures, cpu_seconds, memory_mb
from cluster.operators import OperatorProcess, running_operator
from integration.installation import CONTROL_NAMESPACE, Installation, make_reviewer, surroundings
from ocean_api import crdgen, names
from ocean_dev.control_plane import ControlPlane
from ocean_dev.servers.openbao import openbao
from ocean_dev.servers.postgres import postgres
from ocean_emr.store.migrate import migrate
from ocean_operator.cluster import Cluster

USER = "ocean-operator-bench"


@dataclass
class Bench:
    """One control plane, its operator's surroundings, and what was measured."""

    plane: ControlPlane
    folder: Path
    count: int
    environment: dict[str, str]
    with_stores: bool
    figures: Figures = field(default_factory=Figures)

    @contextlib.contextmanager
    def operator(self) -> Iterator[OperatorProcess]:
        """The operator under a user of its own, which the audit log tells from everybody else."""
        with running_operator(self.plane, self.folder / "operator.log", **self.environment) as process:
            yield process

    def audited(self) -> int:
        """How long the audit log is now."""
        return self.plane.audit_log.stat().st_size


async def measure(bench: Bench) -> None:
    """Every figure, in the order of docs/benchmarks.md."""
    cluster = await Cluster.connect(at_once=fleet.AT_ONCE)
    bare = await fleet.bare_loop(cluster, min(bench.count, 300))
    bench.figures.add("bare loop of server-side applies", bare, "objects/s")
    objects = bench.count * (fleet.CHILDREN + 1)
    with bench.operator() as process:
        await _until(lambda: process.leads)
        await _applied_at_once(bench, cluster, process, bare, objects)
        await _edits(bench, cluster)
        await _again(bench, cluster, process, objects)
    await _restart(bench)


async def _applied_at_once(bench: Bench, cluster: Cluster, process: OperatorProcess, bare: float, objects: int) -> None:
    used, began = cpu_seconds(process.running.pid), time.monotonic()
    await fleet.apply_all(cluster, bench.count)
    await _until(lambda: _written(process) >= objects)
    took = time.monotonic() - began
    await _complete(bench, cluster)
    add = bench.figures.add
    add(f"{bench.count} sites applied at once, all children and statuses", took, "s")
    add("children", bench.count * fleet.CHILDREN / took, "children/s")
    add("children and statuses, ratio to the bare loop", objects / took / bare, "")
    add("operator, CPU for it", cpu_seconds(process.running.pid) - used, "s")
    add("operator, resident memory", memory_mb(process.running.pid), "MB")


async def _edits(bench: Bench, cluster: Cluster) -> None:
    """From the answer to an edit to its ConfigMap changed."""
    seconds = []
    for turn in range(200):
        body = fleet.site((turn * 37) % bench.count, days=2 + turn % 20)
        namespace, name = body["metadata"]["namespace"], names.child(body["metadata"]["name"], "site")
        before = await cluster.get("ConfigMap", namespace, name)
        await cluster.apply(body, manager="bench")
        began = time.monotonic()
        while (await cluster.get("ConfigMap", namespace, name) or {}).get("data") == (before or {}).get("data"):
            pass
        seconds.append(time.monotonic() - began)
    seconds.sort()
    bench.figures.add("edit of one site to its child, p50", seconds[100] * 1000, "ms")
    bench.figures.add("edit of one site to its child, p99", seconds[197] * 1000, "ms")


async def _again(bench: Bench, cluster: Cluster, process: OperatorProcess, objects: int) -> None:
    """All sites deleted and re-created at once, while old children are still being collected."""
    began, before = time.monotonic(), _written(process)
    for number in range(fleet.NAMESPACES):
        bench.plane.kubectl("delete", names.PLURAL, "--all", f"--namespace=fleet-{number}", "--wait=false")
    if bench.with_stores:
        await _until_none(cluster)
    await fleet.apply_all(cluster, bench.count)
    await _until(lambda: _written(process) - before >= objects)
    await _complete(bench, cluster)
    bench.figures.add("all sites deleted and re-created, every child back", time.monotonic() - began, "s")


async def _restart(bench: Bench) -> None:
    """A restart with nothing changed: writes by the audit log, and how long until every site was looked at."""
    offset, began = bench.audited(), time.monotonic()
    with bench.operator() as process:
        await _until(lambda: process.metric("ocean_workqueue_work_seconds_count", 'queue="sites"') >= bench.count)
        took = time.monotonic() - began
        await asyncio.sleep(2)
        bench.figures.add("restart without change, until every site was looked at", took, "s")
        bench.figures.add("restart without change, resident memory", memory_mb(process.running.pid), "MB")
    writes = fleet.writes_by(USER, bench.plane.audit_log, offset)
    bench.figures.add("restart without change, writes but for the Lease", writes, "")


def _written(process: OperatorProcess) -> float:
    return process.metric("ocean_api_writes_total", 'verb="apply"')


async def _complete(bench: Bench, cluster: Cluster) -> None:
    deadline = time.monotonic() + 300
    while not await fleet.is_complete(cluster, bench.count):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not every child is there; see {bench.folder / 'operator.log'}")
        await asyncio.sleep(0.5)


async def _until_none(cluster: Cluster) -> None:
    """Wait until the deleted sites are gone: they wait for Vault and database."""
    while (await cluster.versions(names.KIND))[0]:  # noqa: ASYNC110 - the operator is what is waited for
        await asyncio.sleep(0.2)


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - another process is what is waited for
        await asyncio.sleep(0.05)


def _prepare(plane: ControlPlane) -> None:
    plane.kubectl("apply", "--server-side", "--filename=-", input=crdgen.crd_yaml())
    plane.kubectl("wait", "--for=condition=Established", f"crd/{names.PLURAL}.{names.GROUP}")
    for name in fleet.namespaces():
        plane.kubectl("create", "namespace", name)
    plane.kubectl("create", "clusterrolebinding", "bench", "--clusterrole=cluster-admin", f"--user={USER}")


@contextlib.contextmanager
def _stores(plane: ControlPlane, folder: Path) -> Iterator[dict[str, str]]:
    """Vault and PostgreSQL as the chart sets them up. Gives the operator's settings."""
    with postgres() as database, openbao(surroundings(plane, database, make_reviewer(plane))) as bao:
        installed = Installation(plane, database, bao, folder)
        installed.prepare()
        anyio.run(migrate, installed.migrate_settings())
        jwt = plane.service_account_token(CONTROL_NAMESPACE, "ocean-operator", audience=names.VAULT_AUDIENCE)
        yield {
            "OCEAN_VAULT_ADDRESS": bao.address,
            "OCEAN_VAULT_CA_FILE": str(bao.ca_file),
            "OCEAN_VAULT_TOKEN_FILE": str(installed.token_file(jwt)),
            "OCEAN_DATABASE_HOST": database.host,
            "OCEAN_DATABASE_PORT": str(database.port),
            "OCEAN_DATABASE_CA_FILE": str(database.ca_file),
        }


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--stores", action="store_true", help="with Vault and PostgreSQL declared")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plane = stack.enter_context(ControlPlane.start(folder / "plane", audit=True))
        os.environ["KUBECONFIG"] = str(plane.kubeconfig)
        _prepare(plane)
        environment = stack.enter_context(_stores(plane, folder)) if options.stores else {}
        if not options.stores:
            plane.kubectl("create", "namespace", CONTROL_NAMESPACE)
        environment["KUBECONFIG"] = str(plane.user_kubeconfig(USER))
        bench = Bench(plane, folder, options.sites, environment, options.stores)
        asyncio.run(measure(bench))
    sys.stdout.write(bench.figures.as_text("with stores" if options.stores else "without stores"))


if __name__ == "__main__":
    main()
