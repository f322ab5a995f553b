"""Charts as OSCAR takes them. Pure.

A PUT replaces the row: what is not sent is emptied, so all that was read goes back, but for what does harm there.
Source: open-osp/Open-O and scoophealth/oscar DemographicService, DemographicConverter, Demographic.hbm.xml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

from ocean_emr.adapters.oscar_calls import refused
from ocean_emr.records import Address, HealthNumber, Operation, Sex
from ocean_emr.writes import Demographics, NewPatient

Json = dict[str, Any]

_NOT_SENT: Final = frozenset(
    {
        # Of a table of their own, and replaced together: Open-O never shows the alert, so it would be emptied.
        "nurse",
        "resident",
        "alert",
        "midwife",
        "notes",
        # Would put the patient on the waiting list anew.
        "waitingListID",
        "waitingListNote",
        "onWaitingListSinceDate",
        # For show.
        "age",
        "provider",
        "doctors",
        "nurses",
        "midwives",
        "referralDoctors",
        "waitingListNames",
        "patientStatusList",
        "rosterStatusList",
        "demoContacts",
        "demoContactPros",
        "allergies",
        "measurements",
        "consultationRequests",
        "consultationResponses",
        "encounterNotes",
        "documents",
        "medicationSummary",
    }
)
_DATE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(T00:00:00(\.0+)?)?", re.ASCII)
_SEXES: Final = {Sex.FEMALE: "F", Sex.MALE: "M", Sex.OTHER: "O", Sex.UNKNOWN: "U"}
_LANGUAGES: Final = {"en": "English", "fr": "French"}
_CELL: Final = "demo_cell"

_WIDTHS: Final[Mapping[str, int]] = {
    "firstName": 30,
    "lastName": 30,
    "alias": 70,
    "hin": 20,
    "ver": 3,
    "hcType": 20,
    "phone": 20,
    "alternativePhone": 20,
    "email": 100,
}
_ADDRESS_WIDTHS: Final[Mapping[str, int]] = {"address": 60, "city": 50, "province": 20, "postal": 9}
"""Characters that the columns hold; more is cut off or fails, depending on the database."""


def new_chart(patient: NewPatient, programme: int) -> Json:
    """The body of a new chart, without the mobile phone, which OSCAR cannot take before the chart has a number."""
    body: Json = {
        "firstName": patient.first_name,
        "lastName": patient.last_name,
        # Not null in the table of classic builds.
        "middleNames": "",
        **_birth(patient.birth_date),
        "sex": _SEXES[patient.sex],
        "patientStatus": "AC",
        "address": _address(patient.address or Address()),
        "phone": patient.home_phone or "",
        "alternativePhone": "",
        "email": patient.email or "",
        "providerNo": patient.provider_id or "",
        "chartNo": "",
        **(_card(patient.health_number) if patient.health_number else {"hin": "", "ver": "", "hcType": ""}),
        "extras": [],
        "admissionProgramId": programme,
    }
    # A language that OSCAR has no name for stays open: it keeps nobody from being booked.
    if patient.language in _LANGUAGES:
        body["officialLanguage"] = _LANGUAGES[patient.language]
    _check(body, Operation.CREATE_PATIENT)
    return body


def changed_chart(raw: Mapping[str, Any], changes: Demographics, names: Iterable[str]) -> Json:
    """The body that makes the chart `raw` have the fields of `changes` that are in `names`.

    Raises:
        EmrWriteRefusedError: OSCAR has no room for one of them.
    """
    body = {name: _noon(name, value) for name, value in raw.items() if name not in _NOT_SENT}
    # Further fields that are not sent stay.
    body["extras"] = []
    wanted: Json = {}
    for name in names:
        wanted |= _BODIES[name](getattr(changes, name), raw)
    if isinstance(wanted.get("address"), Mapping):
        wanted["address"] = {**(raw.get("address") or {}), **wanted["address"]}
    _check(wanted, Operation.UPDATE_DEMOGRAPHICS)
    return body | wanted


def _noon(name: str, value: Any) -> Any:
    """A date alone is read as UTC's midnight and kept as the day before; its noon is that day in all of Canada."""
    is_date = name.endswith("Date") or name.startswith("date")
    match = _DATE.fullmatch(value) if is_date and isinstance(value, str) else None
    return f"{match[1]}T12:00:00" if match else value


def _birth(born: date) -> Json:
    return {"dobYear": f"{born:%Y}", "dobMonth": f"{born:%m}", "dobDay": f"{born:%d}"}


def _card(card: HealthNumber) -> Json:
    """Only the parts that are known."""
    parts = {
        "hin": card.value,
        "ver": card.version,
        "hcType": card.province,
        "hcRenewDate": f"{card.expires_on}T12:00:00" if card.expires_on else None,
    }
    return {name: value for name, value in parts.items() if value}


def _address(address: Address) -> Json:
    parts = {
        "address": address.street,
        "city": address.city,
        "province": address.province,
        "postal": address.postal_code,
    }
    return {name: value for name, value in parts.items() if value}


def _mobile(value: str, raw: Mapping[str, Any]) -> Json:
    """A further field: the one that is there changed, or a new one."""
    held = raw.get("extras") or ()
    extras = [held] if isinstance(held, Mapping) else held
    old = next((extra for extra in extras if isinstance(extra, Mapping) and extra.get("key") == _CELL), {})
    return {"cellPhone": value, "extras": [{**old, "key": _CELL, "value": value}]}


def _language(code: str, _raw: Mapping[str, Any]) -> Json:
    if code not in _LANGUAGES:
        raise refused(
            "OSCAR's official language is English or French, and the patient's is neither",
            Operation.UPDATE_DEMOGRAPHICS,
            "Enter the language in the chart by hand, then dismiss the message.",
        )
    return {"officialLanguage": _LANGUAGES[code]}


_BODIES: Final = {
    "first_name": lambda value, _: {"firstName": value},
    "last_name": lambda value, _: {"lastName": value},
    "birth_date": lambda value, _: _birth(value),
    "sex": lambda value, _: {"sex": _SEXES[value]},
    "health_number": lambda value, _: _card(value),
    "preferred_name": lambda value, _: {"alias": value},
    "address": lambda value, _: {"address": _address(value)},
    "home_phone": lambda value, _: {"phone": value},
    "work_phone": lambda value, _: {"alternativePhone": value},
    "mobile_phone": _mobile,
    "email": lambda value, _: {"email": value},
    "language": _language,
}


def _check(body: Mapping[str, Any], op: Operation) -> None:
    address = body.get("address") or {}
    parts = [(name, body.get(name), most) for name, most in _WIDTHS.items()]
    parts += [(name, address.get(name), most) for name, most in _ADDRESS_WIDTHS.items()]
    long = [f"{name} ({most})" for name, value, most in parts if isinstance(value, str) and len(value) > most]
    if long:
        raise refused(
            f"OSCAR has no room for so many characters: {', '.join(long)}",
            op,
            "Enter it in the chart by hand, shortened, then dismiss the message.",
        )
