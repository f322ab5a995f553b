from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api.reasons import Reason
from ocean_api.report import WorkerReport
from ocean_api.v1alpha1.status import QueueStatus
from ocean_operator.core.facts import Facts
from ocean_operator.core.queue import LATE_AFTER, Line, Watched, health, late_at, remembered, told, watched
from unit.operator.sites import NO_EMR, NOW, Known, accepted, problem, served, site

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
EMPTY = Watched(Line(), None)


def line(waiting: int = 1, *, since: timedelta = HOUR, now: datetime = NOW) -> Line:
    """Messages of which the oldest came so long ago."""
    return Line(waiting=waiting, oldest=now - since)


def looked_at(*lines: tuple[timedelta, Line]) -> QueueStatus:
    """What is told after these looks, each so long before now."""
    queue = EMPTY
    for ago, seen in lines:
        queue = watched(queue, seen, NOW - ago)
    return told(queue, NOW - lines[-1][0])


# What is told


def test_what_is_delivered_within_a_minute_is_never_told() -> None:
    """A message a second, each delivered at once: at every look another one is there."""
    looks = [(timedelta(seconds=ago), line(since=timedelta(seconds=ago + 1))) for ago in range(300, -1, -10)]

    assert looked_at(*looks) == QueueStatus()


def test_a_message_that_stays_is_told_after_a_minute_of_looking() -> None:
    oldest = NOW - 10 * MINUTE
    waiting = Line(waiting=3, oldest=oldest)

    assert looked_at((5 * MINUTE, waiting)).waiting == 0
    assert looked_at((MINUTE, waiting), (SECOND, waiting)).waiting == 0
    assert looked_at((MINUTE, waiting), (SECOND * 0, waiting)) == QueueStatus(waiting=3, oldest_at=oldest)


def test_a_note_that_waited_for_its_sittings_end_is_not_told_while_it_is_delivered() -> None:
    """It came an hour ago, was due just now, and is gone at the next look: no alarm for that."""
    assert looked_at((20 * SECOND, Line()), (10 * SECOND, line()), (0 * SECOND, Line())) == QueueStatus()


def test_a_break_begins_the_minute_anew() -> None:
    looks = [(70 * SECOND, line()), (60 * SECOND, Line()), (50 * SECOND, line()), (0 * SECOND, line())]

    assert looked_at(*looks).waiting == 0


def test_what_waited_before_a_restart_is_told_at_once() -> None:
    """Otherwise a restart would say for a minute that nothing waits."""
    status = QueueStatus(waiting=5, oldest_at=NOW - HOUR)
    queue = watched(remembered(status), line(7), NOW)

    assert told(queue, NOW).waiting == 7


def test_held_messages_are_told_at_once_and_exactly() -> None:
    seen = Line(held=137, oldest_held=NOW - 3 * SECOND)

    assert looked_at((0 * SECOND, seen)) == QueueStatus(held=137, held_since=NOW - 3 * SECOND)


@pytest.mark.parametrize(
    ("number", "shown"),
    [(1, 1), (9, 9), (10, 10), (11, 10), (19, 10), (20, 20), (49, 20), (50, 50), (99, 50), (100, 100), (7_654, 5_000)],
)
def test_large_numbers_are_rounded_down(number: int, shown: int) -> None:
    """Each message that comes while the EMR is away would have the status written."""
    assert looked_at((2 * MINUTE, line(number)), (0 * SECOND, line(number))).waiting == shown


@given(st.integers(1, 10**9))
def test_a_rounded_number_is_never_more_and_never_less_than_two_fifths(number: int) -> None:
    shown = looked_at((2 * MINUTE, line(number)), (0 * SECOND, line(number))).waiting

    assert number * 0.4 <= shown <= number


# What it means

WELL = served(site())


def judged(facts: Facts, now: datetime = NOW, **spec: Any) -> tuple[str, Reason]:
    """The condition's answer and reason."""
    status, reason, _ = health(site(**spec), facts, now)
    return status, reason


def words(facts: Facts, now: datetime = NOW) -> str:
    """Its message."""
    return health(site(), facts, now)[2]


def waiting(number: int = 2, *, since: timedelta = 2 * MINUTE) -> QueueStatus:
    """Messages of which the oldest came so long ago."""
    return QueueStatus(waiting=number, oldest_at=NOW - since)


HELD = QueueStatus(held=1, held_since=NOW - HOUR)
EMR_AWAY = WorkerReport(problem=problem(Reason.EMR_UNAVAILABLE))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (WELL.facts, ("True", Reason.QUEUE_EMPTY)),
        (WELL.but(queue=waiting()), ("True", Reason.QUEUE_WAITING)),
        (WELL.but(queue=waiting(since=LATE_AFTER)), ("False", Reason.QUEUE_WAITING)),
        (WELL.but(queue=waiting(), worker=EMR_AWAY), ("False", Reason.QUEUE_WAITING)),
        (WELL.but(worker=EMR_AWAY), ("True", Reason.QUEUE_EMPTY)),
        (WELL.but(queue=HELD), ("False", Reason.MESSAGES_HELD)),
        (WELL.but(worker_problem="Pod w cannot start"), ("False", Reason.WORKER_UNAVAILABLE)),
        (WELL.but(worker_problem="Pod w cannot start", queue=HELD), ("False", Reason.WORKER_UNAVAILABLE)),
        (WELL.check(receives=False).facts, ("True", Reason.MESSAGES_OFF)),
        (WELL.check(receives=True).facts, ("True", Reason.QUEUE_EMPTY)),
        (Known(site()).key().facts, ("True", Reason.QUEUE_EMPTY)),
        (Known(site()).key().but(queue=waiting(since=HOUR)), ("Unknown", Reason.QUEUE_WAITING)),
        (Known(site()).key().but(queue=HELD), ("False", Reason.MESSAGES_HELD)),
    ],
    ids=[
        "nothing waits",
        "waits for minutes",
        "waits for long",
        "the worker says why",
        "nothing waits for the EMR",
        "held",
        "no worker",
        "no worker, and held",
        "nothing is received",
        "something is received",
        "not served yet",
        "not served, waits",
        "not served, held",
    ],
)
def test_the_condition_follows_from_what_is_known(facts: Facts, expected: tuple[str, Reason]) -> None:
    assert judged(facts) == expected


def test_a_clinic_without_an_emr_delivers_nothing() -> None:
    clinic = {"emr": NO_EMR, "enabled": True}

    assert judged(accepted(site(**clinic)).facts, **clinic) == ("True", Reason.NOT_APPLICABLE)


def test_an_unreadable_spec_says_nothing_about_messages() -> None:
    assert judged(WELL.facts, timeZone="Nowhere") == ("Unknown", Reason.NOT_CHECKED)


def test_messages_that_wait_are_looked_at_again_when_they_become_late() -> None:
    facts = WELL.but(queue=waiting())
    late = late_at(facts)

    assert late == NOW - 2 * MINUTE + LATE_AFTER
    assert judged(facts, late - SECOND)[0] == "True"
    assert judged(facts, late)[0] == "False"
    assert late_at(WELL.facts) is None


def test_the_words_say_how_many_since_when_and_for_what() -> None:
    facts = WELL.but(queue=waiting(1, since=HOUR), worker=EMR_AWAY)

    assert words(facts) == "1 message waits, the oldest since 2026-03-10T14:20:30Z. said about EmrUnavailable"
    assert words(WELL.but(queue=waiting(50, since=HOUR))).startswith("50 or more messages wait, ")


def test_the_words_about_held_messages_name_the_command() -> None:
    said = words(WELL.but(queue=QueueStatus(held=2, held_since=NOW - HOUR), worker_problem="Pod w cannot start."))

    assert said == (
        "2 messages wait for a person, the oldest since 2026-03-10T14:20:30Z: `oceanctl messages list north "
        "--namespace clinic-a`. Pod w cannot start."
    )


def test_a_refusal_that_a_check_has_answered_is_not_told_again() -> None:
    """The worker's row stays as it was until the worker is back."""
    stopped = WELL.refused_worker()
    facts = stopped.check().but(queue=waiting(since=HOUR))

    assert judged(facts) == ("False", Reason.QUEUE_WAITING)
    assert "EmrAuthRefused" not in words(facts)
