"""Arrivals and walk-ins in OSCAR.

Neither is checked there: a status is overwritten whatever it was, and a booking is taken as often as it is sent.
Source: open-osp/Open-O ScheduleService, NewAppointmentConverter, AppointmentManagerImpl.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from ocean_emr.adapters.oscar_calls import SERVICES, booking, chart, content, number, parsed, proving, refused
from ocean_emr.adapters.oscar_rows import AppointmentRow, StatusRow
from ocean_emr.adapters.oscar_schedule import bookings_of
from ocean_emr.adapters.oscar_statuses import Statuses, after_arrival, statuses_of
from ocean_emr.answers import Read, Send
from ocean_emr.errors import EmrConflictError, EmrOutcomeUnknownError
from ocean_emr.records import Operation
from ocean_emr.transport import Transport
from ocean_emr.writes import Arrival, NewAppointment, Probe, ProbeResult, WriteOutcome, WriteStatus

_MARKER_DIGITS: Final = 8
"""Of the key: enough to tell the few bookings of one patient apart, and short enough for people to pass over."""


def marker(key: UUID) -> str:
    """What is written into a record that has no place for a key."""
    return f"[BR:{key.hex[:_MARKER_DIGITS]}]"


class Visits:
    """The bookings of one clinic, for writing."""

    def __init__(self, transport: Transport) -> None:
        """Ask nobody yet."""
        self._transport = transport

    async def arrive(self, arrival: Arrival) -> WriteOutcome:
        """Set the clinic's status for somebody who is here, from a status that expects the patient.

        The status is read just before; a change of it within the moment between is lost, since OSCAR offers no way to
        write only where nothing changed.

        Raises:
            EmrConflictError: Nobody is expected (any more).
            EmrError: As the contract says.
        """
        op, ref = Operation.MARK_ARRIVED, arrival.appointment_id
        statuses = await self._statuses(op)
        wanted = after_arrival((await booking(self._transport, op, ref)).status or "", statuses)
        if wanted is None:
            return WriteOutcome(WriteStatus.NOT_NEEDED, ref)
        path = f"{SERVICES}/schedule/appointment/{number(ref, op)}/updateStatus"
        await self._transport.write(Send(op, path, json={"status": wanted}))
        with proving(op):
            now = (await booking(self._transport, op, ref)).status or ""
        if after_arrival(now, statuses) is not None:
            raise EmrOutcomeUnknownError("the EMR took the status and does not show it", op=op)
        return WriteOutcome(WriteStatus.CREATED, ref)

    async def has_arrived(self, arrival: Arrival) -> ProbeResult:
        """Whether the appointment says that its patient is, or was, here."""
        op, ref = Operation.MARK_ARRIVED, arrival.appointment_id
        statuses = await self._statuses(op)
        try:
            wanted = after_arrival((await booking(self._transport, op, ref)).status or "", statuses)
        except EmrConflictError:
            return ProbeResult(Probe.NOT_APPLIED)
        return ProbeResult(Probe.NOT_APPLIED) if wanted else ProbeResult(Probe.APPLIED, ref)

    async def book(self, visit: NewAppointment, key: UUID) -> WriteOutcome:
        """Book a walk-in, unless the patient has a booking with this key.

        Raises:
            EmrError: As the contract says.
        """
        op = Operation.CREATE_APPOINTMENT
        await chart(self._transport, op, visit.patient_id)
        before = await self._marked(visit, key)
        if before is not None:
            return WriteOutcome(WriteStatus.ALREADY_PRESENT, before.id)
        await self._check_provider(visit)
        here = (await self._statuses(op)).here
        send = Send(op, f"{SERVICES}/schedule/add", json=_new_booking(visit, key, here))
        answer = await self._transport.write_json(send)
        made = parsed(AppointmentRow, answer.get("appointment") if isinstance(answer, dict) else None)
        with proving(op):
            seen = await booking(self._transport, op, made.id) if made else await self._marked(visit, key)
        if seen is None or marker(key) not in (seen.notes or ""):
            raise EmrOutcomeUnknownError("the EMR took the booking and does not show it", op=op)
        return WriteOutcome(WriteStatus.CREATED, seen.id)

    async def booked(self, visit: NewAppointment, key: UUID) -> ProbeResult:
        """Whether the patient has a booking with this key."""
        row = await self._marked(visit, key)
        return ProbeResult(Probe.APPLIED, row.id) if row else ProbeResult(Probe.NOT_APPLIED)

    async def _marked(self, visit: NewAppointment, key: UUID) -> AppointmentRow | None:
        rows = await bookings_of(self._transport, Operation.CREATE_APPOINTMENT, visit.patient_id)
        return next((row for row in rows if marker(key) in (row.notes or "")), None)

    async def _check_provider(self, visit: NewAppointment) -> None:
        """OSCAR books with anybody, and what is booked with nobody is on no schedule."""
        op = Operation.CREATE_APPOINTMENT
        answer = await self._transport.read_json(Read(op, f"{SERVICES}/providerService/providers_json"))
        shown = {str(row.get("providerNo")) for row in content(answer, (), op) if isinstance(row, dict)}
        if visit.provider_id not in shown:
            raise refused(
                "the EMR shows no provider with the number that walk-ins are booked with",
                op,
                "Correct the provider in the site's settings for walk-ins, then retry the message.",
            )

    async def _statuses(self, op: Operation) -> Statuses:
        answer = await self._transport.read_json(Read(op, f"{SERVICES}/schedule/statuses"))
        rows = [parsed(StatusRow, raw) for raw in content(answer, (), op)]
        return statuses_of((row for row in rows if row is not None), op)


def _new_booking(visit: NewAppointment, key: UUID, status: str) -> dict[str, Any]:
    """The body of `schedule/add`. OSCAR takes the wall clock, and two digits for the hour or it means another one."""
    return {
        "providerNo": visit.provider_id,
        "appointmentDate": f"{visit.start:%Y-%m-%d}",
        "startTime": f"{visit.start:%H:%M}",
        "duration": visit.duration_minutes,
        "demographicNo": int(visit.patient_id),
        "status": status,
        "reason": visit.reason,
        "type": visit.appointment_type,
        "location": visit.location,
        "notes": marker(key),
        "resources": "",
        "urgency": "",
    }
