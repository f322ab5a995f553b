from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ocean_api.reasons import Reason
from ocean_api.v1alpha1.status import OceanSiteStatus, QueueStatus
from ocean_operator.core.facts import Facts
from ocean_operator.core.report import event, news
from ocean_operator.core.status import Observation, next_status
from unit.operator.sites import NOW, PLATFORM, UID, Known, problem, served, site

CLINIC = site()


def status_of(facts: Facts, before: OceanSiteStatus | None = None) -> OceanSiteStatus:
    """The status after this was found."""
    return next_status(site(status=before), PLATFORM, Observation(facts), now=NOW)


def told(before: OceanSiteStatus | None, after: OceanSiteStatus) -> list[tuple[Any, ...]]:
    """Type, reason and note of each event."""
    return [(e["type"], e["reason"], e["note"]) for e in news(site(status=before), after, NOW)]


NEW = status_of(Facts())
WELL = status_of(served(CLINIC).facts)
WEAK = status_of(Known(CLINIC).but(key_problem=problem(Reason.KEY_WEAK)))
REFUSED = status_of(served(CLINIC).check(access=problem(Reason.EMR_AUTH_REFUSED)).facts)
AWAY = status_of(served(CLINIC).sync(problem=problem(Reason.EMR_UNAVAILABLE)).facts)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, NEW, []),
        (NEW, WELL, [("Normal", "SiteReady", "The clinic is served.")]),
        (WELL, WELL, []),
        (NEW, WEAK, [("Warning", "KeyWeak", "said about KeyWeak")]),
        (WEAK, WEAK, []),
        (WEAK, REFUSED, [("Warning", "EmrAuthRefused", "said about EmrAuthRefused")]),
        (
            WELL,
            REFUSED,
            [
                ("Warning", "EmrAuthRefused", "said about EmrAuthRefused"),
                (
                    "Warning",
                    "SiteNotReady",
                    "Authorized is False, EmrAuthRefused: said about EmrAuthRefused",
                ),
            ],
        ),
        (WELL, AWAY, [("Warning", "SiteNotReady", "Synced is False, EmrUnavailable: said about EmrUnavailable")]),
        (AWAY, AWAY, []),
        (REFUSED, WELL, [("Normal", "SiteReady", "The clinic is served.")]),
    ],
    ids=[
        "new",
        "ready",
        "still ready",
        "stalled",
        "still stalled",
        "stalled by another",
        "refused",
        "away",
        "still away",
        "well again",
    ],
)
def test_only_turns_are_told(
    before: OceanSiteStatus | None, after: OceanSiteStatus, expected: list[tuple[str, str, str]]
) -> None:
    assert told(before, after) == expected


def test_an_event_names_the_clinic_and_the_moment() -> None:
    made = event(CLINIC, "Normal", "SiteReady", "x" * 2000, now=NOW + timedelta(microseconds=5))

    assert made["regarding"] == {
        "apiVersion": "ocean.cloudconnect.dev/v1alpha1",
        "kind": "OceanSite",
        "name": "north",
        "namespace": "clinic-a",
        "uid": UID,
    }
    assert made["metadata"]["namespace"] == "clinic-a"
    assert made["metadata"]["generateName"].startswith("north")
    assert made["eventTime"] == "2026-03-10T15:20:30.000005Z"
    assert len(made["note"]) == 1024


HELD = status_of(served(CLINIC).but(queue=QueueStatus(held=1, held_since=NOW)))
MORE = status_of(served(CLINIC).but(queue=QueueStatus(held=2, held_since=NOW)))


def test_held_messages_are_told_when_there_are_some_and_not_for_each() -> None:
    ((kind, reason, note),) = told(WELL, HELD)

    assert (kind, reason) == ("Warning", "MessagesHeld")
    assert note.startswith("1 message waits for a person, ")
    assert told(HELD, MORE) == []
    assert told(MORE, WELL) == []
    assert len(told(WELL, HELD)) == 1
