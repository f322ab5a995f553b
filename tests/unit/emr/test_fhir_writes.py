"""Writing to FHIR where something goes wrong, against the gateway with the stub behind it.

What goes right, and what every EMR can do wrong, is in the conformance checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import time
from typing import Any

import pytest

from conformance.rigs.fhir import FhirRig
from ocean_emr.errors import (
    EmrConflictError,
    EmrError,
    EmrNotFoundError,
    EmrNotSupportedError,
    EmrOutcomeUnknownError,
    EmrPermissionDeniedError,
    EmrRateLimitedError,
    EmrUnavailableError,
    EmrWriteRefusedError,
)
from ocean_emr.records import Operation, ProviderId
from ocean_emr.testing.conformance import Clinic
from ocean_emr.testing.conformance.clinic import DAY, PATIENTS, booking
from ocean_emr.testing.conformance.written import CLINIC, CREATING, EXPECTED, PATIENT, WRITES, key
from ocean_emr.testing.fhir_clinic import appointment_resource, patient_resource
from ocean_emr.testing.fhir_faults import Fault, FaultKind
from ocean_emr.testing.fhir_gateway import FHIR_PATH, WRITING
from ocean_emr.testing.fhir_stub import Habits
from ocean_emr.writes import (
    NewAppointment,
    NewNote,
    NewPatient,
    Probe,
    WriteOutcome,
    WriteStatus,
)

_CHANGING = (Operation.MARK_ARRIVED, Operation.UPDATE_DEMOGRAPHICS)
_KINDS = {
    Operation.CREATE_PATIENT: "Patient",
    Operation.CREATE_APPOINTMENT: "Appointment",
    Operation.WRITE_NOTE: "DocumentReference",
    Operation.UPLOAD_DOCUMENT: "DocumentReference",
    Operation.MARK_ARRIVED: "Appointment",
    Operation.UPDATE_DEMOGRAPHICS: "Patient",
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def running() -> Iterator[FhirRig]:
    rig = FhirRig().start()
    yield rig
    rig.stop()


@pytest.fixture
def rig(running: FhirRig) -> FhirRig:
    running.renew()
    running.hold(CLINIC)
    return running


async def _write(rig: FhirRig, operation: Operation, **changes: Any) -> WriteOutcome:
    async with rig.adapter() as adapter:
        return await adapter.write(replace(WRITES[operation], **changes), key(operation))


async def _failure(rig: FhirRig, operation: Operation, **changes: Any) -> EmrError:
    with pytest.raises(EmrError) as raised:
        await _write(rig, operation, **changes)
    return raised.value


async def _probe(rig: FhirRig, operation: Operation) -> Probe:
    async with rig.adapter() as adapter:
        return (await adapter.probe(WRITES[operation], key(operation))).probe


def _records(rig: FhirRig, operation: Operation) -> int:
    """How many records there are under the write's key."""
    return sum(str(key(operation)) in each["keys"] for each in rig.store.ledger())


def _strike(rig: FhirRig, kind: FaultKind, **more: Any) -> None:
    rig.state.faults.add(Fault(kind, path=FHIR_PATH, **({"methods": WRITING} | more)))


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize("kind", [FaultKind.NOT_ALLOWED, FaultKind.NOT_IMPLEMENTED, FaultKind.UNSUPPORTED])
async def test_what_the_interface_lacks_is_not_supported(rig: FhirRig, operation: Operation, kind: FaultKind) -> None:
    """Said with the standard's own names, since it is the vendor who must act."""
    _strike(rig, kind)
    error = await _failure(rig, operation)
    interaction = f"`{'create' if operation in CREATING else 'update'}` of {_KINDS[operation]}"

    assert type(error) is EmrNotSupportedError
    assert interaction in error.what
    assert interaction in error.remedy


async def test_a_kind_that_the_server_does_not_know_is_not_supported(rig: FhirRig) -> None:
    """Neither the search for the key nor the note: 404 to both."""
    rig.state.faults.add(Fault(FaultKind.GONE, path="/DocumentReference"))
    error = await _failure(rig, Operation.WRITE_NOTE)

    assert type(error) is EmrNotSupportedError


_ERRORS = {
    FaultKind.FORBIDDEN: EmrPermissionDeniedError,
    FaultKind.TOO_MANY: EmrRateLimitedError,
    FaultKind.THROTTLED: EmrRateLimitedError,
    FaultKind.TOO_LARGE: EmrWriteRefusedError,
    FaultKind.REFUSED: EmrWriteRefusedError,
    FaultKind.AWAY: EmrOutcomeUnknownError,
    FaultKind.BROKEN: EmrOutcomeUnknownError,
    FaultKind.PAGE: EmrOutcomeUnknownError,
}


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize(("kind", "expected"), _ERRORS.items(), ids=[kind.value for kind in _ERRORS])
async def test_each_failure_says_what_to_do_next(
    rig: FhirRig, operation: Operation, kind: FaultKind, expected: type[EmrError]
) -> None:
    _strike(rig, kind)

    assert type(await _failure(rig, operation)) is expected


@pytest.mark.parametrize("operation", WRITES)
async def test_a_200_alone_proves_nothing(rig: FhirRig, operation: Operation) -> None:
    """The server says yes and has done nothing."""
    before = rig.store.ledger()
    _strike(rig, FaultKind.PRETENDED)
    error = await _failure(rig, operation)

    assert before == rig.store.ledger()
    assert type(error) is (EmrOutcomeUnknownError if operation in CREATING else EmrWriteRefusedError)


@pytest.mark.parametrize("operation", CREATING)
async def test_without_an_address_the_record_is_found_by_its_key(rig: FhirRig, operation: Operation) -> None:
    rig.store.habits = Habits(tells_where=False)
    outcome = await _write(rig, operation)
    (made,) = (each for each in rig.store.ledger() if str(key(operation)) in each["keys"])

    assert outcome == WriteOutcome(WriteStatus.CREATED, made["id"])


@pytest.mark.parametrize("operation", CREATING)
async def test_the_second_of_two_at_once_finds_the_first(rig: FhirRig, operation: Operation) -> None:
    """HAPI answers 409 to it, after the other was made."""
    _strike(rig, FaultKind.CONFLICT_AFTER)
    outcome = await _write(rig, operation)

    assert outcome.status is WriteStatus.ALREADY_PRESENT
    assert _records(rig, operation) == 1


@pytest.mark.parametrize("operation", CREATING)
@pytest.mark.parametrize("kind", [FaultKind.CONFLICT, FaultKind.STALE])
async def test_a_conflict_that_is_not_ours_is_for_a_person(rig: FhirRig, operation: Operation, kind: FaultKind) -> None:
    _strike(rig, kind)

    assert type(await _failure(rig, operation)) is EmrConflictError


@pytest.mark.parametrize("charts", [1, 2])
async def test_a_chart_that_somebody_has_just_made_is_not_made_again(rig: FhirRig, charts: int) -> None:
    """The caller found nobody with this number; now there is one, or even two. Who it is, is not ours to say."""
    wanted = WRITES[Operation.CREATE_PATIENT]
    assert isinstance(wanted, NewPatient)
    for number in range(charts):
        rig.put(patient_resource(replace(PATIENTS[0], id=str(9001 + number), health_number=wanted.health_number)))  # type: ignore[arg-type]
    before = rig.store.ledger()
    error = await _failure(rig, Operation.CREATE_PATIENT)

    assert type(error) is EmrConflictError
    assert before == rig.store.ledger()


@pytest.mark.parametrize("operation", CREATING)
async def test_a_server_without_conditions_is_looked_at_first(rig: FhirRig, operation: Operation) -> None:
    rig.store.habits = Habits(conditional=False)
    outcomes = [(await _write(rig, operation)).status for _ in range(2)]

    assert outcomes == [WriteStatus.CREATED, WriteStatus.ALREADY_PRESENT]
    assert _records(rig, operation) == 1


@pytest.mark.parametrize("operation", CREATING)
async def test_a_server_that_answers_another_question_cannot_tell(rig: FhirRig, operation: Operation) -> None:
    """It passes the identifier over and sends whatever it has. Writing goes on: somebody else has looked."""
    rig.put(_document("earlier"))
    rig.store.habits = Habits(ignored={"identifier"}, conditional=False)
    before = await _probe(rig, operation)
    outcome = await _write(rig, operation)

    assert before is Probe.CANNOT_TELL
    assert outcome.status is WriteStatus.CREATED


@pytest.mark.parametrize("operation", CREATING)
async def test_a_server_that_cannot_search_by_identifier_is_sent_no_condition(
    rig: FhirRig, operation: Operation
) -> None:
    """It would refuse every write for the condition's sake."""
    rig.store.habits = Habits(unknown={"identifier"})

    assert (await _write(rig, operation)).status is WriteStatus.CREATED
    assert await _probe(rig, operation) is Probe.CANNOT_TELL


@pytest.mark.parametrize(
    "kind", [FaultKind.UNSUPPORTED, FaultKind.NOT_ALLOWED, FaultKind.GONE, FaultKind.REFUSED, FaultKind.SUPPRESSED]
)
async def test_a_search_that_is_refused_or_not_whole_cannot_tell(rig: FhirRig, kind: FaultKind) -> None:
    _strike(rig, kind, methods=frozenset({"GET"}))

    assert await _probe(rig, Operation.WRITE_NOTE) is Probe.CANNOT_TELL


@pytest.mark.parametrize("kind", [FaultKind.PAGE, FaultKind.AWAY, FaultKind.CUT_JSON])
async def test_a_search_that_fails_is_an_error(rig: FhirRig, kind: FaultKind) -> None:
    """Not a thing for a person: it is tried again."""
    _strike(rig, kind, methods=frozenset({"GET"}))
    with pytest.raises(EmrError):
        await _probe(rig, Operation.WRITE_NOTE)


@pytest.mark.parametrize("operation", CREATING)
async def test_a_server_that_drops_keys_is_not_believed_any_more(rig: FhirRig, operation: Operation) -> None:
    rig.store.habits = Habits(keeps_keys=False)
    async with rig.adapter() as adapter:
        outcome = await adapter.write(WRITES[operation], key(operation))
        after = await adapter.probe(WRITES[operation], key(operation))

    assert outcome.status is WriteStatus.CREATED
    assert after.probe is Probe.CANNOT_TELL


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize("kind", [FaultKind.AWAY, FaultKind.PAGE, FaultKind.GONE])
async def test_what_was_taken_and_cannot_be_seen_is_unknown(
    rig: FhirRig, operation: Operation, kind: FaultKind
) -> None:
    """The server goes away between the write and the look at it."""
    rig.state.meanwhile.append(lambda: _strike(rig, kind, methods=frozenset({"GET"})))
    error = await _failure(rig, operation)

    assert type(error) is EmrOutcomeUnknownError


@pytest.mark.parametrize("operation", CREATING)
async def test_who_may_write_and_not_read_has_written(rig: FhirRig, operation: Operation) -> None:
    """The server said 201; looking needs a right that this client lacks."""
    rig.state.meanwhile.append(lambda: _strike(rig, FaultKind.FORBIDDEN, methods=frozenset({"GET"})))

    assert (await _write(rig, operation)).status is WriteStatus.CREATED


@pytest.mark.parametrize("operation", WRITES)
async def test_a_server_that_is_away_before_anything_is_sent_has_got_nothing(
    rig: FhirRig, operation: Operation
) -> None:
    _strike(rig, FaultKind.AWAY, methods=frozenset({"GET"}))

    assert type(await _failure(rig, operation)) is EmrUnavailableError
    assert rig.writes() == 0


async def test_an_id_that_could_lead_elsewhere_is_not_written_to(rig: FhirRig) -> None:
    error = await _failure(rig, Operation.CREATE_APPOINTMENT, provider_id=ProviderId("../Patient/1"))

    assert type(error) is EmrNotFoundError
    assert rig.requests() == 0


def _document(id_: str) -> dict[str, Any]:
    return {"resourceType": "DocumentReference", "id": id_, "status": "current", "content": []}


def _somebody_sets(rig: FhirRig, status: str) -> Callable[[], None]:
    return lambda: rig.put(appointment_resource(replace(EXPECTED, status_raw=status)))


@pytest.mark.parametrize("stale_status", [409, 412])
@pytest.mark.parametrize(
    ("status", "expected"),
    [("arrived", WriteStatus.NOT_NEEDED), ("checked-in", WriteStatus.NOT_NEEDED), ("pending", WriteStatus.CREATED)],
)
async def test_what_somebody_did_meanwhile_decides_an_arrival(
    rig: FhirRig, stale_status: int, status: str, expected: WriteStatus
) -> None:
    """Between our look and our write. Their version is not overwritten unseen."""
    rig.store.habits = Habits(stale_status=stale_status)
    rig.state.meanwhile.append(_somebody_sets(rig, status))

    assert (await _write(rig, Operation.MARK_ARRIVED)).status is expected


@pytest.mark.parametrize("status", ["cancelled", "noshow", "entered-in-error", "waitlist"])
async def test_an_appointment_cancelled_meanwhile_stays_so(rig: FhirRig, status: str) -> None:
    rig.state.meanwhile.append(_somebody_sets(rig, status))
    error = await _failure(rig, Operation.MARK_ARRIVED)

    assert type(error) is EmrConflictError
    assert status in error.what
    assert [each.status_raw for each in rig.bookings(PATIENT.id)] == [status]


async def test_a_status_of_the_emrs_own_is_not_quoted(rig: FhirRig) -> None:
    rig.put(appointment_resource(replace(EXPECTED, status_raw="P0001 was here")))
    error = await _failure(rig, Operation.MARK_ARRIVED)

    assert type(error) is EmrConflictError
    assert "P0001" not in error.what


async def test_two_changes_at_the_wrong_moment_are_for_a_person(rig: FhirRig) -> None:
    rig.state.meanwhile += [_somebody_sets(rig, "pending"), _somebody_sets(rig, "booked")]

    assert type(await _failure(rig, Operation.MARK_ARRIVED)) is EmrConflictError


async def test_a_step_that_the_emr_does_not_allow_is_refused_with_what_to_do(rig: FhirRig) -> None:
    """Some allow only booked, then arrived."""
    rig.put(appointment_resource(replace(EXPECTED, status_raw="pending")))
    rig.store.habits = Habits(transitions={"booked": {"arrived"}})
    error = await _failure(rig, Operation.MARK_ARRIVED)

    assert type(error) is EmrWriteRefusedError
    assert "pending" in error.what
    assert error.remedy.startswith("Mark the patient as arrived in the EMR")


async def test_an_arrival_changes_the_status_and_nothing_else(rig: FhirRig) -> None:
    held = appointment_resource(EXPECTED) | {
        "extension": [{"url": "urn:vendor:room", "valueString": "3"}],
        "text": {"status": "generated", "div": "<div>booked</div>"},
        "slot": [{"reference": "Slot/9"}],
    }
    rig.put(held)
    await _write(rig, Operation.MARK_ARRIVED)
    after = rig.store.get("Appointment", EXPECTED.id)

    del held["text"]
    assert held | {"status": "arrived", "meta": after["meta"]} == after


async def test_two_changes_of_one_chart_both_stand(rig: FhirRig) -> None:
    """The clinic changes the phone while we change the e-mail address."""
    changed = replace(PATIENT, home_phone="416-555-0999")
    rig.state.meanwhile.append(lambda: rig.put(patient_resource(changed)))
    outcome = await _write(rig, Operation.UPDATE_DEMOGRAPHICS)
    async with rig.adapter() as adapter:
        chart = await adapter.get_patient(PATIENT.id)

    assert outcome.status is WriteStatus.CREATED
    assert (chart.home_phone, chart.email) == ("416-555-0999", "p1001.née@example.org")


async def test_the_same_field_changed_meanwhile_is_for_a_person(rig: FhirRig) -> None:
    changed = replace(PATIENT, email="p1001.other@example.org")
    rig.state.meanwhile.append(lambda: rig.put(patient_resource(changed)))
    error = await _failure(rig, Operation.UPDATE_DEMOGRAPHICS)
    async with rig.adapter() as adapter:
        chart = await adapter.get_patient(PATIENT.id)

    assert type(error) is EmrConflictError
    assert chart.email == "p1001.other@example.org"


async def test_an_emr_that_writes_values_its_own_way_has_taken_them(rig: FhirRig) -> None:
    """It turns what we sent into another form: what was there before is gone, so it is done."""
    rig.store.habits = Habits(rewrites={"p1001.née@example.org": "P1001.NEE@EXAMPLE.ORG"})

    assert (await _write(rig, Operation.UPDATE_DEMOGRAPHICS)).status is WriteStatus.CREATED


@pytest.mark.parametrize("operation", _CHANGING)
async def test_a_server_without_versions_is_written_to_all_the_same(rig: FhirRig, operation: Operation) -> None:
    rig.store.habits = Habits(tells_versions=False)

    assert (await _write(rig, operation)).status is WriteStatus.CREATED


@pytest.mark.parametrize("operation", _CHANGING)
async def test_what_was_deleted_meanwhile_is_not_found(rig: FhirRig, operation: Operation) -> None:
    kind, id_ = ("Appointment", EXPECTED.id) if operation is Operation.MARK_ARRIVED else ("Patient", PATIENT.id)
    rig.store.delete(kind, id_)

    assert type(await _failure(rig, operation)) is EmrNotFoundError
    assert await _probe(rig, operation) is Probe.NOT_APPLIED


async def test_a_note_of_somebody_whose_chart_was_deleted_is_not_written(rig: FhirRig) -> None:
    rig.store.delete("Patient", PATIENT.id)

    assert type(await _failure(rig, Operation.WRITE_NOTE)) is EmrNotFoundError
    assert rig.writes() == 0


async def test_documents_of_two_patients_stay_apart(rig: FhirRig) -> None:
    note = WRITES[Operation.WRITE_NOTE]
    assert isinstance(note, NewNote)
    async with rig.adapter() as adapter:
        for number, patient in enumerate(PATIENTS):
            await adapter.write(replace(note, patient_id=patient.id), key(Operation.WRITE_NOTE, number))

    assert [len(rig.notes(patient.id)) for patient in PATIENTS] == [1, 1]


async def test_a_second_walk_in_at_the_same_time_is_another_one(rig: FhirRig) -> None:
    rig.hold(Clinic((booking(1, DAY, time(14, 20)),)))
    wanted = WRITES[Operation.CREATE_APPOINTMENT]
    assert isinstance(wanted, NewAppointment)
    outcome = await _write(rig, Operation.CREATE_APPOINTMENT, provider_id=booking(1, DAY, time(14, 20)).provider_id)

    assert outcome.status is WriteStatus.CREATED
    assert len(rig.bookings(PATIENT.id)) == 2
