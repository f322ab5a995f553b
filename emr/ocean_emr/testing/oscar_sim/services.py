"""OSCAR's REST services, read side, with their habits.

Source: open-osp/Open-O and scoophealth/oscar: ScheduleService, ProviderService, DemographicService, OAuthStatusService
and the managers behind them; and a running Open-O of March 2026.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
from starlette.responses import Response

from ocean_emr.testing.oscar_sim.clinic import (
    ALSO_SYSTEM,
    SYSTEM_ACCOUNT,
    SimAppointment,
    SimClinic,
    SimPatient,
    SimProvider,
)
from ocean_emr.testing.oscar_sim.faults import FaultKind, Faults
from ocean_emr.testing.oscar_sim.ledger import Ledger
from ocean_emr.testing.oscar_sim.signatures import Profile
from ocean_emr.testing.oscar_sim.spoiling import json_answer, page
from ocean_emr.testing.oscar_sim.wire import Writer

PRINCIPAL: Final = "104"
"""The provider who authorised the token."""
_CAP: Final = 50


def crash(what: str) -> Response:
    """Tomcat's page about an exception that nobody caught. It quotes what it likes."""
    return page("HTTP Status 500", f"{what} while handling p1001, Zoë-Ünlü", 500)


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    path: str
    """Below `ws/services/`."""
    method: str
    body: bytes
    nobody: bool
    """Whether it was let in without a user."""
    foreign_chart: bool


class Services:
    """Everything below `ws/services`."""

    def __init__(self, clinic: SimClinic, faults: Faults, ledger: Ledger, *, profile: Profile, zone: ZoneInfo) -> None:
        """Answer from `clinic` in the handwriting of `profile`, with `faults`, and tell `ledger` what was shown."""
        self._clinic = clinic
        self._faults = faults
        self._ledger = ledger
        self._profile = profile
        self._write = Writer(profile, zone, faults)
        self._routes: list[tuple[str, str, Callable[..., Response]]] = [
            ("GET", r"oauth/info", self._info),
            ("GET", r"providerService/providers_json", self._providers),
            ("GET", r"schedule/fetchDays/([^/]+)/([^/]+)/([^/]+)", self._fetch_days),
            ("GET", r"schedule/fetchProviderAppts/([^/]+)/([^/]+)/([^/]+)", self._fetch_provider),
            ("POST", r"schedule/getAppointment", self._appointment),
            ("POST", r"schedule/(-?\d+)/appointmentHistory", self._history),
            ("GET", r"demographics/(-?\d+)", self._demographic),
        ]

    def answer(self, call: Call) -> Response:
        """The answer to a request below `ws/services`."""
        for wanted, pattern, handler in self._routes:
            match = re.fullmatch(pattern, call.path)
            if match and wanted == call.method:
                if call.nobody and handler != self._info:
                    return crash("java.lang.NullPointerException")
                return handler(call, *match.groups())
        return page("HTTP Status 404", "Not Found", 404)

    def _info(self, call: Call) -> Response:
        classic = self._profile is Profile.CLASSIC
        if call.nobody and classic:
            text = "Sorry, there was an error building the answer: java.lang.NullPointerException"
            return Response(text, media_type="application/json")
        if call.nobody:
            return json_answer({"error": "An internal error occurred. Please try again later."})
        provider = {"providerNo": PRINCIPAL, "lastName": "Connect", "firstName": "Ocean"}
        return json_answer({"provider" if classic else "providers": provider, "login": PRINCIPAL, "roles": ["doctor"]})

    def _providers(self, _call: Call) -> Response:
        system = [SimProvider(SYSTEM_ACCOUNT, "oscardoc", "doctor")]
        if self._profile is Profile.CLASSIC:
            system.append(SimProvider(ALSO_SYSTEM, "system", "system"))
        rows = [self._write.provider(p) for p in (*system, *self._clinic.providers.values()) if self._shown(p.no)]
        return json_answer({"offset": 0, "limit": 0, "total": len(rows), "timestamp": 0, "content": rows})

    def _fetch_days(self, _call: Call, first: str, last: str, providers: str) -> Response:
        """Ends with `last`, inclusive. Whatever goes wrong inside is a plain 500, a missing right too."""
        try:
            start, end = date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)
            wanted = {int(provider) for provider in providers.split(",")}
        except ValueError:
            return _masked()
        # MySQL compares the text column with numbers, so "0102" is 102 and "12A" is 12.
        rows = self._booked(start, end, lambda row: _leading_number(row.provider_no) in wanted)
        if self._holds(FaultKind.NO_APPOINTMENT_RIGHT) or (rows and self._profile is Profile.OPEN_O_2026):
            return _masked()
        return self._list("appointmentExt", rows, self._write.day_item)

    def _fetch_provider(self, _call: Call, provider: str, first: str, end: str) -> Response:
        """Ends before `end`. Asks for no right."""
        try:
            start, stop = date.fromisoformat(first), date.fromisoformat(end)
        except ValueError:
            return _masked()
        rows = self._booked(start, stop, lambda row: row.provider_no == provider)
        return self._list("ProviderPeriodApps", rows, self._write.listed_item)

    def _appointment(self, call: Call) -> Response:
        if self._holds(FaultKind.NO_APPOINTMENT_RIGHT):
            return crash("java.lang.RuntimeException: Access Denied")
        row = self._clinic.appointments.get(orjson.loads(call.body)["id"])
        if row is None:
            return crash("java.lang.NullPointerException")
        self._ledger.shown[f"appointment {row.no}"] += 1
        return json_answer({"appointment": self._write.detail(row, self._patient_of(row))})

    def _history(self, _call: Call, demographic: str) -> Response:
        if self._holds(FaultKind.NO_APPOINTMENT_RIGHT):
            return crash("java.lang.RuntimeException: Access Denied")
        rows = [row for row in self._clinic.appointments.values() if row.demographic_no == int(demographic)]
        return json_answer({"appointments": [self._write.detail(row, None) for row in rows]})

    def _demographic(self, call: Call, number: str) -> Response:
        if self._holds(FaultKind.NO_DEMOGRAPHIC_RIGHT):
            return crash("java.lang.RuntimeException: missing required sec object (_demographic)")
        wanted = int(number)
        row = self._clinic.patients.get(wanted)
        if call.foreign_chart:
            row = next(patient for patient in self._clinic.patients.values() if patient.no != wanted)
        if row is None:
            return self._missing()
        self._ledger.shown[f"patient {row.no}"] += 1
        return json_answer(self._write.chart(row))

    def _missing(self) -> Response:
        if self._holds(FaultKind.MISSING_IS_NULL):
            return json_answer(None)
        if self._holds(FaultKind.MISSING_IS_404):
            return page("HTTP Status 404", "Not Found", 404)
        return Response(status_code=204)

    def _holds(self, condition: FaultKind) -> bool:
        return self._faults.condition(condition) is not None

    def _shown(self, provider_no: str) -> bool:
        hidden = self._faults.condition(FaultKind.PROVIDER_HIDDEN)
        return hidden is None or hidden.detail != provider_no

    def _booked(self, start: date, end: date, wanted: Callable[[SimAppointment], bool]) -> list[SimAppointment]:
        rows = self._clinic.appointments.values()
        found = (r for r in rows if start <= r.day < end and wanted(r) and self._shown(r.provider_no))
        return sorted(found, key=lambda row: (row.day, row.clock, row.no))

    def _patient_of(self, row: SimAppointment) -> SimPatient | None:
        return self._clinic.patients.get(row.demographic_no)

    def _list(
        self,
        key: str,
        rows: list[SimAppointment],
        write: Callable[[SimAppointment, SimPatient | None], dict[str, Any]],
    ) -> Response:
        told = self._holds(FaultKind.CAPPED_AND_TOLD)
        kept: Iterable[SimAppointment] = rows[:_CAP] if told or self._holds(FaultKind.CAPPED) else rows
        items = [write(row, self._patient_of(row)) for row in kept]
        if items and self._holds(FaultKind.ROW_SPOILED):
            items[-1] = {}
        for row in kept:
            self._ledger.shown[f"appointment {row.no}"] += 1
        wrapper: dict[str, Any] = {"offset": 0, "limit": 0, "total": len(rows) if told else 0, "timestamp": 0}
        if self._profile is Profile.OPEN_O_2026:
            wrapper[key] = items
        elif items:
            wrapper["content"] = items
        return json_answer(wrapper)


def _masked() -> Response:
    """How the list services tell every failure. Source: ScheduleService, "Internal server error"."""
    return Response("Internal server error", 500, media_type="application/json")


def _leading_number(text: str) -> int:
    match = re.match(r"\d+", text)
    return int(match[0]) if match else 0
