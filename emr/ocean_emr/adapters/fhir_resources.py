"""FHIR R4 resources as our records. Pure: nothing is asked here, and what cannot be read is counted, never quoted.

The models name only the fields that are used; whatever else an EMR sends is passed over unread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from ocean_emr.records import Appointment, AppointmentId, AppointmentStatus, PatientId, Provider, ProviderId

_STATUS: Final = {
    "proposed": AppointmentStatus.PENDING,
    "pending": AppointmentStatus.PENDING,
    "waitlist": AppointmentStatus.PENDING,
    "booked": AppointmentStatus.BOOKED,
    "arrived": AppointmentStatus.ARRIVED,
    "checked-in": AppointmentStatus.ARRIVED,
    "fulfilled": AppointmentStatus.FULFILLED,
    "cancelled": AppointmentStatus.CANCELLED,
    "entered-in-error": AppointmentStatus.CANCELLED,
    "noshow": AppointmentStatus.NO_SHOW,
}
"""Source: FHIR R4, AppointmentStatus."""
STATUSES: Final = frozenset(_STATUS)
ARRIVABLE: Final = frozenset({"proposed", "pending", "booked"})
"""From these a patient may arrive."""
HERE: Final = frozenset({"arrived", "checked-in", "fulfilled"})
"""With these a patient has arrived."""

_ISSUE_TYPES = (
    "invalid structure required value invariant security login unknown expired forbidden suppressed processing"
    " not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly"
    " business-rule conflict transient lock-error no-store exception timeout incomplete throttled informational"
)
_ISSUE_CODES: Final = frozenset(_ISSUE_TYPES.split())
"""Source: FHIR R4, IssueType. A code that is not listed is the server's own text and not shown."""

_LESS_THAN_ALL: Final = frozenset({"incomplete", "suppressed", "too-costly", "timeout", "throttled", "transient"})
"""Issues that, in a search's answer, mean that something may be missing from it. Source: FHIR R4, IssueType."""

_PRIMARY_PERFORMER: Final = "PPRF"
"""Source: Ocean Cloud Connect FHIR guide, Appointment profile: the primary practitioner's participant type."""

MOST_BYTES: Final = 10_000_000
"""Of one attachment. Source: Ocean's DocumentReference profile: "should be at most 10 MB"."""

_ID: Final = re.compile(r"[A-Za-z0-9\-._~]{1,64}")


def is_id(text: str) -> bool:
    """Whether `text` can be a resource's id, and so be put into a path.

    Besides what the standard allows, `_` and `~` are taken, which some servers use and no address gives a meaning to;
    `.` and `..` are not. Source: FHIR R4, datatypes, `id`.
    """
    return _ID.fullmatch(text) is not None and text not in {".", ".."}


def _an_id(text: str) -> str:
    if not is_id(text):
        raise ValueError("no id")
    return text


def _moment(value: object) -> datetime:
    """An instant as FHIR writes it. pydantic would also take a number, and a date for its midnight."""
    if not isinstance(value, str) or "T" not in value:
        raise ValueError("no instant")
    return datetime.fromisoformat(value)


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]


def _without_nulls(value: object) -> object:
    """FHIR pads arrays with null where an element has only extensions. Source: FHIR R4, JSON representation."""
    return [item for item in value if item is not None] if isinstance(value, list) else value


_Item = TypeVar("_Item")
Items = Annotated[tuple[_Item, ...], BeforeValidator(_without_nulls)]
"""A FHIR array; absent is empty."""


class Part(BaseModel):
    """A part of a resource. Ids sent as numbers are taken as text: Ocean's own examples hold some. Null is absent.

    A representation names the type only: what is in it may be a patient's.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True
    )

    def __repr_args__(self) -> Sequence[tuple[str | None, Any]]:
        return ()

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


class Coding(Part):
    """A code."""

    system: str = ""
    code: str = ""
    display: str = ""


class Concept(Part):
    """A CodeableConcept."""

    coding: Items[Coding] = ()
    text: str = ""

    @property
    def words(self) -> str | None:
        """It in words, as well as the EMR can say it."""
        return first(self.text, *(coding.display for coding in self.coding), *(coding.code for coding in self.coding))

    def has(self, *codes: str) -> bool:
        """Whether one of `codes` is among its codes, of whatever system."""
        return any(coding.code in codes for coding in self.coding)


class Period(Part):
    """As far as its end is used: a date, or a moment that begins with its date."""

    end: str = ""


class Reference(Part):
    """A reference to a resource."""

    reference: str = ""
    display: str = ""

    def id_of(self, kind: str) -> str | None:
        """The id it refers to, if that is a resource of type `kind`; relative, absolute and versioned forms."""
        found = re.search(rf"(?:^|/){kind}/([^/]+)(?:/_history/[^/]+)?\Z", self.reference)
        return found[1] if found and is_id(found[1]) else None


class HumanName(Part):
    """A name."""

    use: str = ""
    text: str = ""
    family: str = ""
    given: Items[str] = ()
    prefix: Items[str] = ()
    period: Period = Period()


class Resource(Part):
    """What every resource we read has."""

    id: Annotated[str, AfterValidator(_an_id)]


class Link(Part):
    """A page link."""

    relation: str = ""
    url: str = ""


class Search(Part):
    """Why an entry is in an answer: `match`, `include` or `outcome`."""

    mode: str = "match"


class Entry(Part):
    """One entry of an answer, its resource still unread."""

    resource: dict[str, Any] = Field(default_factory=dict)
    search: Search = Search()

    @property
    def kind(self) -> object:
        """The resource's type."""
        return self.resource.get("resourceType")


class Issue(Part):
    """One issue of an OperationOutcome. Its texts are not read: they may quote a patient."""

    severity: str = ""
    code: str = ""


class OperationOutcome(Part):
    """What a server says about a request."""

    resource_type: Literal["OperationOutcome"]
    issue: Items[Issue] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """The standard's codes in it, each once, sorted."""
        return tuple(sorted({issue.code for issue in self.issue} & _ISSUE_CODES))


class Bundle(Part):
    """One page of a search's answer."""

    resource_type: Literal["Bundle"]
    total: int | None = None
    link: Items[Link] = ()
    entry: Items[Entry] = ()

    @property
    def next(self) -> str | None:
        """The address of the next page."""
        return first(*(link.url for link in self.link if link.relation == "next"))

    def matches(self, kind: str) -> Iterator[dict[str, Any]]:
        """The resources that were asked for, unread; what was only included is left out."""
        return (e.resource for e in self.entry if e.kind == kind and e.search.mode != "include")

    def less_than_all(self) -> tuple[str, ...]:
        """The codes by which the server says that something may be missing."""
        told: set[str] = set()
        for entry in self.entry:
            outcome = read(OperationOutcome, entry.resource) if entry.kind == "OperationOutcome" else None
            if outcome is None:
                continue
            if any(issue.severity in {"error", "fatal"} for issue in outcome.issue):
                told |= set(outcome.codes) or {"error"}
            told |= _LESS_THAN_ALL & set(outcome.codes)
        return tuple(sorted(told))


class Interaction(Part):
    """Something that can be done with a resource type."""

    code: str = ""


class SupportedResource(Part):
    """A resource type of the interface."""

    type: str = ""
    interaction: Items[Interaction] = ()


class Rest(Part):
    """One side of the interface."""

    mode: str = ""
    resource: Items[SupportedResource] = ()


class Software(Part):
    """What the server says it is."""

    name: str = ""
    version: str = ""

    @property
    def words(self) -> str:
        """Name and version, fit to be shown."""
        said = re.sub(r"[^\w .()/-]", "", f"{self.name} {self.version}", flags=re.ASCII).strip()
        return said[:64] or "unnamed server"


class CapabilityStatement(Part):
    """What the EMR's interface can do."""

    resource_type: Literal["CapabilityStatement"]
    fhir_version: str
    software: Software = Software()
    rest: Items[Rest] = ()

    def offers(self, kind: str, interaction: str) -> bool:
        """Whether `interaction` with resources of type `kind` is listed."""
        return any(
            resource.type == kind and any(can.code == interaction for can in resource.interaction)
            for rest in self.rest
            for resource in rest.resource
        )


class PractitionerResource(Resource):
    """Somebody who has a schedule."""

    resource_type: Literal["Practitioner"]
    active: bool = True
    name: Items[HumanName] = ()

    def to_provider(self) -> Provider:
        """Them, under their official name; a nameless one is shown by id."""
        name = next(iter(by_use(self.name, "official", "usual")), HumanName())
        full = first(name.text, ", ".join(part for part in (name.family, " ".join(name.given)) if part))
        return Provider(id=ProviderId(self.id), display_name=full or self.id, active=self.active)


class Participant(Part):
    """Somebody or something that takes part in an appointment."""

    actor: Reference = Reference()
    type: Items[Concept] = ()


class AppointmentResource(Resource):
    """A booking."""

    resource_type: Literal["Appointment"]
    status: str = ""
    start: Moment
    end: Moment | None = None
    minutes_duration: int | None = None
    description: str = ""
    reason_code: Items[Concept] = ()
    appointment_type: Concept = Concept()
    participant: Items[Participant] = ()

    @property
    def providers(self) -> tuple[ProviderId, ...]:
        """Whose it is: the primary performers first."""
        ranked = sorted(self.participant, key=lambda each: not any(kind.has(_PRIMARY_PERFORMER) for kind in each.type))
        ids = (each.actor.id_of("Practitioner") for each in ranked)
        return tuple(ProviderId(id_) for id_ in ids if id_)

    @property
    def patients(self) -> tuple[PatientId, ...]:
        """Who comes."""
        ids = (each.actor.id_of("Patient") for each in self.participant)
        return tuple(PatientId(id_) for id_ in ids if id_)

    @property
    def patient(self) -> PatientId | None:
        """Who comes; of several the first."""
        return next(iter(self.patients), None)

    def to_appointment(self, chosen: frozenset[ProviderId], zone: ZoneInfo) -> Appointment:
        """The booking on the clock of `zone`, as the first's of its providers who are `chosen`, else of the first.

        The order in which providers are asked plays no part, so a booking of two does not move between them. One
        without any provider has an empty id in their place.
        """
        reasons = (concept.words for concept in self.reason_code)
        return Appointment(
            id=AppointmentId(self.id),
            provider_id=next((each for each in self.providers if each in chosen), (*self.providers, ProviderId(""))[0]),
            patient_id=self.patient,
            start=self.start.astimezone(zone),
            duration_minutes=self._minutes(),
            status=_STATUS.get(self.status, AppointmentStatus.UNKNOWN),
            status_raw=self.status,
            reason=first(*reasons, self.description),
            visit_type=self.appointment_type.words,
        )

    def _minutes(self) -> int | None:
        between = int((self.end - self.start).total_seconds() // 60) if self.end else 0
        return next((minutes for minutes in (self.minutes_duration, between) if minutes and minutes > 0), None)


_Model = TypeVar("_Model", bound=BaseModel)


def read(model: type[_Model], raw: object) -> _Model | None:
    """`raw` as `model`; None if it is something else or cannot be read."""
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None


def first(*candidates: str | None) -> str | None:
    """The first that says something, without white space around it."""
    return next((text for text in (each.strip() for each in candidates if each) if text), None)


_Used = TypeVar("_Used", bound="HumanName | Any")


def by_use(items: Sequence[_Used], *wanted: str) -> list[_Used]:
    """`items` with those of the `wanted` uses in front, in that order; without those marked as no longer valid."""
    rank = {use: number for number, use in enumerate(wanted)}
    valid = [item for item in items if item.use not in {"old", "maiden"}]
    return sorted(valid, key=lambda item: rank.get(item.use, len(rank)))
