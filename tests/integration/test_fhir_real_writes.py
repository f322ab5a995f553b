"""Writing to a real FHIR R4 server (HAPI): what its ways are, and that nothing of a chart is lost by them.

The conformance suite's own writes run in test_fhir_real_server.py.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import anyio
import pytest
from pypdf import PdfReader

from integration.real_fhir import Emr, RealRig
from ocean_emr.errors import EmrConflictError, EmrError, EmrNotFoundError
from ocean_emr.records import Operation, PatientId
from ocean_emr.testing.conformance.written import CLINIC, CREATING, EXPECTED, PATIENT, TEXT, WRITES, key
from ocean_emr.testing.fhir_clinic import Resource, appointment_resource, patient_resource
from ocean_emr.testing.fhir_stub import keys_of
from ocean_emr.transport import Limits
from ocean_emr.writes import (
    Demographics,
    DemographicsUpdate,
    NewDocument,
    NewPatient,
    PatientQuery,
    Probe,
    Write,
    WriteOutcome,
    WriteStatus,
)

pytestmark = pytest.mark.xdist_group("fhir-server")

_AT_ONCE = 6
_KINDS = ("Patient", "Appointment", "DocumentReference")


@pytest.fixture
async def rig(emr: Emr) -> AsyncIterator[RealRig]:
    async with RealRig(emr) as rig:
        rig.hold(CLINIC)
        yield rig


async def _write(rig: RealRig, operation: Operation, write: Write | None = None) -> WriteOutcome:
    """With an adapter of its own, as after a restart."""
    async with rig.adapter() as adapter:
        return await adapter.write(write or WRITES[operation], key(operation))


def _under(rig: RealRig, operation: Operation) -> list[Resource]:
    """Everything that the server holds under the write's key."""
    return [each for kind in _KINDS for each in rig.held(kind) if str(key(operation)) in keys_of(each)]


@pytest.mark.parametrize("operation", WRITES)
async def test_a_write_sent_again_leaves_one_record_of_the_same_version(rig: RealRig, operation: Operation) -> None:
    """And a probe finds it, from an adapter that knows nothing of either."""
    first = await _write(rig, operation)
    before = [each["meta"]["versionId"] for kind in _KINDS for each in rig.held(kind)]
    again = await _write(rig, operation)
    after = [each["meta"]["versionId"] for kind in _KINDS for each in rig.held(kind)]
    async with rig.adapter() as adapter:
        probe = await adapter.probe(WRITES[operation], key(operation))

    assert first.status is WriteStatus.CREATED
    assert again.status in {WriteStatus.ALREADY_PRESENT, WriteStatus.NOT_NEEDED}
    assert (Probe.APPLIED, first.ref) == (probe.probe, probe.ref)
    assert before == after


@pytest.mark.parametrize("operation", CREATING)
async def test_of_several_at_once_one_is_kept(rig: RealRig, operation: Operation) -> None:
    """Nobody is told of a second one. The worker never does this; a pod that was believed dead might."""
    told: list[WriteOutcome | EmrError] = []

    async def one() -> None:
        async with rig.adapter(Limits()) as adapter:
            try:
                told.append(await adapter.write(WRITES[operation], key(operation)))
            except EmrError as error:
                told.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(_AT_ONCE):
            group.start_soon(one)

    (kept,) = _under(rig, operation)
    outcomes = [each for each in told if isinstance(each, WriteOutcome)]
    assert all(isinstance(each, WriteOutcome | EmrConflictError) for each in told)
    assert {each.ref for each in outcomes} == {kept["id"]}
    assert sum(each.status is WriteStatus.CREATED for each in outcomes) == 1


@pytest.mark.parametrize("charts", [1, 2])
async def test_a_chart_with_the_same_number_made_meanwhile_is_a_conflict(rig: RealRig, charts: int) -> None:
    """HAPI answers with the one there is, or 412 if there are two."""
    wanted = WRITES[Operation.CREATE_PATIENT]
    assert isinstance(wanted, NewPatient)
    for number in range(charts):
        somebody = replace(PATIENT, id=PatientId(f"900{number}"), health_number=wanted.health_number)
        rig.put(patient_resource(somebody))
    held = len(rig.held("Patient"))
    with pytest.raises(EmrConflictError):
        await _write(rig, Operation.CREATE_PATIENT)

    assert held == len(rig.held("Patient"))


async def test_an_arrival_does_not_undo_what_the_clinic_did_meanwhile(rig: RealRig) -> None:
    """HAPI answers a stale If-Match with 409."""
    rig.state.meanwhile.append(lambda: rig.put(appointment_resource(replace(EXPECTED, status_raw="cancelled"))))
    with pytest.raises(EmrConflictError):
        await _write(rig, Operation.MARK_ARRIVED)

    assert [each.status_raw for each in rig.bookings(PATIENT.id)] == ["cancelled"]


async def test_an_arrival_after_another_change_is_made_on_top_of_it(rig: RealRig) -> None:
    changed = appointment_resource(EXPECTED) | {"description": "déplacé, salle 3"}
    rig.state.meanwhile.append(lambda: rig.put(changed))
    outcome = await _write(rig, Operation.MARK_ARRIVED)
    (booking,) = rig.bookings(PATIENT.id)

    assert outcome.status is WriteStatus.CREATED
    assert (booking.status_raw, booking.reason) == ("arrived", "déplacé, salle 3")


async def test_two_changes_of_one_chart_both_stand(rig: RealRig) -> None:
    changed = patient_resource(replace(PATIENT, home_phone="416-555-0999"))
    rig.state.meanwhile.append(lambda: rig.put(changed))
    outcome = await _write(rig, Operation.UPDATE_DEMOGRAPHICS)
    async with rig.adapter() as adapter:
        chart = await adapter.get_patient(PATIENT.id)

    assert outcome.status is WriteStatus.CREATED
    assert (chart.home_phone, chart.email) == ("416-555-0999", "p1001.née@example.org")


async def test_what_no_adapter_knows_survives_an_update(rig: RealRig) -> None:
    """Extensions at every depth, other numbers, names and phones, contained resources, links."""
    chart = patient_resource(PATIENT)
    chart |= {
        "contained": [{"resourceType": "Organization", "id": "payer", "name": "Assurance Étoile"}],
        "extension": [{"url": "urn:vendor:chart-colour", "valueString": "vert"}],
        "_birthDate": {"extension": [{"url": "urn:vendor:birth-time", "valueTime": "10:00:00"}]},
        "identifier": [
            *chart["identifier"],
            {"system": "urn:vendor:insurance", "value": "A-77", "assigner": {"reference": "#payer"}},
        ],
        "name": [
            *chart["name"],
            {"use": "maiden", "family": "Roy", "extension": [{"url": "urn:x", "valueString": "y"}]},
        ],
        "telecom": [
            {
                "system": "fax",
                "value": "416-555-0177",
                "extension": [{"url": "urn:vendor:secure", "valueBoolean": True}],
            },
            *chart["telecom"],
        ],
        "maritalStatus": {"text": "mariée"},
        "contact": [{"relationship": [{"coding": [{"code": "C"}]}], "name": {"text": "P0002"}}],
        "link": [{"other": {"reference": "Patient/1002"}, "type": "seealso"}],
    }
    rig.put(chart)
    before = _lasting(rig, PATIENT.id)
    wanted = DemographicsUpdate(
        PATIENT.id,
        Demographics(mobile_phone="819-555-0202", language="en", preferred_name="Zoé"),
        Demographics(mobile_phone=PATIENT.mobile_phone, language=PATIENT.language),
    )
    await _write(rig, Operation.UPDATE_DEMOGRAPHICS, wanted)
    after = _lasting(rig, PATIENT.id)
    async with rig.adapter() as adapter:
        read = await adapter.get_patient(PATIENT.id)

    assert (read.mobile_phone, read.language, read.preferred_name) == ("819-555-0202", "en", "Zoé")
    assert {name for name in before if before[name] != after[name]} == {"telecom", "name", "communication"}
    assert [each for each in before["telecom"] if each not in after["telecom"]] == [
        {"system": "phone", "value": PATIENT.mobile_phone, "use": "mobile"}
    ]
    assert before["name"] == after["name"][:-1]


def _lasting(rig: RealRig, id_: str) -> dict[str, Any]:
    (held,) = (each for each in rig.held("Patient") if each["id"] == id_)
    return {name: value for name, value in held.items() if name != "meta"}


async def test_a_large_pdf_arrives_byte_by_byte(rig: RealRig) -> None:
    """Two megabytes that no compression shrinks."""
    noise = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(2**16))
    wanted = replace(WRITES[Operation.UPLOAD_DOCUMENT], pdf=b"%PDF-1.7\n" + noise)
    assert isinstance(wanted, NewDocument)
    outcome = await _write(rig, Operation.UPLOAD_DOCUMENT, wanted)
    ((_, content),) = rig.documents(PATIENT.id)

    assert outcome.status is WriteStatus.CREATED
    assert wanted.pdf == content


async def test_a_note_can_be_read_as_text_and_as_pages(rig: RealRig) -> None:
    await _write(rig, Operation.WRITE_NOTE)
    (note,) = rig.held("DocumentReference")
    pages, text = (base64.b64decode(content["attachment"]["data"]) for content in note["content"])

    assert text.decode() == TEXT
    assert TEXT.splitlines()[1] in PdfReader(io.BytesIO(pages)).pages[0].extract_text()
    assert note["subject"] == {"reference": f"Patient/{PATIENT.id}"}


async def test_a_new_patient_is_found_by_number_and_by_name(rig: RealRig) -> None:
    """So the next message finds the chart, whatever it brings."""
    wanted = WRITES[Operation.CREATE_PATIENT]
    assert isinstance(wanted, NewPatient)
    outcome = await _write(rig, Operation.CREATE_PATIENT)
    async with rig.adapter() as adapter:
        by_number = await adapter.find_patients(PatientQuery(wanted.health_number))
        by_name = await adapter.find_patients(PatientQuery(last_name="P1003-BELANGER", birth_date=wanted.birth_date))

    assert [outcome.ref] == [each.id for each in by_number] == [each.id for each in by_name]


async def test_a_chart_deleted_in_between_gets_nothing(rig: RealRig) -> None:
    """HAPI would take the note all the same."""
    rig.emr.delete(f"Patient/{PATIENT.id}")
    for operation in (Operation.WRITE_NOTE, Operation.UPLOAD_DOCUMENT, Operation.CREATE_APPOINTMENT):
        with pytest.raises(EmrNotFoundError):
            await _write(rig, operation)

    assert rig.writes() == 0


async def test_a_note_that_the_clinic_deleted_is_not_there(rig: RealRig) -> None:
    outcome = await _write(rig, Operation.WRITE_NOTE)
    assert rig.emr.http.delete(f"DocumentReference/{outcome.ref}").is_success
    async with rig.adapter() as adapter:
        probe = await adapter.probe(WRITES[Operation.WRITE_NOTE], key(Operation.WRITE_NOTE))

    assert probe.probe is Probe.NOT_APPLIED
