"""What the simulator was asked, what it showed and what it wrote: three different things when answers get lost."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Final

from ocean_emr.testing.oscar_sim.clinic import SimClinic

_KEPT: Final = 10_000


@dataclass(slots=True)
class Received:
    """One request."""

    method: str
    path: str
    login: str = ""
    """`accepted`, `unsigned`, or the code of the refusal; empty if it never came to that."""
    fault: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """One change that was carried out, whether its answer arrived or not."""

    what: str
    """`note`, `document`, `appointment`, `arrival`, `chart`, or `update`."""
    patient: int
    ref: str
    key: str
    """Of ours, as far as the record shows it."""
    who: str
    """The provider whose login it was."""
    at: str
    """UTC, ISO 8601."""


class Ledger:
    """The last requests, every change, and how often each record was put into an answer."""

    def __init__(self) -> None:
        self.received: deque[Received] = deque(maxlen=_KEPT)
        self.total = 0
        """Requests received, those no longer kept included."""
        self.writes = 0
        """Of these, those that would change something, whatever became of them."""
        self.written: list[Written] = []
        self.shown: Counter[str] = Counter()
        """`appointment 5001`, `patient 1001`: how many answers held it."""
        self.watch: Callable[[Written], None] | None = None
        """Told of each change."""

    def enter(self, method: str, path: str, *, writes: bool) -> Received:
        """A new entry; its other fields are filled in as they become known."""
        entry = Received(method, path)
        self.received.append(entry)
        self.total += 1
        self.writes += writes
        return entry

    def write(self, change: Written) -> None:
        """Something was written."""
        self.written.append(change)
        if self.watch:
            self.watch(change)

    def clear(self) -> None:
        """Forget."""
        self.received.clear()
        self.written.clear()
        self.shown.clear()
        self.total = self.writes = 0

    def as_json(self) -> dict[str, Any]:
        """For people and scripts."""
        return {
            "total": self.total,
            "writes": self.writes,
            "received": [asdict(entry) for entry in self.received],
            "written": [asdict(entry) for entry in self.written],
            "shown": dict(self.shown),
        }


def visible(clinic: SimClinic) -> dict[str, Any]:
    """What a person at the clinic sees of what can be written, by chart: each note and booking once, with its key."""
    revisions = Counter(note.uuid for note in clinic.notes.values())
    charts = {*clinic.patients, *(note.demographic_no for note in clinic.notes.values())}
    return {
        "notes": [
            {
                "patient": chart,
                "key": note.uuid,
                "text": note.text,
                "observed": note.observed.isoformat(),
                "revisions": revisions[note.uuid],
            }
            for chart in sorted(charts)
            for note in clinic.shown_notes(chart)
        ],
        "documents": [
            {
                "patient": row.demographic_no,
                "key": row.key,
                "title": row.description,
                "fileName": row.file_name,
                "sha256": sha256(row.content).hexdigest(),
            }
            for row in clinic.documents.values()
        ],
        "appointments": [
            {
                "no": row.no,
                "patient": row.demographic_no,
                "provider": row.provider_no,
                "day": row.day.isoformat(),
                "clock": row.clock.isoformat("minutes"),
                "status": row.status,
                "reason": row.reason,
                "key": row.key,
            }
            for row in clinic.appointments.values()
        ],
        "patients": [
            {"no": row.no, "lastName": row.last_name, "hin": row.hin, "email": row.email, "status": row.status}
            for row in clinic.patients.values()
        ],
    }
