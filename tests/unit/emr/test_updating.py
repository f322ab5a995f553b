"""When an update of a chart is still to be made."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from ocean_emr.errors import EmrConflictError, EmrWriteRefusedError
from ocean_emr.records import Address, HealthNumber, Patient, PatientId, Sex
from ocean_emr.updating import FIELDS, demographics_of, fields_to_write
from ocean_emr.writes import PROTECTED_FIELDS, Demographics, DemographicsUpdate

CHART = Patient(
    PatientId("1001"),
    first_name="Zoë",
    last_name="p1001",
    birth_date=date(1980, 2, 29),
    sex=Sex.FEMALE,
    health_number=HealthNumber("9876543217", "ON", "AB"),
    preferred_name="Zo",
    addresses=(Address("1 rue Principale", "Montréal", "QC", "H1H 1H1"), Address("elsewhere")),
    home_phone="416-555-0101",
    work_phone="416-555-0103",
    mobile_phone="416-555-0102",
    email="p1001@example.org",
    language="fr",
)
BLANK = Patient(PatientId("1002"))
OTHER: dict[str, Any] = {
    "first_name": "Other",
    "last_name": "p0002",
    "birth_date": date(2000, 1, 1),
    "sex": Sex.MALE,
    "health_number": HealthNumber("1111111111"),
    "preferred_name": "Oth",
    "address": Address("2 Main Street"),
    "home_phone": "1",
    "work_phone": "2",
    "mobile_phone": "3",
    "email": "p0002@example.org",
    "language": "pa",
}


def update(chart: Patient, **changes: object) -> DemographicsUpdate:
    """`changes`, by somebody who saw `chart`."""
    base = {name: getattr(demographics_of(chart), name) for name in changes}
    return DemographicsUpdate(chart.id, Demographics(**changes), Demographics(**base))  # type: ignore[arg-type]


def test_every_field_is_tried_here() -> None:
    assert set(FIELDS) == set(OTHER)
    assert all(getattr(demographics_of(CHART), name) is not None for name in FIELDS)
    assert demographics_of(BLANK) == Demographics()


@pytest.mark.parametrize("name", FIELDS)
def test_a_blank_field_may_be_filled(name: str) -> None:
    assert fields_to_write(update(BLANK, **{name: OTHER[name]}), BLANK) == {name}


@pytest.mark.parametrize("name", sorted(set(FIELDS) - PROTECTED_FIELDS))
def test_a_field_that_was_seen_as_it_is_may_be_replaced(name: str) -> None:
    assert fields_to_write(update(CHART, **{name: OTHER[name]}), CHART) == {name}


@pytest.mark.parametrize("name", sorted(PROTECTED_FIELDS))
def test_who_somebody_is_is_never_replaced(name: str) -> None:
    with pytest.raises(EmrWriteRefusedError, match=name):
        fields_to_write(update(CHART, **{name: OTHER[name]}), CHART)


@pytest.mark.parametrize("name", FIELDS)
def test_what_is_there_already_is_not_written(name: str) -> None:
    """Even if the caller saw something else before: an earlier attempt did it."""
    wanted = getattr(demographics_of(CHART), name)

    assert fields_to_write(update(BLANK, **{name: wanted}), CHART) == frozenset()


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_somebody_changed_is_left_alone(name: str) -> None:
    """The error names the field and shows no value."""
    with pytest.raises(EmrConflictError, match=name) as caught:
        fields_to_write(update(BLANK, **{name: OTHER[name]}), CHART)

    assert str(OTHER[name]) not in str(caught.value)


def test_what_an_attempt_left_undone_is_named() -> None:
    halfway = replace(CHART, home_phone="1")

    assert fields_to_write(update(CHART, home_phone="1", email="p0002@example.org"), halfway) == {"email"}


def test_parts_that_are_not_given_are_not_asked_for() -> None:
    wanted = update(CHART, address=Address(city="Montréal"), health_number=HealthNumber("9876 543 217"))

    assert fields_to_write(wanted, CHART) == frozenset()


@pytest.mark.parametrize(
    ("changed", "name"),
    [({"version": "CD"}, "health_number"), ({"province": "QC"}, "health_number")],
    ids=["version", "province"],
)
def test_a_health_number_is_all_its_parts(changed: dict[str, str], name: str) -> None:
    assert CHART.health_number
    wanted = replace(CHART.health_number, **changed)
    with pytest.raises(EmrWriteRefusedError, match=name):
        fields_to_write(update(CHART, health_number=wanted), CHART)


def test_capitals_of_names_and_white_space_are_the_emrs() -> None:
    loud = replace(CHART, first_name="ZOË", last_name="P1001", email=" p1001@example.org ")

    assert fields_to_write(update(BLANK, first_name="Zoë", last_name="p1001", email=CHART.email), loud) == frozenset()
