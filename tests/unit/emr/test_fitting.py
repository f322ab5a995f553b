"""Which charts fit a query."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from ocean_emr.fitting import fits, same_name, same_number
from ocean_emr.records import HealthNumber, Patient, PatientId
from ocean_emr.writes import PatientQuery

_CHART = Patient(
    PatientId("1"),
    last_name="Côté",
    birth_date=date(1980, 2, 29),
    health_number=HealthNumber("9876-543-217", "ON", "AB"),
)
_ALL = PatientQuery(HealthNumber("9876543217", "ON"), "cote", date(1980, 2, 29))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("9876543217", "ON"), ("9876 543 217", "ON"), True),
        (("9876543217", "ON"), ("9876543217", None), True),
        (("9876543217", "ON"), ("9876543217", "BC"), False),
        (("9876543217", "ON"), ("9876543217ab", "ON"), True),
        (("9876543217", None), ("9876543218", None), False),
        (("TREZ80022901", "QC"), ("trez 8002 2901", "QC"), True),
        (("TREZ80022901", "QC"), ("ALDA80022901", "QC"), False),
        (("0876543217", "ON"), ("876543217", "ON"), False),
    ],
)
def test_numbers_are_the_same_by_what_is_printed_on_the_card(
    one: tuple[str, str | None], other: tuple[str, str | None], *, same: bool
) -> None:
    """In Quebec the letters count: two people born on one day can share all digits."""
    assert same_number(HealthNumber(*one), HealthNumber(*other)) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("CÔTÉ", " Cote\N{COMBINING ACUTE ACCENT} ", True),
        ("Straße", "STRASSE", True),
        ("Ünlü", "unlu", True),
        ("Tremblay", "Tremblay-Roy", False),
    ],
)
def test_names_are_the_same_without_case_and_accents(one: str, other: str, *, same: bool) -> None:
    assert same_name(one, other) is same


def test_a_chart_fits_when_all_of_it_does() -> None:
    assert fits(_ALL, _CHART)


@pytest.mark.parametrize(
    "chart",
    [
        replace(_CHART, health_number=HealthNumber("9876543218", "ON")),
        replace(_CHART, health_number=None),
        replace(_CHART, last_name="Côtés"),
        replace(_CHART, last_name=None),
        replace(_CHART, birth_date=date(1980, 3, 1)),
        replace(_CHART, birth_date=None),
    ],
)
def test_a_chart_that_differs_or_says_nothing_does_not_fit(chart: Patient) -> None:
    assert not fits(_ALL, chart)
