"""A status in which nothing of meaning changed is an equal value, so that a pass writes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api.conditions import ConditionType
from ocean_api.reasons import Reason
from ocean_api.report import Counts, Problem, Running, SyncKind, Trigger
from ocean_api.v1alpha1.status import ChildStatus, OceanSiteStatus, QueueStatus
from ocean_operator.core.facts import Facts
from ocean_operator.core.platform import Platform
from ocean_operator.core.site import Manifest, Site, read_status
from ocean_operator.core.status import Observation, next_status
from ocean_operator.core.validate import Finding
from unit.operator.sites import NO_STORES, NOW, PLATFORM, Known, accepted, problem, run, served, site

WAITING = QueueStatus(waiting=2, oldest_at=NOW - timedelta(hours=2))
HELD = QueueStatus(held=2, held_since=NOW - timedelta(hours=2))
LATER = NOW + timedelta(minutes=3, microseconds=123_456)


def as_stored(status: OceanSiteStatus) -> Manifest:
    """`status` as the API server gives it back: our JSON without what is null or left out."""
    stored: Manifest = orjson.loads(orjson.dumps(status.model_dump(mode="json", by_alias=True, exclude_none=True)))
    return stored


def status_at(clinic: Site, facts: Facts, now: datetime, platform: Platform = PLATFORM) -> OceanSiteStatus:
    """The status that a pass would write at `now`."""
    children = (ChildStatus(kind="ConfigMap", name="ocean-north-site", hash="h1"),)
    return next_status(clinic, platform, Observation(facts=facts, children=children), now=now)


def situations() -> list[tuple[str, dict[str, Any], Facts, Platform]]:
    """Clinics in every stage of their life."""
    clinic = site()
    full = run().model_copy(update={"counts": Counts(appointments=5, sent=2)})
    return [
        ("new", {}, Facts(), PLATFORM),
        ("no stores", {}, Facts(), NO_STORES),
        ("unreadable", {"timeZone": "Nowhere"}, Facts(), PLATFORM),
        ("key missing", {}, Known(clinic).key(version=0).facts, PLATFORM),
        ("key weak", {}, Known(clinic).but(key_problem=problem(Reason.KEY_WEAK)), PLATFORM),
        ("key stored", {}, Known(clinic).key().facts, PLATFORM),
        ("accepted", {}, accepted(clinic).facts, PLATFORM),
        ("refused", {}, accepted(clinic).check(access=problem(Reason.EMR_AUTH_REFUSED)).facts, PLATFORM),
        ("running", {}, accepted(clinic).sync(running=Running(kind=SyncKind.FULL, since=NOW)).facts, PLATFORM),
        ("served", {}, accepted(clinic).sync(last_full=full, last_recent=run()).facts, PLATFORM),
        ("failing", {}, served(clinic).sync(problem=problem(Reason.EMR_UNAVAILABLE)).facts, PLATFORM),
        ("messages wait", {}, served(clinic).but(queue=WAITING, worker_problem="Pod w cannot start"), PLATFORM),
        ("messages held", {}, served(clinic).but(queue=HELD), PLATFORM),
        ("suspended", {"suspend": True}, served(site(suspend=True)).facts, PLATFORM),
    ]


@pytest.mark.parametrize(("spec", "facts", "platform"), [pytest.param(*case, id=name) for name, *case in situations()])
def test_an_unchanged_clinic_keeps_an_equal_status(spec: dict[str, Any], facts: Facts, platform: Platform) -> None:
    """Through the API server and back, some minutes later: with another clock, the same value."""
    first = status_at(site(**spec), facts, NOW, platform)
    stored = read_status(as_stored(first))
    second = status_at(site(**spec, status=stored), facts, LATER, platform)

    assert stored == first
    assert second == first


def test_writing_the_status_twice_gives_the_same_bytes() -> None:
    clinic = site()
    status = status_at(clinic, served(clinic).facts, NOW)

    assert as_stored(read_status(as_stored(status))) == as_stored(status)


def test_nothing_null_is_sent() -> None:
    """Server-side apply would own the null and the API server would drop it: the answer would never be equal."""

    def nulls(value: Any) -> bool:
        if isinstance(value, dict):
            return any(nulls(v) for v in value.values())
        return any(nulls(v) for v in value) if isinstance(value, list) else value is None

    clinic = site()

    assert not nulls(as_stored(status_at(clinic, Facts(), NOW)))


def test_a_condition_keeps_its_time_while_only_its_reason_changes() -> None:
    clinic = site()
    first = status_at(clinic, accepted(clinic).sync(problem=problem(Reason.EMR_UNAVAILABLE)).facts, NOW)
    other = accepted(clinic).sync(problem=problem(Reason.EMR_TLS_FAILED)).facts
    second = status_at(site(status=first), other, LATER)
    times = {c.type: c.last_transition_time for c in second.conditions}

    assert second != first
    assert set(times.values()) == {NOW}


def test_a_condition_moves_its_time_when_its_answer_changes_and_the_others_keep_theirs() -> None:
    clinic = site()
    first = status_at(clinic, served(clinic).facts, NOW)
    second = status_at(site(status=first), served(clinic).but(key_problem=problem(Reason.KEY_WEAK)), LATER)
    moved = {c.type for c in second.conditions if c.last_transition_time != NOW}

    assert moved == {ConditionType.READY, ConditionType.STALLED, ConditionType.KEY_STORED, ConditionType.AUTHORIZED}


def test_a_status_that_cannot_be_read_is_made_anew() -> None:
    assert read_status({"conditions": [{"type": "Weather"}]}) == OceanSiteStatus()


def test_requests_stay_handled_though_a_newer_operator_wrote_a_reason_we_do_not_know() -> None:
    clinic = site()
    stored = as_stored(status_at(clinic, served(clinic).facts, NOW))
    stored["actions"] = {"syncFull": "t1"}
    stored["conditions"][0]["reason"] = "ReasonOfANewerOperator"

    assert read_status(stored).actions.sync_full == "t1"


def test_the_other_conditions_keep_their_times_beside_one_we_do_not_know() -> None:
    clinic = site()
    first = status_at(clinic, served(clinic).facts, NOW)
    stored = as_stored(first)
    stored["conditions"].append({**stored["conditions"][0], "type": "TypeOfANewerOperator"})
    second = status_at(site(status=read_status(stored)), served(clinic).facts, LATER)

    assert second == first


MAYBE = st.one_of(st.none(), st.sampled_from([Reason.EMR_UNAVAILABLE, Reason.EMR_AUTH_REFUSED, Reason.REMOVAL_HELD]))


AGES = st.integers(0, 200).filter(lambda minutes: minutes != 71)
"""Not the one that becomes stale within the second between two passes."""


@st.composite
def observations(draw: st.DrawFn, clinic: Site) -> Observation:
    """Anything that may be found of `clinic`."""

    def maybe() -> Problem | None:
        reason = draw(MAYBE)
        return problem(reason) if reason else None

    known = Known(clinic).key(version=draw(st.integers(0, 2)))
    if draw(st.booleans()):
        trigger = draw(st.sampled_from(Trigger))
        last = run(at=NOW - timedelta(minutes=draw(AGES)), trigger=trigger)
        known = known.check(key=maybe(), access=maybe())
        known = known.sync(problem=maybe(), last_full=last, last_trigger=trigger)
    taken = [Finding(Reason.SITE_NUMBER_TAKEN, "taken")] if draw(st.booleans()) else []
    return Observation(known.facts, findings=taken)


@given(data=st.data(), suspend=st.booleans())
def test_any_status_is_stable_and_says_one_thing(data: st.DataObject, suspend: bool) -> None:  # noqa: FBT001 - an example's
    """Whatever was found: written, read and computed again it is equal, and Ready sums up the rest."""
    seen = data.draw(observations(site(suspend=suspend)))
    first = next_status(site(suspend=suspend), PLATFORM, seen, now=NOW)
    again = site(suspend=suspend, status=read_status(as_stored(first)))
    said = {c.type: c for c in first.conditions}
    wrong = next((c for c in first.conditions[3:] if c.status != "True"), None)

    assert next_status(again, PLATFORM, seen, now=NOW + timedelta(seconds=1)) == first
    assert (said[ConditionType.READY].status == "True") == (wrong is None and not suspend)
    assert not (said[ConditionType.STALLED].status == said[ConditionType.RECONCILING].status == "True")
    assert first.summary == (Reason.SUSPENDED if suspend else wrong.reason if wrong else Reason.SITE_READY)
