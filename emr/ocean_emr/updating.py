"""Whether an update of a chart is still to be made: one rule for all adapters. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final

from ocean_emr.errors import EmrConflictError, EmrWriteRefusedError
from ocean_emr.fitting import same_name, same_number
from ocean_emr.records import Address, HealthNumber, Operation, Patient, Sex
from ocean_emr.writes import PROTECTED_FIELDS, Demographics, DemographicsUpdate

FIELDS: Final = tuple(field.name for field in fields(Demographics))


def demographics_of(patient: Patient) -> Demographics:
    """Of a chart, what an update can change; None where it is blank. Of several addresses, home."""
    return Demographics(
        first_name=patient.first_name,
        last_name=patient.last_name,
        birth_date=patient.birth_date,
        sex=None if patient.sex is Sex.UNKNOWN else patient.sex,
        health_number=patient.health_number,
        preferred_name=patient.preferred_name,
        address=patient.addresses[0] if patient.addresses else None,
        home_phone=patient.home_phone,
        work_phone=patient.work_phone,
        mobile_phone=patient.mobile_phone,
        email=patient.email,
        language=patient.language,
    )


def fields_to_write(update: DemographicsUpdate, chart: Patient) -> frozenset[str]:
    """The names of the fields that `chart` does not have yet as `update` would make them. Empty: it is done.

    Raises:
        EmrConflictError: Such a field is not as the caller saw it either.
        EmrWriteRefusedError: It is one that is never changed, and not blank.
    """
    now = demographics_of(chart)
    wanted = {name for name in FIELDS if getattr(update.changes, name) is not None}
    lacking = {name for name in wanted if not _has(name, getattr(now, name), getattr(update.changes, name))}
    moved = sorted(name for name in lacking if not _as_seen(getattr(now, name), getattr(update.base, name)))
    if moved:
        what = f"the chart is not as it was when the update was made: {', '.join(moved)}"
        raise EmrConflictError(what, op=Operation.UPDATE_DEMOGRAPHICS)
    kept = sorted(name for name in lacking & PROTECTED_FIELDS if getattr(now, name) is not None)
    if kept:
        what = f"the chart's own values are never replaced: {', '.join(kept)}"
        raise EmrWriteRefusedError(what, op=Operation.UPDATE_DEMOGRAPHICS)
    return frozenset(lacking)


def _has(name: str, now: Any, wanted: Any) -> bool:
    """Whether a chart's value holds all that is wanted. Parts that are None are not asked for."""
    if now is None:
        return False
    return _HELD.get(name, _same)(now, wanted)


def _as_seen(now: Any, base: Any) -> bool:
    if now is None or base is None:
        return now is base
    return type(now) is type(base) and _same(now, base)


def _same(now: Any, wanted: Any) -> bool:
    return _text(now) == _text(wanted) if isinstance(now, str) else bool(now == wanted)


def _text(value: object) -> object:
    return "\n".join(line.strip() for line in value.strip().splitlines()) if isinstance(value, str) else value


def _address_held(now: Address, wanted: Address) -> bool:
    parts = ((getattr(now, part.name), getattr(wanted, part.name)) for part in fields(Address))
    return all(mine is None or _text(theirs) == _text(mine) for theirs, mine in parts)


def _number_held(now: HealthNumber, wanted: HealthNumber) -> bool:
    extras = ((now.province, wanted.province), (now.version, wanted.version), (now.expires_on, wanted.expires_on))
    return same_number(now, wanted) and all(mine is None or theirs == mine for theirs, mine in extras)


# Some EMRs keep names in capitals.
_HELD: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "address": _address_held,
    "health_number": _number_held,
    "first_name": same_name,
    "last_name": same_name,
    "preferred_name": same_name,
}
