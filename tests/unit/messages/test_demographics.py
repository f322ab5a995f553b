"""What a patient says: the chart takes what may be changed, a person is told the rest, and nothing is dropped."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_emr.messages.deliveries import DemographicsContent
from ocean_emr.messages.demographics import Decision, decide, note_of, of_ocean, read_updates
from ocean_emr.messages.words import Words, say
from ocean_emr.ocean.inbound import OceanDemographics
from ocean_emr.ocean.inbound_profile import FIELDS
from ocean_emr.records import Address, HealthNumber, Patient, PatientId, Sex
from ocean_emr.updating import demographics_of, fields_to_write
from ocean_emr.writes import PROTECTED_FIELDS, Demographics, NoteKind
from unit.messages.people import AT, BORN, NUMBER, chart, person

HOME = Address("1 rue Principale", "Montréal", "QC", "H1H 1H1", "CA")
NAMES = [field.name for field in fields(Demographics)]


def content(updates: dict[str, str | None]) -> DemographicsContent:
    given_fields, others = read_updates(updates)
    return DemographicsContent(person=person(), given=given_fields, others=others, observed_at=AT)


def decided(updates: dict[str, str | None], there: Patient) -> Decision:
    return decide(content(updates), there)


def test_what_is_different_is_changed_and_what_is_there_is_left() -> None:
    there = chart(email="old@example.org", mobile_phone="514-555-0100", language="fr")

    decision = decided({"address.email": "new@example.org", "mobilePhone": "514-555-0100", "language": "FR"}, there)

    assert decision.said == ()
    assert decision.update is not None
    assert decision.update.changes == Demographics(email="new@example.org")
    assert decision.update.base == Demographics(email="old@example.org")


def test_where_charts_are_not_updated_everything_new_is_told_to_a_person() -> None:
    there = chart(email="old@example.org", language="fr")
    updates: dict[str, str | None] = {"address.email": "new@example.org", "language": "FR", "surname": "Tremblay"}

    decision = decide(content(updates), there, may_update=False)

    assert decision.update is None
    assert [(said[0], said[1:]) for said in decision.said] == [
        (Words.LAST_NAME, ("Tremblay", "COTE")),
        (Words.EMAIL, ("new@example.org", "old@example.org")),
    ]


def test_a_chart_that_has_it_all_needs_nothing() -> None:
    assert decided({"surname": "Côté", "birthDate": "1980-02-29", "sex": "F"}, chart()) == Decision(None, ())


@pytest.mark.parametrize(
    ("updates", "label"),
    [
        ({"firstName": "Zoë-Marie"}, Words.FIRST_NAME),
        ({"surname": "Tremblay"}, Words.LAST_NAME),
        ({"birthDate": "1981-02-28"}, Words.BIRTH_DATE),
        ({"sex": "Homme"}, Words.SEX),
        ({"hn": "1234567897", "hnProv": "ON"}, Words.HEALTH_NUMBER),
        ({"hn": "9876543217", "hnVC": "CD"}, Words.HEALTH_NUMBER),
    ],
)
def test_what_is_protected_is_told_to_a_person(updates: dict[str, str | None], label: Words) -> None:
    decision = decided(updates, chart())

    assert decision.update is None
    assert [said[0] for said in decision.said] == [label]


def test_what_is_protected_is_filled_in_where_the_chart_is_blank() -> None:
    blank = Patient(PatientId("1001"))
    updates: dict[str, str | None] = {
        "firstName": "Zoé",
        "surname": "Côté",
        "birthDate": "1980-02-29",
        "sex": "F",
        "hn": "9876543217",
        "hnProv": "on",
        "hnVC": "AB",
    }

    decision = decided(updates, blank)

    assert decision.said == ()
    assert decision.update is not None
    assert decision.update.changes == Demographics("Zoé", "Côté", BORN, Sex.FEMALE, NUMBER)
    assert decision.update.base == Demographics()


def test_a_part_of_an_address_changes_that_part() -> None:
    decision = decided({"address.city": "Québec"}, chart(addresses=(HOME,)))

    assert decision.update is not None
    assert decision.update.changes == Demographics(address=Address(city="Québec"))
    assert decision.update.base == Demographics(address=HOME)


def test_both_lines_of_a_street_are_one() -> None:
    given_fields, _ = read_updates({"address.line2": "app. 3", "address.line1": "2 rue Neuve"})

    assert given_fields.address == Address(street="2 rue Neuve\napp. 3")


@pytest.mark.parametrize(
    "updates",
    [
        {"pharmacy": "Rexall"},
        {"birthDate": "the 3rd of May"},
        {"sex": "?"},
        {"language": "Klingon"},
        {"hnVC": "CD"},
        {"hnProv": "Ontario"},
        {"address.line2": "app. 3"},
    ],
    ids=lambda updates: next(iter(updates)),
)
def test_what_has_no_place_in_a_chart_is_told_to_a_person(updates: dict[str, str | None]) -> None:
    decision = decided(updates, chart(addresses=(HOME,)))

    assert decision.update is None
    assert [(name, value) for name, value, _ in decision.said] == list(updates.items())


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_an_empty_value_says_nothing(nothing: str | None) -> None:
    """Nothing in a chart is made blank."""
    assert decided({"address.email": nothing, "pharmacy": nothing}, chart(email="old@example.org")) == Decision(
        None, ()
    )


ENGLISH = """The patient says the following. It was not changed in the chart; please check.

- Last name: Tremblay (in the chart: COTE)
- Health number: 1234567897 ON (in the chart: 9876543217 AB ON)
- pharmacy: Rexall"""
FRENCH = """Voici ce qu'indique le patient. Le dossier n'a pas été modifié ; veuillez vérifier.

- Nom de famille: Tremblay (au dossier: COTE)
- Numéro d'assurance maladie: 1234567897 ON (au dossier: 9876543217 AB ON)
- pharmacy: Rexall"""


@pytest.mark.parametrize(("language", "expected"), [("en", ENGLISH), ("fr", FRENCH)])
def test_the_note_says_what_the_patient_says_in_the_clinic_s_language(language: Any, expected: str) -> None:
    said = content({"surname": "Tremblay", "hn": "1234567897", "hnProv": "ON", "pharmacy": "Rexall"})

    note = note_of(decide(said, chart()), said, PatientId("1001"), language)

    assert (note.kind, note.observed_at) == (NoteKind.PROGRESS_NOTE, AT)
    assert note.text == expected


def test_every_phrase_is_there_in_both_languages() -> None:
    for words in Words:
        assert say(words, "en")
        assert say(words, "fr")
    assert set(NAMES) <= {words.value for words in Words}


def test_what_ocean_knows_of_a_patient_is_read_as_a_chart_has_it() -> None:
    who = OceanDemographics.model_validate(
        {
            "firstName": "Zoé",
            "surname": "Côté",
            "birthDate": "1980-02-29",
            "sex": "Femme",
            "hn": "9876543217",
            "hnProv": "ON",
            "hnVC": "AB",
            "hnExpiryDate": None,
            "address": {"line1": "1 rue Principale", "city": "Montréal", "phone": "514-555-0101", "email": ""},
            "language": "Français",
            "customFields": {"mobilePhone": 5145550102},
        }
    )

    assert of_ocean(who) == Demographics(
        first_name="Zoé",
        last_name="Côté",
        birth_date=BORN,
        sex=Sex.FEMALE,
        health_number=NUMBER,
        address=Address(street="1 rue Principale", city="Montréal"),
        home_phone="514-555-0101",
        mobile_phone="5145550102",
        language="fr",
    )


def test_every_name_of_the_profile_leads_to_a_field_of_a_chart() -> None:
    whole = {name: f"value of {name}" for name in FIELDS} | {
        "birthDate": "1980-02-29",
        "hnExpiryDate": "2030-01-31",
        "sex": "F",
        "hnProv": "ON",
        "language": "fr",
    }
    given_fields, others = read_updates(whole)

    assert others == ()
    assert all(getattr(given_fields, name) is not None for name in NAMES)


words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
some = st.none() | words
demographics = st.builds(
    Demographics,
    first_name=some,
    last_name=some,
    birth_date=st.none() | st.dates(date(1900, 1, 1), date(2026, 1, 1)),
    sex=st.none() | st.sampled_from([Sex.FEMALE, Sex.MALE, Sex.OTHER]),
    health_number=st.none() | st.builds(HealthNumber, words, st.sampled_from([None, "ON", "QC"])),
    preferred_name=some,
    address=st.none() | st.builds(Address, some, some, some, some, some).filter(lambda it: it != Address()),
    home_phone=some,
    work_phone=some,
    mobile_phone=some,
    email=some,
    language=st.sampled_from([None, "en", "fr"]),
)


def chart_with(there: Demographics) -> Patient:
    plain = {name: getattr(there, name) for name in NAMES if name not in {"address", "sex"}}
    addresses = (there.address,) if there.address else ()
    return Patient(PatientId("1001"), sex=there.sex or Sex.UNKNOWN, addresses=addresses, **plain)


@given(demographics, demographics)
def test_nothing_protected_is_ever_replaced_and_nothing_is_dropped(wanted: Demographics, there: Demographics) -> None:
    about = DemographicsContent(person=person(), given=wanted, observed_at=AT)
    patient = chart_with(there)

    decision = decide(about, patient)

    changes = decision.update.changes if decision.update else Demographics()
    told = {name.value for name, _, _ in decision.said if isinstance(name, Words)}
    for name in NAMES:
        ours, theirs = getattr(wanted, name), getattr(there, name)
        if name in PROTECTED_FIELDS and theirs is not None:
            assert getattr(changes, name) is None
        if ours is not None:
            # Exactly one of: it is written, a person is told, the chart has it.
            assert (getattr(changes, name) is not None) + (name in told) + _has(patient, name, ours) == 1
    if decision.update:
        assert fields_to_write(decision.update, patient) == {n for n in NAMES if getattr(changes, n) is not None}
        assert decision.update.base == replace(
            Demographics(),
            **{n: getattr(demographics_of(patient), n) for n in NAMES if getattr(changes, n) is not None},
        )


def _has(patient: Patient, name: str, value: object) -> bool:
    alone = replace(Demographics(), **{name: value})
    return decide(DemographicsContent(person=person(), given=alone, observed_at=AT), patient) == Decision(None, ())


@given(st.dictionaries(st.sampled_from([*FIELDS, "pharmacy", "x"]), st.none() | words, max_size=8))
def test_whatever_a_form_gives_is_read_or_told(updates: dict[str, str | None]) -> None:
    given_fields, others = read_updates(updates)

    shown = repr(others) + "".join(
        str(getattr(given_fields, name)) if not isinstance(getattr(given_fields, name), Address | HealthNumber) else ""
        for name in NAMES
    )
    for part in (given_fields.address, given_fields.health_number):
        shown += repr([getattr(part, slot) for slot in part.__slots__]) if part else ""
    for name, value in updates.items():
        if value and value.strip() and name not in {"sex", "language", "hnProv"}:
            assert repr(value.strip())[1:-1] in shown or value.strip() in shown
