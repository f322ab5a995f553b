"""Which Jobs must be started now: checks, the first full synchronisation, requests, and full runs the clock missed.

Every Job's name follows from what it answers, so it is made once however often a pass runs or dies. A Job
that did not answer is made again when its time to live has removed it: that is the pause between tries.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from ocean_api import names
from ocean_api.report import SyncKind, Trigger
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_operator.core.facts import (
    ACCESS_REASONS,
    Facts,
    check_is_current,
    check_token,
    check_waits_until,
    may_work,
    token,
    window_token,
)
from ocean_operator.core.parts.common import manifest
from ocean_operator.core.parts.cron_jobs import SYNC_COMPONENT, SyncRun, sync_job_spec
from ocean_operator.core.parts.pods import QUIET, pod_template
from ocean_operator.core.platform import Platform
from ocean_operator.core.schedule import previous_full, slots
from ocean_operator.core.site import Manifest, Site

CHECK_COMPONENT: Final = "check"
RETRY_SECONDS: Final = 120
"""A check that found a problem, or a first synchronisation that failed, is tried again after this long."""
MISSED_AFTER: Final = timedelta(hours=2)
"""A full run that has not begun this long after its time is started by the operator."""


@dataclass(frozen=True, slots=True)
class Due:
    """Jobs to create, and the requests that are answered by them."""

    jobs: tuple[Manifest, ...] = ()
    answered: dict[str, str] = field(default_factory=dict)
    """Request annotation to the token that is handled now."""


def due(site: Site, platform: Platform, facts: Facts, existing: Collection[str], now: datetime) -> Due:
    """What must be started.

    Args:
        site: The clinic.
        platform: What the installation adds.
        facts: What is known of it.
        existing: Names of the clinic's Jobs in the cluster.
        now: For full runs that the clock missed, and checks that wait.
    """
    spec = site.spec
    if spec is None or spec.suspend or not spec.is_enabled or not platform.has_stores:
        return Due()
    jobs: list[Manifest] = []
    answered: dict[str, str] = {}
    if _check_due(site, facts, now):
        jobs.append(_check_job(site, spec, platform, check_token(site, facts)))
    if check_is_current(site, facts):
        answered[names.REAUTHORIZE_REQUEST] = site.requests.get(names.REAUTHORIZE_REQUEST, "")
    if may_work(site, facts):
        syncs = _syncs(site, spec, platform, facts, now)
        jobs += [_sync_job(site, run, sync_job_spec(site, spec, platform, run)) for run in syncs]
        for annotation in (names.SYNC_RECENT_REQUEST, names.SYNC_FULL_REQUEST):
            answered[annotation] = site.requests.get(annotation, "")
    return Due(tuple(job for job in jobs if job["metadata"]["name"] not in existing), answered)


def _check_due(site: Site, facts: Facts, now: datetime) -> bool:
    if facts.key is None or facts.key.version == 0 or facts.key_problem:
        return False
    report = facts.check
    if report is None or not check_is_current(site, facts):
        waits = check_waits_until(site, facts)
        return waits is None or waits <= now
    return report.key is not None or report.access is not None


def _syncs(site: Site, spec: OceanSiteSpec, platform: Platform, facts: Facts, now: datetime) -> list[SyncRun]:
    found: list[SyncRun] = []
    window = window_token(site, facts)
    report = facts.sync
    done = report.last_full if report else None
    if report is None or report.window != window:
        trigger = Trigger.CHANGED if done else Trigger.INITIAL
        found.append(SyncRun(SyncKind.FULL, trigger, f"window:{window}", window))
    elif done and (missed := _missed(site, spec, platform, done.started_at, now)):
        found.append(SyncRun(SyncKind.FULL, Trigger.SCHEDULED, f"missed:{missed.isoformat()}", window))
    if report and report.problem and report.problem.reason in ACCESS_REASONS:
        found.append(SyncRun(SyncKind.RECENT, Trigger.CHANGED, f"resumed:{report.problem.at.isoformat()}", window))
    for annotation, kind, handled in (
        (names.SYNC_RECENT_REQUEST, SyncKind.RECENT, site.status.actions.sync_recent),
        (names.SYNC_FULL_REQUEST, SyncKind.FULL, site.status.actions.sync_full),
    ):
        asked = site.requests.get(annotation, "")
        if asked and asked != handled:
            found.append(SyncRun(kind, Trigger.REQUESTED, f"request:{asked}", window))
    return found


def _missed(site: Site, spec: OceanSiteSpec, platform: Platform, last: datetime, now: datetime) -> datetime | None:
    slot = slots(site.key, full_window_minutes=platform.full_window_minutes)
    start = previous_full(slot, ZoneInfo(spec.time_zone), now)
    return start if last < start and now - start > MISSED_AFTER else None


def _check_job(site: Site, spec: OceanSiteSpec, platform: Platform, run: str) -> Manifest:
    args = ["ocean-check", "--token", run]
    job = {
        "backoffLimit": 4,
        "activeDeadlineSeconds": 600,
        "ttlSecondsAfterFinished": RETRY_SECONDS,
        "template": pod_template(site, spec, platform, component=CHECK_COMPONENT, args=args),
    }
    return _job(site, CHECK_COMPONENT, run, job)


def _sync_job(site: Site, run: SyncRun, spec: Manifest) -> Manifest:
    if run.trigger is not Trigger.REQUESTED:
        spec["ttlSecondsAfterFinished"] = RETRY_SECONDS
    return _job(site, run.kind.lower(), run.token, spec)


def _job(site: Site, part: str, run: str, spec: Manifest) -> Manifest:
    component = CHECK_COMPONENT if part == CHECK_COMPONENT else SYNC_COMPONENT
    head = manifest(
        "batch/v1", "Job", names.child(site.key.name, f"{part}-{token(site.uid, run)[:8]}"), site, component
    )
    head["metadata"]["annotations"] = {names.RUN_ANNOTATION: run, **QUIET}
    return {**head, "spec": spec}
