from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ocean_api import names
from ocean_api.reasons import Reason
from ocean_api.report import WorkerReport
from ocean_operator.core.facts import (
    ACCESS_REASONS,
    DISAGREEMENT,
    Facts,
    check_is_current,
    check_token,
    check_waits_until,
    key_accepted,
    may_call,
    may_work,
    refused,
    token,
    window_token,
)
from unit.operator.sites import FHIR, NO_EMR, NOW, OSCAR, Known, accepted, problem, served, site

FACTS = Known(site()).key().facts

# Tokens


def test_a_token_tells_its_parts_apart() -> None:
    assert token("a", "b") == token("a", "b")
    assert len({token("a", "b"), token("ab"), token("b", "a"), token("a", "b", "")}) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"siteNumber": "1002"},
        {"ocean": {"credentialsSecret": "other"}},
        {"ocean": {"credentialsSecret": "ocean", "url": "https://test.cognisantmd.com"}},
        {"emr": OSCAR},
        {"emr": {"type": "FHIR", "fhir": {**FHIR["fhir"], "url": "https://other.example.org"}}},  # type: ignore[dict-item]
        {"emr": {"type": "FHIR", "fhir": {**FHIR["fhir"], "credentialsSecret": "other"}}},  # type: ignore[dict-item]
        {"annotations": {names.REAUTHORIZE_REQUEST: "again"}},
    ],
    ids=["number", "Ocean's Secret", "Ocean's address", "EMR", "EMR's address", "EMR's Secret", "person"],
)
def test_what_a_check_looks_at_asks_for_another_check(change: dict[str, Any]) -> None:
    assert check_token(site(**change), FACTS) != check_token(site(), FACTS)


@pytest.mark.parametrize(
    "change",
    [
        {"displayName": "Another name"},
        {"language": "fr"},
        {"schedule": {"providers": "All"}},
        {"generation": 9},
        {"version": 99},
        {"annotations": {names.SYNC_FULL_REQUEST: "t1"}},
        {"creation": "2025-01-01T00:00:00Z"},
    ],
)
def test_nothing_else_asks_for_another_check(change: dict[str, Any]) -> None:
    assert check_token(site(**change), FACTS) == check_token(site(), FACTS)


def test_another_version_of_the_key_asks_for_another_check_and_a_full_run() -> None:
    other = Known(site()).key(version=2).facts

    assert check_token(site(), other) != check_token(site(), FACTS)
    assert window_token(site(), other) != window_token(site(), FACTS)


def test_a_replaced_key_asks_for_another_check() -> None:
    """`Step.REPLACE` deletes the key with its metadata, so Vault counts from 1 again: the old check seems current."""
    replaced = Known(site()).key(version=1, fingerprint="f2").facts

    assert check_token(site(), replaced) != check_token(site(), FACTS)


@pytest.mark.parametrize(
    "change",
    [
        {"schedule": {"days": 2, "providers": ["101"]}},
        {"schedule": {"days": 1, "providers": ["101", "102"]}},
        {"schedule": {"days": 1, "providers": "All"}},
        {"timeZone": "America/Vancouver"},
        {"emr": OSCAR},
    ],
    ids=["days", "providers", "all", "zone", "EMR"],
)
def test_settings_of_the_window_ask_for_a_full_run(change: dict[str, Any]) -> None:
    assert window_token(site(**change), FACTS) != window_token(site(), FACTS)


@pytest.mark.parametrize("change", [{"displayName": "Other"}, {"language": "fr"}, {"generation": 9}])
def test_nothing_else_asks_for_a_full_run(change: dict[str, Any]) -> None:
    assert window_token(site(**change), FACTS) == window_token(site(), FACTS)


def test_each_refusal_after_a_check_asks_for_another_check() -> None:
    """So a refused synchronisation is looked into at once, and only once."""
    at = NOW - timedelta(minutes=1)
    first = served(site()).sync(problem=problem(Reason.EMR_AUTH_REFUSED)).facts
    second = served(site()).sync(problem=problem(Reason.EMR_AUTH_REFUSED, at=at)).facts
    tokens = {check_token(site(), f) for f in (served(site()).facts, first, second)}

    assert len(tokens) == 3


def test_another_disturbance_asks_for_no_check() -> None:
    away = served(site()).sync(problem=problem(Reason.EMR_UNAVAILABLE)).facts

    assert check_token(site(), away) == check_token(site(), served(site()).facts)


@pytest.mark.parametrize("make", [check_token, window_token])
def test_without_spec_or_key_there_is_nothing_to_name(make: Any) -> None:
    assert make(site(timeZone="Nowhere"), FACTS) == ""
    assert make(site(), Facts()) == ""


# What follows from them


def test_a_clinic_without_a_report_has_no_current_check() -> None:
    assert not check_is_current(site(), FACTS)
    assert check_is_current(site(), accepted(site()).facts)


@pytest.mark.parametrize(
    "facts",
    [
        Facts(),
        Known(site()).key(version=0).facts,
        Known(site()).key(version=0).check().facts,
        Known(site()).key().facts,
        accepted(site()).but(key_problem=problem(Reason.KEY_WEAK)),
        accepted(site()).check(key=problem(Reason.SEK_MISMATCH)).facts,
        accepted(site()).check(key_version=2).facts,
        accepted(site()).check(key_version=None).facts,
    ],
    ids=["unknown", "none", "none, checked", "unchecked", "problem", "mismatch", "other version", "not tried"],
)
def test_a_key_that_no_check_tried_and_passed_is_not_accepted(facts: Facts) -> None:
    assert not key_accepted(site(), facts)


def test_a_tried_key_is_accepted() -> None:
    assert key_accepted(site(), accepted(site()).facts)


def test_a_clinic_with_key_and_access_works() -> None:
    assert may_work(site(), accepted(site()).facts)


@pytest.mark.parametrize(
    "spec",
    [
        {"suspend": True},
        {"enabled": False},
        {"schedule": {"providers": []}},
        {"emr": NO_EMR, "enabled": True},
        {"timeZone": "Nowhere"},
    ],
    ids=["suspended", "not enabled", "no provider", "no EMR", "unreadable"],
)
def test_a_clinic_that_is_off_does_not_work(spec: dict[str, Any]) -> None:
    clinic = site(**spec)
    facts = served(clinic).facts if clinic.spec else served(site()).facts

    assert not may_work(clinic, facts)


def test_new_settings_stop_the_work_until_they_are_checked() -> None:
    changed = site(emr=OSCAR)

    assert not may_work(changed, accepted(site()).facts)
    assert may_work(changed, accepted(changed).facts)


@pytest.mark.parametrize("reason", sorted(ACCESS_REASONS))
def test_a_refusal_stops_the_work(reason: Reason) -> None:
    """So no account is locked by calls that can only fail."""
    by_check = accepted(site()).check(access=problem(reason)).facts
    by_sync = served(site()).sync(problem=problem(reason)).facts

    assert not may_work(site(), by_check)
    assert not may_work(site(), by_sync)
    assert refused(site(), by_sync) == problem(reason)


def test_another_problem_of_a_run_does_not_stop_the_work() -> None:
    assert may_work(site(), served(site()).sync(problem=problem(Reason.EMR_UNAVAILABLE)).facts)


def test_another_problem_is_no_refusal_even_while_a_check_is_awaited() -> None:
    away = served(site()).sync(problem=problem(Reason.EMR_UNAVAILABLE)).facts

    assert refused(site(emr=OSCAR), away) is None


def test_a_later_check_that_passes_lets_the_work_go_on() -> None:
    stopped = served(site()).sync(problem=problem(Reason.EMR_AUTH_REFUSED))
    checked = stopped.check(at=NOW)

    assert not may_work(site(), stopped.facts)
    assert may_work(site(), checked.facts)


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=20)], ids=["same second", "clock ahead"])
def test_a_check_that_knew_of_the_refusal_lets_the_work_go_on_whatever_the_clocks_say(ahead: timedelta) -> None:
    """The check's token holds the refusal, so it came after it.

    Otherwise such a clinic stays stopped for good: its check is current and found nothing, so none is due.
    """
    stopped = served(site()).sync(problem=problem(Reason.EMR_AUTH_REFUSED, at=NOW + ahead))

    assert may_work(site(), stopped.check(at=NOW).facts)


def test_a_check_that_is_refused_after_a_run_was_stopped_is_the_one_that_counts() -> None:
    newer = problem(Reason.OCEAN_ACCESS_REFUSED, at=NOW)
    stopped = served(site()).sync(problem=problem(Reason.EMR_AUTH_REFUSED))

    assert refused(site(), stopped.check(at=NOW, access=newer).facts) == newer


# The worker's refusals


@pytest.mark.parametrize("reason", sorted(ACCESS_REASONS))
def test_the_workers_refusal_stops_everything_as_a_synchronisations_does(reason: Reason) -> None:
    stopped = served(site()).refused_worker(reason)

    assert not may_call(site(), stopped.facts)
    assert not may_work(site(), stopped.facts)
    assert refused(site(), stopped.facts) == problem(reason)
    assert not check_is_current(site(), stopped.facts)
    assert may_work(site(), stopped.check().facts)


def test_another_problem_of_the_worker_stops_nothing() -> None:
    away = served(site()).refused_worker(Reason.EMR_UNAVAILABLE)

    assert may_work(site(), away.facts)
    assert check_token(site(), away.facts) == check_token(site(), served(site()).facts)


def test_a_check_answers_both_refusals_and_stays_good_when_either_is_forgotten() -> None:
    """The worker forgets its own only when it runs again, which waits for the check: nobody is asked twice."""
    both = served(site()).sync(problem=problem(Reason.EMR_AUTH_REFUSED)).refused_worker(at=NOW - timedelta(minutes=1))
    answered = both.check()

    assert check_is_current(site(), answered.facts)
    assert check_is_current(site(), answered.sync().facts)
    assert check_is_current(site(), answered.but(worker=None))
    assert check_is_current(site(), answered.sync().but(worker=None))
    assert not check_is_current(site(), answered.refused_worker(at=NOW).facts)
    assert not check_is_current(site(), served(site()).refused_worker().facts)


def test_the_worker_that_tells_of_anothers_refusal_asks_for_no_other_check() -> None:
    """Each further check would show the refused login once more."""
    met = problem(Reason.EMR_AUTH_REFUSED)
    by_sync, by_check = served(site()).sync(problem=met), served(site()).check(access=met)

    for known in (by_sync, by_check):
        assert check_token(site(), known.but(worker=WorkerReport(problem=met))) == check_token(site(), known.facts)
    assert refused(site(), by_check.but(worker=WorkerReport(problem=met))) == met


def test_a_refusal_of_synchronisation_alone_is_named_as_it_always_was() -> None:
    """An upgrade must not have every refused clinic tried again at once: that is how accounts are locked."""
    stopped = served(site()).sync(problem=problem(Reason.EMR_AUTH_REFUSED)).facts
    settings = check_token(site(), served(site()).facts)

    assert check_token(site(), stopped) == f"{settings}-{token(problem(Reason.EMR_AUTH_REFUSED).at)}"


def test_messages_do_not_wait_for_providers_to_be_chosen() -> None:
    clinic = site(schedule={"providers": []})

    assert may_call(clinic, accepted(clinic).facts)
    assert not may_work(clinic, accepted(clinic).facts)


@pytest.mark.parametrize("off", [{"suspend": True}, {"enabled": False}, {"emr": NO_EMR, "enabled": True}])
def test_a_clinic_that_is_off_delivers_nothing(off: dict[str, Any]) -> None:
    clinic = site(**off)

    assert not may_call(clinic, accepted(clinic).facts)


CHECKED_AT = NOW - timedelta(hours=1)
"""As `Known.check` has it."""


@pytest.mark.parametrize(
    ("after", "waits"),
    [(timedelta(seconds=-1), False), (timedelta(0), True), (timedelta(minutes=9), True), (DISAGREEMENT, False)],
)
def test_what_a_check_has_just_accepted_is_not_tried_again_at_once(after: timedelta, *, waits: bool) -> None:
    """An EMR that lets a login read and not write: each round is one more refused attempt."""
    met = CHECKED_AT + after
    facts = served(site()).refused_worker(at=met).facts

    assert check_waits_until(site(), facts) == (met + DISAGREEMENT if waits else None)


def test_a_person_who_asks_does_not_wait() -> None:
    facts = served(site()).refused_worker(at=CHECKED_AT).facts
    asked = site(annotations={names.REAUTHORIZE_REQUEST: "now"})

    assert check_waits_until(site(), facts)
    assert check_waits_until(asked, facts) is None


@pytest.mark.parametrize("reason", [Reason.CREDENTIALS_SECRET_MISSING, Reason.CREDENTIALS_SECRET_INVALID])
def test_a_secret_that_went_missing_is_looked_for_at_once(reason: Reason) -> None:
    """Nobody is called for that."""
    assert check_waits_until(site(), served(site()).refused_worker(reason, at=CHECKED_AT).facts) is None


def test_a_check_that_was_refused_itself_is_repeated_as_ever() -> None:
    known = served(site()).check(access=problem(Reason.EMR_AUTH_REFUSED)).refused_worker(at=CHECKED_AT)

    assert check_waits_until(site(), known.facts) is None
