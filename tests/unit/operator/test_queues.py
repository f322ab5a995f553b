"""What the operator does with the queues it has counted: metrics, and a look at the clinics whose status changes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

import pytest

from ocean_api.v1alpha1.status import OceanSiteStatus, QueueStatus
from ocean_operator.cluster import Cluster
from ocean_operator.core.queue import Line
from ocean_operator.core.site import SiteKey
from ocean_operator.metrics import REGISTRY
from ocean_operator.queues import take
from ocean_operator.runtime import Runtime
from ocean_operator.settings import OperatorSettings
from ocean_operator.workqueue import WorkQueue
from unit.operator.sites import KEY, NOW, PLATFORM, body

OTHER = SiteKey("clinic-b", "south")
MINUTE = timedelta(minutes=1)


class Looks:
    """An operator that counts queues, with a clock that is set by hand."""

    def __init__(self, *statuses: tuple[SiteKey, OceanSiteStatus | None]) -> None:
        self.now = NOW
        self.runtime = Runtime(OperatorSettings(), PLATFORM, cast("Cluster", None), None, clock=lambda: self.now)
        self.runtime.sites = WorkQueue("sites", self._never, workers=1)
        for number, (key, status) in enumerate(statuses):
            self.runtime.observed.saw_site(body(called=key, uid=f"uid-{number}", status=status))

    async def _never(self, key: SiteKey) -> None:
        raise AssertionError(f"nothing works off the queue, and yet {key} was")

    def take(self, now: datetime, **lines: Line) -> set[SiteKey]:
        """Take what was counted at `now`. Returns the clinics that are to be looked at because of it."""
        self.now = now
        self.runtime.sites._queued.clear()
        take({{"north": KEY, "south": OTHER}[name]: line for name, line in lines.items()}, self.runtime)
        return set(self.runtime.sites._queued)


def metric(name: str, key: SiteKey) -> float | None:
    """A metric's value for one clinic."""
    return REGISTRY.get_sample_value(name, {"namespace": key.namespace, "name": key.name})


WAITING = Line(waiting=3, oldest=NOW - 2 * MINUTE)


@pytest.fixture
def looks() -> Looks:
    """Two clinics of which nothing is known but that they are there."""
    return Looks((KEY, None), (OTHER, None))


def test_nobody_is_looked_at_while_nothing_is_told(looks: Looks) -> None:
    assert looks.take(NOW) == set()
    assert looks.take(NOW + MINUTE, north=Line(waiting=9, oldest=NOW + MINUTE)) == set()


def test_a_clinic_is_looked_at_when_something_else_is_to_be_told_and_once(looks: Looks) -> None:
    assert looks.take(NOW, north=WAITING) == set()
    assert looks.take(NOW + MINUTE, north=WAITING) == {KEY}
    assert looks.take(NOW + 2 * MINUTE, north=WAITING) == set()
    assert looks.take(NOW + 3 * MINUTE, north=Line(held=1, oldest_held=NOW), south=Line(held=1, oldest_held=NOW)) == {
        KEY,
        OTHER,
    }
    assert looks.take(NOW + 4 * MINUTE) == {KEY, OTHER}


def test_a_restart_has_nobody_looked_at_for_what_the_status_says_already() -> None:
    held = OceanSiteStatus(queue=QueueStatus(held=2, held_since=NOW))
    looks = Looks((KEY, held), (OTHER, OceanSiteStatus()))

    assert looks.take(NOW, north=Line(held=2, oldest_held=NOW)) == set()


def test_a_clinic_that_left_is_forgotten_and_one_unknown_not_noted(looks: Looks) -> None:
    """Its rows stay in the database, for its return."""
    looks.take(NOW, north=WAITING)
    looks.runtime.observed.lost_site(KEY, "uid-0", 99)
    looks.runtime.forget(KEY)

    assert looks.take(NOW + MINUTE, north=WAITING) == set()
    assert metric("ocean_messages_waiting", KEY) is None


def test_metrics_are_exact_and_there_for_every_clinic(looks: Looks) -> None:
    looks.take(NOW, north=Line(waiting=137, oldest=NOW - 90 * MINUTE, held=2, oldest_held=NOW))

    assert metric("ocean_messages_waiting", KEY) == 137
    assert metric("ocean_messages_oldest_seconds", KEY) == 5400
    assert metric("ocean_messages_held", KEY) == 2
    assert metric("ocean_messages_waiting", OTHER) == 0
    assert metric("ocean_messages_oldest_seconds", OTHER) == 0
