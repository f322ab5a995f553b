"""The simulator's answers: what stands before OSCAR, its login, and its REST services."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Final
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocean_emr.testing.oscar_sim.clinic import SimClinic
from ocean_emr.testing.oscar_sim.control import Control
from ocean_emr.testing.oscar_sim.faults import Fault, FaultKind, Faults
from ocean_emr.testing.oscar_sim.ledger import Ledger, Received
from ocean_emr.testing.oscar_sim.office import Call, crash
from ocean_emr.testing.oscar_sim.services import Services, writes
from ocean_emr.testing.oscar_sim.signatures import Logins, Profile, Refusal, SimCredentials, refused
from ocean_emr.testing.oscar_sim.spoiling import BEFORE_OSCAR, Spoiled, json_answer, page, refusal, reshaped

CONTEXT: Final = "/oscar"
_SERVICES: Final = f"{CONTEXT}/ws/services/"
_HOUR: Final = 3600
_RESHAPING: Final = frozenset({FaultKind.BARE_ARRAY, FaultKind.NO_CONTENT})
_DELIVERY: Final = frozenset(
    {
        FaultKind.WEB_PAGE,
        FaultKind.XML,
        FaultKind.CUT_JSON,
        FaultKind.RESET,
        FaultKind.DRIP,
        FaultKind.ENDLESS,
        FaultKind.SILENCE_AFTER,
        FaultKind.RESET_AFTER,
        FaultKind.FAILED_AFTER,
    }
)


class SimulatedOscar:
    """One OSCAR: its database, its login, what goes wrong with it, and what it was asked."""

    def __init__(self, clinic: SimClinic, credentials: SimCredentials, *, profile: Profile, zone: ZoneInfo) -> None:
        """Hold `clinic`, let `credentials` in, and behave as `profile`; the wall clock is that of `zone`."""
        self.clinic = clinic
        self.profile = profile
        self.logins = Logins(credentials)
        self.faults = Faults()
        self.ledger = Ledger()
        self._services = Services(clinic, self.faults, self.ledger, profile=profile, zone=zone)

    def application(self) -> Starlette:
        """As an ASGI application."""
        control = Control(self.clinic, self.logins, self.faults, self.ledger)
        everything = Route("/{rest:path}", self._receive, methods=["GET", "POST", "PUT", "DELETE"])
        return Starlette(routes=[*control.routes(), everything])

    async def _receive(self, request: Request) -> Response:
        path = request.url.path
        changes = writes(request.method, path.removeprefix(_SERVICES))
        entry = self.ledger.enter(request.method, path, writes=changes)
        strike = self.faults.strike(path, writes=changes)
        entry.fault = strike.kind if strike else ""
        answer = self._answer(request, await request.body(), strike, entry)
        entry.status = answer.status_code
        answer.headers["Date"] = formatdate(self._now(), usegmt=True)
        return Spoiled(answer, strike) if strike and strike.kind in _DELIVERY else answer

    def _answer(self, request: Request, body: bytes, strike: Fault | None, entry: Received) -> Response:
        kind = strike.kind if strike else None
        if strike and kind in BEFORE_OSCAR:
            return refusal(strike)
        path = request.url.path
        if not path.startswith(_SERVICES):
            return _landing(path)
        if self.faults.condition(FaultKind.REST_OFF):
            return page("Services", "No service was found.", 404)
        barred = self._login(request, kind, entry)
        if barred is not None:
            return barred
        good = self._service(request, body, kind, entry)
        reshape = kind in _RESHAPING and good.media_type == "application/json"
        return reshaped(good, kind) if kind and reshape else good

    def _login(self, request: Request, kind: FaultKind | None, entry: Received) -> Response | None:
        """The answer to somebody who is not let in."""
        if kind is FaultKind.BARE_401:
            entry.login = "refused"
            return Response(status_code=401)
        if kind is FaultKind.TOKEN_EXPIRED:
            self.logins.token_exists = False
        if not request.headers.get("authorization", "").startswith("OAuth "):
            entry.login = "unsigned"
            # Open-O lets requests without a signature pass, to fail further in. Source: its OAuthInterceptor.
            return Response(status_code=401) if self.profile is Profile.CLASSIC else None
        host = "inside.invalid" if self.faults.condition(FaultKind.OTHER_HOST) else None
        verdict = self.logins.judge(request, self.profile, now=self._now(), host=host)
        if verdict is None and self.profile is Profile.OPEN_O_2026 and self.faults.condition(FaultKind.USER_DISABLED):
            verdict = Refusal.PROVIDER
        entry.login = verdict or "accepted"
        named = self.faults.condition(FaultKind.NAMED_CODES) is not None
        return refused(verdict, self.profile, named=named) if verdict else None

    def _service(self, request: Request, body: bytes, kind: FaultKind | None, entry: Received) -> Response:
        if kind is FaultKind.SCOPE_403:
            return json_answer({"error": "insufficient_scope"}, 403)
        if kind is FaultKind.SERVER_ERROR_PAGE:
            return crash("java.lang.NullPointerException")
        if kind is FaultKind.NOT_ACCEPTABLE:
            return page("HTTP Status 406", "Not Acceptable", 406)
        nobody = entry.login != "accepted" or self.faults.condition(FaultKind.USER_DISABLED) is not None
        call = Call(
            request.url.path.removeprefix(_SERVICES),
            request.method,
            body,
            nobody=nobody,
            foreign_chart=kind is FaultKind.FOREIGN_CHART,
            query=dict(request.query_params),
            accept=request.headers.get("accept", "*/*"),
        )
        return self._services.answer(call)

    def _now(self) -> float:
        return time.time() + (_HOUR if self.faults.condition(FaultKind.CLOCK_AHEAD) else 0)


def _landing(path: str) -> Response:
    if path.rstrip("/") == CONTEXT:
        return Response(status_code=302, headers={"Location": f"{CONTEXT}/index.jsp"})
    return page("HTTP Status 404", "Not Found", 404)
