"""Which chart a message goes into, as the EMR is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import pytest

from ocean_api.reasons import Reason
from ocean_api.v1alpha1.spec import MessagesSpec
from ocean_emr.records import HealthNumber, PatientId
from ocean_emr.testing.conformance import Clinic
from ocean_emr.writes import NewAppointment, NewDocument, NewNote, NoteKind
from unit.messages.bridge import IMPORTING, KNOWN, NINE, WALK_INS, Bridge, a_note, a_patient, held, who


@pytest.mark.parametrize("chart", [KNOWN.id, None, "4004"], ids=["named", "not named", "named and gone"])
async def test_the_chart_is_the_named_one_or_the_one_with_the_number(bridge: Bridge, chart: str | None) -> None:
    a_patient(bridge, chart=chart)

    (note,) = await bridge.writes(a_note(bridge))

    assert note == NewNote(KNOWN.id, NoteKind.PROGRESS_NOTE, "Santé", "Ça va\nbien", NINE.astimezone(UTC))
    assert bridge.links.known == ({} if chart == KNOWN.id else {"p0001": KNOWN.id})


async def test_a_merged_chart_s_messages_go_where_it_went(bridge: Bridge) -> None:
    away = replace(KNOWN, id=PatientId("1009"), active=False)
    bridge.rig.hold(Clinic(patients=(KNOWN, away)))
    a_patient(bridge, chart="1009")

    (note,) = await bridge.writes(a_note(bridge))

    assert note.patient_id == KNOWN.id  # type: ignore[union-attr]


@pytest.mark.parametrize("by", ["name", "link", "number"])
async def test_a_chart_that_was_put_away_takes_nothing(bridge: Bridge, by: str) -> None:
    bridge.rig.hold(Clinic(patients=(replace(KNOWN, active=False),)))
    if by == "link":
        bridge.links.known["p0001"] = KNOWN.id
    number = {} if by == "number" else {"hn": None, "hnProv": None, "hnVC": None}
    a_patient(bridge, chart=KNOWN.id if by == "name" else None, **number)

    assert (await held(bridge, a_note(bridge))).reason is Reason.PATIENT_NOT_FOUND


@pytest.mark.parametrize("chart", [KNOWN.id, None], ids=["named", "by number"])
async def test_another_birth_date_is_a_mismatch(bridge: Bridge, chart: str | None) -> None:
    a_patient(bridge, chart=chart, birthDate="1981-02-28")

    assert (await held(bridge, a_note(bridge))).reason is Reason.PATIENT_MISMATCH


async def test_an_earlier_finding_is_looked_at_again(bridge: Bridge) -> None:
    """The chart has become another person's."""
    bridge.links.known["p0001"] = KNOWN.id
    a_patient(bridge, chart=None, hn="1234567897", hnVC=None)

    assert (await held(bridge, a_note(bridge))).reason is Reason.PATIENT_MISMATCH


async def test_two_charts_with_one_number_are_for_a_person(bridge: Bridge) -> None:
    bridge.rig.hold(Clinic(patients=(KNOWN, replace(KNOWN, id=PatientId("1009")))))
    a_patient(bridge, chart=None)

    assert (await held(bridge, a_note(bridge))).reason is Reason.PATIENT_AMBIGUOUS


@pytest.mark.parametrize("number", ["1234567897", None])
async def test_only_who_stands_at_the_kiosk_is_found_by_name(bridge: Bridge, number: str | None) -> None:
    """A web form's sender says who he is, and nobody has seen him."""
    bridge.rig.hold(Clinic(patients=(replace(KNOWN, health_number=None),)))
    bridge.settings = MessagesSpec(walk_ins=WALK_INS)
    a_patient(bridge, chart=None, hn=number, hnVC=None)

    assert (await held(bridge, a_note(bridge))).reason is Reason.PATIENT_NOT_FOUND
    (booked,) = await bridge.writes(bridge.ocean.walk_in("p0001", at=NINE))
    assert isinstance(booked, NewAppointment)
    assert booked.patient_id == KNOWN.id


async def test_a_referral_from_elsewhere_does_not_name_a_chart_here(bridge: Bridge) -> None:
    """Its external reference is a chart of the other clinic's EMR."""
    bridge.settings = IMPORTING
    other = replace(KNOWN, id=PatientId("1009"), health_number=HealthNumber("1234567897", "ON"))
    bridge.rig.hold(Clinic(patients=(KNOWN, other)))
    about = {"ref": "x", "siteNum": "9999", "externalPatientRef": "1009", "demographics": who()}

    (document,) = await bridge.writes(bridge.ocean.referral(about, {"description": "Cardiologie"}))

    assert isinstance(document, NewDocument)
    assert document.patient_id == KNOWN.id
    assert bridge.links.known == {}
