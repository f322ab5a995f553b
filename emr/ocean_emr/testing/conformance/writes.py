"""Checks of all kinds of writes: each once, into the right chart, and never in doubt without saying so."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import anyio

from ocean_emr.errors import (
    EmrAuthRefusedError,
    EmrError,
    EmrNotFoundError,
    EmrNotSupportedError,
    EmrOutcomeUnknownError,
    EmrPermissionDeniedError,
    EmrRateLimitedError,
    EmrRecordError,
    EmrUnavailableError,
    EmrWriteRefusedError,
)
from ocean_emr.records import AppointmentStatus, Operation
from ocean_emr.testing.conformance.failures import shown
from ocean_emr.testing.conformance.rig import Check, NotApplicableError, Rig, Trouble, asking
from ocean_emr.testing.conformance.written import (
    CLINIC,
    CREATING,
    NOBODY,
    PATIENT,
    PDF,
    TEXT,
    WRITES,
    View,
    appointment_id,
    claimed,
    failure,
    found,
    key,
    probe,
    write,
    written_once,
)
from ocean_emr.writes import (
    Arrival,
    DemographicsUpdate,
    NewAppointment,
    NewDocument,
    NewNote,
    NewPatient,
    Probe,
    Write,
    WriteStatus,
)

_REFUSALS: Final[dict[Trouble, tuple[type[EmrError], ...]]] = {
    Trouble.LOGIN_REFUSED: (EmrAuthRefusedError,),
    Trouble.WRITE_RIGHT_MISSING: (EmrPermissionDeniedError,),
    Trouble.WRITES_REFUSED: (EmrWriteRefusedError,),
    Trouble.RATE_LIMITED: (EmrRateLimitedError,),
    # The status alone does not say that a write was not carried out.
    Trouble.UNAVAILABLE: (EmrUnavailableError, EmrOutcomeUnknownError),
}
_DONE: Final = {WriteStatus.ALREADY_PRESENT, WriteStatus.NOT_NEEDED}


async def a_write_is_there_once_and_nowhere_else(rig: Rig) -> None:
    """The outcome says that it was made, and nothing else at the clinic has changed."""
    for operation in await claimed(rig):
        rig.hold(CLINIC)
        before = View(rig)
        outcome = await write(rig, operation)

        assert outcome.status is WriteStatus.CREATED, f"{operation}: {outcome.status}"
        assert written_once(operation, before.change(rig)), f"{operation}: not once, or not only there"


async def a_note_is_shown_whole(rig: Rig) -> None:
    """Every line, every accent, and the title."""
    await claimed(rig, [Operation.WRITE_NOTE])
    rig.hold(CLINIC)
    await write(rig, Operation.WRITE_NOTE)
    (text,) = rig.notes(PATIENT.id)

    assert TEXT in text


async def a_document_is_kept_as_it_is(rig: Rig) -> None:
    """Byte by byte, below a title that can be read."""
    await claimed(rig, [Operation.UPLOAD_DOCUMENT])
    rig.hold(CLINIC)
    await write(rig, Operation.UPLOAD_DOCUMENT)
    ((title, content),) = rig.documents(PATIENT.id)

    assert content == PDF
    assert "Référence à p1001" in title


async def a_walk_in_is_booked_as_asked(rig: Rig) -> None:
    """Provider, time, length, reason, and that the patient is here."""
    await claimed(rig, [Operation.CREATE_APPOINTMENT])
    rig.hold(CLINIC)
    outcome = await write(rig, Operation.CREATE_APPOINTMENT)
    asked = WRITES[Operation.CREATE_APPOINTMENT]
    made = next(item for item in rig.bookings(PATIENT.id) if item.id not in {b.id for b in CLINIC.appointments})

    assert isinstance(asked, NewAppointment)
    assert outcome.ref in {"", made.id}
    assert (asked.provider_id, asked.start) == (made.provider_id, made.start)
    assert made.duration_minutes in {asked.duration_minutes, None}
    assert made.reason in {asked.reason, None}
    assert made.status is AppointmentStatus.ARRIVED


async def a_new_chart_says_what_was_given(rig: Rig) -> None:
    """As the adapter itself reads it."""
    asked = WRITES[Operation.CREATE_PATIENT]
    assert isinstance(asked, NewPatient)
    rig.hold(CLINIC)
    async with asking(rig, Operation.CREATE_PATIENT, Operation.GET_PATIENT) as adapter:
        for number, given in enumerate((asked, replace(asked, mobile_phone="418-555-0199", health_number=None))):
            rig.hold(CLINIC)
            outcome = await adapter.write(given, key(Operation.CREATE_PATIENT, number))
            (made,) = set(rig.charts()) - {patient.id for patient in CLINIC.patients}
            chart = await adapter.get_patient(made)

            assert made == outcome.ref
            assert chart.active in {True, None}
            wrong = [
                name
                for name in ("first_name", "last_name", "birth_date", "sex", "home_phone", "mobile_phone", "email")
                if getattr(given, name) != getattr(chart, name)
            ]
            mine, theirs = given.health_number, chart.health_number
            if (mine and (mine.value, mine.version)) != (theirs and (theirs.value, theirs.version)):
                wrong.append("health_number")
            if not chart.addresses or given.address is None or given.address.city != chart.addresses[0].city:
                wrong.append("address")

            assert not wrong, f"a new chart lacks {', '.join(wrong)}"


async def the_same_key_writes_nothing_more(rig: Rig) -> None:
    """Even from somebody who remembers nothing, and it says that an earlier attempt had done it."""
    for operation in await found(rig):
        rig.hold(CLINIC)
        first = await write(rig, operation)
        before = View(rig)
        again = await write(rig, operation)

        assert before.change(rig).nothing, f"{operation}: written again with the same key"
        expected = WriteStatus.ALREADY_PRESENT if operation in CREATING else WriteStatus.NOT_NEEDED
        assert expected is again.status, f"{operation}: {again.status}"
        assert first.ref == again.ref, f"{operation}: two records under one key"


async def another_key_is_another_write(rig: Rig) -> None:
    """However alike: a patient may answer the same twice."""
    for operation in await claimed(rig, [each for each in CREATING if each is not Operation.CREATE_PATIENT]):
        rig.hold(CLINIC)
        await write(rig, operation, 1)
        before = View(rig)
        outcome = await write(rig, operation, 2)

        assert outcome.status is WriteStatus.CREATED, f"{operation}: taken for another message's"
        assert written_once(operation, before.change(rig)), f"{operation}: the second of two is missing"


async def a_probe_tells_the_truth(rig: Rig) -> None:
    """Not applied before, applied after, and nothing is written by asking; else it says that it cannot tell."""
    for operation in await claimed(rig):
        rig.hold(CLINIC)
        searchable = operation in rig.searchable
        before = await probe(rig, operation)
        outcome = await write(rig, operation)
        sent = rig.writes()
        after = await probe(rig, operation)
        other = await probe(rig, operation, 7)

        assert before.probe is not Probe.APPLIED, f"{operation}: found before it was written"
        assert after.probe is not Probe.NOT_APPLIED, f"{operation}: not found after it was written"
        assert sent == rig.writes(), f"{operation}: a probe wrote"
        if searchable:
            assert before.probe is Probe.NOT_APPLIED, f"{operation}: cannot tell what is not there"
            assert after.probe is Probe.APPLIED, f"{operation}: cannot tell what is there"
            assert outcome.ref == after.ref, f"{operation}: found another record"
        if searchable and operation in CREATING and operation is not Operation.CREATE_PATIENT:
            assert other.probe is Probe.NOT_APPLIED, f"{operation}: found under a key that nobody used"


async def what_can_be_searched_for_is_claimed(rig: Rig) -> None:
    """A write that can be searched for says how long a search may miss it, or nobody would ever search."""
    operations = await found(rig)
    async with rig.adapter() as adapter:
        claims = adapter.capabilities().operations

    assert all(claims[operation].probe_lag_seconds is not None for operation in operations)


async def what_may_have_been_written_is_unknown(rig: Rig) -> None:
    """It was, here: the error says that nobody knows, the request was not repeated, and a probe finds it."""
    for trouble in (Trouble.RESET_AFTER, Trouble.FAILED_AFTER):
        for operation in await claimed(rig):
            rig.suffer(None)
            rig.hold(CLINIC)
            before, sent = View(rig), rig.writes()
            rig.suffer(trouble)
            async with rig.adapter() as adapter:
                error = await failure(adapter, WRITES[operation], key(operation))
            rig.suffer(None)

            what = f"{operation} under {trouble}"
            assert isinstance(error, EmrOutcomeUnknownError), f"{what}: {type(error).__name__}"
            assert rig.writes() - sent == 1, f"{what}: sent {rig.writes() - sent} times"
            assert written_once(operation, before.change(rig)), f"{what}: the rig did not write it"
            await _comes_true(rig, operation, before)


async def an_answer_that_never_comes_is_unknown(rig: Rig) -> None:
    """All kinds at once, since waiting takes long; carried out or not."""
    for trouble in (Trouble.SILENT_AFTER, Trouble.SILENT_BEFORE):
        operations = await claimed(rig)
        rig.hold(CLINIC)
        nothing, sent = View(rig), rig.writes()
        rig.suffer(trouble)
        errors: dict[Operation, EmrError | None] = {}

        async def wait(operation: Operation, errors: dict[Operation, EmrError | None] = errors) -> None:
            async with rig.adapter() as adapter:
                errors[operation] = await failure(adapter, WRITES[operation], key(operation))

        async with anyio.create_task_group() as group:
            for operation in operations:
                group.start_soon(wait, operation)
        rig.suffer(None)

        wrong = [each for each, error in errors.items() if not isinstance(error, EmrOutcomeUnknownError)]
        assert not wrong, f"under {trouble} not unknown: {', '.join(wrong)}"
        assert rig.writes() - sent == len(operations), f"{trouble}: not each sent once"
        assert (trouble is Trouble.SILENT_BEFORE) == nothing.change(rig).nothing, f"{trouble}: the rig does not do it"


async def what_was_not_written_is_found_missing(rig: Rig) -> None:
    """After an attempt of which nothing came, a probe says so, and the next attempt makes it."""
    for operation in await found(rig):
        rig.hold(CLINIC)
        before = View(rig)
        rig.suffer(Trouble.WRITES_REFUSED)
        async with rig.adapter() as adapter:
            await failure(adapter, WRITES[operation], key(operation))
        rig.suffer(None)
        missing = await probe(rig, operation)
        outcome = await write(rig, operation)

        assert missing.probe is Probe.NOT_APPLIED, f"{operation}: {missing.probe}"
        assert outcome.status is WriteStatus.CREATED, f"{operation}: {outcome.status}"
        assert written_once(operation, before.change(rig)), f"{operation}: not once"


async def what_is_refused_is_not_written(rig: Rig) -> None:
    """And the error says which refusal it was, so that the caller knows whom to tell."""
    for trouble, kinds in _REFUSALS.items():
        for operation in await claimed(rig):
            rig.suffer(None)
            rig.hold(CLINIC)
            before, sent = View(rig), rig.writes()
            rig.suffer(trouble)
            async with rig.adapter() as adapter:
                error = await failure(adapter, WRITES[operation], key(operation))
            rig.suffer(None)

            what = f"{operation} under {trouble}"
            assert isinstance(error, kinds), f"{what}: {type(error).__name__}"
            assert before.change(rig).nothing, f"{what}: written all the same"
            most = 2 if trouble is Trouble.LOGIN_REFUSED else 1
            assert rig.writes() - sent <= most, f"{what}: tried {rig.writes() - sent} times"


async def a_clinicians_edit_is_kept(rig: Rig) -> None:
    """A second attempt does not put the patient's words back over the clinician's."""
    await found(rig, [Operation.WRITE_NOTE])
    rig.hold(CLINIC)
    await write(rig, Operation.WRITE_NOTE)
    rig.edit_note(PATIENT.id, "Revu avec p1001.")
    outcome = await write(rig, Operation.WRITE_NOTE)

    assert outcome.status is WriteStatus.ALREADY_PRESENT
    assert list(rig.notes(PATIENT.id)) == ["Revu avec p1001."]


async def nobody_takes_what_is_for_nobody(rig: Rig) -> None:
    """A chart or a booking that is not there is an error before anything is sent: some EMRs keep orphans."""
    for operation in await claimed(rig, [each for each in WRITES if each is not Operation.CREATE_PATIENT]):
        rig.hold(CLINIC)
        sent = rig.writes()
        wanted: Write = WRITES[operation]
        kind: type[EmrError] = EmrNotFoundError
        if isinstance(wanted, NewAppointment | NewNote | NewDocument | DemographicsUpdate):
            wanted = replace(wanted, patient_id=NOBODY)
        else:
            wanted, kind = Arrival(appointment_id(4004)), EmrRecordError
        async with rig.adapter() as adapter:
            error = await failure(adapter, wanted, key(operation))

        assert isinstance(error, kind), f"{operation}: {type(error).__name__}"
        assert sent == rig.writes(), f"{operation}: sent for nobody"


async def what_this_emr_lacks_is_said(rig: Rig) -> None:
    """A build without an operation that others have: told as what it is, and nothing is written."""
    if not rig.lacking:
        raise NotApplicableError("anything that this EMR lacks")
    for operation in rig.lacking:
        rig.hold(CLINIC)
        before = View(rig)
        async with asking(rig, operation) as adapter:
            error = await failure(adapter, WRITES[operation], key(operation))

        assert isinstance(error, EmrNotSupportedError), f"{operation}: {type(error).__name__}"
        assert before.change(rig).nothing, f"{operation}: written all the same"


async def what_is_too_large_is_refused_unsent(rig: Rig) -> None:
    """Where the adapter says how much the EMR takes."""
    (operation,) = await claimed(rig, [Operation.UPLOAD_DOCUMENT])
    rig.hold(CLINIC)
    async with rig.adapter() as adapter:
        most = adapter.capabilities().operations[operation].most_bytes
        if most is None:
            raise NotApplicableError(operation)
        sent = rig.writes()
        wanted = WRITES[operation]
        assert isinstance(wanted, NewDocument)
        error = await failure(adapter, replace(wanted, pdf=b"%PDF-1.4" + b" " * most), key(operation))

    assert isinstance(error, EmrWriteRefusedError)
    assert sent == rig.writes()


async def errors_of_writes_show_nothing(rig: Rig) -> None:
    """No patient, no word of the message and no credential, however a write fails."""
    wanted = WRITES[Operation.CREATE_PATIENT]
    assert isinstance(wanted, NewPatient)
    texts = [TEXT.splitlines()[1], wanted.last_name, wanted.first_name, PATIENT.last_name, PATIENT.first_name]
    secret = [text for text in (*texts, *rig.forbidden) if text]
    quick = set(Trouble) - {Trouble.UNAVAILABLE_ONCE, Trouble.RATE_LIMITED_ONCE} - {*_SLOW}
    for trouble in sorted(quick):
        for operation in await claimed(rig):
            rig.suffer(None)
            rig.hold(CLINIC)
            rig.suffer(trouble)
            async with rig.adapter() as adapter:
                told = shown(await failure(adapter, WRITES[operation], key(operation)))

            assert not [text for text in secret if text in told], f"{operation} under {trouble} shows too much"
        rig.suffer(None)


_SLOW: Final = (Trouble.SILENT_BEFORE, Trouble.SILENT_AFTER)


async def _comes_true(rig: Rig, operation: Operation, before: View) -> None:
    """What was written and not known to be is found, and a second attempt adds nothing."""
    told = await probe(rig, operation)
    if operation not in rig.searchable:
        assert told.probe is Probe.CANNOT_TELL, f"{operation}: {told.probe}, and the EMR cannot be searched"
        return
    again = await write(rig, operation)

    assert told.probe is Probe.APPLIED, f"{operation}: {told.probe}, and it is there"
    assert again.status in _DONE, f"{operation}: {again.status}, and it was there"
    assert written_once(operation, before.change(rig)), f"{operation}: there twice"


CHECKS: Final[tuple[Check, ...]] = (
    a_write_is_there_once_and_nowhere_else,
    a_note_is_shown_whole,
    a_document_is_kept_as_it_is,
    a_walk_in_is_booked_as_asked,
    a_new_chart_says_what_was_given,
    the_same_key_writes_nothing_more,
    another_key_is_another_write,
    a_probe_tells_the_truth,
    what_can_be_searched_for_is_claimed,
    what_may_have_been_written_is_unknown,
    an_answer_that_never_comes_is_unknown,
    what_was_not_written_is_found_missing,
    what_is_refused_is_not_written,
    a_clinicians_edit_is_kept,
    nobody_takes_what_is_for_nobody,
    what_this_emr_lacks_is_said,
    what_is_too_large_is_refused_unsent,
    errors_of_writes_show_nothing,
)
