from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.report import CheckReport, Counts, Problem, Run, Running, SyncKind, SyncReport, Trigger
from ocean_emr.problems import problem
from ocean_emr.records import ProviderId
from ocean_emr.sync import progress
from ocean_emr.sync.decide import Selection

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
RUN = Run(started_at=NOW, finished_at=LATER, trigger=Trigger.SCHEDULED, counts=Counts(sent=3))
DOWN = problem(Reason.EMR_UNAVAILABLE, "The EMR could not be reached.", NOW)
REFUSAL = problem(Reason.EMR_AUTH_REFUSED, "The EMR refused the login.", NOW)


def after(report: SyncReport, kind: SyncKind, **facts: object) -> SyncReport:
    plain: dict[str, object] = {"window": "", "token": "", "reservation": None, **facts}
    return progress.succeeded(report, RUN, kind=kind, **plain)  # type: ignore[arg-type]


def check(knew: str | None, *, at: datetime = LATER, **facts: object) -> CheckReport:
    return CheckReport.model_validate({"token": "t", "at": at, "knew": knew, **facts})


def test_run_begins_and_ends() -> None:
    report = progress.begun(SyncReport(problem=DOWN), SyncKind.FULL, NOW)

    assert report.running == Running(kind=SyncKind.FULL, since=NOW)
    assert progress.ended(report) == SyncReport(problem=DOWN)


def test_run_is_told_to_stop() -> None:
    report = progress.interrupted(progress.begun(SyncReport(), SyncKind.FULL, NOW), LATER)

    assert report.running is None
    assert report.problem is not None
    assert (report.problem.reason, report.problem.at) == (Reason.SYNC_INTERRUPTED, LATER)


def test_success_of_a_full_run() -> None:
    before = SyncReport(running=Running(kind=SyncKind.FULL, since=NOW), problem=DOWN, window="old")

    assert after(before, SyncKind.FULL, window="new", token="t-1", held=0) == SyncReport(
        last_full=RUN, last_trigger=Trigger.SCHEDULED, window="new", handled=("t-1",)
    )


def test_success_of_a_recent_run() -> None:
    before = SyncReport(last_full=RUN, window="old", problem=DOWN)

    assert after(before, SyncKind.RECENT, window="new") == SyncReport(
        last_full=RUN, last_recent=RUN, last_trigger=Trigger.SCHEDULED, window="old"
    )


def test_success_of_a_run_by_the_clock_leaves_the_window_as_it_is() -> None:
    assert after(SyncReport(window="old"), SyncKind.FULL, held=0).window == "old"


def test_success_takes_a_refusal_back() -> None:
    before = progress.failed(SyncReport(), REFUSAL, refused="d1", refusal_id="r1")

    report = after(before, SyncKind.RECENT)
    assert (report.refused, report.refusal, report.refusal_id, report.problem) == ("", None, "", None)


def test_success_with_a_reservation_tells_it() -> None:
    doubt = problem(Reason.SYNC_INCOMPLETE, "Something may be missing.", NOW)

    assert after(SyncReport(), SyncKind.FULL, reservation=doubt).problem == doubt


def test_success_remembers_the_last_ten_requests() -> None:
    report = SyncReport()
    for number in range(12):
        report = after(report, SyncKind.RECENT, token=f"t-{number}")

    assert report.handled == tuple(f"t-{number}" for number in range(2, 12))


HELD = after(SyncReport(), SyncKind.FULL, held=26, held_by="run-1")


def test_hold_is_told_with_the_remedy() -> None:
    assert (HELD.held, HELD.held_by) == (26, "run-1")
    assert HELD.problem is not None
    assert HELD.problem.reason is Reason.REMOVAL_HELD
    assert HELD.problem.message.startswith("26 appointments are gone")
    assert HELD.problem.message.endswith(EXPLANATIONS[Reason.REMOVAL_HELD].remedy)


def test_hold_is_not_taken_back_by_a_recent_run() -> None:
    report = after(HELD, SyncKind.RECENT)

    assert (report.problem, report.held, report.held_by) == (HELD.problem, 26, "run-1")


def test_hold_comes_back_after_another_trouble() -> None:
    """Not the trouble's own problem, which is over."""
    report = after(progress.failed(HELD, DOWN), SyncKind.RECENT)

    assert report.problem == HELD.problem


def test_hold_outlasts_a_full_run_that_could_not_tell() -> None:
    doubt = problem(Reason.SYNC_INCOMPLETE, "Something may be missing.", NOW)
    report = after(HELD, SyncKind.FULL, reservation=doubt, held=None, held_by="run-2")

    assert (report.problem, report.held, report.held_by) == (doubt, 26, "run-1")


def test_hold_ends_with_a_full_run_that_could() -> None:
    report = after(HELD, SyncKind.FULL, held=0, held_by="run-2")

    assert (report.problem, report.held, report.held_by) == (None, 0, "")


def test_failure_keeps_what_was_achieved() -> None:
    before = SyncReport(last_full=RUN, window="w", handled=("t-1",), held=3, held_by="run-1")

    assert progress.failed(before, DOWN) == before.model_copy(update={"problem": DOWN})


def test_failure_by_refusal_is_kept_through_other_troubles() -> None:
    assert (REFUSED.problem, REFUSED.refused, REFUSED.refusal, REFUSED.refusal_id) == (DOWN, "d1", REFUSAL, "r1")


REFUSED = progress.failed(progress.failed(SyncReport(), REFUSAL, refused="d1", refusal_id="r1"), DOWN)


def test_refused_credentials_are_not_shown_again() -> None:
    assert progress.refused_before(REFUSED, None, "d1") == REFUSAL


def test_other_credentials_are() -> None:
    assert progress.refused_before(REFUSED, None, "d2") is None
    assert progress.refused_before(SyncReport(), None, "d1") is None


CLOCKS = pytest.mark.parametrize("ahead", [timedelta(0), timedelta(hours=1), -timedelta(hours=1)])
"""How far the clock of the check's pod is ahead of the one that met the refusal."""


@CLOCKS
def test_refused_credentials_are_shown_when_a_check_that_knew_has_accepted_them(ahead: timedelta) -> None:
    assert progress.refused_before(REFUSED, check("r1", at=NOW + ahead), "d1") is None


@CLOCKS
@pytest.mark.parametrize("knew", ["", "r0", None])
def test_refused_credentials_are_not_shown_after_a_check_that_did_not_know(knew: str | None, ahead: timedelta) -> None:
    """It may have been at work while the synchronisation was refused, or belong to an older version."""
    assert progress.refused_before(REFUSED, check(knew, at=NOW + ahead), "d1") == REFUSAL


@pytest.mark.parametrize("found", [{"access": REFUSAL}, {"access": DOWN}, {"key": DOWN}])
def test_refused_credentials_are_not_shown_after_a_check_that_did_not_get_to_them(found: dict[str, Problem]) -> None:
    """With a key that will not do, the EMR is not asked at all."""
    assert progress.refused_before(REFUSED, check("r1", **found), "d1") == REFUSAL


OLD = REFUSED.model_copy(update={"refusal_id": ""})
"""As a version wrote it that gave refusals no names."""


@pytest.mark.parametrize(("at", "expected"), [(LATER, None), (NOW, REFUSAL), (NOW - timedelta(days=1), REFUSAL)])
def test_rows_of_an_older_version_are_told_apart_by_time(at: datetime, expected: Problem | None) -> None:
    """An upgrade finds no more in them. Whoever had asked for the check before it need not ask again."""
    assert progress.refused_before(OLD, check(None, at=at), "d1") == expected


@CLOCKS
def test_refusal_that_an_older_version_met_is_known_by_its_time(ahead: timedelta) -> None:
    knew = check(progress.refusal_id(OLD), at=NOW + ahead)

    assert progress.refused_before(OLD, knew, "d1") is None
    met_again = progress.failed(OLD, problem(Reason.EMR_AUTH_REFUSED, "Again.", LATER), refused="d1")
    assert progress.refused_before(met_again, knew, "d1") == met_again.refusal


ANSWERED = SyncReport(handled=("t-1", "t-2"), window="w")


@pytest.mark.parametrize(
    ("kind", "token", "window", "expected"),
    [
        (SyncKind.FULL, "t-1", "w", True),
        (SyncKind.RECENT, "t-2", "other", True),
        (SyncKind.FULL, "t-3", "w", False),
        (SyncKind.FULL, "", "w", False),
        # The settings were changed, and changed back: the token is the same as two runs ago.
        (SyncKind.FULL, "t-1", "other", False),
    ],
)
def test_request_is_known_by_its_token(kind: SyncKind, token: str, window: str, *, expected: bool) -> None:
    assert progress.already_answered(ANSWERED, kind, token, window) is expected


def test_reading_that_is_whole_leaves_nothing_open() -> None:
    reading = progress.Reading((), ())

    assert reading.complete
    assert reading.reservation(NOW) is None


def test_reading_that_lacks_a_provider_names_them() -> None:
    reading = progress.Reading(tuple(ProviderId(f"1{n:02d}") for n in range(12)), ("And more.",))
    told = reading.reservation(NOW)

    assert not reading.complete
    assert told is not None
    assert told.reason is Reason.PROVIDER_UNKNOWN
    assert "The EMR does not show 100, 101, 102, 103, 104, 105, 106, 107, 108, 109 and 2 more." in told.message


def test_reading_that_is_in_doubt_says_why() -> None:
    told = progress.Reading((), ("3 appointments could not be read.", "The list may be cut short.")).reservation(NOW)

    assert told is not None
    assert told.reason is Reason.SYNC_INCOMPLETE
    assert told.message.startswith("3 appointments could not be read. The list may be cut short. Nothing was")


@pytest.mark.parametrize(
    ("chosen", "reason", "words"),
    [
        (Selection(()), Reason.NO_PROVIDER_SELECTED, "No provider is selected."),
        (Selection((), (ProviderId("777"),)), Reason.PROVIDER_UNKNOWN, "(777)"),
        (Selection((), everybody=True), Reason.PROVIDER_UNKNOWN, "no active provider at all"),
    ],
)
def test_nobody_to_read_is_explained(chosen: Selection, reason: Reason, words: str) -> None:
    told = progress.nobody(chosen, NOW)

    assert told.reason is reason
    assert words in told.message
    assert told.message.endswith(EXPLANATIONS[reason].remedy)


def test_report_survives_the_database() -> None:
    """JSON and back, in the form that the operator reads."""
    report = after(progress.failed(HELD, REFUSAL, refused="d1"), SyncKind.RECENT, token="t-1")
    report = progress.sealed_with(progress.failed(report, REFUSAL, refused="d1", refusal_id="r1"), "f1/1")

    assert SyncReport.model_validate(report.model_dump(mode="json", by_alias=True)) == report
