"""OSCAR's schedule: a window of it, provider by provider, and one patient's bookings.

Source: open-osp/Open-O ScheduleService, ScheduleManagerImpl, OscarAppointmentDaoImpl.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

import anyio

from ocean_emr.adapters.oscar_calls import COMMON_CAPS, SERVICES, booking, content, history_read, number, parsed
from ocean_emr.adapters.oscar_rows import AppointmentRow, ListedRow, Row
from ocean_emr.adapters.oscar_shapes import ShapeError
from ocean_emr.adapters.oscar_window import Part, Window
from ocean_emr.answers import Read
from ocean_emr.errors import (
    EmrAnswerError,
    EmrError,
    EmrNotFoundError,
    EmrPermissionDeniedError,
    EmrRecordError,
    EmrUnavailableError,
)
from ocean_emr.records import Appointment, AppointmentPage, Operation, PatientId
from ocean_emr.transport import Transport

NOBODY: Final = PatientId("-1")
"""No patient's number. Bookings without a patient have 0."""
_DETAILS_AT_ONCE: Final = 4

_SomeRow = TypeVar("_SomeRow", bound=Row)


class Schedule:
    """One clinic's schedule, and what its OSCAR was found to be able to."""

    def __init__(self, transport: Transport) -> None:
        """Ask nobody yet."""
        self._transport = transport
        self._one_call_reads = True
        """Whether `fetchDays` works here; some builds fail on every day that holds an appointment."""

    async def pages(self, window: Window, parts: Sequence[Part]) -> AsyncGenerator[AppointmentPage, None]:
        """The appointments of `parts`, a page for each, none of them the last; doubts are left in `window`.

        By `fetchDays` where it works, else by `fetchProviderAppts` and each appointment's own record. The day view
        would need fewer calls, but hides what was cancelled. `fetchProviderAppts` asks for no right, and a failing
        `fetchDays` may mean a missing one: nothing found that way is believed before the right is proven.
        """
        for part in parts:
            yield AppointmentPage(await self._appointments(part, window))
        if window.unreadable and not window.seen:
            what = f"none of {window.unreadable} appointments could be read"
            raise EmrAnswerError(what, op=Operation.LIST_APPOINTMENTS)
        if window.providers and not window.right_proven:
            window.right_unknown = not await self.right_proven(history_read(Operation.LIST_APPOINTMENTS, NOBODY))

    async def of_patient(
        self, patient: PatientId, start: datetime, end: datetime, zone: ZoneInfo
    ) -> tuple[Appointment, ...]:
        """The patient's appointments from `start` to `end`, both included, by time.

        Raises:
            EmrAnswerError: One of them could not be read, or the list may have been cut short before `start`.
        """
        rows = await bookings_of(self._transport, Operation.LIST_PATIENT_APPOINTMENTS, patient)
        try:
            items = [row.record(zone) for row in rows]
        except ShapeError:
            what = "one of the patient's appointments could not be read"
            raise EmrAnswerError(what, op=Operation.LIST_PATIENT_APPOINTMENTS) from None
        # The newest come first, so what is cut off is older than all the others.
        if len(items) in COMMON_CAPS and min(item.start for item in items) >= start:
            what = "the EMR may have cut the list of the patient's appointments short"
            raise EmrAnswerError(what, op=Operation.LIST_PATIENT_APPOINTMENTS)
        found = [item for item in items if start <= item.start <= end and item.patient_id == patient]
        return tuple(sorted(found, key=lambda item: item.start))

    async def right_proven(self, read: Read) -> bool:
        """Whether the answer to `read` shows that the login has the right for it; False if it shows nothing.

        Raises:
            EmrPermissionDeniedError: It has not.
        """
        try:
            await self._transport.read_json(read)
        except EmrNotFoundError:
            return True
        except EmrPermissionDeniedError:
            raise
        except EmrError as error:
            if error.http_status in {HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR}:
                return False
            raise
        return True

    async def _appointments(self, part: Part, window: Window) -> tuple[Appointment, ...]:
        """The part's appointments, as far as readable, each that no earlier part had."""
        found = []
        for row in await self._rows(part, window):
            try:
                inside = window.first <= row.day(window.zone) < window.end and row.providerNo in window.providers
                appointment = row.record(window.zone)
            except ShapeError:
                window.unreadable += 1
                continue
            # `fetchDays` compares provider numbers as numbers, so it also finds those of somebody called "0101".
            if inside and appointment.id not in window.seen:
                window.seen.add(appointment.id)
                found.append(appointment)
        return tuple(found)

    async def _rows(self, part: Part, window: Window) -> list[AppointmentRow]:
        as_numbers = tuple(p for p in part.providers if p.isascii() and p.isdigit())
        rows = []
        if as_numbers and self._one_call_reads:
            try:
                rows += await self._days(Part(as_numbers, part.first, part.end), window)
            except EmrUnavailableError as error:
                if error.http_status != HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise
                self._one_call_reads = False
        for provider in part.providers:
            if not self._one_call_reads or provider not in as_numbers:
                rows += await self._one_by_one(Part((provider,), part.first, part.end), window)
        return rows

    async def _days(self, part: Part, window: Window) -> list[AppointmentRow]:
        """By `fetchDays`, whose end is inclusive and whose providers must be numbers."""
        last = part.end - timedelta(days=1)
        providers = ",".join(part.providers)
        path = f"{SERVICES}/schedule/fetchDays/{part.first}/{last}/{providers}"
        raw, cut = await self._list(path, ("appointmentExt",))
        window.right_proven = True
        if cut and (halves := part.halves()):
            return [row for half in halves for row in await self._days(half, window)]
        window.cut |= cut
        return self._readable(AppointmentRow, raw, window)

    async def _one_by_one(self, part: Part, window: Window) -> list[AppointmentRow]:
        """By `fetchProviderAppts`, whose end is exclusive and whose rows lack the time, and each one's own record."""
        provider = quote(part.providers[0], safe="")
        path = f"{SERVICES}/schedule/fetchProviderAppts/{provider}/{part.first}/{part.end}"
        raw, cut = await self._list(path, ("ProviderPeriodApps",))
        if cut and (halves := part.halves()):
            return [row for half in halves for row in await self._one_by_one(half, window)]
        window.cut |= cut
        listed = self._readable(ListedRow, raw, window)
        return await self._details([row.appointmentNo for row in listed], window)

    async def _list(self, path: str, keys: Sequence[str]) -> tuple[list[Any], bool]:
        """The rows, and whether the server may have kept some back."""
        op = Operation.LIST_APPOINTMENTS
        answer = await self._transport.read_json(Read(op, path))
        rows = content(answer, keys, op)
        total = answer.get("total") if isinstance(answer, dict) else None
        # `total` is 0 on most builds, whatever the list holds.
        return rows, len(rows) in COMMON_CAPS or (isinstance(total, int) and total > len(rows))

    async def _details(self, ids: Sequence[str], window: Window) -> list[AppointmentRow]:
        """The appointments' own records in the order of `ids`, without those deleted meanwhile."""
        rows: dict[str, AppointmentRow] = {}
        failures: list[EmrError] = []
        places = anyio.Semaphore(_DETAILS_AT_ONCE)

        async def read_one(appointment: str) -> None:
            async with places:
                try:
                    rows[appointment] = await booking(self._transport, Operation.LIST_APPOINTMENTS, appointment)
                    window.right_proven = True
                except EmrNotFoundError:
                    window.right_proven = True
                except EmrRecordError:
                    window.unreadable += 1
                except EmrError as error:
                    failures.append(error)
                    group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for appointment in ids:
                group.start_soon(read_one, appointment)
        if failures:
            raise failures[0]
        return [rows[appointment] for appointment in ids if appointment in rows]

    @staticmethod
    def _readable(model: type[_SomeRow], raw: Sequence[Any], window: Window) -> list[_SomeRow]:
        rows = [parsed(model, row) for row in raw]
        window.unreadable += rows.count(None)
        return [row for row in rows if row is not None]


async def bookings_of(transport: Transport, op: Operation, patient: PatientId) -> list[AppointmentRow]:
    """The bookings that OSCAR lists for a patient, the newest first.

    Raises:
        EmrNotFoundError: There can be no such patient; of one who only might be there, OSCAR lists nothing.
        EmrAnswerError: One of them is in no form of a booking.
    """
    number(patient, op)
    answer = await transport.read_json(history_read(op, patient))
    rows = [parsed(AppointmentRow, raw) for raw in content(answer, ("appointments",), op)]
    if None in rows:
        raise EmrAnswerError("one of the patient's appointments could not be read", op=op)
    return [row for row in rows if row is not None]
