"""What adapters hand to the rest of the data plane: one clinic's records, in our words.

Values only. Whatever may hold something of a patient is left out of `repr`, so that a log line or a failed assertion
shows ids at most. Ids are the EMR's own and opaque: compare them, never compute with them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import NewType

ProviderId = NewType("ProviderId", str)
AppointmentId = NewType("AppointmentId", str)
PatientId = NewType("PatientId", str)


class Operation(StrEnum):
    """What can be asked of an EMR. Named in capabilities and in every error."""

    CHECK_CONNECTION = "check connection"
    LIST_PROVIDERS = "list providers"
    LIST_APPOINTMENTS = "list appointments"
    GET_PATIENT = "get patient"
    LIST_PATIENT_APPOINTMENTS = "list a patient's appointments"
    FIND_PATIENTS = "find patients"
    CREATE_PATIENT = "create patient"
    CREATE_APPOINTMENT = "create appointment"
    MARK_ARRIVED = "mark arrived"
    WRITE_NOTE = "write note"
    UPLOAD_DOCUMENT = "upload document"
    UPDATE_DEMOGRAPHICS = "update demographics"


class AppointmentStatus(StrEnum):
    """How far an appointment has come. Clinics add codes of their own: these are `UNKNOWN`, with `status_raw` kept."""

    PENDING = "pending"
    """Asked for, on a waiting list, not yet agreed."""
    BOOKED = "booked"
    ARRIVED = "arrived"
    """In the clinic, until the visit is over."""
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    NO_SHOW = "no-show"
    UNKNOWN = "unknown"


class Sex(StrEnum):
    """Administrative sex. Source: FHIR R4, AdministrativeGender."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Provider:
    """Somebody who has a schedule in the EMR."""

    id: ProviderId
    display_name: str
    """As the EMR shows it, for instance "Tremblay, Zoé"."""
    billing_number: str | None = None
    active: bool = True


@dataclass(frozen=True, slots=True)
class Appointment:
    """One booking as the EMR holds it, cancelled ones included."""

    id: AppointmentId
    provider_id: ProviderId
    patient_id: PatientId | None
    """None for a booking without a patient, such as a blocked hour."""
    start: datetime
    """Aware, in the clinic's own zone. What happens in the hours of a clock change: `clinic_time.py`."""
    duration_minutes: int | None
    """None where the EMR's list does not say."""
    status: AppointmentStatus
    status_raw: str
    """The EMR's own code; empty where it has none."""
    reason: str | None = field(default=None, repr=False)
    """Why the patient comes, in the clinic's words."""
    visit_type: str | None = field(default=None, repr=False)
    """The EMR's appointment type."""


@dataclass(frozen=True, slots=True)
class AppointmentPage:
    """A part of an answer. An answer that broke off before its last page is as incomplete as every page before."""

    items: tuple[Appointment, ...]
    last: bool = False
    """Whether the EMR has been asked everything. The two fields below are set on the last page only."""
    hidden_provider_ids: frozenset[ProviderId] = frozenset()
    """Chosen providers whom the EMR does not show to this login: their days prove nothing."""
    doubts: tuple[str, ...] = ()
    """Why something may be missing, as sentences that are safe to show."""

    @property
    def complete(self) -> bool:
        """Whether what no page held is not in the EMR. Only then may an empty day be read as a free one."""
        return self.last and not self.hidden_provider_ids and not self.doubts


@dataclass(frozen=True, slots=True, repr=False)
class HealthNumber:
    """A provincial health number."""

    value: str
    province: str | None = None
    """Two capital letters, such as "ON"."""
    version: str | None = None
    expires_on: date | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A postal address, as far as the EMR divides it."""

    street: str | None = None
    """Lines are separated by newlines."""
    city: str | None = None
    province: str | None = None
    postal_code: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class EmergencyContact:
    """Whom to call for the patient."""

    name: str
    phone: str | None = None
    relationship: str | None = None


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient's demographics as the EMR gives them; None or empty where it does not."""

    id: PatientId
    active: bool | None = None
    title: str | None = field(default=None, repr=False)
    first_name: str | None = field(default=None, repr=False)
    middle_names: str | None = field(default=None, repr=False)
    last_name: str | None = field(default=None, repr=False)
    preferred_name: str | None = field(default=None, repr=False)
    birth_date: date | None = field(default=None, repr=False)
    sex: Sex = field(default=Sex.UNKNOWN, repr=False)
    health_number: HealthNumber | None = field(default=None, repr=False)
    alternate_id: str | None = field(default=None, repr=False)
    """The clinic's own number for the patient, such as a chart number."""
    addresses: tuple[Address, ...] = field(default=(), repr=False)
    """Home first."""
    home_phone: str | None = field(default=None, repr=False)
    work_phone: str | None = field(default=None, repr=False)
    mobile_phone: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    language: str | None = field(default=None, repr=False)
    """ISO 639-1 code, such as "fr"."""
    primary_provider_id: ProviderId | None = None
    """The clinic's provider most responsible for the patient."""
    family_doctor: str | None = field(default=None, repr=False)
    """Name of a family doctor outside the clinic."""
    emergency_contact: EmergencyContact | None = field(default=None, repr=False)
