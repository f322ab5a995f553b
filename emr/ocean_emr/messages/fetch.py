"""From an event to what Ocean has under it: which calls are made for which event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

from ocean_api.v1alpha1.spec import MessagesSpec
from ocean_emr.messages.deliveries import Event
from ocean_emr.messages.expand import Fetched, FetchedFile
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.ocean.errors import Call, MessageGoneError, OceanMessageError
from ocean_emr.ocean.inbound import AttachmentRef, File, NamedFile, conversation, name_file
from ocean_emr.ocean.inbound_profile import EventType
from ocean_emr.ocean.inbox import OceanInbox


async def fetch(
    event: Event, ocean: OceanInbox, keys: Sequence[SharedEncryptionKey], settings: MessagesSpec
) -> Fetched:
    """What Ocean has for `event`, decrypted; nothing for an event of a type that is not known.

    A file that cannot be had does not keep back what it came with: the answer says what the trouble is.

    Args:
        event: What the webhook said.
        ocean: The clinic's line to Ocean.
        keys: The clinic's keys, the present one first: what was encrypted before a change opens with an earlier one.
        settings: Files are fetched only where they are wanted.

    Raises:
        MessageGoneError: Ocean has nothing under the event's references.
        MessageUnreadableError: Ocean's answer lacks something that is needed; others may not.
        SekMismatchError: None of `keys` opens it.
        OceanError: As for every call.
    """
    match event.type:
        case EventType.NOTE_ADDED | EventType.FORMS_COMPLETED:
            return await _completed(event, ocean, keys, settings)
        case EventType.CHECKED_IN | EventType.WALKED_IN | EventType.MESSAGE_TRANSCRIPT:
            return Fetched(
                patient=await ocean.patient(event.ref, keys),
                session=await ocean.session(event.ref, event.session, keys),
            )
        case EventType.REFERRAL_RECORD:
            return await _referral(event, ocean, keys, settings)
    return Fetched()


async def _completed(
    event: Event, ocean: OceanInbox, keys: Sequence[SharedEncryptionKey], settings: MessagesSpec
) -> Fetched:
    patient = await ocean.patient(event.ref, keys)
    note = None
    # The end of a sitting may come with a session that has no note of its own.
    with suppress(*([MessageGoneError] if event.ends_sitting else [])):
        note = await ocean.note(event.ref, event.session, keys)
    files: tuple[FetchedFile, ...] = ()
    if note and settings.import_attachments:
        files = await _files(
            note.update.attachments, note.one_time_key, lambda file: ocean.patient_file(event.ref, file)
        )
    return Fetched(patient=patient, note=note, files=files)


async def _referral(
    event: Event, ocean: OceanInbox, keys: Sequence[SharedEncryptionKey], settings: MessagesSpec
) -> Fetched:
    referral = await ocean.referral(event.ref, keys)
    files: tuple[FetchedFile, ...] = ()
    if settings.import_attachments:
        named = [*referral.record.booking_file_refs]
        named += [ref for comment in conversation(referral.record) for ref in comment.attachment_ref_dtos]
        files = await _files(named, referral.one_time_key, lambda file: ocean.referral_file(event.ref, file))
    return Fetched(referral=referral, files=files)


async def _files(
    refs: Iterable[AttachmentRef], one_time_key: bytes, get: Callable[[NamedFile], Awaitable[File]]
) -> tuple[FetchedFile, ...]:
    """The files behind `refs`, each once, in their order."""
    files: dict[str, FetchedFile] = {}
    for ref in refs:
        if ref.file_ref in files:
            continue
        name = ref.file_name
        try:
            named = name_file(Call.READ_ATTACHMENT, ref, one_time_key)
            name = named.name
            files[ref.file_ref] = FetchedFile(ref.file_ref, name, file=await get(named))
        except OceanMessageError as error:
            files[ref.file_ref] = FetchedFile(ref.file_ref, name, trouble=error.reason)
    return tuple(files.values())
