"""What a fetched message becomes: deliveries, in the order in which the EMR shall get them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from pydantic import JsonValue

from ocean_api.reasons import Reason
from ocean_api.v1alpha1.spec import MessagesSpec
from ocean_emr.messages.deliveries import (
    AppointmentContent,
    ArrivedContent,
    Delivery,
    DemographicsContent,
    DocumentContent,
    Event,
    Kind,
    MessageHeldError,
    NoteContent,
    NotePart,
    PatientContent,
    Person,
    RecordPart,
)
from ocean_emr.messages.demographics import of_ocean, read_updates
from ocean_emr.messages.words import Words
from ocean_emr.ocean.errors import Call
from ocean_emr.ocean.inbound import (
    File,
    OceanNote,
    OceanPatient,
    OpenedReferral,
    PatientUpdate,
    SessionRecord,
    conversation,
    spoken,
)
from ocean_emr.ocean.inbound_profile import EventType
from ocean_emr.records import Sex
from ocean_emr.writes import Demographics

_VERSIONS_SINCE: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""A referral's version is the second of its last change, counted from here so that it fits PostgreSQL's integer."""


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file that Ocean names, or why it could not be had."""

    ref: str
    name: str = field(repr=False)
    file: File | None = None
    trouble: Reason | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What Ocean has under an event's references, decrypted; None where the event is not about that."""

    patient: OceanPatient | None = None
    note: OceanNote | None = None
    session: SessionRecord | None = None
    referral: OpenedReferral | None = None
    files: tuple[FetchedFile, ...] = ()


def expand(event: Event, fetched: Fetched, settings: MessagesSpec) -> tuple[Delivery, ...]:
    """The deliveries that `event` asks for; none where there is nothing for the EMR.

    With `combine_notes`, a note comes last: what stands beside it does not wait for the end of the sitting.

    Raises:
        MessageHeldError: The event is of a type that is not known, or holds nothing although it should.
    """
    match (event.type, fetched):
        case (EventType.NOTE_ADDED | EventType.FORMS_COMPLETED, Fetched(patient=OceanPatient() as patient)):
            return tuple(_completed(event, patient, fetched, settings))
        case (
            EventType.CHECKED_IN,
            Fetched(patient=OceanPatient() as patient, session=SessionRecord() as session),
        ):
            return tuple(_checked_in(event, patient, session, settings))
        case (
            EventType.WALKED_IN,
            Fetched(patient=OceanPatient() as patient, session=SessionRecord() as session),
        ):
            return tuple(_walked_in(event, patient, session))
        case (
            EventType.MESSAGE_TRANSCRIPT,
            Fetched(patient=OceanPatient() as patient, session=SessionRecord() as session),
        ):
            return (_transcript(event, patient, session),)
        case (EventType.REFERRAL_RECORD, Fetched(referral=OpenedReferral() as referral)):
            return tuple(_referral(event, referral, fetched, settings))
    raise MessageHeldError(Reason.MESSAGE_UNREADABLE, "the message is of a type that this version does not know")


def _completed(event: Event, patient: OceanPatient, fetched: Fetched, settings: MessagesSpec) -> Iterator[Delivery]:
    note = fetched.note
    if note is None:
        return
    person = _person(patient, note.chart_id)
    source = f"note/{note.note_id}"
    written = []
    if parts := tuple(_parts(note.update)):
        content = NoteContent(person=person, parts=parts, observed_at=event.received_at)
        written.append(Delivery(source, note.version, Kind.NOTE, content))
    if not settings.combine_notes:
        yield from written
    given, others = read_updates(note.update.emr_field_updates)
    if given != Demographics() or others:
        changes = DemographicsContent(person=person, given=given, others=others, observed_at=event.received_at)
        yield Delivery(f"{source}/demographics", note.version, Kind.DEMOGRAPHICS, changes)
    yield from _files(source, person, fetched, settings, event.received_at)
    if settings.combine_notes:
        yield from written


def _checked_in(
    event: Event, patient: OceanPatient, session: SessionRecord, settings: MessagesSpec
) -> Iterator[Delivery]:
    if settings.arrived_within_hours:
        content = ArrivedContent(person=_person(patient), at=session.at)
        yield Delivery(f"checked-in/{event.ref}/{event.session}", 0, Kind.ARRIVED, content)


def _walked_in(event: Event, patient: OceanPatient, session: SessionRecord) -> Iterator[Delivery]:
    source, person = f"walk-in/{event.ref}/{event.session}", _person(patient)
    known = PatientContent(person=person, details=of_ocean(patient.demographics))
    yield Delivery(f"{source}/patient", 0, Kind.PATIENT, known)
    reason = _line(session.reason or patient.reason_for_visit)
    yield Delivery(
        f"{source}/appointment", 0, Kind.APPOINTMENT, AppointmentContent(person=person, at=session.at, reason=reason)
    )


def _transcript(event: Event, patient: OceanPatient, session: SessionRecord) -> Delivery:
    text = _lines(session.text)
    if not text:
        raise MessageHeldError(Reason.MESSAGE_UNREADABLE, "the transcript that Ocean gave has no text")
    part = NotePart(title=_line(session.title), text=text)
    content = NoteContent(person=_person(patient), parts=(part,), observed_at=session.at)
    return Delivery(f"transcript/{event.ref}/{event.session}", 0, Kind.TRANSCRIPT, content)


def _referral(event: Event, referral: OpenedReferral, fetched: Fetched, settings: MessagesSpec) -> Iterator[Delivery]:
    if not settings.import_attachments:
        return
    record, person = referral.record, _person(referral.patient)
    changed = record.modification_date or record.sent_date
    version = max(0, int((changed - _VERSIONS_SINCE).total_seconds())) if changed else 0
    content = DocumentContent(
        person=person,
        title=_line(record.description),
        record=tuple(_record(referral)),
        observed_at=changed or event.received_at,
    )
    yield Delivery(f"referral/{event.ref}", version, Kind.DOCUMENT, content)
    yield from _files(f"referral/{event.ref}", person, fetched, settings, event.received_at)


def _files(
    source: str, person: Person, fetched: Fetched, settings: MessagesSpec, observed_at: datetime
) -> Iterator[Delivery]:
    """One document for each file, named by the file's own reference: it comes once, however often it is named."""
    if not settings.import_attachments:
        return
    for each in fetched.files:
        content = DocumentContent(
            person=person,
            title=_line(each.name),
            content_type=each.file.content_type if each.file else "",
            data=each.file.data if each.file else b"",
            trouble=each.trouble,
            observed_at=observed_at,
        )
        yield Delivery(f"{source}/file/{each.ref}", 0, Kind.DOCUMENT, content)


def _person(patient: OceanPatient, chart_id: str = "") -> Person:
    """Who `patient` is, as far as it helps to find the chart; `chart_id` goes before the patient's own."""
    known = of_ocean(patient.demographics)
    return Person(
        ref=patient.ref,
        chart_id=chart_id or patient.external_patient_ref,
        first_name=known.first_name,
        last_name=known.last_name,
        birth_date=known.birth_date,
        sex=known.sex or Sex.UNKNOWN,
        health_number=known.health_number,
    )


def _parts(update: PatientUpdate) -> Iterator[NotePart]:
    """Ocean's progress note or, where it made none, what stands in each of the forms."""
    if text := _lines(update.progress_note.text):
        yield NotePart(title=_line(update.progress_note.title), text=text)
        return
    for form, answers in update.completed_forms.items():
        about = update.form_metadata.get(form, {})
        hidden = {name for name, item in about.items() if item and item.hidden}
        lines = [
            f"{name}: {shown}" for name, value in answers.items() if name not in hidden and (shown := _said(value))
        ]
        if lines:
            yield NotePart(title=_line(form), text="\n".join(lines))


def _record(referral: OpenedReferral) -> Iterator[RecordPart]:
    """What a referral says, heading by heading; those with nothing below them are left out."""
    record, key = referral.record, referral.one_time_key
    referrer = " ".join(filter(None, [record.referrer.first_name, record.referrer.surname]))
    yield RecordPart(heading=Words.REFERRAL, text=_lines(record.description) or record.referral_ref)
    parts = [
        RecordPart(heading=Words.STATUS, text=record.status),
        RecordPart(heading=Words.SERVICES, text=", ".join(record.services)),
        RecordPart(heading=Words.REFERRED_BY, text=", ".join(filter(None, [referrer, record.src_site_name]))),
        RecordPart(heading=Words.SENT, at=record.sent_date),
        RecordPart(heading=Words.APPOINTMENT, at=record.scheduled_appointment),
        RecordPart(heading=Words.BOOKING_COMMENTS, text=_lines(record.booking_comments)),
        RecordPart(heading=Words.CANCELLED_BECAUSE, text=_lines(record.cancellation_reason)),
    ]
    for comment in conversation(record):
        if said := _lines(spoken(Call.READ_REFERRAL, comment, key)):
            text = "\n".join(filter(None, [comment.user_full_name, said]))
            parts.append(RecordPart(heading=Words.MESSAGE, at=comment.comment_date, text=text))
    yield from (part for part in parts if part.at or part.text)


def _said(value: JsonValue) -> str:
    """An answer in one line; empty for none."""
    match value:
        case None:
            return ""
        case bool():
            return "[x]" if value else "[ ]"
        case list():
            return ", ".join(filter(None, map(_said, value)))
        case dict():
            return ", ".join(f"{name}: {shown}" for name, inner in value.items() if (shown := _said(inner)))
        case _:
            return str(value).strip()


def _line(text: str) -> str:
    """`text` in one line."""
    return re.sub(r"\s+", " ", text).strip()


def _lines(text: str) -> str:
    """`text` with newlines alone between its lines, and without blank ones around it."""
    return "\n".join(text.splitlines()).strip()
