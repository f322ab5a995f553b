from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ocean_api import names
from ocean_api.reasons import Reason
from ocean_api.report import Counts, Running, SyncKind, Trigger
from ocean_api.v1alpha1.status import Banner, OceanSiteStatus
from ocean_operator.core.facts import Facts
from ocean_operator.core.site import Site
from ocean_operator.core.status import Observation, look_again, next_status
from unit.operator.sites import NOW, PLATFORM, PROVIDERS, Known, accepted, problem, run, served, site


def status_of(clinic: Site, facts: Facts, **seen: Any) -> OceanSiteStatus:
    """The status that a pass would write now."""
    return next_status(clinic, PLATFORM, Observation(facts=facts, **seen), now=NOW)


def test_what_the_pods_reported_is_shown() -> None:
    clinic = site()
    counts = Counts(appointments=9, sent=3, removed=1, patients=7)
    full = run().model_copy(update={"counts": counts})
    recent = run(at=NOW - timedelta(minutes=10))
    sync = status_of(clinic, accepted(clinic).sync(last_full=full, last_recent=recent).facts).sync

    assert (sync.last_full, sync.last_recent) == (full.finished_at, recent.finished_at)
    assert sync.counts == counts
    assert sync.last_error is None
    assert sync.running == ""


def test_the_last_error_is_shown_until_a_run_succeeds() -> None:
    clinic = site()
    wrong = problem(Reason.SYNC_INCOMPLETE)

    assert status_of(clinic, accepted(clinic).sync(problem=wrong).facts).sync.last_error == wrong


@pytest.mark.parametrize(
    ("report", "banner"),
    [
        ({"last_trigger": Trigger.INITIAL}, Banner.GREEN),
        ({"last_trigger": Trigger.CHANGED}, Banner.GREEN),
        ({"last_trigger": Trigger.REQUESTED}, Banner.GREEN),
        ({"last_trigger": Trigger.SCHEDULED}, Banner.BLUE),
        ({"last_trigger": None}, Banner.NONE),
        ({"last_trigger": Trigger.SCHEDULED, "problem": problem(Reason.EMR_UNAVAILABLE)}, Banner.NONE),
    ],
)
def test_the_banner_has_oceans_colours(report: dict[str, Any], banner: Banner) -> None:
    clinic = site()

    assert status_of(clinic, accepted(clinic).sync(**report).facts).sync.banner is banner


def test_without_a_report_there_is_no_banner() -> None:
    clinic = site()

    assert status_of(clinic, accepted(clinic).facts).sync.banner is Banner.NONE


def test_a_run_that_has_taken_too_long_is_no_longer_believed() -> None:
    clinic = site()
    young = Running(kind=SyncKind.FULL, since=NOW - timedelta(minutes=54))
    old = Running(kind=SyncKind.FULL, since=NOW - timedelta(minutes=55))

    assert status_of(clinic, accepted(clinic).sync(running=young).facts).sync.running == "Full"
    assert status_of(clinic, accepted(clinic).sync(running=old).facts).sync.running == ""


def test_nothing_is_planned_for_a_clinic_that_may_not_work() -> None:
    clinic, suspended = site(), site(suspend=True)
    well, off = status_of(clinic, served(clinic).facts).sync, status_of(suspended, served(suspended).facts).sync

    assert well.next_recent is not None
    assert well.next_recent > NOW
    assert well.next_full is not None
    assert well.next_full > NOW
    assert (off.next_recent, off.next_full) == (None, None)


def test_providers_are_counted_against_those_the_emr_shows() -> None:
    clinic = site(schedule={"providers": ["101", "999"]})
    providers = status_of(clinic, accepted(clinic).facts).providers

    assert (providers.known, providers.selected, providers.unknown) == (2, 1, ("999",))
    assert providers.unselected == PROVIDERS[1:]


def test_all_means_every_known_provider() -> None:
    clinic = site(schedule={"providers": "All"})
    providers = status_of(clinic, accepted(clinic).facts).providers

    assert (providers.known, providers.selected, providers.unselected, providers.unknown) == (2, 2, (), ())


def test_no_chosen_provider_is_called_unknown_before_the_emr_was_asked() -> None:
    clinic = site()

    assert status_of(clinic, Known(clinic).key().facts).providers.unknown == ()


def test_an_interface_that_rests_on_our_own_profile_says_so() -> None:
    clinic = site()
    known = Known(clinic).key()

    assert status_of(clinic, known.check(interface="OSCAR 19").facts).integration == "OSCAR 19"
    unverified = known.check(interface="OSCAR 19", verified=False).facts
    assert status_of(clinic, unverified).integration == "OSCAR 19 (unverified profile)"
    assert status_of(clinic, known.check(interface="", verified=False).facts).integration == ""
    assert status_of(clinic, known.facts).integration == ""


def test_an_answered_request_is_echoed_and_the_others_stay() -> None:
    clinic = site()
    first = status_of(clinic, served(clinic).facts, answered={names.SYNC_FULL_REQUEST: "t1"})
    again = site(status=first)
    second = status_of(again, served(again).facts, answered={names.REAUTHORIZE_REQUEST: "t2"})

    assert first.actions.sync_full == "t1"
    assert (second.actions.sync_full, second.actions.reauthorize, second.actions.sync_recent) == ("t1", "t2", "")


def test_the_status_names_the_generation_it_is_about() -> None:
    clinic = site(generation=7)
    status = status_of(clinic, served(clinic).facts)

    assert status.observed_generation == 7
    assert {c.observed_generation for c in status.conditions} == {7}


# When to look again


def test_a_working_clinic_is_looked_at_after_its_next_run_is_due() -> None:
    clinic = site()
    facts = served(clinic).facts
    due = status_of(clinic, facts).sync.next_recent

    assert due is not None
    assert look_again(clinic, PLATFORM, facts, NOW) == due + timedelta(minutes=10)


def test_a_clinic_that_may_not_work_is_left_to_events() -> None:
    clinic = site(suspend=True)

    assert look_again(clinic, PLATFORM, served(clinic).facts, NOW) is None
