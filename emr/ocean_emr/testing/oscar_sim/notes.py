"""OSCAR's note and document services, with their habits.

Source: open-osp/Open-O and scoophealth/oscar: NotesService, CaseManagementNoteDAO, DefaultNoteService, DocumentService,
DocumentManagerImpl; and a running Open-O of March 2026.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from starlette.responses import Response

from ocean_emr.testing.oscar_sim.clinic import SimDocument, SimNote, next_number
from ocean_emr.testing.oscar_sim.faults import FaultKind
from ocean_emr.testing.oscar_sim.office import PRINCIPAL, Call, Office, Route, crash
from ocean_emr.testing.oscar_sim.signatures import Profile
from ocean_emr.testing.oscar_sim.spoiling import json_answer

_NO_RIGHT: Final = "java.lang.RuntimeException: missing required sec object (_casemgmt.notes)"


class Notes:
    """Everything below `notes/` and `document/`."""

    def __init__(self, office: Office) -> None:
        """Answer for `office`."""
        self._office = office

    def routes(self) -> list[Route]:
        """Who answers what. The classic build of 2019 takes no documents."""
        routes: list[Route] = [
            ("POST", r"notes/(\d+)/save", self._save),
            ("POST", r"notes/(\d+)/all", self._all),
        ]
        if self._office.profile is Profile.OPEN_O_2026:
            routes.append(("POST", r"document/saveDocumentToDemographic", self._upload))
        return routes

    def _save(self, call: Call, demographic: str) -> Response:
        """A new row each time, for whatever chart; one that has the uuid of another takes its place on the screen."""
        office = self._office
        if office.holds(FaultKind.NO_WRITE_RIGHT):
            return crash(_NO_RIGHT)
        asked = call.json()
        if asked.get("isSigned") is None:
            return crash("java.lang.NullPointerException")
        text = (asked.get("note") or "").strip()
        if not text:
            return Response(status_code=204)
        now = datetime.now(office.zone)
        observed = office.moment(asked.get("observationDate")) or now
        uuid = "" if office.holds(FaultKind.UUID_IGNORED) else (asked.get("uuid") or "").strip()
        note = SimNote(
            next_number(office.clinic.notes),
            int(demographic),
            uuid or str(uuid4()),
            text,
            min(observed, now),
            PRINCIPAL,
            signed=asked["isSigned"],
        )
        office.clinic.add(note)
        office.enter("note", note.demographic_no, note.no, note.uuid)
        self._mark_appointment(asked)
        return json_answer(asked | _row(note) | {"updateDate": int(now.timestamp() * 1000)})

    def _mark_appointment(self, asked: dict[str, Any]) -> None:
        """A note that is signed or verified says so in its appointment's status."""
        row = self._office.clinic.appointments.get(asked.get("appointmentNo") or 0)
        letter = "V" if asked.get("isVerified") else "S" if asked["isSigned"] else ""
        if row is not None and row.status and letter:
            self._office.clinic.add(replace(row, status=row.status[0] + letter))

    def _all(self, call: Call, demographic: str) -> Response:
        """Classic builds look for a web session, and there is none."""
        office = self._office
        if office.profile is Profile.CLASSIC:
            return crash("java.lang.NullPointerException")
        if office.holds(FaultKind.NO_DEMOGRAPHIC_RIGHT):
            return crash(_NO_RIGHT)
        shown = [] if office.holds(FaultKind.NOTES_HIDDEN) else office.clinic.shown_notes(int(demographic))
        first, number = int(call.query.get("offset", 0)), int(call.query.get("numToReturn", 20))
        revisions = Counter(note.uuid for note in office.clinic.notes.values())
        rows = [_row(note) | {"revision": str(revisions[note.uuid])} for note in shown[first : first + number]]
        return json_answer({"moreNotes": len(shown) > first + number, "notelist": rows})

    def _upload(self, call: Call) -> Response:
        """Takes what comes, for whatever chart, under a name of the server's own."""
        office = self._office
        if office.holds(FaultKind.NO_WRITE_RIGHT):
            return crash("java.lang.RuntimeException: Write Access Denied _edoc for provider 104")
        asked = call.json()
        if asked.get("fileContents") is None:
            return crash("java.lang.NullPointerException")
        content = base64.b64decode(asked["fileContents"])
        if not asked.get("fileName") or not content or asked.get("demographicNo") is None:
            return Response("The request body must contain a title", 400, media_type="application/json")
        name = _sanitised(f"{datetime.now(office.zone):%Y%m%d%H%M%S}_{asked['fileName']}")
        document = SimDocument(
            next_number(office.clinic.documents),
            asked["demographicNo"],
            asked.get("description") or name,
            name,
            content,
            office.day(asked.get("observationDate")),
            asked.get("providerNo") or "",
        )
        office.clinic.add(document)
        office.enter("document", document.demographic_no, document.no, document.key)
        return json_answer({"id": document.no, "fileName": name, "description": document.description})


def _row(note: SimNote) -> dict[str, Any]:
    return {
        "noteId": note.no,
        "uuid": note.uuid,
        "note": note.text,
        "observationDate": int(note.observed.timestamp() * 1000),
        "providerNo": note.provider_no,
        "isSigned": note.signed,
    }


def _sanitised(name: str) -> str:
    """Source: MiscUtils.sanitizeFileName: no path, no accents."""
    plain = unicodedata.normalize("NFKD", name.rpartition("/")[2]).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]", "_", plain)
