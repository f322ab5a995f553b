"""Notes and documents in OSCAR charts.

A note's uuid is its key: of all rows with one uuid a chart shows the last, so a note that is sent twice is seen once.
It would cover what a clinician has changed meanwhile, though; so OSCAR is asked first, where it lets us look.
Source: open-osp/Open-O NotesService, DefaultNoteService, DocumentService; scoophealth/oscar CaseManagementNoteDAO.
"""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from ocean_emr.adapters.oscar_calls import SERVICES, chart, content, milliseconds, number, parsed, proving, refused
from ocean_emr.adapters.oscar_rows import NoteRow
from ocean_emr.adapters.oscar_visits import marker
from ocean_emr.answers import Read, Send
from ocean_emr.errors import EmrAnswerError, EmrNotSupportedError, EmrOutcomeUnknownError, EmrUnavailableError
from ocean_emr.records import Operation, PatientId
from ocean_emr.transport import Transport
from ocean_emr.writes import NewDocument, NewNote, Probe, ProbeResult, WriteOutcome, WriteStatus

_AT_A_TIME: Final = 100
_MOST_PAGES: Final = 50
_TITLE_CHARACTERS: Final = 255
"""Source: open-osp/Open-O, Document, `docdesc`."""
_UNSEEN: Final = ProbeResult(Probe.CANNOT_TELL)


class Notes:
    """The notes of one clinic's charts."""

    def __init__(self, transport: Transport) -> None:
        """Ask nobody yet."""
        self._transport = transport
        self._keys_come_back = True
        """False once a saved note did not come back under its key: then what is not seen may be there."""

    async def add(self, note: NewNote, key: UUID) -> WriteOutcome:
        """Put the note into the chart, unless it is seen there.

        Raises:
            EmrError: As the contract says.
        """
        op = Operation.WRITE_NOTE
        if not note.text.strip():
            raise refused("the note is blank, and OSCAR keeps no blank notes", op, "Dismiss the message.")
        await chart(self._transport, op, note.patient_id)
        before = await self.find(note, key)
        if before.probe is Probe.APPLIED:
            return WriteOutcome(WriteStatus.ALREADY_PRESENT, before.ref)
        path = f"{SERVICES}/notes/{number(note.patient_id, op)}/save"
        saved = parsed(NoteRow, await self._transport.write_json(Send(op, path, json=self._body(note, key))))
        if saved is None:
            raise EmrOutcomeUnknownError("the EMR's answer does not say whether it kept the note", op=op)
        with proving(op):
            after = await self.find(note, key)
        self._keys_come_back &= after.probe is not Probe.NOT_APPLIED
        return WriteOutcome(WriteStatus.CREATED, after.ref or saved.noteId)

    async def find(self, note: NewNote, key: UUID) -> ProbeResult:
        """Whether the chart shows a note with this key, as it was sent or as somebody changed it.

        Classic builds show notes to web sessions alone and fail for us, so there nobody can tell.
        """
        try:
            rows = await self._shown(note.patient_id)
        except (EmrUnavailableError, EmrAnswerError) as error:
            if error.http_status in {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.NOT_FOUND}:
                return _UNSEEN
            raise
        if rows is None:
            return _UNSEEN
        found = next((row for row in rows if (row.uuid or "").lower() == str(key)), None)
        if found is not None:
            return ProbeResult(Probe.APPLIED, found.noteId)
        readable = self._keys_come_back and (not rows or any(row.uuid for row in rows))
        return ProbeResult(Probe.NOT_APPLIED) if readable else _UNSEEN

    async def _shown(self, patient: PatientId) -> list[NoteRow] | None:
        """What the chart shows; None if it has no end. Forms and invoices among the notes are passed over."""
        op = Operation.WRITE_NOTE
        rows: list[NoteRow] = []
        for page in range(_MOST_PAGES):
            params = (("numToReturn", str(_AT_A_TIME)), ("offset", str(page * _AT_A_TIME)))
            path = f"{SERVICES}/notes/{number(patient, op)}/all"
            answer = await self._transport.read_json(Read(op, path, params=params, json={}))
            listed = [parsed(NoteRow, raw) for raw in content(answer, ("notelist",), op)]
            rows += [row for row in listed if row is not None]
            if not (isinstance(answer, dict) and answer.get("moreNotes") is True):
                return rows
        return None

    def _body(self, note: NewNote, key: UUID) -> dict[str, Any]:
        """Unsigned, and without the appointment: with it, OSCAR writes a status of its own over the arrival."""
        return {
            "uuid": str(key),
            "note": "\n".join(part for part in (note.title.strip(), note.text) if part),
            "observationDate": milliseconds(note.observed_at, self._transport.clock_skew_seconds),
            "isSigned": False,
            "isVerified": False,
            "encounterType": "",
            "assignedIssues": [],
        }


class Documents:
    """The documents of one clinic's charts. They can be sent, and not looked for: no build is known to list them."""

    def __init__(self, transport: Transport) -> None:
        """Ask nobody yet."""
        self._transport = transport

    async def add(self, document: NewDocument, key: UUID) -> WriteOutcome:
        """Put the PDF into the chart, and into the inbox of the patient's provider where the chart names one.

        Raises:
            EmrNotSupportedError: This build, like the classic ones, takes no documents.
            EmrError: As the contract says.
        """
        op = Operation.UPLOAD_DOCUMENT
        _, row = await chart(self._transport, op, document.patient_id)
        observed = milliseconds(document.observed_at, self._transport.clock_skew_seconds)
        body = _document(document, key, row.providerNo or "", observed)
        try:
            answer = await self._transport.write_json(
                Send(op, f"{SERVICES}/document/saveDocumentToDemographic", json=body)
            )
        except EmrAnswerError as error:
            if error.http_status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
                raise _takes_none(error.http_status) from None
            raise
        made = answer.get("id") if isinstance(answer, dict) else None
        return WriteOutcome(WriteStatus.CREATED, str(made or ""))


def _takes_none(status: int | None) -> EmrNotSupportedError:
    return EmrNotSupportedError(
        "this OSCAR takes no documents over its interface",
        op=Operation.UPLOAD_DOCUMENT,
        http_status=status,
        remedy="Ask OSCAR's vendor for a build with `document/saveDocumentToDemographic`, or set the site's "
        "`spec.messages.importAttachments` to false.",
    )


def _document(document: NewDocument, key: UUID, provider: str, observed: int) -> dict[str, Any]:
    """The body. The file's name is ASCII, since OSCAR takes accents out; the title keeps them."""
    mark = f" {marker(key)}"
    return {
        "fileName": f"ocean-{key}.pdf",
        "fileContents": base64.b64encode(document.pdf).decode(),
        "demographicNo": int(document.patient_id),
        "providerNo": provider,
        "type": "others",
        "description": document.title[: _TITLE_CHARACTERS - len(mark)] + mark,
        "contentType": "application/pdf",
        "source": "Ocean",
        "observationDate": observed,
        "status": "A",
    }
