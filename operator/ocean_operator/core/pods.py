"""Why a pod does not do its work, where it could not say so in the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pydantic

from ocean_api.report import Problem
from ocean_operator.core.site import Manifest

_HOPELESS: Final = frozenset(
    {
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
    }
)
"""Waiting reasons of the kubelet that do not pass by themselves (kubernetes/pkg/kubelet/images, kuberuntime)."""
_RESTARTED_OFTEN: Final = 2
AWAY_AFTER: Final = timedelta(minutes=2)
"""A worker that is made anew, or waits for a place on a node, is back within seconds."""


@dataclass(frozen=True, slots=True)
class Away:
    """A Deployment none of whose pods is ready."""

    since: datetime
    said: str = ""
    """Why no pod could be made, in the API server's words."""


def _farewell(message: str) -> str:
    """What a process of ours left as its termination message when it could not reach the database; else nothing."""
    try:
        problem = Problem.model_validate_json(message)
    except pydantic.ValidationError:
        return ""
    return f"{problem.reason}: {problem.message}"


def why_not_starting(pod: Manifest) -> str:
    """One sentence, or nothing for a pod that runs, has done its work, or is on its way."""
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return f"Pod {name} cannot be scheduled: {condition.get('message', '')[:200]}"
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        waiting = state.get("waiting") or {}
        if waiting.get("reason") in _HOPELESS:
            return f"Pod {name} cannot start ({waiting['reason']}): {waiting.get('message', '')[:200]}"
        if _restarts(container):
            last = container["lastState"]["terminated"]
            often = f"Pod {name} ends again and again, last with exit status {last.get('exitCode')}: see its log."
            return _farewell(last.get("message") or "") or often
        terminated = state.get("terminated") or {}
        if terminated.get("exitCode"):
            return _farewell(terminated.get("message") or "")
    return ""


def _restarts(container: Manifest) -> bool:
    """Whether a container that should run for ever fails each time: it waits for its next try, or has just begun it."""
    waiting = ((container.get("state") or {}).get("waiting") or {}).get("reason") == "CrashLoopBackOff"
    again = container.get("restartCount", 0) >= _RESTARTED_OFTEN and not container.get("ready")
    return bool((container.get("lastState") or {}).get("terminated")) and (waiting or again)


def away(deployment: Manifest) -> Away | None:
    """Since when a Deployment has had no pod that is ready; None while it has, or was only just made."""
    conditions = {c.get("type"): c for c in (deployment.get("status") or {}).get("conditions") or ()}
    available, refused = conditions.get("Available"), conditions.get("ReplicaFailure")
    if available is None or available.get("status") != "False":
        return None
    said = refused.get("message", "")[:200] if refused and refused.get("status") == "True" else ""
    return Away(datetime.fromisoformat(available["lastTransitionTime"]), said)


def missed_at(gone: Away | None) -> datetime | None:
    """When it becomes something wrong that no pod is ready; None while one is."""
    if gone is None:
        return None
    return gone.since if gone.said else gone.since + AWAY_AFTER


def why_no_worker(name: str, pod_problem: str, gone: Away | None, now: datetime) -> str:
    """Why a clinic's worker does not run, in one or two sentences; nothing while it does, or may only be restarting.

    Args:
        name: Of its Deployment.
        pod_problem: What its pod shows.
        gone: Since when it has none that is ready.
        now: A pod that is missing is told of only after a while.
    """
    if pod_problem:
        return pod_problem
    missed = missed_at(gone)
    if gone is None or missed is None or now < missed:
        return ""
    return f"Deployment {name} has had no pod that is ready since {gone.since:%Y-%m-%dT%H:%M:%SZ}. {gone.said}".rstrip()
