"""What a patient says of address, telephone and so on: what of it goes into the chart, and what becomes a note. Pure.

Ocean's own policy is kept: name, health number, birth date and sex of a chart are never replaced; only where the chart
is blank there are they filled in. Source: Ocean's EMR integrations FAQ. What is not filled in is not dropped either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

from ocean_emr.errors import EmrWriteRefusedError
from ocean_emr.messages.deliveries import DemographicsContent
from ocean_emr.messages.words import Language, Words, say
from ocean_emr.ocean.inbound import OceanDemographics, sex_of
from ocean_emr.ocean.inbound_profile import FIELDS
from ocean_emr.records import Address, HealthNumber, Patient, PatientId, Sex
from ocean_emr.updating import demographics_of, fields_to_write
from ocean_emr.writes import Demographics, DemographicsUpdate, NewNote, NoteKind

_SEXES: Final = {Sex.FEMALE: "F", Sex.MALE: "M", Sex.OTHER: "X", Sex.UNKNOWN: "?"}
_LANGUAGES: Final = {"english": "en", "anglais": "en", "french": "fr", "français": "fr", "francais": "fr"}
_CODE_LETTERS: Final = 2
_USELESS_ALONE: Final = {
    "health_number.value": {"health_number.province", "health_number.version", "health_number.expires_on"},
    "address.line1": {"address.line2"},
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of what a patient said."""

    update: DemographicsUpdate | None
    """None where the chart has everything already, or nothing of it may be changed."""
    said: tuple[tuple[Words | str, str, str], ...] = field(repr=False)
    """What is for a person to decide: the field in our word or in Ocean's, what the patient says, what the chart has
    (may be empty)."""


def read_updates(updates: Mapping[str, str | None]) -> tuple[Demographics, tuple[tuple[str, str], ...]]:
    """What `emrFieldUpdates` gives for a chart, and beside it what has no place there, by Ocean's name of the field.

    An empty value says nothing: nothing in a chart is made blank.
    """
    flat: dict[str, Any] = {}
    others: list[tuple[str, str]] = []
    for name, value in updates.items():
        text = (value or "").strip()
        place = FIELDS.get(name)
        if not text:
            continue
        read = _read(place, text) if place else None
        if place is None or read is None:
            others.append((name, text))
        else:
            flat[place] = read
    # Half a health number, or a flat without its street, would take the place of something whole.
    for needed, useless in _USELESS_ALONE.items():
        lone = [name for name, place in FIELDS.items() if place in useless and place in flat and needed not in flat]
        for name in lone:
            others.append((name, (updates[name] or "").strip()))
            del flat[FIELDS[name]]
    return _assembled(flat), tuple(others)


def of_ocean(who: OceanDemographics) -> Demographics:
    """What Ocean knows of a patient, as a chart has it."""
    custom = {name: str(value) for name, value in who.custom_fields.items() if value}
    given = {
        "firstName": who.first_name,
        "surname": who.surname,
        "preferredName": who.preferred_name,
        "birthDate": who.birth_date.isoformat() if who.birth_date else "",
        "sex": who.sex.value if who.sex is not Sex.UNKNOWN else "",
        "hn": who.hn,
        "hnProv": who.hn_prov,
        "hnVC": who.hn_version,
        "hnExpiryDate": who.hn_expiry_date.isoformat() if who.hn_expiry_date else "",
        "address.line1": who.address.line1,
        "address.line2": who.address.line2,
        "address.city": who.address.city,
        "address.province": who.address.province,
        "address.postalCode": who.address.postal_code,
        "address.country": who.address.country,
        "address.phone": who.address.phone,
        "address.email": who.address.email,
        "language": who.language,
        "mobilePhone": custom.get("mobilePhone", ""),
        "workPhone": custom.get("workPhone", ""),
    }
    return read_updates(given)[0]


def decide(content: DemographicsContent, chart: Patient, *, may_update: bool = True) -> Decision:
    """What is written into `chart`, and what is put before a person: everything new, where the chart may not change."""
    now = demographics_of(chart)
    changes, base = Demographics(), Demographics()
    said: list[tuple[Words | str, str, str]] = []
    for name in Demographics.__dataclass_fields__:
        wanted = getattr(content.given, name)
        if wanted is None:
            continue
        alone = DemographicsUpdate(chart.id, replace(Demographics(), **{name: wanted}), now)
        try:
            new, allowed = bool(fields_to_write(alone, chart)), may_update
        except EmrWriteRefusedError:
            new, allowed = True, False
        if new and allowed:
            changes = replace(changes, **{name: wanted})
            base = replace(base, **{name: getattr(now, name)})
        elif new:
            said.append((Words(name), _shown(wanted), _shown(getattr(now, name))))
    said += [(name, value, "") for name, value in content.others]
    update = DemographicsUpdate(chart.id, changes, base) if changes != Demographics() else None
    return Decision(update, tuple(said))


def note_of(decision: Decision, content: DemographicsContent, patient_id: PatientId, language: Language) -> NewNote:
    """What a person is told of what the patient said and the chart did not take."""
    lines = [say(Words.PATIENT_SAYS, language), ""]
    for name, value, there in decision.said:
        label = say(name, language) if isinstance(name, Words) else name
        beside = f" ({say(Words.IN_CHART, language)}: {there})" if there else ""
        lines.append(f"- {label}: {value}{beside}")
    return NewNote(
        patient_id=patient_id,
        kind=NoteKind.PROGRESS_NOTE,
        title=say(Words.PATIENT_SAYS_TITLE, language),
        text="\n".join(lines),
        observed_at=content.observed_at,
    )


def _read(place: str, text: str) -> Any:
    """`text` as the chart's field holds it; None where it cannot be."""
    if place in {"birth_date", "health_number.expires_on"}:
        try:
            return date.fromisoformat(text)
        except ValueError:
            return None
    if place == "sex":
        return None if (sex := sex_of(text)) is Sex.UNKNOWN else sex
    if place == "language":
        code = _LANGUAGES.get(text.casefold(), text.lower())
        return code if len(code) == _CODE_LETTERS and code.isascii() and code.isalpha() else None
    if place == "health_number.province":
        return text.upper() if len(text) == _CODE_LETTERS and text.isalpha() else None
    return text


def _assembled(flat: Mapping[str, Any]) -> Demographics:
    number, address = _parts(flat, "health_number"), _parts(flat, "address")
    street = "\n".join(address.pop(line) for line in ("line1", "line2") if line in address)
    if street:
        address["street"] = street
    plain = {name: value for name, value in flat.items() if "." not in name}
    return Demographics(
        **plain,
        health_number=HealthNumber(**number) if number else None,
        address=Address(**address) if address else None,
    )


def _parts(flat: Mapping[str, Any], of: str) -> dict[str, Any]:
    return {name.removeprefix(f"{of}."): value for name, value in flat.items() if name.startswith(f"{of}.")}


def _shown(value: object) -> str:
    """A field's value in one line."""
    match value:
        case None:
            return ""
        case Sex():
            return _SEXES[value]
        case HealthNumber():
            expiry = value.expires_on.isoformat() if value.expires_on else None
            return " ".join(part for part in (value.value, value.version, value.province, expiry) if part)
        case Address():
            parts = (value.street, value.city, value.province, value.postal_code, value.country)
            return ", ".join(part for part in parts if part).replace("\n", ", ")
        case date():
            return value.isoformat()
        case _:
            return str(value)
