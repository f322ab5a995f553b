"""What kopf watches. Only `on.event`: it stores nothing and never touches an object.

Not `index` either, though it would hold back handlers until everything is known: every object that waits is woken for
every other one, so 1,000 clinics took minutes to start (docs/design/003-kopf.md). `health.whole_picture` says when the
picture is complete, and the queues wait for that.
"""

from __future__ import annotations

import os
from typing import Any

import kopf
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory

from ocean_api import names
from ocean_operator.cluster import RESOURCES
from ocean_operator.core.plan import ChildId
from ocean_operator.core.pods import why_not_starting
from ocean_operator.core.site import Manifest, SiteKey, read_site
from ocean_operator.handlers.selectors import OURS, WATCHED_CHILDREN
from ocean_operator.observed import owner_key
from ocean_operator.runtime import Runtime


def register(registry: kopf.OperatorRegistry, runtime: Runtime) -> None:
    """Have kopf watch the clinics, their children and their pods."""
    kopf.on.login(registry=registry)(_log_in)
    site = (names.GROUP, names.VERSION, names.PLURAL)
    kopf.on.event(*site, id="sites", registry=registry)(_site_event(runtime))
    for kind in WATCHED_CHILDREN:
        resource = _resource(kind)
        kopf.on.event(*resource, id=f"children-{kind}", registry=registry)(_child_event(runtime, kind))
    kopf.on.event(*_resource("Pod"), id="pods", registry=registry)(_pod_event(runtime))


def configure(settings: kopf.OperatorSettings) -> None:
    """Kopf's settings; the reasons are in docs/design/003-kopf.md."""
    watching, queueing, networking = settings.watching, settings.queueing, settings.networking
    watching.inactivity_timeout, watching.server_timeout, watching.client_timeout = 70, 600, 660
    watching.connect_timeout, watching.reconnect_backoff, watching.chunk_size = 10, 1.0, 50
    for kind in (*WATCHED_CHILDREN, "Pod"):
        watching.label_selectors[_resource(kind)] = OURS
    queueing.worker_limit, queueing.idle_timeout, queueing.exit_timeout = None, 0.1, 20
    networking.request_timeout, networking.connect_timeout = 30, 5
    networking.error_backoffs = [1, 2, 4, 8, 15]
    settings.persistence.diffbase_storage = _NothingStored()
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.execution.max_workers = 4
    settings.process.ultimate_exiting_timeout = 45


class _NothingStored(kopf.DiffBaseStorage):
    """For handlers of changes, which do not exist here, kopf copies and compares every body at every event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        raise AssertionError("only handlers of changes store anything")


class NothingRemembered(ResourceMemories):
    """Nothing is kept for an object between two of its events, where kopf would keep a kilobyte for each."""

    async def recall(self, *args: Any, **kwargs: Any) -> ResourceMemory:
        """A new memory, which nobody keeps."""
        return await super().recall(*args, **{**kwargs, "ephemeral": True})


def _resource(kind: str) -> tuple[str, str, str]:
    """Kopf's way to name a resource: (group, version, plural), with an empty group for the core's."""
    path, plural = RESOURCES[kind]
    *group, version = path.split("/")[1:]
    return "".join(group), version, plural


def _log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """The same credentials as `cluster.py` uses, found the same way."""
    if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"):
        return kopf.login_with_service_account(**kwargs)
    return kopf.login_with_kubeconfig(**kwargs)


def _site_event(runtime: Runtime) -> Any:
    async def changed(body: kopf.Body, type: str | None, **_: Any) -> None:  # noqa: A002 - kopf's name
        meta = body["metadata"]
        key = SiteKey(meta["namespace"], meta["name"])
        if type == "DELETED":
            _site_gone(key, dict(body), runtime)
        elif runtime.observed.saw_site(dict(body)):
            runtime.sites.add(key)

    return changed


def _site_gone(key: SiteKey, body: Manifest, runtime: Runtime) -> None:
    """Forget a clinic, and have it released where it was not: then it is still known, and its finalizer still on."""
    meta, known = body["metadata"], runtime.observed.site(key)
    unreleased = known is not None and known.uid == meta["uid"] and names.FINALIZER in meta.get("finalizers", ())
    for other in runtime.observed.lost_site(key, meta["uid"], int(meta["resourceVersion"])):
        runtime.sites.add(other)
    if runtime.observed.site(key) is None:
        runtime.forget(key)
    if unreleased and runtime.stores:
        runtime.departed[key] = read_site(body)
        runtime.externals.add(key)


def _child_event(runtime: Runtime, kind: str) -> Any:
    async def changed(body: kopf.Body, type: str | None, **_: Any) -> None:  # noqa: A002 - kopf's name
        key, meta = owner_key(body), body["metadata"]
        if key is None:
            return
        if type == "DELETED":
            ident, version = ChildId(kind, meta["name"]), int(meta["resourceVersion"])
            if runtime.observed.lost_child(ident, meta["uid"], key, version):
                runtime.sites.add(key)
            return
        for clinic in runtime.observed.saw_child({"kind": kind, **body}, key):
            runtime.sites.add(clinic)

    return changed


def _pod_event(runtime: Runtime) -> Any:
    async def changed(body: kopf.Body, type: str | None, **_: Any) -> None:  # noqa: A002 - kopf's name
        key, meta = owner_key(body), body["metadata"]
        problem = "" if type == "DELETED" else why_not_starting(dict(body))
        component = meta.get("labels", {}).get(names.COMPONENT_LABEL, "")
        if key and runtime.observed.saw_pod(key, meta["name"], problem, component=component):
            runtime.sites.add(key)

    return changed
