"""What a message from Ocean is on its way to the EMR: an event, and the deliveries it becomes.

Values only. A delivery's content is chart content: it is kept sealed, and none of it is in any `repr`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID, uuid5

from pydantic import AwareDatetime, ConfigDict, ValidationError

from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_emr.confidential import Confidential
from ocean_emr.messages.words import Words
from ocean_emr.ocean.inbound_profile import EventType
from ocean_emr.records import HealthNumber, PatientId, Sex
from ocean_emr.writes import Demographics

_KEYS: Final = UUID("5d1c4b0e-6d0f-5c1e-9a55-0cea4c0de001")
"""Namespace of the keys of our writes. Changing it would write everything that is under way a second time."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a webhook said. Holds nothing of a patient but Ocean's own references."""

    type: str
    """One of `EventType`, or something we do not know."""
    ref: str
    """Ocean's reference of the patient or, for a referral's record, of the referral."""
    session: str
    """Ocean's session; empty where the event has none."""
    source: str
    """Where a note was completed: PORTAL, PATIENT or TABLET; empty where Ocean does not say."""
    received_at: datetime
    """Aware: when the gateway stored it."""

    @property
    def ends_sitting(self) -> bool:
        """Whether it says that the patient has completed all that was asked."""
        return self.type == EventType.FORMS_COMPLETED


class Kind(StrEnum):
    """What a delivery brings to the EMR. The words stand in the table `ocean.message`: they never change."""

    NOTE = "note"
    """A progress note, of one form or of several that were combined."""
    TRANSCRIPT = "transcript"
    """A conversation by secure message."""
    DEMOGRAPHICS = "demographics"
    """What the patient says of address, telephone and so on."""
    DOCUMENT = "document"
    """A file for the chart."""
    ARRIVED = "arrived"
    """The patient is here: appointments are marked."""
    PATIENT = "patient"
    """A walk-in's chart: found, or created."""
    APPOINTMENT = "appointment"
    """A walk-in's booking."""


class Content(Confidential):
    """What is delivered, as it is sealed into the queue."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class Person(Content):
    """Who a delivery is about, as Ocean had it when the message was fetched."""

    ref: str
    """Ocean's reference of the patient at this site; empty for a referral from another site."""
    chart_id: str = ""
    """The chart's id in the EMR as Ocean knows it (its external reference); empty where it knows none."""
    first_name: str | None = None
    last_name: str | None = None
    birth_date: date | None = None
    sex: Sex = Sex.UNKNOWN
    health_number: HealthNumber | None = None


class NotePart(Content):
    """What one form or one conversation says."""

    title: str
    """One line; may be empty."""
    text: str
    """Lines separated by newlines; never blank."""


class NoteContent(Content):
    """Of `NOTE` and `TRANSCRIPT`. `notes.py` combines several, and makes one text of the parts."""

    person: Person
    parts: tuple[NotePart, ...]
    """At least one, in the order in which they came."""
    observed_at: AwareDatetime
    """When the first part came."""


class DemographicsContent(Content):
    """Of `DEMOGRAPHICS`."""

    person: Person
    given: Demographics
    """What the patient gave, whether the chart has it already or not; None where the patient gave nothing."""
    others: tuple[tuple[str, str], ...] = ()
    """What the patient gave for fields that have no place in `given`: Ocean's name of the field, and the value."""
    observed_at: AwareDatetime


class RecordPart(Content):
    """A heading in our words and what stands below it."""

    heading: Words
    at: AwareDatetime | None = None
    """A moment that stands before the text, in the clinic's time."""
    text: str = ""


class DocumentContent(Content):
    """Of `DOCUMENT`: a file, a record in our words, or the trouble there was with a file."""

    person: Person
    title: str
    """One line: the file's name, or what the record is about; may be empty."""
    observed_at: AwareDatetime
    content_type: str = ""
    """As Ocean gives it, for instance `application/pdf`."""
    data: bytes = b""
    """The file."""
    record: tuple[RecordPart, ...] = ()
    """What there is instead of a file."""
    trouble: Reason | None = None
    """Why the file could not be had. Fetching it again would be another message's work."""


class ArrivedContent(Content):
    """Of `ARRIVED`."""

    person: Person
    at: AwareDatetime
    """When the patient checked in."""


class PatientContent(Content):
    """Of `PATIENT`."""

    person: Person
    details: Demographics
    """What a new chart would begin with."""


class AppointmentContent(Content):
    """Of `APPOINTMENT`."""

    person: Person
    at: AwareDatetime
    """When the patient checked in."""
    reason: str = ""
    """As the patient gave it; empty where none was given."""


_CONTENT: Final[dict[Kind, type[Content]]] = {
    Kind.NOTE: NoteContent,
    Kind.TRANSCRIPT: NoteContent,
    Kind.DEMOGRAPHICS: DemographicsContent,
    Kind.DOCUMENT: DocumentContent,
    Kind.ARRIVED: ArrivedContent,
    Kind.PATIENT: PatientContent,
    Kind.APPOINTMENT: AppointmentContent,
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing that the EMR must have exactly once. `source_id` and `version` name it for ever."""

    source_id: str
    """Made of Ocean's own ids; the same however often Ocean tells of it."""
    version: int
    """Not negative; another one is another delivery."""
    kind: Kind
    content: Content = field(repr=False)

    @property
    def own_lane(self) -> bool:
        """Whether it need not wait for what else is on its way to the patient's chart."""
        return self.kind is Kind.ARRIVED

    def body(self) -> bytes:
        """The content, to be sealed."""
        return self.content.model_dump_json().encode()

    @classmethod
    def of(cls, source_id: str, version: int, kind: Kind, body: bytes) -> Delivery:
        """The delivery whose `body` was kept.

        Raises:
            MessageHeldError: Another version of this product wrote it, in a form that is not known here.
        """
        try:
            content = _CONTENT[kind].model_validate_json(body)
        except ValidationError:
            # `from None`: the error names what it could not read.
            words = "what was kept of this message is not in a form that this version knows"
            raise MessageHeldError(Reason.MESSAGE_UNREADABLE, words) from None
        return cls(source_id, version, kind, content)


class MessageHeldError(Exception):
    """This message needs a person; others go on."""

    def __init__(self, reason: Reason, words: str) -> None:
        """Say in `words` what is the matter: one clause without a full stop that holds nothing of a patient."""
        super().__init__(f"{reason}: {words}")
        self.reason = reason
        self.words = words

    @property
    def remedy(self) -> str:
        """What to do next."""
        return EXPLANATIONS[self.reason].remedy


class ChartLinks(Protocol):
    """Which chart is whose, once it was found out."""

    async def get(self, ref: str) -> PatientId | None:
        """The chart of Ocean's patient `ref`, if it is known."""
        ...

    async def put(self, ref: str, patient_id: PatientId) -> None:
        """Keep it, in the place of what was known."""
        ...


def write_key(site: str, source_id: str, version: int, place: int) -> UUID:
    """What names the write at `place` among a delivery's writes, for ever.

    Args:
        site: The clinic, as `namespace/name`.
        source_id: Of the delivery.
        version: Of the delivery.
        place: From 0.
    """
    return uuid5(_KEYS, f"{site}/{source_id}/{version}/{place}")
