"""What every answer of the simulator goes through: who asks, which fault strikes, how a body is written."""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from ocean_emr.testing.ocean_sim.faults import BEFORE_COMMIT, Fault, Faults
from ocean_emr.testing.ocean_sim.sites import BodyForm, ClientAuth, SimSite
from ocean_emr.testing.ocean_sim.spoiled import Spoiled, refusal
from ocean_emr.testing.ocean_sim.webhooks import Webhooks

Handler = Callable[[Request, SimSite, bytes, Fault | None], Response]


@dataclass
class State:
    """Everything the simulator knows."""

    sites: dict[str, SimSite] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Site number and end of life (monotonic clock) of each token."""
    logins: list[tuple[ClientAuth, bool]] = field(default_factory=list)
    """How each request for a token showed its client, and whether it got one."""
    webhooks: Webhooks = field(default_factory=Webhooks)

    def of_client(self, client_id: str, client_secret: str) -> SimSite | None:
        """The site whose client this is."""
        for site in self.sites.values():
            if site.client_id and (site.client_id, site.client_secret) == (client_id, client_secret):
                return site
        return None

    def of_request(self, request: Request) -> SimSite | None:
        """The site that a request is made for, if it proves that it may be."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind == "Bearer":
            number, until = self.tokens.get(token, ("", 0.0))
            return self.sites.get(number) if time.monotonic() < until else None
        site = self.sites.get(request.headers.get("siteNum", ""))
        shown = (request.headers.get("siteKey"), request.headers.get("siteCredential"))
        return site if site and site.site_key and (site.site_key, site.site_credential) == shown else None


def as_site(state: State, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """`handler`, for a request that proves its site; with the faults that are to strike it."""

    async def endpoint(request: Request) -> Response:
        fault = state.faults.take(request.url.path)
        body = await request.body()
        site = state.of_request(request)
        if site:
            site.record(request.method, request.url.path, body, fault.kind if fault else None)
        if fault and fault.kind in BEFORE_COMMIT:
            return refusal(fault)
        if site is None:
            return json_response({"error": "unauthorized"}, 401)
        answer = handler(request, site, body, fault)
        return Spoiled(answer, fault.kind) if fault else answer

    return endpoint


def json_response(value: Any, status: int = 200) -> Response:
    """`value` as JSON."""
    return Response(orjson.dumps(value), status, media_type="application/json")


def binary_json(site: SimSite, data: bytes) -> Any:
    """Binary data in the encoding that is set for the site, as a value for JSON."""
    if site.body_form is BodyForm.BASE64:
        return base64.b64encode(data).decode()
    return [byte - 256 if byte > 127 else byte for byte in data]  # noqa: PLR2004 - as Java prints bytes
