"""The door of a FHIR EMR: a token endpoint, a proxy that lets bearers of its tokens through, and faults on request.

Behind it stands a real FHIR server, or the stub of `fhir_stub.py`. For tests, and for the demo's EMR pod:

    python -m ocean_emr.testing.fhir_gateway --client-id ID --client-secret SECRET --sample-clinic America/Toronto
"""

from __future__ import annotations

import argparse
import base64
import binascii
import secrets
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import httpx
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocean_emr.testing import fhir_stub
from ocean_emr.testing.fhir_clinic import sample_clinic
from ocean_emr.testing.fhir_faults import FHIR_JSON, Fault, FaultKind, Faults, instead, outcome, spoiled
from ocean_emr.testing.fhir_stub import FhirStore
from ocean_emr.testing.serving import Served, listener, server

TOKEN_PATH: Final = "/oauth/token"
FHIR_PATH: Final = "/fhir"
TOKEN_PREFIX: Final = "gateway-token-"
"""Every token begins so, which makes it easy to search for one where none may be."""
_UPSTREAM_SECONDS: Final = 60.0
_PASSED_ON: Final = ("accept", "content-type", "if-match", "if-none-exist", "prefer")
_PASSED_BACK: Final = ("etag", "last-modified", "location", "content-location")
WRITING: Final = frozenset({"POST", "PUT"})
_SAMPLE_DAYS: Final = 60


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, as the door saw it. No header and no body: they hold secrets."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    status: int
    key: str = ""
    """Of a resource that was sent: the first UUID among its identifiers."""

    @property
    def writes(self) -> bool:
        """Whether it would change something at the EMR."""
        return self.method in WRITING and self.path.startswith(FHIR_PATH)


@dataclass
class State:
    """Everything the gateway knows."""

    client_id: str
    client_secret: str
    upstream: str | FhirStore
    """Base address of a FHIR server, or the stub's resources."""
    token_seconds: float = 300.0
    takes_form: bool = True
    """Whether id and secret are taken from the form body, as Ocean sends them."""
    takes_basic: bool = True
    """Whether they are taken from a Basic header."""
    faults: Faults = field(default_factory=Faults)
    ledger: list[Seen] = field(default_factory=list)
    tokens: dict[str, float] = field(default_factory=dict)
    """End of life of each token, by the monotonic clock."""
    scopes: list[str] = field(default_factory=list)
    """Asked for with each token, in the order of asking."""
    meanwhile: list[Callable[[], None]] = field(default_factory=list)
    """Done by somebody at the clinic just before a write is passed on: one per write, the first first."""

    def requests(self, path: str) -> int:
        """How many requests for paths with `path` in them there were."""
        return sum(path in seen.path for seen in self.ledger)

    def let_in(self, request: Request) -> bool:
        """Whether the request bears a good token."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and time.monotonic() < self.tokens.get(token, 0.0)


Endpoint = Callable[[Request], Awaitable[Response]]


def application(state: State) -> Starlette:
    """The gateway's ASGI application over `state`."""
    proxy = _noted(state, _proxy(state))
    return Starlette(
        routes=[
            Route(TOKEN_PATH, _noted(state, _token(state)), methods=["POST"]),
            Route(FHIR_PATH, proxy),
            Route(FHIR_PATH + "/{path:path}", proxy, methods=["GET", "PUT", "POST", "DELETE"]),
            Route("/_gateway", _look(state)),
            Route("/_gateway/writes", _list_writes(state)),
            Route("/_gateway/records", _list_records(state)),
            Route("/_gateway/faults", _break(state), methods=["PUT"]),
        ]
    )


def _noted(state: State, endpoint: Endpoint) -> Endpoint:
    """`endpoint`, unless a fault answers in its place; what it answers is spoiled by the others and noted."""

    async def noting(request: Request) -> Response:
        path, query = request.url.path, request.url.query
        faults = state.faults.take(request.method, f"{path}?{query}")
        if any(fault.kind is FaultKind.EXPIRED_TOKENS for fault in faults):
            state.tokens.clear()
        answer = next(filter(None, map(instead, faults)), None) or spoiled(await endpoint(request), faults)
        answer.headers["date"] = formatdate(usegmt=True)
        asked = tuple(request.query_params.multi_items())
        key = _key_in(await request.body()) if request.method in WRITING else ""
        state.ledger.append(Seen(request.method, path, asked, answer.status_code, key))
        return answer

    return noting


def _key_in(body: bytes) -> str:
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return next(iter(fhir_stub.keys_of(sent)), "") if isinstance(sent, dict) else ""


def _token(state: State) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        basic = _basic(request.headers)
        shown = [
            pair for pair, taken in ((basic, state.takes_basic), (_form(form), state.takes_form)) if pair and taken
        ]
        if (state.client_id, state.client_secret) not in shown:
            return _json({"error": "invalid_client"}, 401 if basic else 400)
        if form.get("grant_type") != "client_credentials":
            return _json({"error": "unsupported_grant_type"}, 400)
        token = TOKEN_PREFIX + secrets.token_urlsafe(24)
        state.tokens[token] = time.monotonic() + state.token_seconds
        state.scopes.append(form.get("scope", ""))
        return _json({"access_token": token, "token_type": "Bearer", "expires_in": state.token_seconds})

    return endpoint


def _form(form: Mapping[str, str]) -> tuple[str, str] | None:
    return (form["client_id"], form.get("client_secret", "")) if "client_id" in form else None


def _basic(headers: Mapping[str, str]) -> tuple[str, str] | None:
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ("", "")
    return client_id, secret


def _proxy(state: State) -> Endpoint:
    if isinstance(state.upstream, FhirStore):
        base = f"http://stub{fhir_stub.PATH}"
        way: httpx.AsyncBaseTransport = httpx.ASGITransport(fhir_stub.application(state.upstream))
    else:
        base, way = state.upstream.rstrip("/"), httpx.AsyncHTTPTransport()
    upstream = httpx.AsyncClient(transport=way, timeout=_UPSTREAM_SECONDS)

    async def endpoint(request: Request) -> Response:
        if not state.let_in(request):
            answer = _json(outcome("login"), 401)
            answer.headers["www-authenticate"] = 'Bearer error="invalid_token"'
            return answer
        path = request.path_params.get("path", "")
        address = f"{base}/{path}" if path else base
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        if request.method in WRITING and state.meanwhile:
            state.meanwhile.pop(0)()
        theirs = await upstream.request(
            request.method,
            httpx.URL(address, query=request.url.query.encode()),
            headers=headers,
            content=await request.body(),
        )
        ours = f"{str(request.base_url).rstrip('/')}{FHIR_PATH}"
        body = theirs.content.replace(orjson.dumps(base)[1:-1], orjson.dumps(ours)[1:-1])
        kept = {name: theirs.headers[name].replace(base, ours) for name in _PASSED_BACK if name in theirs.headers}
        return Response(body, theirs.status_code, kept, media_type=theirs.headers.get("content-type", FHIR_JSON))

    return endpoint


def _look(state: State) -> Endpoint:
    """For people and other processes: how often what was asked, by method, path and status."""

    async def endpoint(_request: Request) -> Response:
        counts = Counter(f"{seen.method} {seen.path} {seen.status}" for seen in state.ledger)
        return _json(dict(sorted(counts.items())))

    return endpoint


def _list_writes(state: State) -> Endpoint:
    """What was sent, whatever became of it: raw writes."""

    async def endpoint(_request: Request) -> Response:
        sent = [seen for seen in state.ledger if seen.writes]
        return _json([{"method": s.method, "path": s.path, "status": s.status, "key": s.key} for s in sent])

    return endpoint


def _list_records(state: State) -> Endpoint:
    """What a person at the clinic sees, without its content: visible writes. Only of the stub."""

    async def endpoint(_request: Request) -> Response:
        if not isinstance(state.upstream, FhirStore):
            return _json({"error": "the EMR behind this gateway is not the stub"}, 404)
        return _json(state.upstream.ledger())

    return endpoint


def _break(state: State) -> Endpoint:
    """For other processes: the faults from now on, as a JSON list."""

    async def endpoint(request: Request) -> Response:
        state.faults.clear()
        state.faults.add(*(Fault.from_json(value) for value in await request.json()))
        return Response(status_code=204)

    return endpoint


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


class FhirGateway(Served):
    """A running gateway on a free loopback port. A context manager, for tests."""

    def __init__(self, state: State, *, tls: tuple[Path, Path] | None = None) -> None:
        """Listen once entered. `tls` is certificate and key, both PEM files."""
        super().__init__(application(state), tls=tls)
        self.state = state

    @property
    def fhir_url(self) -> str:
        """The FHIR base address."""
        return self.url + FHIR_PATH

    @property
    def token_url(self) -> str:
        """Where tokens come from."""
        return self.url + TOKEN_PATH


def main() -> None:
    """Serve until told to stop."""
    options = _options().parse_args()
    upstream: str | FhirStore = options.upstream
    if not upstream:
        zone = options.sample_clinic
        upstream = FhirStore([*sample_clinic(datetime.now(zone).date(), _SAMPLE_DAYS, zone)])
    state = State(options.client_id, options.client_secret, upstream, token_seconds=options.token_seconds)
    tls = (options.tls_cert, options.tls_key) if options.tls_cert else None
    listening = listener(options.host, options.port)
    scheme, port = "https" if tls else "http", listening.getsockname()[1]
    sys.stdout.write(f"FHIR gateway: {scheme}, port {port}, {FHIR_PATH} and {TOKEN_PATH}\n")
    sys.stdout.flush()
    server(application(state), tls=tls).run(sockets=[listening])


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fhir_gateway", description="The door of a FHIR EMR that is for trials. Not for real patients."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one, printed)")
    parser.add_argument("--tls-cert", type=Path, help="certificate, PEM; with --tls-key")
    parser.add_argument("--tls-key", type=Path, help="its private key, PEM")
    parser.add_argument("--client-id", required=True, help="the one client's id")
    parser.add_argument("--client-secret", required=True, help="the one client's secret")
    parser.add_argument("--token-seconds", type=float, default=300.0, help="how long a token lives")
    emr = parser.add_mutually_exclusive_group(required=True)
    emr.add_argument("--upstream", help="base address of the FHIR server to stand in front of")
    emr.add_argument(
        "--sample-clinic",
        type=ZoneInfo,
        metavar="ZONE",
        help="no server: a sample clinic in this time zone, from today",
    )
    return parser


if __name__ == "__main__":
    main()
