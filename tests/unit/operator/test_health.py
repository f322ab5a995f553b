from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from ocean_api import names
from ocean_operator.cluster import Cluster
from ocean_operator.handlers.selectors import OURS, WATCHED_CHILDREN
from ocean_operator.health import Health, Name, audit_once, losses, whole_picture
from ocean_operator.observed import Observed
from unit.operator.jumping_loop import BACKEND
from unit.operator.sites import KEY, body

A, B = ("n", "a"), ("n", "b")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """A clock that jumps over the grace."""
    return BACKEND


@pytest.mark.parametrize(
    ("seen", "listed", "lost"),
    [
        ({}, {}, set()),
        ({A: 5}, {A: 5}, set()),
        ({A: 7}, {A: 5}, set()),
        ({A: 5}, {A: 7}, {A}),
        ({}, {A: 7}, {A}),
        ({A: 5}, {}, {A}),
        ({A: 10}, {}, {A}),
        ({A: 11}, {}, set()),
        ({A: 5, B: 5}, {B: 6}, {A, B}),
    ],
    ids=[
        "nothing",
        "as listed",
        "newer than listed",
        "older than listed",
        "never seen",
        "gone long ago",
        "gone with the list",
        "made after the list",
        "both",
    ],
)
def test_what_a_watch_has_lost(seen: dict[Name, int], listed: dict[Name, int], lost: set[Name]) -> None:
    assert losses(seen, listed, 10) == lost


def test_a_process_that_is_wrong_about_the_cluster_is_not_live() -> None:
    assert Health().is_live
    assert not Health(lost={"Job": 1}).is_live


class Lists:
    """A cluster that answers LISTs, and lets things happen after one."""

    def __init__(self, *rounds: dict[str, dict[Name, int]]) -> None:
        self.rounds = list(rounds)
        self.asked: list[str] = []

    async def versions(self, kind: str, *, selector: str = "") -> tuple[dict[Name, int], int]:
        """The objects of `kind` in this round, and the version of the list; a second LIST of a kind is the next."""
        assert selector == ("" if kind == names.KIND else OURS)
        now = self.rounds[min(self.asked.count(kind), len(self.rounds) - 1)]
        self.asked.append(kind)
        return now.get(kind, {}), 100


async def audited(observed: Observed, *rounds: dict[str, dict[Name, int]]) -> dict[str, int]:
    """What an audit finds."""
    return await audit_once(cast("Cluster", Lists(*rounds)), observed, grace_seconds=10)


def job(version: int = 50) -> dict[str, Any]:
    """A Job of the clinic."""
    return {
        "kind": "Job",
        "metadata": {"namespace": "clinic-a", "name": "j", "uid": "j1", "resourceVersion": str(version)},
    }


JOB = ("clinic-a", "j")


async def test_a_picture_that_is_right_has_no_losses() -> None:
    observed = Observed()
    observed.saw_site(body(version=10))
    observed.saw_child(job(), KEY)

    assert await audited(observed, {names.KIND: {("clinic-a", "north"): 10}, "Job": {JOB: 50}}) == {}


async def test_losses_are_counted_by_kind() -> None:
    observed = Observed()
    observed.saw_child(job(), KEY)

    assert await audited(observed, {names.KIND: {("clinic-a", "north"): 10}}) == {"OceanSite": 1, "Job": 1}


async def test_an_event_that_is_only_late_is_no_loss() -> None:
    observed = Observed()

    class Late(Lists):
        """The Job's event comes a little later than the LIST."""

        async def versions(self, kind: str, *, selector: str = "") -> tuple[dict[Name, int], int]:
            answer = await super().versions(kind, selector=selector)
            if kind == names.KIND:
                asyncio.get_running_loop().call_later(5, observed.saw_child, job(), KEY)
            return answer

    assert await audit_once(cast("Cluster", Late({"Job": {JOB: 50}})), observed, grace_seconds=10) == {}


async def test_an_object_that_changes_all_the_time_is_no_loss() -> None:
    """Its newest event is always a moment away, while the one that was missed at first has long come."""
    observed = Observed()
    observed.saw_child(job(49), KEY)
    asyncio.get_running_loop().call_later(5, observed.saw_child, job(59), KEY)

    assert await audited(observed, {"Job": {JOB: 50}}, {"Job": {JOB: 60}}) == {}


async def test_an_object_deleted_between_the_list_and_the_comparison_is_no_loss() -> None:
    """Finished Jobs are deleted all day long, so in a large fleet an audit would often meet one."""
    assert await audited(Observed(), {"Job": {JOB: 50}}, {}) == {}


def test_only_objects_that_belong_to_a_clinic_are_audited() -> None:
    """Otherwise one ConfigMap with our managed-by label, in any namespace, keeps the operator restarting for ever."""
    assert names.SITE_LABEL in OURS.replace("=", ",").split(",")


def test_every_kind_that_brings_a_pass_is_audited() -> None:
    assert set(WATCHED_CHILDREN) >= {"ServiceAccount", "ConfigMap", "NetworkPolicy", "CronJob", "Job"}


async def test_the_picture_is_whole_when_nothing_listed_is_missing() -> None:
    """The queues begin then: a pass before would write what is there already."""
    observed = Observed()
    asyncio.get_running_loop().call_later(5, observed.saw_child, job(50), KEY)
    began = asyncio.get_running_loop().time()
    await whole_picture(cast("Cluster", Lists({"Job": {JOB: 50}})), observed)

    assert asyncio.get_running_loop().time() - began >= 5


async def test_while_the_watches_catch_up_nothing_is_listed_again() -> None:
    """A LIST of a fleet costs as much as the watches' own: repeated, it was a third of a restart."""
    observed, cluster = Observed(), Lists({"Job": {("clinic-a", f"j{n}"): 50 for n in range(30)}})
    loop = asyncio.get_running_loop()
    for number in range(30):
        body_ = job(50)
        body_["metadata"] |= {"name": f"j{number}", "uid": f"j{number}"}
        loop.call_later(number * 0.3, observed.saw_child, body_, KEY)
    await whole_picture(cast("Cluster", cluster), observed)

    assert cluster.asked == [names.KIND, *WATCHED_CHILDREN]


async def test_an_object_that_went_before_the_watches_began_is_not_waited_for() -> None:
    cluster = Lists({"Job": {JOB: 50}}, {})
    await whole_picture(cast("Cluster", cluster), Observed())

    assert cluster.asked.count("Job") == 2
