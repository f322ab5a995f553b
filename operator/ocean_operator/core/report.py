"""What is told as Kubernetes events: only turns for the better or the worse, in the words of the status."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from ocean_api import names
from ocean_api.conditions import Condition, ConditionType
from ocean_api.reasons import Reason
from ocean_api.v1alpha1.status import HandOver, OceanSiteStatus
from ocean_operator.core.site import Manifest, Site

_CONTROLLER: Final = f"{names.GROUP}/operator"


def news(site: Site, status: OceanSiteStatus, now: datetime) -> tuple[Manifest, ...]:
    """The events (events.k8s.io/v1) for the step from `site.status` to `status`."""
    return tuple(event(site, *turn, now=now) for turn in _turns(site.status, status))


def _turns(before: OceanSiteStatus, after: OceanSiteStatus) -> Iterator[tuple[str, str, str]]:
    """(type, reason, note) of each turn worth telling."""
    ready, stalled = _find(after, ConditionType.READY), _find(after, ConditionType.STALLED)
    old_ready, old_stalled = _find(before, ConditionType.READY), _find(before, ConditionType.STALLED)
    if ready and ready.status == "True" and not (old_ready and old_ready.status == "True"):
        yield "Normal", ready.reason, "The clinic is served."
    if stalled and stalled.status == "True" and not (old_stalled and old_stalled.reason == stalled.reason):
        yield "Warning", stalled.reason, stalled.message
    if old_ready and old_ready.status == "True" and ready and ready.status != "True":
        yield "Warning", ready.reason, ready.message
    queue, old_queue = _find(after, ConditionType.QUEUE_HEALTHY), _find(before, ConditionType.QUEUE_HEALTHY)
    if queue and queue.reason == Reason.MESSAGES_HELD and not (old_queue and old_queue.reason == queue.reason):
        yield "Warning", queue.reason, queue.message
    if after.key.hand_over is HandOver.NOT_TAKEN and before.key.hand_over is not HandOver.NOT_TAKEN:
        key = _find(after, ConditionType.KEY_STORED)
        yield "Warning", Reason.KEY_ALREADY_STORED, key.message if key else ""


def _find(status: OceanSiteStatus, kind: ConditionType) -> Condition | None:
    return next((c for c in status.conditions if c.type == kind), None)


def event(site: Site, kind: str, reason: str, note: str, *, now: datetime) -> Manifest:
    """One event about `site`; `kind` is Normal or Warning."""
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": f"{site.key.name}-", "namespace": site.key.namespace},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": _CONTROLLER,
        "reportingInstance": names.MANAGED_BY,
        "action": "Reconcile",
        "type": kind,
        "reason": reason,
        "note": note[:1024],
        "regarding": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "name": site.key.name,
            "namespace": site.key.namespace,
            "uid": site.uid,
        },
    }
