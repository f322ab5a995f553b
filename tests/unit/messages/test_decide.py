"""What becomes of a message after whatever happened."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api.reasons import Reason
from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrConflictError,
    EmrError,
    EmrNotFoundError,
    EmrNotSupportedError,
    EmrOutcomeUnknownError,
    EmrPermissionDeniedError,
    EmrRateLimitedError,
    EmrUnavailableError,
    EmrWriteRefusedError,
)
from ocean_emr.messages.decide import (
    SETTLE_SECONDS,
    UNKNOWN,
    Action,
    Bearing,
    Breaker,
    Hold,
    Phase,
    Postpone,
    View,
    after_error,
    newest,
    next_action,
    pause,
)
from ocean_emr.messages.deliveries import MessageHeldError
from ocean_emr.ocean.errors import (
    MessageGoneError,
    OceanAccessRefusedError,
    OceanAnswerUnreadableError,
    OceanUnavailableError,
    SekMismatchError,
)
from ocean_emr.records import Operation

OP = Operation.WRITE_NOTE
HOUR = 3600.0
SEARCHABLE = View(planned=1, in_doubt=True, lag=3.0)
UNSEARCHABLE = View(planned=1, in_doubt=True)
HARMLESS = View(planned=1, in_doubt=True, harmless=True)

chances = st.floats(0, 1, exclude_max=True)


def emr(kind: type[EmrError]) -> EmrError:
    return kind("p0001 broke it", op=OP)


def test_pauses_are_seconds_at_first_then_minutes_then_an_hour_for_ever() -> None:
    pauses = [pause(n, 0.5) for n in range(1, 40)]

    assert pauses[:9] == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    first_hour = sum(total <= HOUR for total in accumulate(pauses))
    assert first_hour == 17
    assert set(pauses[first_hour:]) == {HOUR}


@given(st.integers(1, 10_000), chances)
def test_pause_varies_by_a_fifth(failures: int, chance: float) -> None:
    middle = pause(failures, 0.5)

    assert 0.8 * middle <= pause(failures, chance) <= 1.2 * middle


def test_one_at_a_time_until_the_credentials_are_proven() -> None:
    breaker = Breaker()

    assert [breaker.room(now=0, under_way=n, most=4) for n in (0, 1)] == [1, 0]
    breaker = breaker.answered()
    assert [breaker.room(now=0, under_way=n, most=4) for n in (0, 1, 4)] == [4, 3, 0]


def test_one_canary_at_a_time_while_nobody_is_there() -> None:
    breaker = Breaker(proven=True).failed(now=100.0, chance=0.5)

    assert breaker.room(now=101.9, under_way=0, most=4) == 0
    assert breaker.wait(now=101.5) == 0.5
    assert [breaker.room(now=102.0, under_way=n, most=4) for n in (0, 1)] == [1, 0]
    assert breaker.answered().wait(now=102.0) is None


def test_calls_that_were_under_way_together_count_as_one_failure() -> None:
    once = Breaker(proven=True).failed(now=100.0, chance=0.5)
    four_times = once.failed(now=100.1, chance=0.5).failed(now=100.2, chance=0.5).failed(now=100.3, chance=0.5)

    assert four_times == once
    assert once.failed(now=102.0, chance=0.5).failures == 2


def test_time_that_was_named_is_waited_for() -> None:
    breaker = Breaker().failed(now=0.0, chance=0.5, at_least=90.0)

    assert breaker.wait(now=0.0) == 90.0


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (View(planned=None), Action.RESOLVE),
        (View(planned=0), Action.FINISH),
        (View(planned=2, written=2), Action.FINISH),
        (View(planned=2, written=1), Action.WRITE),
        (UNSEARCHABLE, Action.ASK),
        (HARMLESS, Action.WRITE),
        (SEARCHABLE, Action.WAIT),
        (View(planned=1, in_doubt=True, lag=3.0, known_for=3.0 + SETTLE_SECONDS - 0.1), Action.WAIT),
        (View(planned=1, in_doubt=True, lag=3.0, known_for=3.0 + SETTLE_SECONDS), Action.PROBE),
    ],
)
def test_next_action(view: View, expected: Action) -> None:
    assert next_action(view) is expected


@given(st.builds(View, planned=st.integers(1, 3), in_doubt=st.just(value=True), known_for=st.floats(0, 100)))
def test_what_may_be_there_is_never_simply_written_again(view: View) -> None:
    assert next_action(view) is not Action.WRITE


@pytest.mark.parametrize(
    ("phase", "error"),
    [
        (Phase.FETCH, OceanUnavailableError("away")),
        (Phase.RESOLVE, emr(EmrUnavailableError)),
        (Phase.WRITE, emr(EmrUnavailableError)),
        (Phase.PROBE, emr(EmrUnavailableError)),
    ],
)
@pytest.mark.parametrize("attempts", [0, 10_000])
def test_whoever_is_away_is_waited_for_without_end(phase: Phase, error: Exception, attempts: int) -> None:
    verdict = after_error(phase, error, SEARCHABLE, attempts=attempts, chance=0.5)

    assert verdict.bearing is Bearing.AWAY
    assert isinstance(verdict.row, Postpone)
    # Of a probe nothing is known but what was known before.
    assert verdict.row.settled is (phase is not Phase.PROBE)


def test_a_named_time_is_passed_on() -> None:
    error = EmrRateLimitedError("slower", op=OP, retry_after=77.0)

    assert after_error(Phase.RESOLVE, error, SEARCHABLE, attempts=0, chance=0.5).at_least == 77.0


@pytest.mark.parametrize("error", [emr(EmrAuthRefusedError), OceanAccessRefusedError("refused")])
@pytest.mark.parametrize("phase", Phase)
def test_refused_credentials_stop_everything_and_cost_the_message_nothing(phase: Phase, error: Exception) -> None:
    verdict = after_error(phase, error, SEARCHABLE, attempts=10_000, chance=0.5)

    assert verdict.bearing is Bearing.REFUSED
    assert isinstance(verdict.row, Postpone)
    assert (verdict.row.seconds, verdict.row.tried) == (0.0, False)


@pytest.mark.parametrize(
    "error", [emr(EmrOutcomeUnknownError), emr(EmrAnswerError), ValueError("p0001"), AssertionError()]
)
def test_an_outcome_nobody_knows_is_looked_for_or_asked_about(error: Exception) -> None:
    """Whatever came instead of an answer, it is no proof that nothing was written."""
    found = [
        after_error(Phase.WRITE, error, view, attempts=0, chance=0.5).row
        for view in (SEARCHABLE, UNSEARCHABLE, HARMLESS)
    ]

    assert isinstance(found[0], Postpone)
    assert (found[0].settled, found[0].seconds) == (False, 3.0 + SETTLE_SECONDS)
    assert found[1] == UNKNOWN
    assert isinstance(found[2], Postpone)
    assert found[2].settled


def test_a_message_that_is_never_answered_is_not_sent_for_ever() -> None:
    error = emr(EmrOutcomeUnknownError)
    rows = [after_error(Phase.WRITE, error, SEARCHABLE, attempts=n, chance=0.5).row for n in range(20)]

    seconds = [row.seconds for row in rows if isinstance(row, Postpone)]
    assert (seconds[0], seconds[-1]) == (3.0 + SETTLE_SECONDS, 300.0)
    assert rows[len(seconds) :] == [UNKNOWN] * (20 - len(seconds))
    assert len(seconds) < 20


def test_an_emr_that_leaves_writes_without_an_answer_is_called_by_one_at_a_time() -> None:
    verdict = after_error(Phase.WRITE, emr(EmrOutcomeUnknownError), UNSEARCHABLE, attempts=0, chance=0.5)

    assert verdict.bearing is Bearing.AWAY


@pytest.mark.parametrize(
    ("phase", "error", "reason"),
    [
        (Phase.FETCH, MessageGoneError("gone"), Reason.MESSAGE_GONE),
        (Phase.FETCH, MessageHeldError(Reason.MESSAGE_UNREADABLE, "of no known type"), Reason.MESSAGE_UNREADABLE),
        (Phase.RESOLVE, MessageHeldError(Reason.PATIENT_NOT_FOUND, "no chart"), Reason.PATIENT_NOT_FOUND),
        (Phase.RESOLVE, emr(EmrNotFoundError), Reason.EMR_RECORD_UNREADABLE),
        (Phase.RESOLVE, emr(EmrNotSupportedError), Reason.EMR_NOT_SUPPORTED),
        (Phase.WRITE, emr(EmrWriteRefusedError), Reason.EMR_WRITE_REFUSED),
        (Phase.WRITE, emr(EmrConflictError), Reason.EMR_CONFLICT),
        (Phase.PROBE, emr(EmrNotSupportedError), Reason.EMR_OUTCOME_UNKNOWN),
        (Phase.PROBE, emr(EmrNotFoundError), Reason.EMR_OUTCOME_UNKNOWN),
    ],
)
def test_what_only_a_person_can_mend_is_held_at_once(phase: Phase, error: Exception, reason: Reason) -> None:
    row = after_error(phase, error, SEARCHABLE, attempts=0, chance=0.5).row

    assert isinstance(row, Hold)
    assert row.reason is reason


@pytest.mark.parametrize(
    ("phase", "error", "reason"),
    [
        (Phase.FETCH, OceanAnswerUnreadableError("HTML"), Reason.OCEAN_ANSWER_UNREADABLE),
        (Phase.RESOLVE, emr(EmrAnswerError), Reason.EMR_ANSWER_UNREADABLE),
        (Phase.RESOLVE, emr(EmrPermissionDeniedError), Reason.EMR_PERMISSION_DENIED),
        (Phase.WRITE, emr(EmrPermissionDeniedError), Reason.EMR_PERMISSION_DENIED),
        (Phase.RESOLVE, KeyError("p0001"), Reason.INTERNAL_ERROR),
        (Phase.PROBE, emr(EmrAnswerError), Reason.EMR_OUTCOME_UNKNOWN),
        (Phase.FETCH, SekMismatchError(), Reason.SEK_MISMATCH),
    ],
)
def test_what_may_mend_itself_is_tried_for_a_while_and_then_held(
    phase: Phase, error: Exception, reason: Reason
) -> None:
    rows = [after_error(phase, error, SEARCHABLE, attempts=n, chance=0.5).row for n in range(60)]

    tries = [row for row in rows if isinstance(row, Postpone)]
    held = rows[len(tries) :]
    assert len(tries) > 10
    assert all(isinstance(row, Hold) and row.reason is reason for row in held)
    assert {row.settled for row in tries} == {phase is not Phase.PROBE}
    waited = sum(row.seconds for row in tries)
    assert 20 * HOUR < waited < 26 * HOUR if error.__class__ is SekMismatchError else waited < HOUR


def test_words_of_others_are_not_shown() -> None:
    """They may quote a patient."""
    row = after_error(Phase.RESOLVE, KeyError("p0001"), SEARCHABLE, attempts=100, chance=0.5).row

    assert row.note == "KeyError."


@dataclass(frozen=True)
class Note:
    source_id: str
    version: int


def test_of_a_sitting_each_note_counts_once_in_its_latest_version() -> None:
    notes = [Note("a", 0), Note("b", 1), Note("a", 2), Note("c", 0), Note("b", 0), Note("a", 1)]

    assert newest(notes) == (Note("b", 1), Note("a", 2), Note("c", 0))
