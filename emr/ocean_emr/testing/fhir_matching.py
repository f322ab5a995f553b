"""Which resources fit a search parameter. What the stub searches by."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import ge, gt, le, lt
from typing import Final

from ocean_emr.testing.fhir_clinic import Resource

_PREFIXES: Final = {"ge": ge, "gt": gt, "le": le, "lt": lt}


class RefusedError(Exception):
    """The request cannot be answered as it is."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


Test = Callable[[Resource], bool]


def match(kind: str, name: str, value: str) -> Test:
    """Whether a resource of `kind` fits `name=value`.

    Raises:
        RefusedError: 404 for a kind, 400 for a parameter that is not known or not understood.
    """
    if kind not in SEARCHABLE:
        raise RefusedError(404, "not-supported")
    if name not in SEARCHABLE[kind]:
        raise RefusedError(400, "invalid")
    return SEARCHABLE[kind][name](value)


def _refers(element: Callable[[Resource], Sequence[str]], kind: str) -> Callable[[str], Test]:
    """Matches resources that refer to one of the ids in the value."""

    def of(value: str) -> Test:
        wanted = {f"{kind}/{id_.rpartition('/')[2]}" for id_ in value.split(",")}
        return lambda resource: any(reference in wanted for reference in element(resource))

    return of


def _date(value: str) -> Test:
    compare = _PREFIXES.get(value[:2])
    try:
        moment = datetime.fromisoformat(value[2:] if compare else value)
    except ValueError:
        raise RefusedError(400, "invalid") from None
    if moment.tzinfo is None:
        # Whose midnight a bare date means is the server's guess; a client that leaves it open is wrong here.
        raise RefusedError(400, "invalid")

    def test(resource: Resource) -> bool:
        start = datetime.fromisoformat(resource["start"]) if "start" in resource else None
        if start is None:
            return False
        return compare(start, moment) if compare else abs(start - moment) < timedelta(seconds=1)

    return test


def _code(name: str) -> Callable[[str], Test]:
    def of(value: str) -> Test:
        wanted = set(value.lower().split(","))
        return lambda resource: str(resource.get(name, "")).lower() in wanted

    return of


def _participants(resource: Resource) -> Sequence[str]:
    return [part.get("actor", {}).get("reference", "") for part in resource.get("participant", ())]


def _subject(resource: Resource) -> Sequence[str]:
    return [resource.get("subject", {}).get("reference", "")]


def _identifier(value: str) -> Test:
    """Of a document also its master identifier. Source: FHIR R4, DocumentReference, search parameters."""
    system, _, number = value.rpartition("|")
    return lambda resource: any(
        each.get("value") == number and (not system or each.get("system") == system)
        for each in (resource.get("masterIdentifier", {}), *resource.get("identifier", ()))
    )


def _family(value: str) -> Test:
    """By the beginning of a surname, without case and accents. Source: FHIR R4, search, string."""
    return lambda resource: any(
        _plain(name.get("family", "")).startswith(_plain(value)) for name in resource.get("name", ())
    )


def _plain(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in apart if not unicodedata.combining(each))


SEARCHABLE: Final[Mapping[str, Mapping[str, Callable[[str], Test]]]] = {
    "Practitioner": {"_id": _code("id"), "active": _code("active")},
    "Appointment": {
        "_id": _code("id"),
        "practitioner": _refers(_participants, "Practitioner"),
        "patient": _refers(_participants, "Patient"),
        "status": _code("status"),
        "date": _date,
        "identifier": _identifier,
    },
    "Patient": {
        "_id": _code("id"),
        "identifier": _identifier,
        "birthdate": _code("birthDate"),
        "family": _family,
    },
    "DocumentReference": {
        "_id": _code("id"),
        "patient": _refers(_subject, "Patient"),
        "identifier": _identifier,
    },
}
"""Kind to parameter. What is not here is not held."""
