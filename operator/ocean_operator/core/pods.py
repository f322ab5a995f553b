"""Why a pod does not start, for pods that never got as far as our own code."""

from __future__ import annotations

from typing import Final

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


def why_not_starting(pod: Manifest) -> str:
    """One sentence, or nothing for a pod that runs, has run, or is on its way."""
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return f"Pod {name} cannot be scheduled: {condition.get('message', '')[:200]}"
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _HOPELESS:
            return f"Pod {name} cannot start ({waiting['reason']}): {waiting.get('message', '')[:200]}"
    return ""
