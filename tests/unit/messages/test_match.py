"""Which chart is the patient's: never one that something speaks against, and never one of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api.reasons import Reason
from ocean_emr.messages.deliveries import MessageHeldError, Person
from ocean_emr.messages.match import by_health_number, by_name, contradicts, verified
from ocean_emr.records import HealthNumber, Patient, PatientId, Sex
from unit.messages.people import BORN, NUMBER, chart, person

OTHER_NUMBER = HealthNumber("1234567897", province="ON")

names = st.sampled_from([None, "Zoé", "ZOE", "Bob", "Côté", "cote"])
births = st.sampled_from([None, BORN, date(2019, 12, 31)])
numbers = st.sampled_from([None, NUMBER, HealthNumber("9876 543 217"), OTHER_NUMBER, HealthNumber("9876543217", "QC")])
people = st.builds(
    Person,
    ref=st.just("p0001"),
    first_name=names,
    last_name=names,
    birth_date=births,
    sex=st.sampled_from(Sex),
    health_number=numbers,
)
charts = st.lists(
    st.builds(
        Patient,
        id=st.integers(1, 9).map(lambda number: PatientId(str(number))),
        active=st.sampled_from([True, False, None]),
        first_name=names,
        last_name=names,
        birth_date=births,
        sex=st.sampled_from(Sex),
        health_number=numbers,
    ),
    max_size=4,
    unique_by=lambda each: each.id,
)


def held(reason: Reason, act: Any, *arguments: Any) -> str:
    with pytest.raises(MessageHeldError) as caught:
        act(*arguments)
    assert caught.value.reason is reason
    return caught.value.words


def test_a_named_chart_is_taken_when_birth_date_or_health_number_agree() -> None:
    for confirmed in (
        chart(),
        chart(health_number=None),
        chart(birth_date=None),
        chart(health_number=HealthNumber("9876-543-217AB")),
    ):
        assert verified(person(), confirmed) is confirmed


@pytest.mark.parametrize(
    ("who", "there"),
    [
        ({}, {"birth_date": date(1981, 2, 28)}),
        ({}, {"health_number": OTHER_NUMBER}),
        ({}, {"health_number": HealthNumber("9876543217", "QC")}),
        ({"birth_date": None}, {"health_number": None}),
        ({"health_number": None}, {"birth_date": None}),
        ({"birth_date": None, "health_number": None}, {}),
    ],
    ids=["other birth date", "other number", "other province", "nothing", "nothing either", "nothing at all"],
)
def test_a_named_chart_that_is_contradicted_or_confirmed_by_nothing_is_not_taken(
    who: dict[str, Any], there: dict[str, Any]
) -> None:
    words = held(Reason.PATIENT_MISMATCH, verified, person(**who), chart(**there))

    assert "Côté" not in words


def test_by_health_number() -> None:
    assert by_health_number(person(), [chart()]) == chart()
    assert by_health_number(person(), []) is None
    assert by_health_number(person(birth_date=None), [chart()]) == chart()


def test_a_newborn_with_the_mother_s_number_is_told_apart() -> None:
    baby = chart(1002, birth_date=date(2026, 11, 1))

    assert by_health_number(person(), [chart(), baby]) == chart()
    assert by_health_number(person(birth_date=date(2026, 11, 1)), [chart(), baby]) == baby


def test_another_birth_date_is_a_mismatch() -> None:
    held(Reason.PATIENT_MISMATCH, by_health_number, person(), [chart(birth_date=date(1980, 3, 1))])


def test_two_charts_of_one_number_are_for_a_person() -> None:
    held(Reason.PATIENT_AMBIGUOUS, by_health_number, person(), [chart(), chart(1002)])
    held(Reason.PATIENT_AMBIGUOUS, by_health_number, person(), [chart(), chart(1002, birth_date=None)])


def test_a_chart_that_was_put_away_takes_nothing() -> None:
    away = chart(1002, active=False)

    held(Reason.PATIENT_NOT_FOUND, by_health_number, person(), [away])
    held(Reason.PATIENT_NOT_FOUND, by_name, person(), [away])
    assert by_health_number(person(), [away, chart()]) == chart()
    assert by_name(person(), [away, chart()]) == chart()


def test_by_name() -> None:
    nameless = person(health_number=None)

    assert by_name(nameless, [chart()]) == chart()
    assert by_name(nameless, []) is None
    assert by_name(person(), [chart(health_number=None)]) == chart(health_number=None)


def test_twins_are_told_apart_by_first_name() -> None:
    """One of them has a chart, and the other stands at the kiosk."""
    twin = chart(1002, first_name="Léa", health_number=None)

    held(Reason.PATIENT_AMBIGUOUS, by_name, person(health_number=None), [twin])
    assert by_name(person(health_number=None), [twin, chart()]) == chart()


def test_the_same_name_with_another_number_is_for_a_person() -> None:
    """A mistyped number, perhaps: a second chart for the same person would be made."""
    held(Reason.PATIENT_MISMATCH, by_name, person(), [chart(health_number=OTHER_NUMBER)])


def test_a_twin_with_a_number_of_his_own_is_nobody_s_match() -> None:
    assert by_name(person(), [chart(first_name="Léa", health_number=OTHER_NUMBER)]) is None


def test_sex_tells_apart_where_both_say_it() -> None:
    assert by_name(person(health_number=None), [chart(sex=Sex.MALE)]) is None
    assert by_name(person(health_number=None), [chart(sex=Sex.UNKNOWN)]) == chart(sex=Sex.UNKNOWN)


@given(people, charts)
def test_nothing_that_contradicts_or_is_put_away_is_ever_chosen(who: Person, there: Sequence[Patient]) -> None:
    for choose in (by_health_number, by_name):
        try:
            chosen = choose(who, there)
        except MessageHeldError:
            continue
        if chosen is None:
            continue
        assert chosen in there
        assert chosen.active is not False
        assert not contradicts(who, chosen)


@given(people, charts)
def test_the_choice_does_not_depend_on_the_order_of_the_answer(who: Person, there: Sequence[Patient]) -> None:
    for choose in (by_health_number, by_name):

        def said(given_charts: Sequence[Patient], choose: Any = choose) -> object:
            try:
                return choose(who, given_charts)
            except MessageHeldError as error:
                return error.reason

        assert said(there) == said(list(reversed(there)))


@given(people, charts)
def test_another_candidate_never_settles_a_doubt(who: Person, there: Sequence[Patient]) -> None:
    """Where two fit, a third that fits cannot make it one."""
    try:
        chosen = by_health_number(who, there)
    except MessageHeldError:
        return
    if chosen is not None:
        again = replace(chosen, id=PatientId("twin"))
        held(Reason.PATIENT_AMBIGUOUS, by_health_number, who, [*there, again])
