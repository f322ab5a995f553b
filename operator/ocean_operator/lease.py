"""Leadership by a Lease (coordination.k8s.io/v1): one replica works, the others stand by.

The rules are client-go's (k8s.io/client-go/tools/leaderelection): a candidate trusts its own monotonic clock for
how long it has seen a lease unchanged, never the times written in it. The leader looks at its own clock before
everything that only a leader may do, because it may have been asleep since it renewed.
"""

from __future__ import annotations

import asyncio
import time
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
        lease_seconds: Others may take over after this long without renewal. Leadership ends by itself after two
            thirds of it; until then renewal is tried again every eighth, an attempt taking a third at most.
    """

    def __init__(self, cluster: Cluster, namespace: str, identity: str, *, lease_seconds: int) -> None:
        self._cluster, self._namespace, self._me = cluster, namespace, identity
        self._lease_seconds = lease_seconds
        self._retry = lease_seconds / 8
        self._sight: Sight | None = None
        self._lease: dict[str, Any] | None = None
        self._good_until = 0.0

    async def acquire(self) -> None:
        """Return when this process leads."""
        while not await self._attempt():  # noqa: ASYNC110 - the API server is what is waited for
            await asyncio.sleep(self._retry)
        log.info("leading", lease=NAME, holder=self._me)

    async def keep(self) -> None:
        """Renew for ever. Raises LeadershipLostError when that failed for too long."""
        while True:
            await asyncio.sleep(self._retry)
            try:
                async with asyncio.timeout(min(self._lease_seconds / 3, self._good_until - time.monotonic())):
                    await self._attempt()
            except TimeoutError:
                log.warning("lease not renewed in time", lease=NAME)
            self.check()

    def check(self) -> None:
        """Raise LeadershipLostError unless it is certain that nobody else leads. Any thread may ask.

        By the system's clock: an event loop's own stands still for as long as the process did.
        """
        late = time.monotonic() - self._good_until
        if late > 0:
            raise LeadershipLostError(f"lease {NAME} was not renewed in time; that was {late:.0f} s ago")

    async def release(self) -> None:
        """Give the lease back while it is certainly ours, so that the next replica need not wait."""
        if self._lease is None or time.monotonic() > self._good_until:
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
        now = time.monotonic()
        body = await self._cluster.get("Lease", self._namespace, NAME)
        if body is None:
            self._lease = await self._cluster.create(self._mine(None))
            return self._renewed(now) if self._lease else False
        spec = body["spec"]
        holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
        if self._sight is None or (self._sight.holder, self._sight.renewed) != (holder, renewed):
            self._sight = Sight(holder, renewed, now)
        if not may_take(self._sight, self._me, now, spec.get("leaseDurationSeconds") or self._lease_seconds):
            return False
        self._lease = await self._cluster.replace(self._mine(body))
        return self._renewed(now)

    def _renewed(self, since: float) -> bool:
        """Others wait a whole lease from when they saw this renewal, which was after `since`."""
        self._good_until = since + self._lease_seconds * 2 / 3
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
