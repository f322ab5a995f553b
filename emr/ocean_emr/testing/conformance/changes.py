"""Checks of the two writes that change what is there: an arrival, and a chart's demographics."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from typing import Any, Final

from ocean_emr.contract import EmrAdapter
from ocean_emr.errors import EmrConflictError, EmrWriteRefusedError
from ocean_emr.records import (
    Address,
    AppointmentStatus,
    HealthNumber,
    Operation,
    Patient,
    PatientId,
    Sex,
)
from ocean_emr.testing.conformance.clinic import DAY, PATIENTS, Clinic, booking
from ocean_emr.testing.conformance.rig import Check, Rig, asking
from ocean_emr.testing.conformance.written import View, appointment_id, failure, key
from ocean_emr.updating import demographics_of
from ocean_emr.writes import PROTECTED_FIELDS, Arrival, Demographics, DemographicsUpdate, WriteStatus

FULL: Final = replace(PATIENTS[0], work_phone="416-555-0109", preferred_name="Zo")
BLANK: Final = Patient(
    PatientId("1002"), active=True, first_name="Given", last_name="p1002", birth_date=date(2019, 12, 31)
)
_CHARTS: Final = Clinic(patients=(FULL, BLANK))

_NEW: Final[dict[str, Any]] = {
    "first_name": "Autre",
    "last_name": "p0002",
    "birth_date": date(2001, 3, 4),
    "sex": Sex.MALE,
    "health_number": HealthNumber("2345678902", "ON", "XY"),
    "preferred_name": "Zoé",
    "address": Address("2 côte de la Forêt", "Trois-Rivières", "QC", "G9A 1A1"),
    "home_phone": "819-555-0201",
    "work_phone": "819-555-0203",
    "mobile_phone": "819-555-0202",
    "email": "p0002.née@example.org",
    "language": "en",
}
_OTHER: Final[dict[str, Any]] = {
    "preferred_name": "Z",
    "address": Address("3 Main Street", "Ottawa", "ON", "K1A 0A1"),
    "home_phone": "613-555-0301",
    "work_phone": "613-555-0303",
    "mobile_phone": "613-555-0302",
    "email": "p0003@example.org",
}
"""A third value of what may be changed."""
_ARRIVE: Final = key(Operation.MARK_ARRIVED)
_UPDATE: Final = key(Operation.UPDATE_DEMOGRAPHICS)


async def only_who_is_expected_arrives(rig: Rig) -> None:
    """Here or seen already: nothing to do. Cancelled, missed, or in a state of the clinic's own: for a person."""
    states = {
        1: (AppointmentStatus.BOOKED, WriteStatus.CREATED),
        2: (AppointmentStatus.ARRIVED, WriteStatus.NOT_NEEDED),
        3: (AppointmentStatus.FULFILLED, WriteStatus.NOT_NEEDED),
        4: (AppointmentStatus.CANCELLED, None),
        5: (AppointmentStatus.NO_SHOW, None),
        6: (AppointmentStatus.UNKNOWN, None),
    }
    items = [
        booking(n, DAY, time(9, n), status=state, status_raw="z" if state is AppointmentStatus.UNKNOWN else "")
        for n, (state, _) in states.items()
    ]
    rig.hold(Clinic(tuple(items)))
    before = {item.id: item.status_raw for item in rig.bookings(items[0].patient_id or PatientId(""))}
    async with asking(rig, Operation.MARK_ARRIVED) as adapter:
        for number, (state, expected) in states.items():
            wanted = Arrival(appointment_id(number))
            if expected is None:
                error = await failure(adapter, wanted, _ARRIVE)
                assert isinstance(error, EmrConflictError), f"{state}: {type(error).__name__}"
            else:
                outcome = await adapter.write(wanted, _ARRIVE)
                assert expected is outcome.status, f"{state}: {outcome.status}"
                assert outcome.ref in {"", wanted.appointment_id}
    after = {item.id: item for item in rig.bookings(items[0].patient_id or PatientId(""))}

    assert after[appointment_id(1)].status is AppointmentStatus.ARRIVED
    assert {id_: raw for id_, raw in before.items() if id_ != "1"} == {
        id_: item.status_raw for id_, item in after.items() if id_ != "1"
    }


async def an_update_changes_what_it_names(rig: Rig) -> None:
    """Each field by itself, with its accents, and no other, read or unread."""
    async with asking(rig, Operation.UPDATE_DEMOGRAPHICS, Operation.GET_PATIENT) as adapter:
        for name in await _told(rig, adapter):
            rig.hold(_CHARTS)
            outcome = await adapter.write(_update(FULL, name), _UPDATE)
            expected = _with(FULL, name)
            chart = await adapter.get_patient(FULL.id)

            assert outcome.status is WriteStatus.CREATED, f"{name}: {outcome.status}"
            assert _EACH[name](expected) == _EACH[name](chart), f"{name} was not changed as asked"
            others = [other for other in _EACH if other != name and _EACH[other](FULL) != _EACH[other](chart)]
            assert not others, f"with {name} changed: {', '.join(others)}"


async def an_update_keeps_what_nobody_reads(rig: Rig) -> None:
    """Fields of the EMR's own that no adapter knows stay as they are."""
    async with asking(rig, Operation.UPDATE_DEMOGRAPHICS) as adapter:
        rig.hold(_CHARTS)
        before = rig.charts()
        await adapter.write(_update(FULL, "email"), _UPDATE)
        after = rig.charts()

    names = before[FULL.id].keys() | after[FULL.id].keys()
    changed = [name for name in names if before[FULL.id].get(name) != after[FULL.id].get(name)]
    assert len(changed) == 1, f"an e-mail address was changed, and so were {len(changed) - 1} other fields"
    assert before[BLANK.id] == after[BLANK.id]


async def what_is_blank_may_be_filled(rig: Rig) -> None:
    """Even of what is never changed: a health number, and a sex that nobody had recorded."""
    async with asking(rig, Operation.UPDATE_DEMOGRAPHICS, Operation.GET_PATIENT) as adapter:
        for name in ("health_number", "sex", *(await _told(rig, adapter))):
            rig.hold(_CHARTS)
            await adapter.write(_update(BLANK, name), _UPDATE)
            chart = await adapter.get_patient(BLANK.id)

            assert _EACH[name](_with(BLANK, name)) == _EACH[name](chart), f"{name} was not filled"


async def who_somebody_is_is_never_changed(rig: Rig) -> None:
    """Name, birth date, sex and health number of a chart stand, whoever asks."""
    async with asking(rig, Operation.UPDATE_DEMOGRAPHICS) as adapter:
        for name in sorted(PROTECTED_FIELDS):
            rig.hold(_CHARTS)
            before = View(rig)
            error = await failure(adapter, _update(FULL, name), _UPDATE)

            assert isinstance(error, EmrWriteRefusedError | EmrConflictError), f"{name}: {type(error).__name__}"
            assert before.change(rig).nothing, f"{name} was changed"


async def a_chart_that_moved_on_is_left_alone(rig: Rig) -> None:
    """What the clinic entered meanwhile is not overwritten by what a patient said before."""
    async with asking(rig, Operation.UPDATE_DEMOGRAPHICS, Operation.GET_PATIENT) as adapter:
        for name in set(await _told(rig, adapter)) & _OTHER.keys():
            rig.hold(replace(_CHARTS, patients=(_with(FULL, name), BLANK)))
            before, sent = View(rig), rig.writes()
            stale = _update(FULL, name)
            wanted = replace(stale, changes=replace(stale.changes, **{name: _OTHER[name]}))
            error = await failure(adapter, wanted, _UPDATE)

            assert isinstance(error, EmrConflictError), f"{name}: {type(error).__name__}"
            assert before.change(rig).nothing, f"{name} was overwritten"
            assert sent == rig.writes()


async def an_update_that_stands_is_not_made_again(rig: Rig) -> None:
    """The chart is as it would be: nothing is sent."""
    async with asking(rig, Operation.UPDATE_DEMOGRAPHICS, Operation.GET_PATIENT) as adapter:
        for name in await _told(rig, adapter):
            rig.hold(replace(_CHARTS, patients=(_with(FULL, name), BLANK)))
            sent = rig.writes()
            outcome = await adapter.write(_update(FULL, name), _UPDATE)

            assert outcome.status is WriteStatus.NOT_NEEDED, f"{name}: {outcome.status}"
            assert sent == rig.writes()


def _number(patient: Patient) -> tuple[str, str | None] | None:
    card = patient.health_number
    return (card.value, card.version) if card else None


def _home(patient: Patient) -> tuple[str | None, ...] | None:
    home = patient.addresses[0] if patient.addresses else None
    return (home.street, home.city, home.province, home.postal_code) if home else None


def _field(name: str) -> Any:
    return lambda patient: getattr(patient, name)


_EACH: Final = {name: _field(name) for name in _NEW} | {"health_number": _number, "address": _home}


def _with(patient: Patient, name: str) -> Patient:
    """`patient` with the new value of `name`."""
    return replace(patient, **({"addresses": (_NEW[name],)} if name == "address" else {name: _NEW[name]}))


def _update(seen: Patient, name: str) -> DemographicsUpdate:
    """The new value of `name`, by somebody who saw the chart as it is in `seen`."""
    base = getattr(demographics_of(seen), name)
    return DemographicsUpdate(seen.id, Demographics(**{name: _NEW[name]}), Demographics(**{name: base}))


async def _told(rig: Rig, adapter: EmrAdapter) -> list[str]:
    """The fields that may be changed and that this EMR tells."""
    rig.hold(_CHARTS)
    chart = demographics_of(await adapter.get_patient(FULL.id))
    return [name for name in _NEW if name not in PROTECTED_FIELDS and getattr(chart, name) is not None]


CHECKS: Final[tuple[Check, ...]] = (
    only_who_is_expected_arrives,
    an_update_changes_what_it_names,
    an_update_keeps_what_nobody_reads,
    what_is_blank_may_be_filled,
    who_somebody_is_is_never_changed,
    a_chart_that_moved_on_is_left_alone,
    an_update_that_stands_is_not_made_again,
)
