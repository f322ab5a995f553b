from __future__ import annotations

from typing import Any

import pytest

from ocean_operator.core.pods import AWAY_AFTER, Away, away, missed_at, why_no_worker, why_not_starting
from ocean_operator.core.site import Manifest
from unit.operator.sites import NOW


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


# A worker, which should run for ever

SAID = '{"reason": "VaultUnavailable", "message": "Vault does not answer.", "at": "2026-03-10T15:00:00Z"}'


def ended(message: str = "", *, restarts: int = 1, **state: Any) -> dict[str, Any]:
    """A container that ended with this message, and is now in that state."""
    last = {"terminated": {"exitCode": 1, "message": message}}
    return {"state": state, "lastState": last, "restartCount": restarts, "ready": False}


@pytest.mark.parametrize(
    "container",
    [
        ended(SAID, waiting={"reason": "CrashLoopBackOff"}),
        ended(SAID, restarts=2, running={}),
    ],
    ids=["between two tries", "in the next try"],
)
def test_a_worker_that_ends_again_and_again_says_why_all_the_time(container: dict[str, Any]) -> None:
    """Otherwise the status would be written at each try."""
    assert why_not_starting(pod(containerStatuses=[container])) == "VaultUnavailable: Vault does not answer."


def test_a_worker_that_leaves_no_words_is_told_without_its_log() -> None:
    container = ended("Traceback: p0001", waiting={"reason": "CrashLoopBackOff"})

    assert why_not_starting(pod(containerStatuses=[container])) == (
        "Pod p ends again and again, last with exit status 1: see its log."
    )


@pytest.mark.parametrize(
    "container",
    [
        ended(SAID, restarts=1, running={}),
        {**ended(SAID, restarts=5, running={}), "ready": True},
        {"state": {"running": {}}, "restartCount": 3, "lastState": {}, "ready": False},
    ],
    ids=["began again once", "is well again", "of another kubelet"],
)
def test_a_worker_that_began_again_says_nothing(container: dict[str, Any]) -> None:
    assert why_not_starting(pod(containerStatuses=[container])) == ""


def deployment(available: str = "False", *, refusal: str = "") -> Manifest:
    """A Deployment as its controller describes it."""
    conditions = [{"type": "Available", "status": available, "lastTransitionTime": "2026-03-10T15:20:30Z"}]
    if refusal:
        conditions.append({"type": "ReplicaFailure", "status": "True", "message": refusal})
    return {"status": {"conditions": conditions}}


def test_a_deployment_without_a_ready_pod_is_away_since_it_has_none() -> None:
    assert away(deployment()) == Away(NOW)
    assert away(deployment(refusal="exceeded quota")) == Away(NOW, "exceeded quota")


@pytest.mark.parametrize("body", [{}, {"status": None}, {"status": {}}, deployment("True"), deployment("Unknown")])
def test_a_deployment_with_one_or_only_just_made_is_not_away(body: Manifest) -> None:
    assert away(body) is None


def test_a_worker_that_is_made_anew_is_not_missed_at_once() -> None:
    gone = Away(NOW)

    assert missed_at(None) is None
    assert missed_at(gone) == NOW + AWAY_AFTER
    assert why_no_worker("w", "", None, NOW) == ""
    assert why_no_worker("w", "", gone, NOW) == ""
    assert why_no_worker("w", "", gone, NOW + AWAY_AFTER) == (
        "Deployment w has had no pod that is ready since 2026-03-10T15:20:30Z."
    )


def test_words_need_no_waiting() -> None:
    """A pod that shows why, or that the API server refused to make, is not on its way."""
    assert why_no_worker("w", "Pod p cannot start", Away(NOW), NOW) == "Pod p cannot start"
    assert why_no_worker("w", "", Away(NOW, "exceeded quota"), NOW).endswith("15:20:30Z. exceeded quota")
    assert missed_at(Away(NOW, "exceeded quota")) == NOW
