from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ocean_api.conditions import Condition, ConditionType, Truth, Verdict, with_verdict
from ocean_api.reasons import Reason

NOW = datetime(2026, 3, 10, 15, 20, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
READY = ConditionType.READY


def verdict(
    status: Truth, reason: Reason = Reason.SITE_READY, message: str = "", kind: ConditionType = READY
) -> Verdict:
    """A verdict."""
    return Verdict(type=kind, status=status, reason=reason, message=message)


def first(*, kind: ConditionType = READY) -> tuple[Condition, ...]:
    """One condition, as it was found first."""
    return with_verdict((), verdict("True", kind=kind), generation=1, now=NOW)


def test_a_new_verdict_has_its_time_from_now() -> None:
    (made,) = first()

    assert (made.status, made.last_transition_time, made.observed_generation) == ("True", NOW, 1)


def test_the_time_moves_with_the_answer() -> None:
    (made,) = with_verdict(first(), verdict("False"), generation=2, now=LATER)

    assert (made.status, made.last_transition_time, made.observed_generation) == ("False", LATER, 2)


def test_another_reason_message_or_generation_keeps_the_time() -> None:
    """Source: Kubernetes API conventions, "Typical status properties"."""
    (made,) = with_verdict(first(), verdict("True", Reason.UP_TO_DATE, "new words"), generation=2, now=LATER)

    assert (made.reason, made.message, made.observed_generation) == (Reason.UP_TO_DATE, "new words", 2)
    assert made.last_transition_time == NOW


def test_the_same_verdict_is_an_equal_value() -> None:
    again = with_verdict(first(), verdict("True"), generation=1, now=LATER)

    assert again == first()


def test_other_conditions_stay_as_they_are_and_where_they_are() -> None:
    before = (*first(kind=ConditionType.SYNCED), *first(), *first(kind=ConditionType.KEY_STORED))
    after = with_verdict(before, verdict("False"), generation=2, now=LATER)

    assert [c.type for c in after] == [ConditionType.SYNCED, READY, ConditionType.KEY_STORED]
    assert (after[0], after[2]) == (before[0], before[2])


def test_a_new_type_comes_last() -> None:
    after = with_verdict(first(), verdict("True", kind=ConditionType.SYNCED), generation=1, now=NOW)

    assert [c.type for c in after] == [READY, ConditionType.SYNCED]


def test_a_message_too_long_for_the_api_is_no_verdict() -> None:
    with pytest.raises(ValidationError, match="1024"):
        verdict("True", message="x" * 1025)


@given(st.lists(st.tuples(st.sampled_from(ConditionType), st.sampled_from(["True", "False", "Unknown"])), max_size=30))
def test_after_any_verdicts_each_type_has_its_last_answer_and_the_time_of_its_turn(
    said: list[tuple[ConditionType, Truth]],
) -> None:
    conditions: tuple[Condition, ...] = ()
    turns: dict[ConditionType, tuple[Truth, datetime]] = {}
    for number, (kind, status) in enumerate(said):
        moment = NOW + timedelta(minutes=number)
        conditions = with_verdict(conditions, verdict(status, kind=kind), generation=number, now=moment)
        if kind not in turns or turns[kind][0] != status:
            turns[kind] = (status, moment)

    assert {c.type: (c.status, c.last_transition_time) for c in conditions} == turns
    assert [c.type for c in conditions] == list(dict.fromkeys(kind for kind, _ in said))
