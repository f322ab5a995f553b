"""A fleet of clinics for benchmarks, and the bare loop that the operator is compared with."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final

from ocean_api import names
from ocean_operator.cluster import Cluster
from ocean_operator.core.children import desired_children
from ocean_operator.core.plan import with_hash
from ocean_operator.core.platform import Platform
from ocean_operator.core.site import read_site

CHILD_KINDS: Final = ("ServiceAccount", "ConfigMap", "NetworkPolicy", "CronJob")
CHILDREN: Final = 5
NAMESPACES: Final = 10
AT_ONCE: Final = 16
_BARE: Final = "bare"
_BARE_NUMBERS: Final = 500_000
Body = dict[str, Any]
Call = Callable[[], Awaitable[Any]]


def site(number: int, *, days: int = 1) -> Body:
    """The OceanSite of clinic `number`."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": f"clinic-{number:05d}", "namespace": f"fleet-{number % NAMESPACES}"},
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


def namespaces() -> list[str]:
    """Those that must exist."""
    return [_BARE, *(f"fleet-{number}" for number in range(NAMESPACES))]


async def gather(calls: Iterable[Call]) -> None:
    """Make `calls`, `AT_ONCE` at a time."""
    waiting = iter(calls)

    async def worker() -> None:
        for call in waiting:
            await call()

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def apply_all(cluster: Cluster, count: int) -> None:
    """Apply the whole fleet at once."""
    await gather(functools.partial(cluster.apply, site(number), manager="bench") for number in range(count))


async def bare_loop(cluster: Cluster, count: int) -> float:
    """Server-side applies a second of what the operator writes for `count` clinics, children and statuses, without it.

    Its clinics are gone before an operator starts; what was made for them carries neither the label nor the owner that
    would have the operator look at it.
    """
    clinics = []
    for number in range(count):
        body = site(_BARE_NUMBERS + number)
        clinics.append({**body, "metadata": {"name": f"bare-{number:05d}", "namespace": _BARE}})
    await gather(functools.partial(cluster.apply, body, manager="bench") for body in clinics)
    writes: list[Call] = []
    for body in clinics:
        head = {key: body[key] for key in ("apiVersion", "kind", "metadata")}
        writes += [functools.partial(cluster.apply, child) for child in _like_children(body)]
        status = {"observedGeneration": 1, "summary": "Bare", "conditions": []}
        writes.append(functools.partial(cluster.apply, {**head, "status": status}, subresource="status"))
    began = time.monotonic()
    await gather(writes)
    took = time.monotonic() - began
    listed = [c for c in await cluster.find(names.KIND, field_selector="") if c["metadata"]["namespace"] == _BARE]
    for meta in (clinic["metadata"] for clinic in listed):
        await cluster.delete(names.KIND, _BARE, meta["name"], uid=meta["uid"])
    return len(writes) / took


def _like_children(body: Body) -> list[Body]:
    seen = read_site({**body, "metadata": {**body["metadata"], "uid": "none", "resourceVersion": "1"}})
    found = []
    for child in desired_children(seen, Platform(image="bare"), may_work=False):
        child["metadata"].pop("ownerReferences")
        child["metadata"]["labels"].pop(names.MANAGED_BY_LABEL)
        found.append(with_hash(child))
    return found


async def is_complete(cluster: Cluster, count: int) -> bool:
    """Whether every clinic has all its children, owned by itself, and a status."""
    sites = await cluster.find(names.KIND, field_selector="")
    told = sum(1 for s in sites if s.get("status", {}).get("observedGeneration"))
    owned = 0
    for kind in CHILD_KINDS:
        found, _ = await cluster.versions(kind, selector=f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY}")
        owned += len(found)
    return told == count and owned == count * CHILDREN


def writes_by(user: str, audit: Path, offset: int) -> int:
    """Writes of `user` in the API server's audit log after `offset` bytes, but for its Lease."""
    with audit.open("rb") as lines:
        lines.seek(offset)
        entries = [json.loads(line) for line in lines]
    changing = {"create", "update", "patch", "delete"}
    return sum(
        1
        for entry in entries
        if entry["user"].get("username") == user
        and entry["verb"] in changing
        and entry["objectRef"]["resource"] != "leases"
    )
