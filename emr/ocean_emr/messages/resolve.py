"""From a delivery to what is written: looks into the EMR and asks the pure deciders beside it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from anyio import to_thread

from ocean_api.reasons import Reason
from ocean_api.v1alpha1.spec import MessagesSpec, SlotPolicy
from ocean_emr.clinic_time import midnight
from ocean_emr.contract import EmrAdapter
from ocean_emr.errors import EmrNotFoundError
from ocean_emr.messages import arrivals, attachments, demographics, match, notes, walk_ins
from ocean_emr.messages.deliveries import (
    AppointmentContent,
    ArrivedContent,
    ChartLinks,
    Delivery,
    DemographicsContent,
    DocumentContent,
    Kind,
    MessageHeldError,
    NoteContent,
    PatientContent,
    Person,
)
from ocean_emr.messages.words import Language, Words
from ocean_emr.records import Appointment, Operation, Patient, PatientId, ProviderId
from ocean_emr.writes import Arrival, NewDocument, NewNote, NewPatient, NoteKind, PatientQuery, Write


@dataclass(frozen=True, slots=True)
class Context:
    """What resolving needs besides the delivery and the EMR."""

    settings: MessagesSpec
    zone: ZoneInfo
    """Where the clinic is."""
    language: Language
    """In which our own words in a chart are written."""
    charts: ChartLinks
    now: Callable[[], datetime]
    """The time, aware."""
    updates_charts: bool = True
    """Whether what patients say of themselves is written into charts; otherwise it becomes a note."""


async def resolve(delivery: Delivery, adapter: EmrAdapter, context: Context) -> tuple[Write, ...]:
    """What is to be written, in this order; empty where the EMR is already as it should be.

    It writes nothing. The answer rests on what the EMR shows now, so whoever carries it out keeps it until its outcome
    is known, and does not ask again after a write may have happened.

    Raises:
        MessageHeldError: A person must look.
        EmrError: As for every read.
    """
    match delivery.content:
        case NoteContent() as content:
            return await _note(content, delivery.kind, adapter, context)
        case DemographicsContent() as content:
            return await _demographics(content, adapter, context)
        case DocumentContent() as content:
            return await _document(content, adapter, context)
        case ArrivedContent() as content:
            return await _arrived(content, adapter, context)
        case PatientContent() as content:
            return await _patient(content, adapter, context)
        case AppointmentContent() as content:
            return await _appointment(content, adapter, context)
    raise AssertionError("every kind has a content of its own")  # pragma: no cover


async def remember(delivery: Delivery, write: Write, ref: str, charts: ChartLinks) -> None:
    """Keep what a write that is done tells for later messages. Call it before the delivery counts as done.

    Args:
        delivery: What was delivered.
        write: One of its writes.
        ref: The EMR's id of what was written; empty where it told none.
        charts: Where to keep it.
    """
    if isinstance(write, NewPatient) and isinstance(delivery.content, PatientContent) and ref:
        await charts.put(delivery.content.person.ref, PatientId(ref))


async def _note(content: NoteContent, kind: Kind, adapter: EmrAdapter, context: Context) -> tuple[Write, ...]:
    chart = await _chart(content.person, adapter, context)
    transcript = kind is Kind.TRANSCRIPT
    untitled = Words.TRANSCRIPT if transcript else Words.NOTE
    title, text = notes.title_and_text(content, untitled, context.language)
    note_kind = NoteKind.SECURE_MESSAGE if transcript else NoteKind.PROGRESS_NOTE
    return (NewNote(chart.id, note_kind, title, text, content.observed_at),)


async def _demographics(content: DemographicsContent, adapter: EmrAdapter, context: Context) -> tuple[Write, ...]:
    chart = await _chart(content.person, adapter, context)
    decision = demographics.decide(content, chart, may_update=context.updates_charts)
    note = demographics.note_of(decision, content, chart.id, context.language) if decision.said else None
    return tuple(write for write in (decision.update, note) if write)


async def _document(content: DocumentContent, adapter: EmrAdapter, context: Context) -> tuple[Write, ...]:
    able = adapter.capabilities().operations.get(Operation.UPLOAD_DOCUMENT)
    printed = partial(
        attachments.as_pdf, content, context.language, context.zone, most_bytes=able.most_bytes if able else None
    )
    # Printing takes a second of the processor now and then, and others' messages need not wait for that.
    pdf = await to_thread.run_sync(printed)
    chart = await _chart(content.person, adapter, context)
    title = attachments.title_of(content, context.language)
    return (NewDocument(chart.id, title, pdf, content.observed_at),)


async def _arrived(content: ArrivedContent, adapter: EmrAdapter, context: Context) -> tuple[Write, ...]:
    hours = context.settings.arrived_within_hours
    if not hours:
        return ()
    chart = await _chart(content.person, adapter, context)
    start, end = arrivals.window(content.at, hours)
    found = await adapter.list_patient_appointments(chart.id, start, end, context.zone)
    return tuple(Arrival(each) for each in arrivals.to_mark(found, start, end))


async def _patient(content: PatientContent, adapter: EmrAdapter, context: Context) -> tuple[Write, ...]:
    walk_ins.provider_of(context.settings.walk_ins)
    if await _find(content.person, adapter, context, by_name=True):
        return ()
    return (walk_ins.new_patient(content, context.settings.walk_ins),)


async def _appointment(content: AppointmentContent, adapter: EmrAdapter, context: Context) -> tuple[Write, ...]:
    settings = context.settings.walk_ins
    provider = walk_ins.provider_of(settings)
    chart = await _chart(content.person, adapter, context, by_name=True)
    start = arrivals.minute_of(content.at)
    if settings.slot_policy is SlotPolicy.NEXT_FREE:
        day = start.astimezone(context.zone).date()
        end = midnight(day + timedelta(days=1), context.zone)
        booked = await _day_of(provider, start.astimezone(context.zone), adapter, context)
        earliest = max(start, arrivals.minute_of(context.now()))
        start = walk_ins.next_free(booked, earliest, end, settings.duration_minutes)
    return (walk_ins.booking(content, chart.id, start.astimezone(context.zone), settings),)


async def _day_of(provider: ProviderId, moment: datetime, adapter: EmrAdapter, context: Context) -> list[Appointment]:
    """All that the provider has on the clinic's day of `moment`.

    Raises:
        MessageHeldError: The EMR does not show all of it.
    """
    day = moment.date()
    booked: list[Appointment] = []
    complete = False
    pages = adapter.list_appointments([provider], day, day + timedelta(days=1), context.zone)
    async with aclosing(pages):
        async for page in pages:
            booked += page.items
            complete = complete or page.complete
    if not complete:
        words = "the EMR does not show the whole day of the provider for walk-ins (spec.messages.walkIns.providerId)"
        raise MessageHeldError(Reason.PROVIDER_UNKNOWN, words)
    return booked


async def _chart(person: Person, adapter: EmrAdapter, context: Context, *, by_name: bool = False) -> Patient:
    """The person's chart.

    Raises:
        MessageHeldError: There is none, or doubt which it is.
    """
    chart = await _find(person, adapter, context, by_name=by_name)
    if chart is None:
        raise MessageHeldError(Reason.PATIENT_NOT_FOUND, "no chart of the EMR fits what Ocean knows of the patient")
    return chart


async def _find(person: Person, adapter: EmrAdapter, context: Context, *, by_name: bool) -> Patient | None:
    """The person's chart; None when the EMR has nobody it could be.

    The chart that Ocean names, or that an earlier message found, goes first. If it is gone or no longer in use, as
    after a merge, or none is named, the EMR is searched: by health number, then, for those who stand at the kiosk, by
    name.

    Raises:
        MessageHeldError: There is doubt which it is, or the one that was named is out of reach.
    """
    put_away = gone = False
    linked = await context.charts.get(person.ref) if person.ref else None
    for named in dict.fromkeys(filter(None, [person.chart_id, linked])):
        try:
            chart = await adapter.get_patient(PatientId(named))
        except EmrNotFoundError:
            gone = True
            continue
        if match.in_use(chart):
            return match.verified(person, chart)
        put_away = True
    found = None
    if person.health_number:
        charts = await adapter.find_patients(PatientQuery(health_number=person.health_number))
        found = match.by_health_number(person, charts)
    if found is None and by_name and person.last_name and person.birth_date:
        charts = await adapter.find_patients(PatientQuery(last_name=person.last_name, birth_date=person.birth_date))
        found = match.by_name(person, charts)
    if found:
        if person.ref:
            await context.charts.put(person.ref, found.id)
    elif put_away:
        raise match.out_of_use()
    elif gone:
        words = "the chart that was named is not in the EMR (any more), and no other fits"
        raise MessageHeldError(Reason.PATIENT_NOT_FOUND, words)
    return found
