"""Whether a chart is one that was looked for: one rule for all adapters, whatever their EMR's search matches. Pure."""

from __future__ import annotations

import re
import unicodedata

from ocean_emr.records import HealthNumber, Patient
from ocean_emr.writes import PatientQuery

_WITH_VERSION = re.compile(r"(\d{10})[A-Z]{1,2}")
"""An Ontario number with its version code behind it, as some charts keep the two. Quebec's begin with letters."""


def fits(query: PatientQuery, patient: Patient) -> bool:
    """Whether the chart fits all that `query` says. What the chart does not say does not fit."""
    number, surname, born = query.health_number, query.last_name, query.birth_date
    return (
        (number is None or (patient.health_number is not None and same_number(number, patient.health_number)))
        and (surname is None or (patient.last_name is not None and same_name(surname, patient.last_name)))
        and (born is None or born == patient.birth_date)
    )


def same_number(one: HealthNumber, other: HealthNumber) -> bool:
    """By digits and letters, however they are spaced; by province where both say one; never by version or expiry."""
    provinces = {card.province for card in (one, other) if card.province}
    return bare_number(one.value) == bare_number(other.value) and len(provinces) <= 1


def bare_number(value: str) -> str:
    """A health number's digits and capital letters, without the version code."""
    bare = re.sub(r"[\W_]", "", value.upper(), flags=re.ASCII)
    versioned = _WITH_VERSION.fullmatch(bare)
    return versioned[1] if versioned else bare


def same_name(one: str, other: str) -> bool:
    """Without regard to case, accents and white space around."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    apart = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(each for each in apart if not unicodedata.combining(each))
