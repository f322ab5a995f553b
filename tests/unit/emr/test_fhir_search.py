"""What a search for appointments takes from an answer, and what it leaves in doubt."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from ocean_emr.adapters.fhir_resources import Bundle, read
from ocean_emr.adapters.fhir_search import AppointmentSearch
from ocean_emr.records import ProviderId
from ocean_emr.testing.conformance.clinic import ZONE

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
