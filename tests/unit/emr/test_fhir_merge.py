"""New demographics in a chart that holds more than we read."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocean_emr.adapters.fhir_merge import merged, patient_of
from ocean_emr.errors import EmrRecordError, EmrWriteRefusedError
from ocean_emr.records import Address, HealthNumber, PatientId, Sex
from ocean_emr.updating import FIELDS, demographics_of
from ocean_emr.writes import Demographics, DemographicsUpdate

_FULL: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p0001",
    "meta": {"versionId": "7", "profile": ["urn:vendor"]},
    "text": {"status": "generated", "div": "<div>613-555-0101</div>"},
    "extension": [{"url": "urn:vendor:chart-colour", "valueString": "green"}],
    "active": True,
    "identifier": [{"system": "urn:vendor:chart", "value": "77", "type": {"coding": [{"code": "MR"}]}}],
    "name": [
        {"use": "maiden", "family": "Roy"},
        {"use": "official", "family": "P0001", "given": ["Zoë", "Anne"], "_given": [None, {"id": "x"}]},
        {"use": "nickname", "text": "Zo"},
    ],
    "telecom": [
        {"system": "phone", "use": "old", "value": "613-555-0100"},
        {"system": "phone", "use": "home", "value": "613-555-0109", "rank": 2},
        None,
        {"system": "phone", "use": "home", "value": "613-555-0101", "rank": 1, "extension": [{"url": "urn:vendor:x"}]},
        {"system": "sms", "value": "613-555-0102"},
        {"system": "fax", "value": "613-555-0103"},
        {"system": "email", "value": "p0001@example.org", "_value": {"extension": [{"url": "urn:vendor:checked"}]}},
    ],
    "gender": "female",
    "birthDate": "1980-02-29",
    "_birthDate": {"extension": [{"url": "urn:birth-time", "valueTime": "10:00:00"}]},
    "address": [
        {"use": "billing", "line": ["PO Box 1"], "city": "Ottawa"},
        {
            "use": "home",
            "text": "1 Main St",
            "line": ["1 Main St"],
            "city": "Ottawa",
            "district": "Centre",
            "state": "ON",
        },
    ],
    "communication": [
        {"language": {"coding": [{"code": "fr-CA"}]}, "preferred": True, "id": "c1"},
        {"language": {"coding": [{"code": "en"}]}, "extension": [{"url": "urn:vendor:level"}]},
    ],
    "contact": [{"relationship": [{"coding": [{"code": "C"}]}], "name": {"text": "Somebody"}}],
    "link": [],
}


def _merge(raw: dict[str, Any], **changes: Any) -> dict[str, Any]:
    update = DemographicsUpdate(PatientId("p0001"), Demographics(**changes), Demographics())
    return merged(raw, update, frozenset(changes))


def _but(resource: dict[str, Any], *elements: str) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in {"text", *elements}}


def test_the_phone_that_is_read_is_the_one_that_is_changed() -> None:
    """With its rank and extensions; the others stay, and the padding too."""
    result = _merge(_FULL, home_phone="819-555-0201")
    expected = copy.deepcopy(_FULL["telecom"])
    expected[3]["value"] = "819-555-0201"

    assert result["telecom"] == expected
    assert _but(result, "telecom") == _but(_FULL, "telecom")


def test_what_extends_an_old_value_goes_with_it() -> None:
    """That somebody has checked the address was said of another address."""
    result = _merge(_FULL, email="p0001.new@example.org")

    assert result["telecom"][-1] == {"system": "email", "value": "p0001.new@example.org"}


def test_a_text_for_mobiles_is_the_mobile() -> None:
    assert _merge(_FULL, mobile_phone="613-555-0202")["telecom"][4] == {"system": "sms", "value": "613-555-0202"}


def test_a_phone_that_was_not_there_is_added_at_the_end() -> None:
    result = _merge(_FULL, work_phone="613-555-0203")

    assert result["telecom"] == [*_FULL["telecom"], {"system": "phone", "use": "work", "value": "613-555-0203"}]


def test_a_new_home_leaves_the_billing_address() -> None:
    """What described the old one in words is gone; what the update does not name stays."""
    result = _merge(_FULL, address=Address("2 Elm St\nUnit 5", "Gatineau", "QC", "J8X 1A1"))

    assert result["address"][0] == _FULL["address"][0]
    assert result["address"][1] == {
        "use": "home",
        "line": ["2 Elm St", "Unit 5"],
        "city": "Gatineau",
        "district": "Centre",
        "state": "QC",
        "postalCode": "J8X 1A1",
    }


def test_a_part_of_an_address_leaves_the_rest() -> None:
    result = _merge(_FULL, address=Address(postal_code="K1A 0A1"))

    assert patient_of(result).addresses[0] == Address("1 Main St", "Ottawa", "ON", "K1A 0A1")


def test_a_first_home_is_added_to_a_billing_address() -> None:
    raw = _FULL | {"address": _FULL["address"][:1]}
    result = _merge(raw, address=Address("2 Elm St", "Gatineau", "QC", "J8X 1A1"))

    assert result["address"][0] == _FULL["address"][0]
    assert result["address"][1]["use"] == "home"


def test_a_language_already_spoken_becomes_the_preferred_one() -> None:
    result = _merge(_FULL, language="en")

    assert result["communication"] == [
        {"language": {"coding": [{"code": "fr-CA"}]}, "id": "c1"},
        {"language": {"coding": [{"code": "en"}]}, "extension": [{"url": "urn:vendor:level"}], "preferred": True},
    ]


def test_a_new_language_is_added_and_preferred() -> None:
    result = _merge(_FULL, language="de")

    assert patient_of(result).language == "de"
    assert len(result["communication"]) == 3


def test_a_nickname_in_words_becomes_the_new_one() -> None:
    assert _merge(_FULL, preferred_name="Zozo")["name"][2] == {"use": "nickname", "given": ["Zozo"]}


def test_a_blank_first_name_is_filled_in_the_name_that_is_there() -> None:
    raw = _FULL | {"name": [{"use": "usual", "family": "P0001"}]}

    assert _merge(raw, first_name="Zoë")["name"] == [{"use": "usual", "family": "P0001", "given": ["Zoë"]}]


def test_a_whole_name_is_made_where_there_is_none() -> None:
    raw = _but(_FULL, "name")
    result = _merge(raw, first_name="Zoë", last_name="P0001")

    assert result["name"] == [{"use": "official", "given": ["Zoë"], "family": "P0001"}]


def test_a_health_number_is_added_to_the_other_numbers() -> None:
    card = HealthNumber("9876543217", "ON", "AB", date(2027, 8, 11))
    result = _merge(_FULL, health_number=card)

    assert patient_of(result).health_number == card
    assert result["identifier"][0] == _FULL["identifier"][0]


def test_a_birth_year_may_become_a_birth_date() -> None:
    raw = _FULL | {"birthDate": "1980"}

    assert _merge(raw, birth_date=date(1980, 2, 29))["birthDate"] == "1980-02-29"


@pytest.mark.parametrize(
    ("raw", "changes"),
    [
        (_FULL | {"birthDate": "1981"}, {"birth_date": date(1980, 2, 29)}),
        (_FULL | {"name": [{"text": "P0001, Zoë"}]}, {"first_name": "Zoë"}),
        (_FULL, {"health_number": HealthNumber("1", "XX")}),
    ],
    ids=["another-year", "name-in-words", "unknown-province"],
)
def test_what_could_contradict_the_chart_is_refused(raw: dict[str, Any], changes: dict[str, Any]) -> None:
    with pytest.raises(EmrWriteRefusedError, match=next(iter(changes))):
        _merge(raw, **changes)


def test_an_unreadable_chart_is_not_changed() -> None:
    with pytest.raises(EmrRecordError):
        _merge(_FULL | {"telecom": "none"}, email="p0001@example.org")


def test_a_narrative_that_somebody_wrote_stays() -> None:
    written = {"status": "additional", "div": "<div>deaf in one ear</div>"}

    assert _merge(_FULL | {"text": written}, email="new@example.org")["text"] == written
    assert "text" not in _merge(_FULL, email="new@example.org")


_WORD = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=8)
_CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "preferred_name": _WORD,
        "address": st.builds(Address, street=_WORD, city=_WORD, province=_WORD, postal_code=_WORD),
        "home_phone": _WORD,
        "work_phone": _WORD,
        "mobile_phone": _WORD,
        "email": _WORD,
        "language": st.sampled_from(["en", "fr", "de"]),
    },
)
_POINT = st.fixed_dictionaries(
    {"system": st.sampled_from(["phone", "sms", "email", "fax"])},
    optional={
        "use": st.sampled_from(["home", "work", "mobile", "old", "temp"]),
        "value": _WORD,
        "rank": st.integers(1, 3),
    },
)
_CHARTS = st.fixed_dictionaries(
    {},
    optional={
        "telecom": st.lists(st.one_of(st.none(), _POINT), max_size=5),
        "name": st.lists(
            st.fixed_dictionaries(
                {"use": st.sampled_from(["official", "nickname", "old"])},
                optional={"given": st.lists(_WORD, max_size=2), "family": _WORD},
            ),
            max_size=3,
        ),
        "address": st.lists(
            st.fixed_dictionaries({}, optional={"use": st.sampled_from(["home", "work", "old"]), "city": _WORD}),
            max_size=3,
        ),
        "communication": st.lists(
            st.builds(
                lambda code, preferred: {"language": {"coding": [{"code": code}]}, "preferred": preferred},
                st.sampled_from(["en", "fr", "es"]),
                st.booleans(),
            ),
            max_size=3,
        ),
    },
)


@settings(deadline=None, max_examples=300)
@given(chart=_CHARTS, changes=_CHANGES)
def test_whatever_the_chart_holds_it_reads_as_asked_and_no_further(
    chart: dict[str, Any], changes: dict[str, Any]
) -> None:
    """No entry is lost, no field besides those asked for reads otherwise, and what came in is left as it was."""
    raw = {"resourceType": "Patient", "id": "p0001", "gender": "other"} | chart
    before = copy.deepcopy(raw)
    result = _merge(raw, **changes)
    was, is_now = (demographics_of(patient_of(each)) for each in (raw, result))

    assert raw == before
    for name in FIELDS:
        if name != "address":
            assert getattr(is_now, name) == changes.get(name, getattr(was, name))
    if "address" in changes:
        assert is_now.address is not None
        assert is_now.address.street == changes["address"].street
    for element in ("telecom", "name", "address", "communication"):
        assert 0 <= len(result.get(element, ())) - len(raw.get(element, ())) <= len(changes)
    assert is_now.sex is Sex.OTHER
