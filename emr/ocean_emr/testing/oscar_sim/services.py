"""OSCAR's REST services with their habits: who answers what. Schedule, charts and notes have modules of their own.

Source: open-osp/Open-O and scoophealth/oscar: ProviderService, OAuthStatusService, PersonaService; and a running
Open-O of March 2026.
"""

from __future__ import annotations

import re
from typing import Final
from zoneinfo import ZoneInfo

from starlette.responses import Response

from ocean_emr.testing.oscar_sim.charts import Charts
from ocean_emr.testing.oscar_sim.clinic import ALSO_SYSTEM, SYSTEM_ACCOUNT, SimClinic, SimProvider
from ocean_emr.testing.oscar_sim.faults import FaultKind, Faults
from ocean_emr.testing.oscar_sim.ledger import Ledger
from ocean_emr.testing.oscar_sim.notes import Notes
from ocean_emr.testing.oscar_sim.office import PRINCIPAL, Call, Office, Route, crash
from ocean_emr.testing.oscar_sim.schedule import Schedule
from ocean_emr.testing.oscar_sim.signatures import Profile
from ocean_emr.testing.oscar_sim.spoiling import json_answer, page
from ocean_emr.testing.oscar_sim.wire import Writer

_PROGRAMME: Final = 10016
"""The number of the programme OSCAR in the builds for Ontario. Source: scoophealth/oscar, release/OscarON15.sql."""
_WRITING: Final = re.compile(
    r"schedule/add|schedule/appointment/[^/]+/updateStatus|demographics|notes/[^/]+/save|document/saveDocumentToDemographic"
)


def writes(method: str, path: str) -> bool:
    """Whether a request for `path`, below `ws/services/`, would change something."""
    return method in {"POST", "PUT"} and _WRITING.fullmatch(path) is not None


class Services:
    """Everything below `ws/services`."""

    def __init__(self, clinic: SimClinic, faults: Faults, ledger: Ledger, *, profile: Profile, zone: ZoneInfo) -> None:
        """Answer from `clinic` in the handwriting of `profile`, with `faults`, and tell `ledger` what was shown."""
        self._office = Office(clinic, faults, ledger, profile, zone, Writer(profile, zone, faults))
        self._routes: list[Route] = [
            ("GET", r"oauth/info", self._info),
            ("GET", r"providerService/providers_json", self._providers),
            ("GET", r"persona/navbar", self._navbar),
            *Schedule(self._office).routes(),
            *Charts(self._office).routes(),
            *Notes(self._office).routes(),
        ]

    def answer(self, call: Call) -> Response:
        """The answer to a request below `ws/services`."""
        for wanted, pattern, handler in self._routes:
            match = re.fullmatch(pattern, call.path)
            if match and wanted == call.method:
                if call.nobody and handler != self._info:
                    return crash("java.lang.NullPointerException")
                try:
                    return handler(call, *match.groups())
                except (KeyError, TypeError, ValueError) as error:
                    return crash(f"com.fasterxml.jackson.databind.JsonMappingException: {error!r}")
        return page("HTTP Status 404", "Not Found", 404)

    def _info(self, call: Call) -> Response:
        classic = self._office.profile is Profile.CLASSIC
        if call.nobody and classic:
            text = "Sorry, there was an error building the answer: java.lang.NullPointerException"
            return Response(text, media_type="application/json")
        if call.nobody:
            return json_answer({"error": "An internal error occurred. Please try again later."})
        provider = {"providerNo": PRINCIPAL, "lastName": "Connect", "firstName": "Ocean"}
        return json_answer({"provider" if classic else "providers": provider, "login": PRINCIPAL, "roles": ["doctor"]})

    def _providers(self, _call: Call) -> Response:
        office = self._office
        system = [SimProvider(SYSTEM_ACCOUNT, "oscardoc", "doctor")]
        if office.profile is Profile.CLASSIC:
            system.append(SimProvider(ALSO_SYSTEM, "system", "system"))
        shown = (p for p in (*system, *office.clinic.providers.values()) if office.shows(p.no))
        rows = [office.write.provider(provider) for provider in shown]
        return json_answer({"offset": 0, "limit": 0, "total": len(rows), "timestamp": 0, "content": rows})

    def _navbar(self, _call: Call) -> Response:
        """The login's programme, and menus."""
        if self._office.holds(FaultKind.NO_PROGRAMME):
            return json_answer({"currentProgram": None, "programDomain": [], "menus": {}})
        programme = {"id": 1, "programId": _PROGRAMME, "providerNo": PRINCIPAL, "roleId": 1, "roleName": "doctor"}
        return json_answer({"currentProgram": programme, "programDomain": [programme], "menus": {}})
