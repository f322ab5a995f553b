from __future__ import annotations

from typing import Any

import pytest

from ocean_operator.core.pods import why_not_starting
from ocean_operator.core.site import Manifest


def pod(**status: Any) -> Manifest:
    """A pod as the kubelet and the scheduler describe it."""
    return {"metadata": {"name": "p"}, "status": status}


def waiting(reason: str) -> dict[str, Any]:
    """A container that waits for this reason."""
    return {"state": {"waiting": {"reason": reason, "message": "m" * 300}}}


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerError"])
def test_a_pod_that_will_not_start_by_itself_says_why(reason: str) -> None:
    assert why_not_starting(pod(containerStatuses=[waiting(reason)])) == (f"Pod p cannot start ({reason}): {'m' * 200}")


def test_a_pod_without_a_place_says_why() -> None:
    conditions = [
        {"type": "Initialized", "status": "True"},
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"},
    ]

    assert why_not_starting(pod(conditions=conditions)) == "Pod p cannot be scheduled: 0/3 nodes are available"


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"containerStatuses": None, "conditions": None},
        {"containerStatuses": [waiting("ContainerCreating")]},
        {"containerStatuses": [waiting("PodInitializing")]},
        {"containerStatuses": [{"state": {"running": {}}}]},
        {"containerStatuses": [{"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]},
        {"conditions": [{"type": "PodScheduled", "status": "True"}]},
    ],
    ids=["new", "nulls", "creating", "initialising", "running", "ended", "scheduled"],
)
def test_a_pod_on_its_way_says_nothing(status: dict[str, Any]) -> None:
    assert why_not_starting(pod(**status)) == ""


def test_a_pod_without_a_status_says_nothing() -> None:
    assert why_not_starting({"metadata": {"name": "p"}}) == ""


def test_what_a_process_left_behind_when_it_could_not_reach_the_database_is_told() -> None:
    """Vault is away: the pod has nowhere to report it but its termination message."""
    said = '{"reason": "VaultUnavailable", "message": "Vault does not answer.", "at": "2026-03-10T15:00:00Z"}'
    pod = {
        "metadata": {"name": "p"},
        "status": {"containerStatuses": [{"state": {"terminated": {"exitCode": 1, "message": said}}}]},
    }

    assert why_not_starting(pod) == "VaultUnavailable: Vault does not answer."


def test_the_end_of_a_log_is_not_taken_for_a_farewell() -> None:
    ended = {"state": {"terminated": {"exitCode": 1, "message": "Traceback: p0001"}}}

    assert why_not_starting({"metadata": {"name": "p"}, "status": {"containerStatuses": [ended]}}) == ""
