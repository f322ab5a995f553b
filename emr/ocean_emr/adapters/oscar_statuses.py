"""What a clinic's appointment statuses mean for somebody who arrives. Pure.

The letters are OSCAR's, their meaning is the clinic's to edit. Source: open-osp/Open-O, oscardata.sql and
AppointmentStatusTo1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ocean_emr.adapters.oscar_rows import StatusRow, status_of
from ocean_emr.errors import EmrConflictError, EmrWriteRefusedError
from ocean_emr.records import AppointmentStatus, Operation

_HERE: Final = "H"
"""As OSCAR is delivered."""
_MEANING_HERE: Final = frozenset(
    {
        "here",
        "arrived",
        "patient here",
        "patient arrived",
        "checked in",
        "ici",
        "arrivé",
        "arrivée",
        "présent",
        "présente",
    }
)
_MEANING_CONFIRMED: Final = ("confirmed", "confirmé")
_NOTE_LETTERS: Final = ("", "S", "V")
"""Behind the status: the note of the visit is signed or verified."""


@dataclass(frozen=True, slots=True)
class Statuses:
    """The letters that matter here."""

    here: str
    confirmed: frozenset[str]
    """Of the clinic's own: booked, and the patient has said to come."""


def statuses_of(rows: Iterable[StatusRow], op: Operation) -> Statuses:
    """What the clinic's list says.

    "Here" is the active status that is described so; OSCAR's own letter where several are, or none is.

    Raises:
        EmrWriteRefusedError: None can be told to mean that somebody is here.
    """
    active = {row.status: (row.description or "").strip().casefold() for row in rows if row.active}
    described = [letter for letter, meaning in active.items() if meaning in _MEANING_HERE]
    confirmed = frozenset(letter for letter, meaning in active.items() if meaning.startswith(_MEANING_CONFIRMED))
    if len(described) == 1:
        return Statuses(described[0], confirmed)
    if _HERE in active and (not described or _HERE in described):
        return Statuses(_HERE, confirmed)
    raise EmrWriteRefusedError(
        "no status of the clinic can be told to mean that the patient is here",
        op=op,
        remedy="In OSCAR's appointment statuses, describe one active status as Here. Then retry the message.",
    )


def after_arrival(code: str, statuses: Statuses) -> str | None:
    """The status an appointment of status `code` gets when its patient arrives; None if it says so already.

    Raises:
        EmrConflictError: Nobody is expected: it is cancelled, missed, or in a state that only the clinic knows.
    """
    letter, note = code[:1], code[1:]
    known = status_of(letter)
    if note in _NOTE_LETTERS:
        if letter == statuses.here or known in {AppointmentStatus.ARRIVED, AppointmentStatus.FULFILLED}:
            return None
        if known is AppointmentStatus.BOOKED or letter in statuses.confirmed:
            return statuses.here + note
    what = f"the appointment's status is {known}, so nobody is expected"
    raise EmrConflictError(what, op=Operation.MARK_ARRIVED)
