"""What messages make of the whole status; what QueueHealthy itself says is tested in test_queue.py."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from ocean_api import names
from ocean_api.conditions import ConditionType
from ocean_api.reasons import Reason
from ocean_api.report import WorkerReport
from ocean_api.v1alpha1.status import OceanSiteStatus, QueueStatus
from ocean_operator.core.facts import Facts
from ocean_operator.core.site import Site
from ocean_operator.core.status import Observation, look_again, next_status
from unit.operator.sites import NOW, PLATFORM, accepted, problem, served, site

READY = ConditionType.READY
STALLED = ConditionType.STALLED
QUEUE = ConditionType.QUEUE_HEALTHY


def status_of(clinic: Site, facts: Facts, **seen: Any) -> OceanSiteStatus:
    """The status that a pass would write now."""
    return next_status(clinic, PLATFORM, Observation(facts=facts, **seen), now=NOW)


def verdict(status: OceanSiteStatus, kind: ConditionType) -> tuple[str, Reason]:
    """A condition's answer and reason."""
    found = next(c for c in status.conditions if c.type == kind)
    return found.status, found.reason


def message(status: OceanSiteStatus, kind: ConditionType) -> str:
    """A condition's message."""
    return next(c.message for c in status.conditions if c.type == kind)


HELD = QueueStatus(held=3, held_since=NOW)
LATE = QueueStatus(waiting=2, oldest_at=NOW - timedelta(days=2))


def test_held_messages_are_told_and_the_clinic_is_served_all_the_same() -> None:
    """One note that needs a person is no failed clinic: Argo CD and `kubectl wait` go on (design record 012)."""
    clinic = site()
    status = status_of(clinic, served(clinic).but(queue=HELD))

    assert verdict(status, QUEUE) == ("False", Reason.MESSAGES_HELD)
    assert verdict(status, READY) == ("True", Reason.SITE_READY)
    assert message(status, READY) == message(status, QUEUE) != ""
    assert verdict(status, STALLED) == ("False", Reason.AS_EXPECTED)
    assert status.summary == Reason.MESSAGES_HELD
    assert status.queue == HELD


def test_messages_that_do_not_get_through_are_something_wrong() -> None:
    clinic = site()
    status = status_of(clinic, served(clinic).but(queue=LATE))

    assert verdict(status, READY) == ("False", Reason.SITE_NOT_READY)
    assert verdict(status, STALLED) == ("False", Reason.AS_EXPECTED)
    assert status.summary == Reason.QUEUE_WAITING
    assert message(status, READY).startswith("QueueHealthy is False, QueueWaiting: 2 messages wait, ")


def test_whatever_else_is_wrong_is_told_before_held_messages() -> None:
    clinic = site()
    facts = served(clinic).sync(problem=problem(Reason.EMR_UNAVAILABLE)).but(queue=HELD)
    status = status_of(clinic, facts)

    assert verdict(status, READY) == ("False", Reason.SITE_NOT_READY)
    assert status.summary == Reason.EMR_UNAVAILABLE


@pytest.mark.parametrize(
    ("spec", "reason"), [({"suspend": True}, Reason.SUSPENDED), ({"enabled": False}, Reason.NOT_ENABLED)]
)
def test_a_clinic_at_rest_says_so_although_messages_are_held(spec: dict[str, Any], reason: Reason) -> None:
    clinic = site(**spec)

    assert status_of(clinic, served(clinic).but(queue=HELD)).summary == reason


def test_a_request_to_retry_is_echoed_when_it_was_carried_out() -> None:
    clinic = site()
    done = status_of(clinic, served(clinic).facts, answered={names.RETRY_HELD_REQUEST: "one"})
    later = status_of(site(status=done), served(clinic).facts)

    assert done.actions.retry_held == later.actions.retry_held == "one"


@pytest.mark.parametrize(
    ("change", "moment"),
    [
        ({"queue": QueueStatus(waiting=1, oldest_at=NOW - timedelta(minutes=2))}, NOW + timedelta(minutes=3)),
        ({"worker_missed_at": NOW + timedelta(seconds=90)}, NOW + timedelta(seconds=90)),
        ({"worker": WorkerReport(problem=problem(Reason.EMR_AUTH_REFUSED, at=NOW - timedelta(minutes=59)))}, None),
        ({"worker_missed_at": NOW}, None),
    ],
    ids=["late messages", "missing worker", "check that waits", "past"],
)
def test_a_clinic_is_looked_at_again_when_its_status_may_change(
    change: dict[str, Any], moment: datetime | None
) -> None:
    clinic = site(schedule={"providers": []})
    facts = accepted(clinic).but(**change)

    assert look_again(clinic, PLATFORM, facts, NOW) == moment
