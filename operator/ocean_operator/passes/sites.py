"""The pass over a clinic's Kubernetes objects and its status."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from ocean_api import names
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_api.v1alpha1.status import ChildStatus, OceanSiteStatus
from ocean_operator.cluster import ClusterError
from ocean_operator.core.children import desired_children
from ocean_operator.core.facts import may_call, may_work
from ocean_operator.core.plan import ChildId, child_id, foreign_fields, plan
from ocean_operator.core.report import news
from ocean_operator.core.runs import due
from ocean_operator.core.site import Manifest, Site, SiteKey, read_status
from ocean_operator.core.status import Observation, is_settled, key_was_well, look_again, next_status
from ocean_operator.core.validate import Finding, findings
from ocean_operator.runtime import Runtime

_WAIT_FOR_STORES_SECONDS: Final = 2.0
_TRY_REFUSED_AGAIN_SECONDS: Final = 60.0
"""No event tells that a quota or policy was changed."""

_SETTLED_A_SECOND: Final = 20
"""Of how many settled clinics the stores are looked at after a restart, so that the others need not wait."""

log = structlog.get_logger(__name__)


async def run_pass(key: SiteKey, runtime: Runtime) -> float | None:
    """Bring one clinic to its spec and write down what was found.

    The queue runs one pass per clinic at a time, and again later if this raises. Returns seconds after which
    to look again although nothing happens, or None.
    """
    site = runtime.observed.site(key)
    if site is None:
        return None
    if site.deleting:
        # In that queue, so that nothing is stored for the clinic while its release takes everything away.
        runtime.externals.add(key)
        return None
    if _knows_too_little(site, runtime):
        _have_seen_to(site, runtime)
        await _go_on(site, runtime)
        return _WAIT_FOR_STORES_SECONDS
    return await _carry_out(site, runtime)


def _knows_too_little(site: Site, runtime: Runtime) -> bool:
    """Whether a status from before a restart would be overwritten by "not known yet"."""
    if runtime.stores is None or site.status.observed_generation == 0:
        return False
    return not runtime.reports_loaded or (runtime.key_finding(site) is None and not key_was_well(site.status))


async def _go_on(site: Site, runtime: Runtime) -> None:
    """Keep a clinic's objects as its spec says while the database cannot be asked whether it may work.

    Work that was scheduled goes on, unless the spec has stopped it since. The status waits.
    """
    if site.spec is None:
        return
    may = site.spec.is_enabled and not site.spec.suspend and not _wrong(site, site.spec, runtime)
    worked = site.status.sync.next_recent is not None
    delivered = any(child.kind == "Deployment" for child in site.status.children)
    await _write_children(site, runtime, works=may and worked, delivers=may and delivered)


async def _carry_out(site: Site, runtime: Runtime) -> float | None:
    now, facts = runtime.clock(), runtime.facts(site)
    children = site.status.children
    answered: dict[str, str] = {}
    wrong: tuple[Finding, ...] = ()
    if site.spec is not None:
        wrong = _wrong(site, site.spec, runtime)
        works, delivers = may_work(site, facts) and not wrong, may_call(site, facts) and not wrong
        children = await _write_children(site, runtime, works=works, delivers=delivers)
        if not wrong:
            answered = await _start_jobs(site, runtime)
            answered |= _retried(site, runtime)
            if runtime.stores and runtime.open_retry(site):
                runtime.externals.add(site.key)
            _have_seen_to(site, runtime)
    seen = Observation(facts=facts, findings=wrong, children=children, answered=answered)
    status = next_status(site, runtime.platform, seen, now=now)
    runtime.summaries[site.key] = status.summary
    if status != site.status:
        await _write_status(site, status, runtime)
    if not all(child.healthy for child in children):
        return _TRY_REFUSED_AGAIN_SECONDS
    when = look_again(site, runtime.platform, facts, now)
    return (when - now).total_seconds() if when else None


def _have_seen_to(site: Site, runtime: Runtime) -> None:
    """Have Vault and database looked at: at once where there is something to do, after a mere restart by and by."""
    if runtime.stores is None or runtime.is_seen_to(site):
        return
    if is_settled(site.status, site.generation):
        within = len(runtime.observed.site_keys()) / _SETTLED_A_SECOND
        runtime.externals.add_after(site.key, random.uniform(0, within))  # noqa: S311 - spreads load, guards nothing
    else:
        runtime.externals.add(site.key)


def _wrong(site: Site, spec: OceanSiteSpec, runtime: Runtime) -> tuple[Finding, ...]:
    neighbours = runtime.observed.neighbours(spec.site_number)
    return findings(site.key, spec, rules=runtime.platform.addresses, neighbours=neighbours)


def _retried(site: Site, runtime: Runtime) -> dict[str, str]:
    """The request that held messages be tried again, as far as it was carried out."""
    asked = site.requests.get(names.RETRY_HELD_REQUEST, "")
    return {} if runtime.open_retry(site) else {names.RETRY_HELD_REQUEST: asked}


async def _write_children(site: Site, runtime: Runtime, *, works: bool, delivers: bool) -> tuple[ChildStatus, ...]:
    """Apply what differs, delete what is not wanted, and say how each child stands."""
    desired = desired_children(site, runtime.platform, may_work=works, may_deliver=delivers)
    todo = plan(site, desired, runtime.observed.children(site.key), runtime.observed.recorded(site))
    refused: dict[ChildId, str] = {}
    for child in todo.apply:
        try:
            runtime.observed.wrote_child(await _apply(child, runtime), site.key)
        except ClusterError as error:
            if not error.is_refusal:
                raise
            refused[child_id(child)] = f"{error.reason}: {error.message}"
    for removal in todo.remove:
        await runtime.cluster.delete(removal.id.kind, removal.namespace, removal.id.name, uid=removal.uid)
    recorded = runtime.observed.recorded(site)
    return tuple(_child_status(child, recorded, refused) for child in desired)


async def _apply(child: Manifest, runtime: Runtime) -> Manifest:
    """Apply a child and take out what others have put into it. Returns it as it now stands."""
    answer = await runtime.cluster.apply(child)
    added = foreign_fields(answer)
    if not added:
        return answer
    return await runtime.cluster.reset(child, added, resource_version=answer["metadata"]["resourceVersion"])


def _child_status(child: Manifest, recorded: Mapping[ChildId, str], refused: Mapping[ChildId, str]) -> ChildStatus:
    ident = child_id(child)
    why = refused.get(ident, "")
    return ChildStatus(kind=ident.kind, name=ident.name, hash=recorded.get(ident, ""), healthy=not why, reason=why)


async def _start_jobs(site: Site, runtime: Runtime) -> dict[str, str]:
    """Create the Jobs that are due. Returns the requests answered: a request whose Job was not made stays open."""
    existing = {ident.name for ident in runtime.observed.children(site.key) if ident.kind == "Job"}
    wanted = due(site, runtime.platform, runtime.facts(site), existing, runtime.clock())
    for job in wanted.jobs:
        made = await runtime.cluster.create(job)
        if made:
            runtime.observed.saw_child({"kind": "Job", **made}, site.key)
            log.info("job started", site=str(site.key), job=job["metadata"]["name"])
    return wanted.answered


async def _write_status(site: Site, status: OceanSiteStatus, runtime: Runtime) -> None:
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": site.key.name, "namespace": site.key.namespace, "uid": site.uid},
        "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    try:
        answer = await runtime.cluster.apply(body, manager=names.STATUS_FIELD_MANAGER, subresource="status")
    except ClusterError as error:
        if error.is_missing or error.is_conflict:
            return  # Deleted, or another one by now: its event brings the next pass.
        raise
    runtime.observed.saw_site(answer)
    if read_status(answer.get("status") or {}) != status:
        log.warning("status was not taken over as written; is the CRD older than the operator?", site=str(site.key))
    await _tell(news(site, status, runtime.clock()), runtime)


async def _tell(events: Iterable[Manifest], runtime: Runtime) -> None:
    """Post events. The status is the truth: one that cannot be posted is logged and forgotten."""
    for event in events:
        try:
            await runtime.cluster.create(event)
        except ClusterError as error:
            log.warning("event not posted", reason=event["reason"], error=str(error))
