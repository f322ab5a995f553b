"""Whose refusal stands, and what ends it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ocean_api.reasons import Reason
from ocean_api.report import CheckReport, Problem, SyncReport, WorkerReport
from ocean_emr.messages.standing import accepted, refusal, refused, troubled

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
EARLIER = datetime(2026, 11, 24, 11, tzinfo=UTC)
OLD, NEW = "digest-of-old", "digest-of-new"


def problem(reason: Reason = Reason.EMR_AUTH_REFUSED, at: datetime = AT) -> Problem:
    return Problem(reason=reason, message="refused", at=at)


def check(token: str = "token-1", **more: Any) -> CheckReport:  # noqa: S107 - names a request
    return CheckReport(token=token, at=EARLIER, **more)


def test_nothing_stands_at_first() -> None:
    assert refusal(WorkerReport(), None, None, OLD) is None
    assert refusal(WorkerReport(), check(), SyncReport(), OLD) is None


def test_own_refusal_stands_for_these_credentials_only() -> None:
    own = refused(WorkerReport(), None, OLD, problem())

    assert refusal(own, None, None, OLD) == problem()
    assert refusal(own, None, None, NEW) is None


def test_check_that_was_made_before_ends_nothing() -> None:
    own = refused(WorkerReport(), check("token-1"), OLD, problem())

    assert refusal(own, check("token-1"), None, OLD) == problem()


def test_later_check_that_accepts_ends_it_whatever_its_clock_says() -> None:
    own = refused(WorkerReport(), check("token-1"), OLD, problem())

    assert refusal(own, check("token-2"), None, OLD) is None
    # One that stopped at the key never asked the EMR.
    assert refusal(own, check("token-2", key=problem(Reason.KEY_WEAK)), None, OLD) == problem()
    other = problem(Reason.EMR_UNAVAILABLE)
    assert refusal(own, check("token-2", access=other), None, OLD) == problem()


def test_refusals_that_others_met_stand_too() -> None:
    found = problem(Reason.OCEAN_ACCESS_REFUSED)

    assert refusal(WorkerReport(), check(access=found, refused=OLD), None, OLD) == found
    assert refusal(WorkerReport(), check(access=found, refused=OLD), None, NEW) is None
    sync = SyncReport(refused=OLD, refusal=found, refusal_id="r-1")
    assert refusal(WorkerReport(), None, sync, OLD) == found
    assert refusal(WorkerReport(), check(knew="r-1"), sync, OLD) is None
    assert refusal(WorkerReport(), None, sync, NEW) is None


def test_accepted_credentials_are_not_refused_any_more() -> None:
    own = accepted(refused(WorkerReport(), check(), OLD, problem()))

    assert (own.refused, own.refusal, own.refused_after) == ("", None, "")


def test_same_trouble_keeps_the_time_it_was_seen_first() -> None:
    own = troubled(WorkerReport(), problem(at=EARLIER))

    assert troubled(own, problem(at=AT)) == own
    assert troubled(own, problem(Reason.EMR_UNAVAILABLE)).problem == problem(Reason.EMR_UNAVAILABLE)
    assert troubled(own, None).problem is None
