"""What the simulated OSCAR holds. Nobody in it is real."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final

SYSTEM_ACCOUNT: Final = "999998"
ALSO_SYSTEM: Final = "-1"
NO_DOCTOR: Final = "<rdohip></rdohip><rd></rd>"
"""OSCAR's mark-up of a doctor elsewhere, empty."""


@dataclass(frozen=True, slots=True)
class SimProvider:
    """A row of OSCAR's provider table."""

    no: str
    last_name: str
    first_name: str
    ohip_no: str = ""


@dataclass(frozen=True, slots=True)
class SimAppointment:
    """A row of OSCAR's appointment table: wall clock, no zone."""

    no: int
    provider_no: str
    day: date
    clock: time
    minutes: int = 15
    demographic_no: int = 0
    """0: nobody."""
    status: str | None = "t"
    reason: str = ""
    type: str = ""
    notes: str = ""
    location: str = ""

    @property
    def end(self) -> time:
        """The last minute, which is what OSCAR stores."""
        return (datetime.combine(self.day, self.clock) + timedelta(minutes=self.minutes - 1)).time()

    @property
    def key(self) -> str:
        """The marker of ours in its notes."""
        return marker_in(self.notes)


@dataclass(frozen=True, slots=True)
class SimPatient:
    """A row of OSCAR's demographic table, and of the tables beside it."""

    no: int
    last_name: str
    first_name: str
    birth: date
    sex: str = "F"
    hin: str = ""
    version: str = ""
    province: str = "ON"
    """Of the health card."""
    card_renewal: date | None = None
    status: str = "AC"
    phone: str = ""
    work_phone: str = ""
    email: str = ""
    language: str = "English"
    street: str = ""
    city: str = ""
    home_province: str = ""
    postal: str = ""
    provider_no: str = ""
    family_doctor: str = NO_DOCTOR
    alias: str = ""
    chart_no: str = ""
    roster_status: str = ""
    joined: date | None = None
    effective: date | None = None

    # In the table, and unknown to the REST interface: every PUT empties them.
    residence: str = ""
    enrolled_to: str = ""

    # Of tables of their own.
    mobile: str = ""
    """A further field, `demo_cell`."""
    nurse: str = ""
    alert: str = ""
    waiting_list: int | None = None
    waiting_since: date | None = None
    admitted: bool = True
    """To a programme; without, nobody finds the patient on OSCAR's own pages."""


@dataclass(frozen=True, slots=True)
class SimNote:
    """A row of OSCAR's note table: one revision. A chart shows the last one of each `uuid`."""

    no: int
    demographic_no: int
    uuid: str
    text: str = field(repr=False)
    observed: datetime
    provider_no: str
    signed: bool = False


@dataclass(frozen=True, slots=True)
class SimDocument:
    """A row of OSCAR's document table, and its file."""

    no: int
    demographic_no: int
    description: str = field(repr=False)
    file_name: str
    content: bytes = field(repr=False)
    observed: date | None
    routed_to: str = ""
    """The provider in whose inbox it is."""

    @property
    def key(self) -> str:
        """The marker of ours in its title."""
        return marker_in(self.description)


@dataclass(frozen=True, slots=True)
class SimStatus:
    """A row of OSCAR's table of appointment statuses, which the clinic edits."""

    code: str
    description: str
    active: bool = True


_MARKER: Final = re.compile(r"\[BR:([0-9a-f]+)\]")


def marker_in(text: str) -> str:
    """What `[BR:…]` in `text` says; empty without one."""
    match = _MARKER.search(text)
    return match[1] if match else ""


# Source: open-osp/Open-O, oscardata.sql.
_STATUSES: Final = (
    SimStatus("t", "To Do"),
    SimStatus("T", "Daysheet Printed"),
    SimStatus("H", "Here"),
    SimStatus("P", "Picked"),
    SimStatus("E", "Empty Room"),
    SimStatus("a", "Customized 1"),
    SimStatus("b", "Customized 2"),
    SimStatus("c", "Customized 3", active=False),
    SimStatus("h", "Confirmed"),
    SimStatus("N", "No Show"),
    SimStatus("C", "Cancelled"),
    SimStatus("B", "Billed"),
)

Row = SimProvider | SimAppointment | SimPatient | SimNote | SimDocument | SimStatus


@dataclass(slots=True)
class SimClinic:
    """The database of one OSCAR."""

    providers: dict[str, SimProvider] = field(default_factory=dict)
    appointments: dict[int, SimAppointment] = field(default_factory=dict)
    patients: dict[int, SimPatient] = field(default_factory=dict)
    notes: dict[int, SimNote] = field(default_factory=dict)
    documents: dict[int, SimDocument] = field(default_factory=dict)
    statuses: dict[str, SimStatus] = field(default_factory=lambda: {status.code: status for status in _STATUSES})
    watch: Callable[[Row | int], None] | None = field(default=None, repr=False, compare=False)
    """Told of each row that is put in, and of each appointment that is deleted, by its number."""

    def add(self, *rows: Row) -> None:
        """Put `rows` in, each in the place of one with the same number."""
        for row in rows:
            match row:
                case SimProvider():
                    self.providers[row.no] = row
                case SimAppointment():
                    self.appointments[row.no] = row
                case SimPatient():
                    self.patients[row.no] = row
                case SimNote():
                    self.notes[row.no] = row
                case SimDocument():
                    self.documents[row.no] = row
                case SimStatus():
                    self.statuses[row.code] = row
            if self.watch:
                self.watch(row)

    def delete(self, appointment: int) -> bool:
        """Take an appointment out; False if there is none of this number."""
        gone = self.appointments.pop(appointment, None)
        if gone and self.watch:
            self.watch(appointment)
        return gone is not None

    def become(self, other: SimClinic) -> None:
        """Hold what `other` holds, and nothing else."""
        for name in ("providers", "appointments", "patients", "notes", "documents", "statuses"):
            setattr(self, name, getattr(other, name))

    def shown_notes(self, demographic_no: int) -> list[SimNote]:
        """What the chart shows: of each note the last revision, the newest observation first."""
        # Source: scoophealth/oscar CaseManagementNoteDAO: the greatest id of each uuid, wherever it stands.
        last = {note.uuid: note for note in self.notes.values()}
        mine = (note for note in last.values() if note.demographic_no == demographic_no)
        return sorted(mine, key=lambda note: (note.observed, note.no), reverse=True)


def next_number(table: Iterable[int]) -> int:
    """A number that nothing in `table` has."""
    return max(table, default=0) + 1
