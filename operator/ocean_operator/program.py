"""The operator: serve probes and admission at once, lead when the Lease is ours, end when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import shuffle
from typing import Any

import kopf
import structlog
import uvloop

from ocean_operator.cluster import Cluster, ClusterError
from ocean_operator.core.site import SiteKey
from ocean_operator.database import Database
from ocean_operator.handlers.watches import NothingRemembered, configure, register
from ocean_operator.health import Health, audit_watches, whole_picture
from ocean_operator.lease import Leadership, LeadershipLostError
from ocean_operator.logs import configure_logs
from ocean_operator.metrics import LEADER, SITES
from ocean_operator.passes.sites import run_pass
from ocean_operator.passes.stores import run_stores_pass
from ocean_operator.queues import follow_queues
from ocean_operator.reports import follow_reports
from ocean_operator.runtime import Runtime, Stores, platform_of
from ocean_operator.server import probe_app, server, webhook_app
from ocean_operator.settings import OperatorSettings
from ocean_operator.vault import Vault
from ocean_operator.webhook_tls import publish, reload_context, shared_certificate, write_files
from ocean_operator.workqueue import WorkQueue

_LOOK_AT_TRUST_SECONDS = 300
"""Reads only: whoever takes our authority out of the webhook configuration has every OceanSite refused."""
_METRIC_SECONDS = 15
log = structlog.get_logger(__name__)


def main() -> None:
    """Run until told to stop. Exit status: 0 stopped, 1 leadership lost or a part failed."""
    settings = OperatorSettings()
    configure_logs()
    try:
        uvloop.run(run(settings))
    except* LeadershipLostError as lost:
        log.error("leadership lost", error=str(_innermost(lost)))  # noqa: TRY400 - a traceback says no more
        sys.exit(1)


def _innermost(error: BaseException) -> BaseException:
    """The first real exception in nested groups of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def run(settings: OperatorSettings) -> None:
    """The whole operator, until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    _stop_on_signals(stop)
    cluster = await Cluster.connect()
    health = Health()
    leadership = Leadership(cluster, settings.namespace, settings.pod_name, lease_seconds=settings.lease_seconds)
    may_act = leadership.check if settings.leader_election else _always
    runtime = Runtime(settings, platform_of(settings), cluster.guarded(may_act), _stores(settings, may_act))
    try:
        with tempfile.TemporaryDirectory(prefix="ocean-webhook-") as folder:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(_serve_probes(settings, health)),
                    group.create_task(_serve_admission(runtime, cluster, Path(folder))),
                    group.create_task(_lead(runtime, leadership, health, stop)),
                ]
                await stop.wait()
                await tasks.pop()
                for task in tasks:
                    task.cancel()
    finally:
        await cluster.close()


def _stop_on_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


def _always() -> None:
    """Where nobody else can run, leadership is never in doubt."""


def _stores(settings: OperatorSettings, may_act: Callable[[], None]) -> Stores | None:
    if not settings.has_stores:
        return None
    vault = Vault(
        settings.vault_address,
        ca_file=settings.vault_ca_file,
        token_file=settings.vault_token_file,
        may_act=may_act,
    )
    database = Database(
        settings.database_host,
        settings.database_port,
        ca_file=settings.database_ca_file,
        login=vault.database_login,
        may_act=may_act,
    )
    return Stores(vault, database)


async def _serve_probes(settings: OperatorSettings, health: Health) -> None:
    probes, _ = server(probe_app(health), settings.listen_host, settings.probe_port)
    await probes.serve()


async def _serve_admission(runtime: Runtime, cluster: Cluster, folder: Path) -> None:
    """Answer admission reviews, and keep the certificate and the API server's trust in it fresh: not only as leader."""
    settings = runtime.settings
    if not settings.webhook_port:
        return
    service = f"{settings.webhook_service}.{settings.namespace}.svc"
    hosts = [service, f"{service}.cluster.local", "localhost", "127.0.0.1"]
    certificate = await shared_certificate(cluster, settings.namespace, hosts, runtime.clock())
    app = webhook_app(cluster, runtime.platform.addresses)
    hooks, context = server(app, settings.listen_host, settings.webhook_port, write_files(certificate, folder))
    async with asyncio.TaskGroup() as group:
        group.create_task(hooks.serve())
        while True:
            # The API server first: it trusts the old authority and the new one, and this replica changes next.
            if settings.webhook_configuration:
                await publish(cluster, settings.webhook_configuration, certificate)
            if context is not None:
                reload_context(context, certificate, folder)
            await asyncio.sleep(_LOOK_AT_TRUST_SECONDS)
            certificate = await shared_certificate(cluster, settings.namespace, hosts, datetime.now(UTC))


async def _lead(runtime: Runtime, leadership: Leadership, health: Health, stop: asyncio.Event) -> None:
    """Wait for the Lease, work while it is held, give it back. Raises LeadershipLostError when it is lost."""
    settings = runtime.settings
    if settings.leader_election and not await _unless_stopped(leadership.acquire(), stop):
        return
    LEADER.set(1)
    try:
        async with asyncio.TaskGroup() as group:
            work = group.create_task(_work(runtime, health, stop))
            keeping = group.create_task(leadership.keep()) if settings.leader_election else None
            await stop.wait()
            work.cancel()
            if keeping:
                keeping.cancel()
    finally:
        LEADER.set(0)
        await leadership.release()


async def _unless_stopped(acquiring: object, stop: asyncio.Event) -> bool:
    """Whether leadership came before the end."""
    attempt = asyncio.ensure_future(acquiring)  # type: ignore[call-overload]
    ending = asyncio.ensure_future(stop.wait())
    await asyncio.wait({attempt, ending}, return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if attempt.done():
        attempt.result()
        return True
    attempt.cancel()
    return False


async def _work(runtime: Runtime, health: Health, stop: asyncio.Event) -> None:
    """Everything only the leader does, until cancelled."""
    settings = runtime.settings
    runtime.sites = WorkQueue("sites", lambda key: run_pass(key, runtime), workers=settings.workers)
    runtime.externals = WorkQueue(
        "stores", lambda key: run_stores_pass(key, runtime), workers=settings.external_workers
    )
    kopf_settings, registry = kopf.OperatorSettings(), kopf.OperatorRegistry()
    configure(kopf_settings)
    register(registry, runtime)
    async with contextlib.AsyncExitStack() as stack:
        if runtime.stores:
            await runtime.stores.database.open()
            stack.push_async_callback(runtime.stores.database.close)
            stack.callback(runtime.stores.vault.close)
        async with asyncio.TaskGroup() as group:
            group.create_task(_complete(runtime))
            for queue in (runtime.sites, runtime.externals):
                group.create_task(_work_off(queue, runtime.complete))
            if runtime.stores:
                group.create_task(follow_reports(runtime, runtime.stores))
                group.create_task(follow_queues(runtime, runtime.stores))
            group.create_task(_watch(registry, kopf_settings, stop, settings.pod_name))
            group.create_task(_resync(runtime))
            group.create_task(_count(runtime))
            group.create_task(
                audit_watches(runtime.cluster, runtime.observed, health, every_seconds=settings.audit_index_seconds)
            )


async def _complete(runtime: Runtime) -> None:
    """Let the queues begin once everything that exists is known."""
    while True:
        try:
            await whole_picture(runtime.cluster, runtime.observed)
        except ClusterError as error:
            log.warning("what exists is not known yet", error=str(error))
            await asyncio.sleep(1)
        else:
            runtime.complete.set()
            return


async def _work_off(queue: WorkQueue[SiteKey], picture_complete: asyncio.Event) -> None:
    """What else fills the queues, such as the pods' reports, may come before the watches have shown everything."""
    await picture_complete.wait()
    await queue.run()


async def _watch(
    registry: kopf.OperatorRegistry, settings: kopf.OperatorSettings, stop: asyncio.Event, name: str
) -> None:
    """Run kopf until cancelled. Its end is the operator's end, whatever caused it.

    kopf takes the process's signals when it starts. They are taken back: stopped by a signal it waits five
    seconds for other people's tasks (kopf/_core/reactor/running.py), and the Lease would be kept as long.
    """
    who: Any = name  # kopf's own guess asks for the user's name, and a pod's user has none
    started = asyncio.Event()
    taking_back = asyncio.create_task(_listen_again(started, stop))
    try:
        await kopf.operator(
            registry=registry,
            settings=settings,
            memories=NothingRemembered(),
            clusterwide=True,
            standalone=True,
            ready_flag=started,
            identity=who,
        )
    finally:
        taking_back.cancel()
    stop.set()


async def _listen_again(started: asyncio.Event, stop: asyncio.Event) -> None:
    await started.wait()
    _stop_on_signals(stop)


async def _resync(runtime: Runtime) -> None:
    """Have every clinic looked at now and then, in another order each time, spread over the interval."""
    while True:
        await asyncio.sleep(runtime.settings.resync_seconds)
        keys = list(runtime.observed.site_keys())
        shuffle(keys)
        for place, key in enumerate(keys):
            delay = place * runtime.settings.resync_seconds / len(keys)
            runtime.sites.add_after(key, delay)
            if runtime.stores:
                runtime.waiting.pop(key, None)
                runtime.externals.add_after(key, delay)


async def _count(runtime: Runtime) -> None:
    """Keep the metric of clinics by reason."""
    while True:
        await asyncio.sleep(_METRIC_SECONDS)
        counts: dict[str, int] = {}
        for reason in runtime.summaries.values():
            counts[reason] = counts.get(reason, 0) + 1
        SITES.clear()
        for reason, count in counts.items():
            SITES.labels(reason).set(count)
