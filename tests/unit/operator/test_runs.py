from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from ocean_api import names
from ocean_api.reasons import Reason
from ocean_api.v1alpha1.oceansite import MAX_NAME
from ocean_api.v1alpha1.status import ActionsStatus, OceanSiteStatus
from ocean_operator.core.facts import ACCESS_REASONS, Facts, check_token, window_token
from ocean_operator.core.platform import Platform
from ocean_operator.core.runs import Due, due
from ocean_operator.core.site import Manifest, Site, SiteKey
from unit.operator.sites import NO_EMR, NO_STORES, NOW, PLATFORM, Known, accepted, problem, run, served, site

RECENT, FULL, AGAIN = names.SYNC_RECENT_REQUEST, names.SYNC_FULL_REQUEST, names.REAUTHORIZE_REQUEST
RETRY_SECONDS = 120
MISSED_AFTER = timedelta(hours=2)
MIDNIGHT = datetime(2026, 3, 10, 4, tzinfo=UTC)
"""Of `NOW`'s day in Toronto."""


def due_now(clinic: Site, facts: Facts, *existing: str, now: datetime = NOW, platform: Platform = PLATFORM) -> Due:
    """What is due, while Jobs of these names exist."""
    return due(clinic, platform, facts, existing, now)


def job_names(found: Due) -> list[str]:
    """The names of the Jobs."""
    return [job["metadata"]["name"] for job in found.jobs]


def told(found: Due) -> list[tuple[str, ...]]:
    """What each Job's process is told, but for its token."""
    return [
        tuple(job["spec"]["template"]["spec"]["containers"][0]["args"][: 2 if is_check(job) else 4])
        for job in found.jobs
    ]


def is_check(job: Manifest) -> bool:
    """Whether the Job is a check."""
    return bool(job["metadata"]["labels"][names.COMPONENT_LABEL] == "check")


def asked(**tokens: str) -> Site:
    """A clinic with requests."""
    called = {"recent": RECENT, "full": FULL, "again": AGAIN}
    return site(annotations={called[name]: token for name, token in tokens.items()})


# Checks


def test_a_stored_keyis_checked_at_once() -> None:
    clinic = site()
    facts = Known(clinic).key().facts
    (job,) = due_now(clinic, facts).jobs

    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == [
        "ocean-check",
        "--token",
        check_token(clinic, facts),
    ]


@pytest.mark.parametrize(
    "facts",
    [
        Facts(),
        Known(site()).key(version=0).facts,
        Known(site()).key().but(key_problem=problem(Reason.VAULT_UNAVAILABLE)),
    ],
    ids=["not asked", "no key", "problem"],
)
def test_without_a_stored_key_there_is_nothing_to_check(facts: Facts) -> None:
    assert due_now(site(), facts).jobs == ()


def test_an_accepted_clinic_is_not_checked_again() -> None:
    assert not any(is_check(job) for job in due_now(site(), accepted(site()).facts).jobs)


@pytest.mark.parametrize("part", ["key", "access"])
def test_a_check_that_found_a_problem_is_tried_again_when_its_job_is_gone(part: str) -> None:
    """The Job's time to live is the pause between tries."""
    facts = accepted(site()).check(**{part: problem(Reason.EMR_AUTH_REFUSED)}).facts
    first = due_now(site(), facts)
    (job,) = first.jobs

    assert job["spec"]["ttlSecondsAfterFinished"] == RETRY_SECONDS
    assert due_now(site(), facts, *job_names(first)).jobs == ()


def test_settings_that_changed_are_checked_under_another_name() -> None:
    """So the Job of the old settings, which may still be there, does not stand in the way."""
    before, after = site(), site(ocean={"credentialsSecret": "other"})
    facts = Known(before).key().facts

    assert job_names(due_now(before, facts)) != job_names(due_now(after, facts))


def test_a_person_may_have_it_checked_again() -> None:
    clinic = asked(again="t1")
    before = due_now(clinic, accepted(site()).facts)
    after = due_now(clinic, accepted(clinic).facts)

    assert [is_check(job) for job in before.jobs] == [True]
    assert AGAIN not in before.answered
    assert after.answered[AGAIN] == "t1"


def test_a_clinic_without_an_emris_checked_and_never_synchronised() -> None:
    clinic = site(emr=NO_EMR, enabled=True)

    assert [is_check(job) for job in due_now(clinic, Known(clinic).key().facts).jobs] == [True]
    assert due_now(clinic, accepted(clinic).facts).jobs == ()


# Synchronisations


def test_the_first_full_run_starts_once_the_clinic_is_accepted() -> None:
    clinic = site()
    found = due_now(clinic, accepted(clinic).facts)
    (job,) = found.jobs

    assert told(found) == [("ocean-sync", "full", "--trigger", "Initial")]
    assert job["metadata"]["annotations"][names.RUN_ANNOTATION].startswith("window:")


def test_a_first_run_that_failed_is_tried_again_when_its_job_is_gone() -> None:
    clinic = site()
    failed = accepted(clinic).sync(last_full=None, window="", problem=problem(Reason.EMR_UNAVAILABLE)).facts
    first = due_now(clinic, failed)

    assert told(first) == [("ocean-sync", "full", "--trigger", "Initial")]
    assert first.jobs[0]["spec"]["ttlSecondsAfterFinished"] == RETRY_SECONDS
    assert due_now(clinic, failed, *job_names(first)).jobs == ()


def test_settings_of_the_window_start_a_full_run() -> None:
    before, after = site(), site(schedule={"days": 3, "providers": ["101"]})

    assert told(due_now(after, served(before).facts)) == [("ocean-sync", "full", "--trigger", "Changed")]


def test_a_clinic_that_is_well_needs_nothing() -> None:
    assert due_now(site(), served(site()).facts).jobs == ()


@pytest.mark.parametrize(
    ("request_", "told_as"),
    [
        ({"recent": "t1"}, [("ocean-sync", "recent", "--trigger", "Requested")]),
        ({"full": "t1"}, [("ocean-sync", "full", "--trigger", "Requested")]),
        (
            {"recent": "t1", "full": "t1"},
            [("ocean-sync", "recent", "--trigger", "Requested"), ("ocean-sync", "full", "--trigger", "Requested")],
        ),
    ],
    ids=["recent", "full", "both, with one token"],
)
def test_each_request_starts_its_own_run(request_: dict[str, str], told_as: list[tuple[str, ...]]) -> None:
    clinic = asked(**request_)
    found = due_now(clinic, served(clinic).facts)

    assert told(found) == told_as
    assert len(set(job_names(found))) == len(told_as)
    assert {found.answered[{"recent": RECENT, "full": FULL}[name]] for name in request_} == {"t1"}


def test_a_request_is_carried_out_once() -> None:
    """Whether the pass died before it wrote the status (the Job is there) or after (the status says so)."""
    clinic = asked(full="t1")
    found = due_now(clinic, served(clinic).facts)
    echoed = replace(clinic, status=OceanSiteStatus(actions=ActionsStatus(sync_full="t1")))

    assert due_now(clinic, served(clinic).facts, *job_names(found)).jobs == ()
    assert due_now(echoed, served(clinic).facts).jobs == ()


def test_another_token_is_another_request() -> None:
    clinic = replace(asked(full="t2"), status=OceanSiteStatus(actions=ActionsStatus(sync_full="t1")))
    found = due_now(clinic, served(clinic).facts)

    assert len(found.jobs) == 1
    assert job_names(found) != job_names(due_now(asked(full="t1"), served(clinic).facts))


def test_a_request_that_was_taken_back_is_forgotten() -> None:
    clinic = replace(site(), status=OceanSiteStatus(actions=ActionsStatus(sync_full="t1")))
    found = due_now(clinic, served(clinic).facts)

    assert found.jobs == ()
    assert found.answered[FULL] == ""


def test_a_request_waits_until_the_clinic_may_work() -> None:
    clinic = asked(full="t1", recent="t2")
    refused = served(clinic).check(access=problem(Reason.EMR_AUTH_REFUSED)).facts
    found = due_now(clinic, refused)

    assert not {FULL, RECENT} & set(found.answered)
    assert [is_check(job) for job in found.jobs] == [True]


def test_a_requested_run_is_kept_longer_than_one_that_is_tried_again() -> None:
    """Its Job is the memory that it was carried out, should the status get lost."""
    clinic = asked(full="t1")
    (job,) = due_now(clinic, served(clinic).facts).jobs

    assert job["spec"]["ttlSecondsAfterFinished"] > RETRY_SECONDS


@pytest.mark.parametrize("reason", sorted(ACCESS_REASONS))
def test_work_resumes_by_itself_after_a_refusal(reason: Reason) -> None:
    clinic = site()
    stopped = served(clinic).sync(problem=problem(reason))
    found = due_now(clinic, stopped.check(at=NOW).facts)

    assert told(due_now(clinic, stopped.facts)) == [("ocean-check", "--token")]
    assert told(found) == [("ocean-sync", "recent", "--trigger", "Changed")]


def test_each_refusal_is_resumed_from_once() -> None:
    clinic = site()
    first = served(clinic).sync(problem=problem(Reason.EMR_AUTH_REFUSED)).check(at=NOW).facts
    at = NOW - timedelta(minutes=1)
    second = served(clinic).sync(problem=problem(Reason.EMR_AUTH_REFUSED, at=at)).check(at=NOW).facts
    name = job_names(due_now(clinic, first))

    assert due_now(clinic, first, *name).jobs == ()
    assert job_names(due_now(clinic, second)) != name


# Full runs that the clock missed


def test_a_missed_midnight_is_made_up_for() -> None:
    clinic = site()
    facts = accepted(clinic).sync(last_full=run(at=MIDNIGHT - timedelta(hours=1))).facts
    found = due_now(clinic, facts)

    assert told(found) == [("ocean-sync", "full", "--trigger", "Scheduled")]
    assert found.jobs[0]["metadata"]["annotations"][names.RUN_ANNOTATION] == "missed:2026-03-10T04:00:00+00:00"


@pytest.mark.parametrize(
    ("started", "now"),
    [
        (MIDNIGHT - timedelta(hours=1), MIDNIGHT + MISSED_AFTER),
        (MIDNIGHT, MIDNIGHT + MISSED_AFTER + timedelta(seconds=1)),
        (MIDNIGHT + timedelta(minutes=40), NOW),
    ],
    ids=["the clock may still do it", "begun on time", "begun late"],
)
def test_a_midnight_that_was_kept_or_may_still_be_is_not_made_up_for(started: datetime, now: datetime) -> None:
    clinic = site()

    assert due_now(clinic, accepted(clinic).sync(last_full=run(at=started)).facts, now=now).jobs == ()


def test_one_missed_midnight_is_made_up_for_once() -> None:
    clinic = site()
    facts = accepted(clinic).sync(last_full=run(at=MIDNIGHT - timedelta(days=5))).facts
    name = job_names(due_now(clinic, facts))

    assert name == job_names(due_now(clinic, facts, now=NOW + timedelta(hours=3)))
    assert name != job_names(due_now(clinic, facts, now=NOW + timedelta(days=1)))
    assert due_now(clinic, facts, *name).jobs == ()


def test_a_skipped_midnight_is_made_up_for() -> None:
    """In Havana no clock shows 00:00 on 2026-03-08, so the CronJob does not run."""
    clinic = site(timeZone="America/Havana")
    morning = datetime(2026, 3, 8, 12, tzinfo=UTC)
    facts = accepted(clinic).sync(last_full=run(at=datetime(2026, 3, 7, 5, tzinfo=UTC))).facts

    assert told(due_now(clinic, facts, now=morning)) == [("ocean-sync", "full", "--trigger", "Scheduled")]


# When nothing may run


@pytest.mark.parametrize(
    "spec", [{"suspend": True}, {"enabled": False}, {"emr": NO_EMR}, {"timeZone": "Nowhere"}], ids=str
)
def test_a_clinic_that_is_off_starts_nothing_and_answers_nothing(spec: dict[str, Any]) -> None:
    clinic = site(annotations={FULL: "t1", AGAIN: "t2"}, **spec)
    facts = served(clinic).facts if clinic.spec else served(site()).facts

    assert due_now(clinic, facts) == Due()


def test_without_stores_nothing_starts() -> None:
    assert due_now(site(), served(site()).facts, platform=NO_STORES) == Due()


# Names


def test_names_are_stable_unique_and_short_enough() -> None:
    """Each Job answers one question of one clinic: no two are alike, however many clinics there are."""
    found: list[str] = []
    for number, token in product(range(20), ("a", "b", "c")):
        clinic = site(
            called=SiteKey("n", f"{number}".rjust(MAX_NAME, "a")),
            uid=f"uid-{number}",
            annotations={FULL: token, RECENT: token, AGAIN: token},
        )
        well, unchecked = due_now(clinic, served(clinic).facts), due_now(clinic, Known(clinic).key().facts)

        assert job_names(well) == job_names(due_now(clinic, served(clinic).facts))
        found += [*job_names(well), *job_names(unchecked)]

    assert len(found) == 20 * 3 * 3
    assert len(set(found)) == len(found)
    assert max(len(name) for name in found) <= 63


def test_a_site_made_anew_answers_anew() -> None:
    """Its predecessor's Jobs may still be there under their names."""
    old, new = site(uid="uid-old"), site(uid="uid-new")

    assert job_names(due_now(old, accepted(old).facts)) != job_names(due_now(new, accepted(new).facts))


def test_a_synchronisation_says_what_it_answers() -> None:
    """The process echoes the token, which is how the operator knows the answer from the question."""
    clinic = asked(full="t1")
    facts = served(clinic).facts
    (job,) = due_now(clinic, facts).jobs
    args = job["spec"]["template"]["spec"]["containers"][0]["args"]

    assert dict(zip(args[2::2], args[3::2], strict=True)) == {
        "--trigger": "Requested",
        "--token": "request:t1",
        "--window": window_token(clinic, facts),
    }
    assert job["metadata"]["annotations"][names.RUN_ANNOTATION] == "request:t1"


def test_a_check_that_would_only_be_refused_again_waits() -> None:
    checked = served(site()).facts.check
    assert checked is not None
    met = checked.at + timedelta(minutes=1)
    facts = served(site()).refused_worker(at=met).facts

    assert due_now(site(), facts, now=met + timedelta(minutes=9)).jobs == ()
    assert told(due_now(site(), facts, now=met + timedelta(minutes=10))) == [("ocean-check", "--token")]
