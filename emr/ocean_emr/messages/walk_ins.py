"""What becomes of somebody who checks in without an appointment. Pure: the EMR has been asked.

Ocean's own settings for walk-ins are not published; these are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from ocean_api.reasons import Reason
from ocean_api.v1alpha1.spec import WalkInsSpec
from ocean_emr.messages.deliveries import AppointmentContent, MessageHeldError, PatientContent
from ocean_emr.records import Appointment, AppointmentStatus, PatientId, ProviderId, Sex
from ocean_emr.writes import NewAppointment, NewPatient

_FREE: Final = frozenset({AppointmentStatus.CANCELLED, AppointmentStatus.NO_SHOW})
_MINUTE: Final = timedelta(minutes=1)


def provider_of(settings: WalkInsSpec) -> ProviderId:
    """In whose schedule walk-ins are booked.

    Raises:
        MessageHeldError: The clinic takes no walk-ins.
    """
    if not settings.enabled or settings.provider_id is None:
        raise MessageHeldError(Reason.WALK_INS_OFF, "the clinic takes no walk-ins (spec.messages.walkIns.enabled)")
    return ProviderId(settings.provider_id)


def new_patient(content: PatientContent, settings: WalkInsSpec) -> NewPatient:
    """The chart for somebody the EMR does not know.

    Raises:
        MessageHeldError: The clinic takes no new patients this way, or too little is known of this one.
    """
    provider = provider_of(settings)
    if not settings.allow_new_patients:
        words = "the EMR has no chart for this walk-in, and none is to be created (spec.messages.walkIns)"
        raise MessageHeldError(Reason.WALK_INS_OFF, words)
    given = content.details
    if not given.first_name or not given.last_name or given.birth_date is None:
        wanted = {"first name": given.first_name, "last name": given.last_name, "birth date": given.birth_date}
        lacking = ", ".join(name for name, value in wanted.items() if not value)
        raise MessageHeldError(Reason.MESSAGE_UNREADABLE, f"a chart cannot be created without {lacking}")
    return NewPatient(
        first_name=given.first_name,
        last_name=given.last_name,
        birth_date=given.birth_date,
        sex=given.sex or Sex.UNKNOWN,
        health_number=given.health_number,
        address=given.address,
        home_phone=given.home_phone,
        mobile_phone=given.mobile_phone,
        email=given.email,
        language=given.language,
        provider_id=provider,
    )


def booking(
    content: AppointmentContent, patient_id: PatientId, start: datetime, settings: WalkInsSpec
) -> NewAppointment:
    """The appointment, at `start`, for the patient's own reason or else the clinic's.

    Raises:
        MessageHeldError: The clinic takes no walk-ins.
    """
    return NewAppointment(
        patient_id=patient_id,
        provider_id=provider_of(settings),
        start=start,
        duration_minutes=settings.duration_minutes,
        reason=content.reason or settings.reason,
        appointment_type=settings.appointment_type,
        location=settings.location,
    )


def next_free(day: Sequence[Appointment], earliest: datetime, end: datetime, minutes: int) -> datetime:
    """The first minute at which a provider has nothing booked for `minutes` on end, in UTC.

    Args:
        day: All that the provider has that day. A booking whose length the EMR does not tell counts as `minutes` long.
        earliest: Not before then; whole minutes, aware.
        end: The day's end: the appointment begins before it.
        minutes: Length of the appointment.

    Raises:
        MessageHeldError: There is no such minute.
    """
    length = timedelta(minutes=minutes)
    booked = sorted(
        # Two datetimes of one zone are compared by their clocks, which show one hour of the year twice.
        (each.start.astimezone(UTC), each.start.astimezone(UTC) + _length(each, length))
        for each in day
        if each.status not in _FREE
    )
    candidate = earliest.astimezone(UTC)
    for starts, ends in booked:
        if ends <= candidate:
            continue
        if starts >= candidate + length:
            break
        candidate = ends
    if candidate >= end.astimezone(UTC):
        words = "the provider has no free time left that day for a walk-in (spec.messages.walkIns.slotPolicy)"
        raise MessageHeldError(Reason.WALK_INS_OFF, words)
    return candidate


def _length(appointment: Appointment, otherwise: timedelta) -> timedelta:
    known = appointment.duration_minutes
    return max(_MINUTE, timedelta(minutes=known)) if known is not None else otherwise
