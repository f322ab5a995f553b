"""What a search takes from an answer, and what it leaves in doubt."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from ocean_emr.adapters.fhir_resources import Bundle, read
from ocean_emr.adapters.fhir_search import AppointmentSearch, PatientAppointmentSearch, PatientSearch
from ocean_emr.records import HealthNumber, PatientId, ProviderId
from ocean_emr.testing.conformance.clinic import ZONE
from ocean_emr.writes import PatientQuery

_START = datetime(2026, 11, 23, tzinfo=ZONE)
_DR1, _DR2 = ProviderId("dr1"), ProviderId("dr2")


def _search() -> AppointmentSearch:
    return AppointmentSearch(frozenset({_DR1, _DR2}), _START, _START + timedelta(days=1), ZONE)


def _booking(id_: object, *, who: str = "dr1", start: str = "2026-11-23T09:00:00-05:00") -> dict[str, Any]:
    people = [{"actor": {"reference": f"Practitioner/{who}"}}]
    return {"resourceType": "Appointment", "id": id_, "start": start, "status": "booked", "participant": people}


def _page(*resources: dict[str, Any], **elements: Any) -> Bundle:
    entries = [{"resource": resource} for resource in resources]
    page = read(Bundle, {"resourceType": "Bundle", "entry": entries, **elements})
    assert page is not None
    return page


def test_the_window_is_asked_for_with_the_clinics_offsets() -> None:
    assert _search().params(_DR1) == (
        ("practitioner", "dr1"),
        ("date", "ge2026-11-23T00:00:00-05:00"),
        ("date", "lt2026-11-24T00:00:00-05:00"),
        ("_count", "50"),
    )


def test_what_lies_outside_the_window_is_left_out_without_doubt() -> None:
    """A server that reads dates in a zone of its own sends some of the days beside it."""
    search = _search()
    taken = search.take(
        _DR1,
        _page(
            _booking("a1", start="2026-11-22T23:59:59-05:00"),
            _booking("a2", start="2026-11-23T05:00:00Z"),
            _booking("a3", start="2026-11-23T23:59:59-05:00"),
            _booking("a4", start="2026-11-24T00:00:00-05:00"),
        ),
    )
    search.end_of_answer()

    assert [item.id for item in taken] == ["a2", "a3"]
    assert search.doubts() == ()


def test_the_same_booking_on_two_pages_comes_once() -> None:
    search = _search()

    assert len(search.take(_DR1, _page(_booking("a1"), _booking("a2")))) == 2
    assert [item.id for item in search.take(_DR1, _page(_booking("a2"), _booking("a3")))] == ["a3"]


@pytest.mark.parametrize(
    "broken", [_booking("a1", start="soon"), _booking(None), {"resourceType": "Appointment"}, _booking({"p0001": 1})]
)
def test_what_cannot_be_read_is_counted_and_not_quoted(broken: dict[str, Any]) -> None:
    search = _search()

    assert [item.id for item in search.take(_DR1, _page(broken, _booking("a9")))] == ["a9"]
    assert search.doubts() == ("1 appointments could not be read.",)


def test_bookings_of_somebody_else_are_doubtful() -> None:
    """A server that ignores the filter, or answers about another provider, may leave out what was asked for."""
    search = _search()

    assert search.take(_DR1, _page(_booking("a1", who="dr2"), _booking("a2", who="dr3"))) == ()
    assert search.doubts() == ("2 appointments came back that are not of whom was asked for.",)


def test_fewer_than_announced_are_doubtful() -> None:
    search = _search()
    search.take(_DR1, _page(_booking("a1"), total=3))
    search.take(_DR1, _page(_booking("a2")))
    search.end_of_answer()
    search.take(_DR2, _page(_booking("a3", who="dr2"), total=1))
    search.end_of_answer()

    assert search.doubts() == ("The EMR announced more appointments than it sent.",)


def test_one_provider_does_not_make_up_for_another() -> None:
    search = _search()
    search.take(_DR1, _page(_booking("a1"), _booking("a2"), total=2))
    search.end_of_answer()
    search.take(_DR2, _page(_booking("a3", who="dr2"), total=3))
    search.end_of_answer()

    assert search.doubts() == ("The EMR announced more appointments than it sent.",)


def test_the_announced_number_is_per_provider_and_counts_the_unreadable() -> None:
    search = _search()
    for provider in (_DR1, _DR2):
        search.take(provider, _page(_booking(f"a-{provider}", who=provider), _booking("x", start="?"), total=2))
        search.end_of_answer()

    assert search.doubts() == ("2 appointments could not be read.",)


def test_a_server_that_says_so_is_believed() -> None:
    search = _search()
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "suppressed"}]}
    search.take(_DR1, _page(outcome))

    assert search.doubts() == ("The EMR said that its answer may lack something: suppressed.",)


_PATIENT = PatientId("p0001")


def _visit(
    id_: str, *, start: str = "2026-11-23T09:00:00-05:00", patients: tuple[str, ...] = ("p0001",)
) -> dict[str, Any]:
    booked = _booking(id_, start=start)
    return booked | {
        "participant": [*booked["participant"], *({"actor": {"reference": f"Patient/{each}"}} for each in patients)]
    }


def _visits(hours: int = 2) -> PatientAppointmentSearch:
    start = datetime(2026, 11, 23, 9, 0, 0, 1, tzinfo=ZONE)
    return PatientAppointmentSearch(start, start + timedelta(hours=hours), ZONE)


def test_a_patients_window_is_asked_for_in_whole_seconds() -> None:
    assert _visits().params(_PATIENT) == (
        ("patient", "p0001"),
        ("date", "ge2026-11-23T09:00:00-05:00"),
        ("date", "le2026-11-23T11:00:00-05:00"),
        ("_count", "50"),
    )


def test_a_patients_window_is_closed_at_both_ends() -> None:
    start = datetime(2026, 11, 23, 9, tzinfo=ZONE)
    search = PatientAppointmentSearch(start, start + timedelta(hours=2), ZONE)
    page = _page(
        _visit("a1", start="2026-11-23T08:59:59-05:00"),
        _visit("a2"),
        _visit("a3", start="2026-11-23T16:00:00Z"),
        _visit("a4", start="2026-11-23T11:00:01-05:00"),
    )

    assert [item.id for item in search.take(_PATIENT, page)] == ["a2", "a3"]


def test_a_visit_of_several_patients_is_each_ones() -> None:
    taken = _visits().take(
        _PATIENT, _page(_visit("a1", start="2026-11-23T10:00:00-05:00", patients=("p0002", "p0001")))
    )

    assert [item.id for item in taken] == ["a1"]


def test_a_visit_without_a_provider_is_one_all_the_same() -> None:
    """A nurse's hour at the blood test, for which nobody is named."""
    visit = _visit("a1", start="2026-11-23T10:00:00-05:00") | {
        "participant": [{"actor": {"reference": "Patient/p0001"}}, {"actor": {"display": "Labo"}}]
    }
    (taken,) = _visits().take(_PATIENT, _page(visit))

    assert taken.provider_id == ""


def test_another_patients_visits_are_doubtful() -> None:
    search = _visits()

    assert search.take(_PATIENT, _page(_visit("a1", patients=("p0002",)))) == ()
    assert search.doubts()


_BORN = date(1980, 2, 29)
_BY_NUMBER = PatientQuery(HealthNumber("9876 543 217", "ON"))
_BY_BIRTH = PatientQuery(last_name="P0001", birth_date=_BORN)


def _chart(id_: object, **elements: Any) -> dict[str, Any]:
    usual = {"resourceType": "Patient", "id": id_, "name": [{"family": "P0001"}], "birthDate": "1980-02-29"}
    return usual | elements


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (_BY_NUMBER, [("identifier", "9876543217"), ("identifier", "9876 543 217")]),
        (PatientQuery(HealthNumber("9876543217")), [("identifier", "9876543217")]),
        (_BY_BIRTH, [("birthdate", "1980-02-29")]),
        (PatientQuery(last_name="Côté"), [("family", "Côté")]),
    ],
)
def test_what_is_asked_for_a_patient(query: PatientQuery, expected: list[tuple[str, str]]) -> None:
    """Never by surname where there is a birth date: servers differ in what they match."""
    assert [params[0] for params in PatientSearch(query).params()] == expected


def test_a_chart_found_twice_is_one() -> None:
    search = PatientSearch(_BY_BIRTH)
    for _ in range(2):
        search.take(_page(_chart("p0001"), _chart("p0002", name=[{"family": "P0002"}])))

    assert [patient.id for patient in search.found()] == ["p0001"]
    assert {search.unreadable, search.unfiltered, search.less_than_all} == {False}


@pytest.mark.parametrize(
    ("query", "charts", "unfiltered"),
    [
        (_BY_NUMBER, [_chart("1", identifier=[{"value": "5"}]), _chart("2")], True),
        (_BY_NUMBER, [_chart("1", identifier=[{"value": "9876-543-217", "type": {"text": "chart"}}])], False),
        (_BY_BIRTH, [_chart("1", birthDate="1999-01-01")], True),
        (_BY_BIRTH, [_chart("1", birthDate="1980"), _chart("2", birthDate="1999-01-01")], False),
        (_BY_BIRTH, [], False),
    ],
    ids=["other-numbers", "a-chart-number", "other-birth-dates", "a-birth-year", "nobody"],
)
def test_a_page_without_anybody_who_was_asked_for_answers_another_question(
    query: PatientQuery, charts: list[dict[str, Any]], *, unfiltered: bool
) -> None:
    search = PatientSearch(query)
    search.take(_page(*charts))

    assert search.unfiltered is unfiltered
    assert search.found() == ()


def test_an_unreadable_chart_may_be_the_one() -> None:
    search = PatientSearch(_BY_BIRTH)
    search.take(_page(_chart("p0001"), _chart("p0002", name="P0001")))

    assert search.unreadable
