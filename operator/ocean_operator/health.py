"""Whether the watches still tell the truth: every few minutes what they showed is compared with a LIST.

kopf hides the bookmarks that would show a silent watch, and an object deleted while a watch was being renewed
stays in the picture for ever (docs/design/003-kopf.md). A process that finds itself wrong fails its liveness
probe: a restart reads everything anew within seconds, and writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from ocean_api import names
from ocean_operator.cluster import Cluster, ClusterError
from ocean_operator.handlers.selectors import OURS, WATCHED_CHILDREN
from ocean_operator.metrics import WATCH_AGE, WATCH_LOSSES
from ocean_operator.observed import Observed

_LOOK_AGAIN_SECONDS: Final = 0.2
_LOOKS_IN_VAIN: Final = 5
_GRACE_SECONDS: Final = 10.0
"""How far an event may be behind a LIST before it counts as lost."""

log = structlog.get_logger(__name__)

Name = tuple[str, str]


@dataclass(slots=True)
class Health:
    """What the liveness probe answers from."""

    lost: dict[str, int] = field(default_factory=dict)
    """Objects wrongly known, by kind; empty while all is well."""

    @property
    def is_live(self) -> bool:
        """False when only a restart helps."""
        return not self.lost


def losses(seen: Mapping[Name, int], listed: Mapping[Name, int], list_version: int) -> set[Name]:
    """Objects that a watch has missed: there and unknown, known and older than listed, or known and long gone.

    An object that is not listed, but newer than the list, was made after it.
    """
    behind = {name for name, version in listed.items() if seen.get(name, -1) < version}
    ghosts = {name for name, version in seen.items() if name not in listed and version <= list_version}
    return behind | ghosts


async def whole_picture(cluster: Cluster, observed: Observed) -> None:
    """Return when the watches have shown everything that a LIST shows: from then on decisions can be made."""
    for kind in (names.KIND, *WATCHED_CHILDREN):
        await _shown(kind, cluster, observed)


async def _shown(kind: str, cluster: Cluster, observed: Observed) -> None:
    """Wait for what one LIST shows. Another is made only when nothing comes any more: the rest may be gone by now."""
    listing, missing, looks = await _list(kind, cluster), set[Name](), 0
    while found := losses(observed.versions(kind), *listing):
        looks = looks + 1 if found == missing else 0
        if looks >= _LOOKS_IN_VAIN:
            listing, looks = await _list(kind, cluster), 0
        missing = found
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def audit_watches(cluster: Cluster, observed: Observed, health: Health, *, every_seconds: float) -> None:
    """Compare for ever, and note in `health` what is wrong."""
    clock = asyncio.get_running_loop().time
    last = clock()
    WATCH_AGE.set_function(lambda: clock() - last)
    while True:
        await asyncio.sleep(every_seconds)
        try:
            health.lost = await audit_once(cluster, observed, grace_seconds=_GRACE_SECONDS)
        except ClusterError as error:
            log.warning("watches not audited", error=str(error))
            continue
        last = clock()


async def audit_once(cluster: Cluster, observed: Observed, *, grace_seconds: float) -> dict[str, int]:
    """Objects wrongly known, by kind. Takes `grace_seconds`, so that events under way can arrive."""
    listings = {kind: await _list(kind, cluster) for kind in (names.KIND, *WATCHED_CHILDREN)}
    suspects = {kind: losses(observed.versions(kind), *listing) for kind, listing in listings.items()}
    if not any(suspects.values()):
        return {}
    await asyncio.sleep(grace_seconds)
    wrong: dict[str, int] = {}
    for kind in (kind for kind, objects in suspects.items() if objects):
        now, now_version = await _list(kind, cluster)
        # What was missed at first, as far as it still stands: an object may change or go all the time.
        missed = {name: min(version, now[name]) for name, version in listings[kind][0].items() if name in now}
        still = suspects[kind] & losses(observed.versions(kind), {**now, **missed}, now_version)
        if still:
            wrong[kind] = len(still)
            WATCH_LOSSES.labels(kind).inc(len(still))
            log.error("a watch has gone silent", kind=kind, objects=len(still))
    return wrong


async def _list(kind: str, cluster: Cluster) -> tuple[dict[Name, int], int]:
    return await cluster.versions(kind, selector="" if kind == names.KIND else OURS)
