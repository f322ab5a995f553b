"""OSCAR's schedule service, with its habits.

Source: open-osp/Open-O and scoophealth/oscar: ScheduleService, NewAppointmentConverter, AppointmentManagerImpl,
OscarAppointmentDao; and a running Open-O of March 2026.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from ocean_emr.testing.oscar_sim.clinic import SimAppointment, SimPatient, next_number
from ocean_emr.testing.oscar_sim.faults import FaultKind
from ocean_emr.testing.oscar_sim.office import Call, Office, Route, crash, denied, masked
from ocean_emr.testing.oscar_sim.signatures import Profile
from ocean_emr.testing.oscar_sim.spoiling import json_answer

_CAP: Final = 50
_MOST: Final = 5000
"""Source: AbstractDao, MAX_LIST_RETURN_SIZE."""
_DELETED: Final = {None, "D"}


class Schedule:
    """Everything below `schedule/`."""

    def __init__(self, office: Office) -> None:
        """Answer for `office`."""
        self._office = office
        self._write = office.write

    def routes(self) -> list[Route]:
        """Who answers what."""
        return [
            ("GET", r"schedule/fetchDays/([^/]+)/([^/]+)/([^/]+)", self._fetch_days),
            ("GET", r"schedule/fetchProviderAppts/([^/]+)/([^/]+)/([^/]+)", self._fetch_provider),
            ("POST", r"schedule/getAppointment", self._appointment),
            ("POST", r"schedule/(-?\d+)/appointmentHistory", self._history),
            ("GET", r"schedule/statuses", self._statuses),
            ("POST", r"schedule/add", self._add),
            ("POST", r"schedule/appointment/(\d+)/updateStatus", self._update_status),
        ]

    def _fetch_days(self, _call: Call, first: str, last: str, providers: str) -> Response:
        """Ends with `last`, inclusive. Whatever goes wrong inside is a plain 500, a missing right too."""
        try:
            start, end = date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)
            wanted = {int(provider) for provider in providers.split(",")}
        except ValueError:
            return masked()
        # MySQL compares the text column with numbers, so "0102" is 102 and "12A" is 12.
        rows = self._booked(start, end, lambda row: _leading_number(row.provider_no) in wanted)
        office = self._office
        if office.holds(FaultKind.NO_APPOINTMENT_RIGHT) or (rows and office.profile is Profile.OPEN_O_2026):
            return masked()
        return self._list("appointmentExt", rows, self._write.day_item)

    def _fetch_provider(self, _call: Call, provider: str, first: str, end: str) -> Response:
        """Ends before `end`. Asks for no right."""
        try:
            start, stop = date.fromisoformat(first), date.fromisoformat(end)
        except ValueError:
            return masked()
        rows = self._booked(start, stop, lambda row: row.provider_no == provider)
        return self._list("ProviderPeriodApps", rows, self._write.listed_item)

    def _appointment(self, call: Call) -> Response:
        if self._office.holds(FaultKind.NO_APPOINTMENT_RIGHT):
            return denied()
        row = self._office.clinic.appointments.get(call.json()["id"])
        if row is None:
            return crash("java.lang.NullPointerException")
        self._office.ledger.shown[f"appointment {row.no}"] += 1
        moves = self._office.faults.condition(FaultKind.STATUS_MOVES)
        if moves is not None:
            self._office.clinic.add(replace(row, status=moves.detail))
        return json_answer({"appointment": self._write.detail(row, self._patient_of(row))})

    def _history(self, _call: Call, demographic: str) -> Response:
        """Newest first. Source: OscarAppointmentDao: what is deleted, or has no status, is left out."""
        office = self._office
        if office.holds(FaultKind.NO_APPOINTMENT_RIGHT):
            return denied()
        mine = [row for row in office.clinic.appointments.values() if row.demographic_no == int(demographic)]
        rows = [row for row in mine if row.status not in _DELETED]
        rows.sort(key=lambda row: (row.day, row.clock), reverse=True)
        most = _CAP if office.holds(FaultKind.CAPPED) else _MOST
        for row in rows[:most]:
            office.ledger.shown[f"appointment {row.no}"] += 1
        return json_answer({"appointments": [self._write.detail(row, None) for row in rows[:most]]})

    def _statuses(self, _call: Call) -> Response:
        rows = [
            {"id": n, "status": row.code, "description": row.description, "active": int(row.active), "editable": 1}
            for n, row in enumerate(self._office.clinic.statuses.values(), start=1)
        ]
        return json_answer({"content": rows, "total": len(rows), "limit": 0, "offset": 0})

    def _add(self, call: Call) -> Response:
        """No look at other bookings, no default for the status; a time with AM or PM loses that part."""
        office = self._office
        if office.holds(FaultKind.NO_APPOINTMENT_RIGHT) or office.holds(FaultKind.NO_WRITE_RIGHT):
            return denied()
        asked = call.json()
        patient = office.clinic.patients.get(asked["demographicNo"])
        clock = re.match(r"(\d{1,2}):(\d{2})", asked["startTime"])
        if patient is None or clock is None:
            return crash("ConversionException: Unable to find patient")
        midnight = datetime.combine(date.fromisoformat(asked["appointmentDate"]), datetime.min.time())
        start = midnight + timedelta(hours=int(clock[1]), minutes=int(clock[2]))
        row = SimAppointment(
            next_number(office.clinic.appointments),
            provider_no=asked["providerNo"],
            day=start.date(),
            clock=start.time(),
            minutes=asked.get("duration", 0),
            demographic_no=patient.no,
            status=asked.get("status"),
            reason=asked.get("reason") or "",
            type=asked.get("type") or "",
            notes=asked.get("notes") or "",
            location=asked.get("location") or "",
        )
        office.clinic.add(row)
        office.enter("appointment", patient.no, row.no, row.key)
        return json_answer({"appointment": self._write.detail(row, None, as_moments=True)})

    def _update_status(self, call: Call, number: str) -> Response:
        """Whatever is sent; no look at what was there."""
        office = self._office
        if office.holds(FaultKind.NO_APPOINTMENT_RIGHT) or office.holds(FaultKind.NO_WRITE_RIGHT):
            return denied()
        row = office.clinic.appointments.get(int(number))
        if row is None:
            return crash("java.lang.NullPointerException")
        if not office.holds(FaultKind.STATUS_IGNORED):
            row = replace(row, status=call.json().get("status"))
        office.clinic.add(row)
        office.enter("arrival", row.demographic_no, row.no)
        return json_answer({"appointment": self._write.detail(row, None, as_moments=True)})

    def _booked(self, start: date, end: date, wanted: Callable[[SimAppointment], bool]) -> list[SimAppointment]:
        office = self._office
        rows = office.clinic.appointments.values()
        found = (r for r in rows if start <= r.day < end and wanted(r) and office.shows(r.provider_no))
        return sorted(found, key=lambda row: (row.day, row.clock, row.no))

    def _patient_of(self, row: SimAppointment) -> SimPatient | None:
        return self._office.clinic.patients.get(row.demographic_no)

    def _list(
        self,
        key: str,
        rows: list[SimAppointment],
        write: Callable[[SimAppointment, SimPatient | None], dict[str, Any]],
    ) -> Response:
        office = self._office
        told = office.holds(FaultKind.CAPPED_AND_TOLD)
        kept: Iterable[SimAppointment] = rows[:_CAP] if told or office.holds(FaultKind.CAPPED) else rows
        items = [write(row, self._patient_of(row)) for row in kept]
        if items and office.holds(FaultKind.ROW_SPOILED):
            items[-1] = {}
        for row in kept:
            office.ledger.shown[f"appointment {row.no}"] += 1
        wrapper: dict[str, Any] = {"offset": 0, "limit": 0, "total": len(rows) if told else 0, "timestamp": 0}
        if office.profile is Profile.OPEN_O_2026:
            wrapper[key] = items
        elif items:
            wrapper["content"] = items
        return json_answer(wrapper)


def _leading_number(text: str) -> int:
    match = re.match(r"\d+", text)
    return int(match[0]) if match else 0
