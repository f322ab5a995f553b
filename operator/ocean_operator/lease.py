"""Leadership by a Lease (coordination.k8s.io/v1): one replica works, the others stand by.

The rules are client-go's (k8s.io/client-go/tools/leaderelection): a candidate trusts its own monotonic clock for
how long it has seen a lease unchanged, never the times written in it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from ocean_operator.cluster import Cluster, ClusterError

NAME: Final = "ocean-operator"
log = structlog.get_logger(__name__)


class LeadershipLostError(Exception):
    """The Lease could not be renewed in time: another replica may lead now, so this process must end."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A lease as it was seen, and when that state was first seen by our own clock."""

    holder: str
    renewed: str
    since: float


def may_take(sight: Sight | None, me: str, now: float, lease_seconds: float) -> bool:
    """Whether a candidate may write itself into the lease: it is free, its own, or seen unchanged for too long."""
    return sight is None or sight.holder in {"", me} or now - sight.since > lease_seconds


class Leadership:
    """One candidate for the Lease.

    Args:
        cluster: Where the Lease lives.
        namespace: In which namespace.
        identity: Unique per process.
        lease_seconds: Others may take over after this long without renewal. Renewal is given up after two
            thirds of it, and tried six times in that time.
    """

    def __init__(self, cluster: Cluster, namespace: str, identity: str, *, lease_seconds: int) -> None:
        self._cluster, self._namespace, self._me = cluster, namespace, identity
        self._lease_seconds = lease_seconds
        self._retry = lease_seconds / 8
        self._sight: Sight | None = None
        self._lease: dict[str, Any] | None = None

    async def acquire(self) -> None:
        """Return when this process leads."""
        while not await self._attempt():  # noqa: ASYNC110 - the API server is what is waited for
            await asyncio.sleep(self._retry)
        log.info("leading", lease=NAME, holder=self._me)

    async def keep(self) -> None:
        """Renew for ever. Raises LeadershipLostError when that failed for too long."""
        clock = asyncio.get_running_loop().time
        renewed = clock()
        while True:
            await asyncio.sleep(self._retry)
            try:
                async with asyncio.timeout(self._retry * 2):
                    succeeded = await self._attempt()
            except TimeoutError:
                succeeded = False
            if succeeded:
                renewed = clock()
            elif clock() - renewed > self._lease_seconds * 2 / 3:
                raise LeadershipLostError(f"lease {NAME} was not renewed for {clock() - renewed:.0f} s")

    async def release(self) -> None:
        """Give the lease back, so that the next replica need not wait."""
        if self._lease is None:
            return
        self._lease["spec"].update({"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()})
        try:
            await self._cluster.replace(self._lease)
        except ClusterError as error:
            log.info("lease not released", error=str(error))

    async def _attempt(self) -> bool:
        try:
            return await self._take_or_renew()
        except ClusterError as error:
            if not error.is_conflict:
                log.warning("lease not reachable", error=str(error))
            return False

    async def _take_or_renew(self) -> bool:
        now = asyncio.get_running_loop().time()
        body = await self._cluster.get("Lease", self._namespace, NAME)
        if body is None:
            self._lease = await self._cluster.create(self._mine(None))
            return self._lease is not None
        spec = body["spec"]
        holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
        if self._sight is None or (self._sight.holder, self._sight.renewed) != (holder, renewed):
            self._sight = Sight(holder, renewed, now)
        if not may_take(self._sight, self._me, now, spec.get("leaseDurationSeconds") or self._lease_seconds):
            return False
        self._lease = await self._cluster.replace(self._mine(body))
        return True

    def _mine(self, old: dict[str, Any] | None) -> dict[str, Any]:
        spec = dict(old["spec"]) if old else {"leaseTransitions": 0}
        if spec.get("holderIdentity") != self._me:
            spec["acquireTime"] = _now()
            spec["leaseTransitions"] = spec.get("leaseTransitions", 0) + (1 if old else 0)
        spec.update({"holderIdentity": self._me, "leaseDurationSeconds": self._lease_seconds, "renewTime": _now()})
        meta = old["metadata"] if old else {"name": NAME, "namespace": self._namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
