"""The clinic's clockwork: a recent synchronisation twice an hour, a full one at its own midnight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ocean_api import names
from ocean_api.report import SyncKind, Trigger
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_operator.core.parts.common import labels, manifest
from ocean_operator.core.parts.pods import QUIET, pod_template
from ocean_operator.core.platform import Platform
from ocean_operator.core.schedule import slots
from ocean_operator.core.site import Manifest, Site

SYNC_COMPONENT: Final = "sync"
_RECENT_DEADLINE: Final = 20 * 60
_FULL_DEADLINE: Final = 50 * 60
_KEPT_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class SyncRun:
    """One synchronisation to start."""

    kind: SyncKind
    trigger: Trigger
    token: str = ""
    """Names what it answers; empty for the clock's runs."""
    window: str = ""
    """Digest of the settings it is made under; empty for the clock's runs."""


def recent_cron_job(site: Site, spec: OceanSiteSpec, platform: Platform, *, suspended: bool) -> Manifest:
    """Twice an hour, in UTC: half-hours mean the same in every zone that is off by whole or half hours."""
    schedule = slots(site.key, full_window_minutes=platform.full_window_minutes).recent_cron
    job = sync_job_spec(site, spec, platform, SyncRun(SyncKind.RECENT, Trigger.SCHEDULED))
    return _cron_job(site, "recent", schedule, "Etc/UTC", job, suspended=suspended, late=_RECENT_DEADLINE)


def full_cron_job(site: Site, spec: OceanSiteSpec, platform: Platform, *, suspended: bool) -> Manifest:
    """At the clinic's midnight plus its own offset within the fleet's window."""
    schedule = slots(site.key, full_window_minutes=platform.full_window_minutes).full_cron
    job = sync_job_spec(site, spec, platform, SyncRun(SyncKind.FULL, Trigger.SCHEDULED))
    return _cron_job(site, "full", schedule, spec.time_zone, job, suspended=suspended, late=3600)


def sync_job_spec(site: Site, spec: OceanSiteSpec, platform: Platform, run: SyncRun) -> Manifest:
    """The spec of a Job that synchronises once. A failed pod is tried again with Kubernetes' growing pauses."""
    args = ["ocean-sync", run.kind.lower(), "--trigger", run.trigger]
    if run.token:
        args += ["--token", run.token, "--window", run.window]
    deadline = _FULL_DEADLINE if run.kind is SyncKind.FULL else _RECENT_DEADLINE
    return {
        "backoffLimit": 3,
        "activeDeadlineSeconds": deadline,
        "ttlSecondsAfterFinished": _KEPT_SECONDS,
        "template": pod_template(site, spec, platform, component=SYNC_COMPONENT, args=args),
    }


def _cron_job(  # noqa: PLR0913 - what tells the two apart
    site: Site, part: str, schedule: str, zone: str, job: Manifest, *, suspended: bool, late: int
) -> Manifest:
    spec: dict[str, Any] = {
        "schedule": schedule,
        "timeZone": zone,
        "concurrencyPolicy": "Forbid",
        "suspend": suspended,
        "startingDeadlineSeconds": late,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 2,
        "jobTemplate": {
            "metadata": {"labels": labels(site, SYNC_COMPONENT), "annotations": dict(QUIET)},
            "spec": job,
        },
    }
    return {**manifest("batch/v1", "CronJob", names.child(site.key.name, part), site, SYNC_COMPONENT), "spec": spec}
