"""Why a pod does not do its work, where it could not say so in the database."""

from __future__ import annotations

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
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _HOPELESS:
            return f"Pod {name} cannot start ({waiting['reason']}): {waiting.get('message', '')[:200]}"
        terminated = (container.get("state") or {}).get("terminated") or {}
        if terminated.get("exitCode"):
            return _farewell(terminated.get("message") or "")
    return ""
