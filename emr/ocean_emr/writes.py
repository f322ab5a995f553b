"""What we ask an EMR to write, and what became of it.

Values only. Chart content is left out of `repr`, as in `records.py`. Every write goes with a *key*: a UUID that
follows from the message it carries out, the same on every attempt, which the adapter puts where the EMR can be
searched for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar, Final

from ocean_emr.records import (
    Address,
    AppointmentId,
    HealthNumber,
    Operation,
    PatientId,
    ProviderId,
    Sex,
)

PROTECTED_FIELDS: Final = frozenset({"first_name", "last_name", "health_number", "birth_date", "sex"})
"""Of a patient: never changed by an update unless the chart's are blank.

Source: Ocean's EMR integrations FAQ ("Ocean never auto-updates name, health number, birth date or sex unless blank").
"""


class NoteKind(StrEnum):
    """What a note is. Source for the codes: Ocean's Cloud Connect FHIR guide, DocumentReference."""

    PROGRESS_NOTE = "51855-5"
    """LOINC "Patient Note"."""
    SECURE_MESSAGE = "69730-0"
    """LOINC "Instructions", which the guide gives to secure messages."""


@dataclass(frozen=True, slots=True)
class PatientQuery:
    """Whom to look for. By health number where there is one; else by surname and birth date together."""

    health_number: HealthNumber | None = field(default=None, repr=False)
    last_name: str | None = field(default=None, repr=False)
    birth_date: date | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NewPatient:
    """A chart to create. The caller has looked for the patient first."""

    operation: ClassVar[Operation] = Operation.CREATE_PATIENT

    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    birth_date: date = field(repr=False)
    sex: Sex = field(repr=False)
    health_number: HealthNumber | None = field(default=None, repr=False)
    address: Address | None = field(default=None, repr=False)
    home_phone: str | None = field(default=None, repr=False)
    mobile_phone: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    language: str | None = field(default=None, repr=False)
    """ISO 639-1 code."""
    provider_id: ProviderId | None = None
    """Who is most responsible."""


@dataclass(frozen=True, slots=True)
class NewAppointment:
    """A walk-in's booking, with status arrived: the patient stands at the kiosk."""

    operation: ClassVar[Operation] = Operation.CREATE_APPOINTMENT

    patient_id: PatientId
    provider_id: ProviderId
    start: datetime
    """Aware, in the clinic's own zone, whole minutes."""
    duration_minutes: int
    reason: str = field(default="", repr=False)
    appointment_type: str = ""
    """The EMR's own code or name of the type; empty for none."""
    location: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An appointment whose patient is here. Repeating it does no harm, so it needs no proof of its own."""

    operation: ClassVar[Operation] = Operation.MARK_ARRIVED

    appointment_id: AppointmentId


@dataclass(frozen=True, slots=True)
class NewNote:
    """A text for a chart."""

    operation: ClassVar[Operation] = Operation.WRITE_NOTE

    patient_id: PatientId
    kind: NoteKind
    title: str = field(repr=False)
    """One line; what a list of notes shows."""
    text: str = field(repr=False)
    """Plain text, lines separated by newlines, never blank."""
    observed_at: datetime
    """Aware: when the patient completed it."""


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A PDF for a chart."""

    operation: ClassVar[Operation] = Operation.UPLOAD_DOCUMENT

    patient_id: PatientId
    title: str = field(repr=False)
    pdf: bytes = field(repr=False)
    observed_at: datetime
    """Aware."""


@dataclass(frozen=True, slots=True)
class Demographics:
    """New values for a chart; None leaves what is there. Nothing can be made blank."""

    first_name: str | None = field(default=None, repr=False)
    last_name: str | None = field(default=None, repr=False)
    birth_date: date | None = field(default=None, repr=False)
    sex: Sex | None = field(default=None, repr=False)
    health_number: HealthNumber | None = field(default=None, repr=False)
    preferred_name: str | None = field(default=None, repr=False)
    address: Address | None = field(default=None, repr=False)
    home_phone: str | None = field(default=None, repr=False)
    work_phone: str | None = field(default=None, repr=False)
    mobile_phone: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    language: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DemographicsUpdate:
    """A change of one chart, and what the caller saw there before: it is made only where that still stands."""

    operation: ClassVar[Operation] = Operation.UPDATE_DEMOGRAPHICS

    patient_id: PatientId
    changes: Demographics
    """Only what differs from `base`, and nothing protected unless `base` is blank there."""
    base: Demographics
    """The chart's values of the changed fields when the caller read them."""


Write = NewPatient | NewAppointment | Arrival | NewNote | NewDocument | DemographicsUpdate
"""Anything that can be written. Its `operation` says what it is."""


class WriteStatus(StrEnum):
    """What a write did."""

    CREATED = "created"
    """It is there now, by this call, and was seen there where the EMR can be read back."""
    ALREADY_PRESENT = "already present"
    """An earlier attempt had written it: found by its key."""
    NOT_NEEDED = "not needed"
    """The EMR is already as the write would make it."""


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """A write that is done."""

    status: WriteStatus
    ref: str
    """The EMR's id of the record; empty where it tells none."""


class Probe(StrEnum):
    """What looking for a write by its key showed."""

    APPLIED = "applied"
    NOT_APPLIED = "not applied"
    """It is not there. Believe it only after the capability's `probe_lag_seconds` since the write was sent."""
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether a write with a certain key is in the EMR."""

    probe: Probe
    ref: str = ""
    """The EMR's id of what was found."""
