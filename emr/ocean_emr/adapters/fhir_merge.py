"""New demographics put into a Patient as the EMR holds it, with everything else left as it is. Pure.

A chart may hold several phones, names and addresses. What is changed is the one that `fhir_patient.py` reads: that is
found by reading again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from datetime import date
from typing import Any, Final

from ocean_emr.adapters.fhir_made import address_parts, health_number, language
from ocean_emr.adapters.fhir_patient import PatientResource
from ocean_emr.adapters.fhir_resources import read
from ocean_emr.errors import EmrRecordError, EmrWriteRefusedError
from ocean_emr.records import Address, HealthNumber, Operation, Patient, Sex
from ocean_emr.updating import FIELDS, demographics_of
from ocean_emr.writes import Demographics, DemographicsUpdate

Json = dict[str, Any]

_INVALID: Final = frozenset({"old", "maiden"})


def patient_of(raw: Json) -> Patient:
    """The chart as our record.

    Raises:
        EmrRecordError: It cannot be read.
    """
    resource = read(PatientResource, raw)
    if resource is None:
        what = "what the EMR answered is no Patient that can be read"
        raise EmrRecordError(what, op=Operation.UPDATE_DEMOGRAPHICS)
    return resource.to_patient()


def merged(raw: Json, update: DemographicsUpdate, names: frozenset[str]) -> Json:
    """The Patient with `names` as `update` wants them. `raw` is left as it is.

    Raises:
        EmrRecordError: The chart cannot be read.
        EmrWriteRefusedError: The chart keeps one of them in a way that we do not change.
    """
    before = demographics_of(patient_of(raw))
    wanted = {name: _wanted(getattr(update.changes, name), before) for name in FIELDS if name in names}
    result = without_generated_text(raw)
    for name, value in wanted.items():
        result = next(
            (each for each in _SETTERS[name](result, value) if _reads(each, name, value)),
            result,
        )
    after = demographics_of(patient_of(result))
    wrong = [name for name in FIELDS if getattr(after, name) != wanted.get(name, getattr(before, name))]
    if wrong:
        what = f"the chart keeps these in a way that is not changed from here: {', '.join(wrong)}"
        raise EmrWriteRefusedError(what, op=Operation.UPDATE_DEMOGRAPHICS)
    return result


def without_generated_text(raw: Json) -> Json:
    """A copy without the narrative, where a program wrote it: it would go on telling what was before."""
    result = copy.deepcopy(raw)
    narrative = result.get("text")
    if isinstance(narrative, dict) and narrative.get("status") == "generated":
        del result["text"]
    return result


def _reads(raw: Json, name: str, value: Any) -> bool:
    resource = read(PatientResource, raw)
    return resource is not None and getattr(demographics_of(resource.to_patient()), name) == value


def _wanted(value: Any, before: Demographics) -> Any:
    """As it will read; the parts of an address that are not asked for stay."""
    if isinstance(value, str) and not isinstance(value, Sex):
        return value.strip()
    if isinstance(value, Address):
        parts = {part.name: getattr(value, part.name) for part in fields(Address)}
        given = {name: part.strip() for name, part in parts.items() if part and part.strip()}
        return replace(before.address or Address(), **given)
    return value


# Each setter offers one or more charts; the first that reads as wanted is taken.
_Setter = Callable[[Json, Any], Iterator[Json]]


def _changed(raw: Json, element: str, position: int, change: Callable[[Json], None]) -> Json:
    result = copy.deepcopy(raw)
    change(result[element][position])
    return result


def _added(raw: Json, element: str, value: Json) -> Json:
    return raw | {element: [*(raw.get(element) or ()), value]}


def _positions(raw: Json, element: str) -> Iterator[tuple[int, Json]]:
    """The items that are still valid, with their places; arrays may be padded with null."""
    items = enumerate(raw.get(element) or ())
    return ((place, item) for place, item in items if isinstance(item, dict) and item.get("use") not in _INVALID)


def _put(part: Json, **values: Any) -> None:
    """Set elements; what extends an old value, beside it under `_name`, goes with the value."""
    for name, value in values.items():
        part[name] = value
        part.pop(f"_{name}", None)


def _contact(system: str, use: str, *, known_as: tuple[tuple[str, str | None], ...]) -> _Setter:
    """Sets a phone or an address for mail. Those it may stand in already are `known_as` (system, use or any)."""

    def setter(raw: Json, value: str) -> Iterator[Json]:
        for place, point in _positions(raw, "telecom"):
            kinds = {(point.get("system"), point.get("use", "")), (point.get("system"), None)}
            if not kinds.isdisjoint(known_as):
                yield _changed(raw, "telecom", place, lambda part: _put(part, value=value))
        yield _added(raw, "telecom", {"system": system, "use": use, "value": value})

    return setter


def _name(change: Callable[[Json, str], Json]) -> _Setter:
    """Sets a part of the name. One that stands there whole, in words, has no parts that could be blank."""

    def setter(raw: Json, value: str) -> Iterator[Json]:
        names = [(place, name) for place, name in _positions(raw, "name") if name.get("use") != "nickname"]
        if any(name.get("text") and not name.get("family") for _, name in names):
            return
        for place, _ in names:
            yield _changed(raw, "name", place, lambda part: _put(part, **change(part, value)))
        yield _added(raw, "name", {"use": "official", **change({}, value)})

    return setter


def _nickname(raw: Json, value: str) -> Iterator[Json]:
    def change(part: Json) -> None:
        _put(part, given=[value])
        part.pop("text", None)

    for place, name in _positions(raw, "name"):
        if name.get("use") == "nickname":
            yield _changed(raw, "name", place, change)
    yield _added(raw, "name", {"use": "nickname", "given": [value]})


def _postal(raw: Json, value: Address) -> Iterator[Json]:
    def change(part: Json) -> None:
        _put(part, **address_parts(value))
        # The whole address once more, in words.
        part.pop("text", None)

    for place, address in _positions(raw, "address"):
        if address.get("use") in {"home", None}:
            yield _changed(raw, "address", place, change)
    yield _added(raw, "address", {"use": "home", **address_parts(value)})


def _language(raw: Json, value: str) -> Iterator[Json]:
    """Preferred from now on; the others stay spoken."""
    spoken = [dict(each) for each in raw.get("communication") or () if isinstance(each, dict)]
    for each in spoken:
        each.pop("preferred", None)
    for place in range(len(spoken)):
        others = [*spoken]
        others[place] = spoken[place] | {"preferred": True}
        yield raw | {"communication": others}
    yield raw | {"communication": [*spoken, {"language": language(value), "preferred": True}]}


def _card(raw: Json, value: HealthNumber) -> Iterator[Json]:
    yield _added(raw, "identifier", health_number(value))


def _born(raw: Json, value: date) -> Iterator[Json]:
    """A chart may know the year or the month only: what contradicts it is not taken."""
    if value.isoformat().startswith(raw.get("birthDate") or ""):
        yield _with(raw, birthDate=value.isoformat())


def _sex(raw: Json, value: Sex) -> Iterator[Json]:
    yield _with(raw, gender=value.value)


def _with(raw: Json, **values: Any) -> Json:
    result = dict(raw)
    _put(result, **values)
    return result


_SETTERS: Final[Mapping[str, _Setter]] = {
    "first_name": _name(lambda part, value: {"given": [value, *(part.get("given") or ())[1:]]}),
    "last_name": _name(lambda _, value: {"family": value}),
    "birth_date": _born,
    "sex": _sex,
    "health_number": _card,
    "preferred_name": _nickname,
    "address": _postal,
    "home_phone": _contact("phone", "home", known_as=(("phone", "home"), ("phone", ""))),
    "work_phone": _contact("phone", "work", known_as=(("phone", "work"),)),
    "mobile_phone": _contact("phone", "mobile", known_as=(("phone", "mobile"), ("sms", None))),
    "email": _contact("email", "home", known_as=(("email", None),)),
    "language": _language,
}
