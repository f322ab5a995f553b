"""A plan comes back as it was kept, and one that cannot be read says nothing of what is in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from ocean_emr.messages.plan import Plan, PlanUnreadableError, digest, harmless
from ocean_emr.records import Address, AppointmentId, HealthNumber, PatientId, ProviderId, Sex
from ocean_emr.writes import (
    Arrival,
    Demographics,
    DemographicsUpdate,
    NewAppointment,
    NewDocument,
    NewNote,
    NewPatient,
    NoteKind,
    Write,
)

ZONE = ZoneInfo("America/Toronto")
# Twice on this clock: only the offset tells which.
AT = datetime(2026, 11, 1, 1, 30, tzinfo=ZONE, fold=1)
WRITES: tuple[Write, ...] = (
    NewPatient(
        "Zoé",
        "p0001",
        date(1980, 2, 29),
        Sex.FEMALE,
        health_number=HealthNumber("9876543217", "ON", "AB", date(2030, 1, 1)),
        address=Address("1 rue été\nbureau 2", "Montréal", "QC", "H1H 1H1", "CA"),
        mobile_phone="613-555-0199",
        provider_id=ProviderId("101"),
    ),
    NewAppointment(PatientId("1"), ProviderId("101"), AT, 15, reason="p0001", appointment_type="W", location="a"),
    Arrival(AppointmentId("5001")),
    NewNote(PatientId("1"), NoteKind.SECURE_MESSAGE, "Note\u2028", "a\nb\x0cç", AT),
    NewDocument(PatientId("1"), "p0001", bytes(range(256)), AT),
    DemographicsUpdate(PatientId("1"), Demographics(sex=Sex.OTHER), Demographics(birth_date=date(1980, 1, 1))),
)


def test_every_kind_of_write_comes_back() -> None:
    assert {type(write) for write in WRITES} == set(get_args(Write))
    back = Plan.load(Plan(WRITES).dump()).writes

    assert [type(write) for write in back] == [type(write) for write in WRITES]
    assert [each for each in back if not hasattr(each, "observed_at") and not hasattr(each, "start")] == [
        WRITES[0],
        WRITES[2],
        WRITES[5],
    ]
    assert Plan(back).dump() == Plan(WRITES).dump()


def test_clock_and_offset_come_back_where_an_hour_comes_twice() -> None:
    (back,) = Plan.load(Plan((WRITES[1],)).dump()).writes

    assert isinstance(back, NewAppointment)
    assert back.start.replace(tzinfo=None) == AT.replace(tzinfo=None, fold=0)
    assert back.start.utcoffset() == AT.utcoffset()


def test_what_a_later_version_adds_is_no_hindrance_and_what_is_lacking_is() -> None:
    dumped = Plan((WRITES[2],)).dump()

    assert Plan.load(dumped.replace(b'{"appointment_id"', b'{"new": 1, "appointment_id"')).writes == (WRITES[2],)
    for spoilt in (
        dumped.replace(b"appointment_id", b"p0001"),
        dumped.replace(b"mark arrived", b"p0001"),
        b"[[p0001",
        b'"p0001"',
        b"[1]",
    ):
        with pytest.raises(PlanUnreadableError) as told:
            Plan.load(spoilt)
        assert "p0001" not in str(told.value)
        assert told.value.__cause__ is None


def test_digest_tells_plans_apart() -> None:
    note = WRITES[3]
    assert isinstance(note, NewNote)
    other = Plan((replace(note, text="other"),))

    assert digest(Plan((note,)).dump()) == digest(Plan((note,)).dump())
    assert digest(Plan((note,)).dump()) != digest(other.dump())


def test_only_an_arrival_may_come_twice() -> None:
    assert [type(write) for write in WRITES if harmless(write)] == [Arrival]
