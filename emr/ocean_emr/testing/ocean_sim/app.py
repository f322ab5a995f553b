"""The simulator's answers: Ocean's part under `/svc`, the looking and breaking under `/_sim`."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocean_emr.ocean import profile
from ocean_emr.ocean.client import NAMING_SYSTEM_PATH, PRIVATE_KEY_PATH
from ocean_emr.ocean.login import TOKEN_PATH
from ocean_emr.testing.ocean_sim.answering import Handler, State, as_site, binary_json, json_response
from ocean_emr.testing.ocean_sim.faults import BEFORE_COMMIT, Fault, FaultKind
from ocean_emr.testing.ocean_sim.message_routes import message_routes
from ocean_emr.testing.ocean_sim.sites import ClientAuth, SimSite
from ocean_emr.testing.ocean_sim.spoiled import Spoiled, refusal


def application(state: State) -> Starlette:
    """The simulator's ASGI application over `state`."""
    return Starlette(
        routes=[
            Route(TOKEN_PATH, _token(state), methods=["POST"]),
            Route(NAMING_SYSTEM_PATH, as_site(state, _naming_system)),
            Route(PRIVATE_KEY_PATH, as_site(state, _private_key)),
            Route(profile.PATIENTS_PATH, as_site(state, _upsert("patients")), methods=["PUT"]),
            Route(profile.APPOINTMENTS_PATH, as_site(state, _upsert("appointments")), methods=["PUT"]),
            Route(profile.REMOVALS_PATH, as_site(state, _remove), methods=["POST"]),
            *message_routes(state),
            *_looking(state),
            *_breaking(state),
        ]
    )


def _token(state: State) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        fault = state.faults.take(request.url.path)
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if fault and fault.kind in BEFORE_COMMIT:
            return refusal(fault)
        grant = form.get("grant_type") or request.query_params.get("grant_type")
        way, pair = _client(request, form)
        site = state.of_client(*pair)
        granted = grant == "client_credentials" and site and site.client_auth in {way, ClientAuth.BOTH}
        state.logins.append((way, bool(granted)))
        if not site or not granted:
            return json_response({"error": "invalid_client"}, 401 if way is ClientAuth.BASIC else 400)
        token = secrets.token_urlsafe(24)
        state.tokens[token] = (site.site_number, time.monotonic() + site.token_seconds)
        answer = json_response({"access_token": token, "token_type": "Bearer", "expires_in": site.token_seconds})
        return Spoiled(answer, fault.kind) if fault else answer

    return endpoint


def _client(request: Request, form: dict[str, str]) -> tuple[ClientAuth, tuple[str, str]]:
    """How the client showed itself, and its id and secret."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            client_id, _, secret = base64.b64decode(value).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return ClientAuth.BASIC, ("", "")
        return ClientAuth.BASIC, (client_id, secret)
    return ClientAuth.FORM, (form.get("client_id", ""), form.get("client_secret", ""))


def _naming_system(request: Request, _site: SimSite, _body: bytes, _fault: Fault | None) -> Response:
    """The FHIR side knows tokens only."""
    if "siteKey" in request.headers:
        return json_response({"resourceType": "OperationOutcome"}, 401)
    return json_response({"resourceType": "NamingSystem", "id": "id-site-number"})


def _private_key(_request: Request, site: SimSite, _body: bytes, _fault: Fault | None) -> Response:
    block = site.private_key_block()
    if block is None:
        return Response(status_code=204)
    answer = json_response(binary_json(site, block.data))
    answer.headers["iv"] = block.to_json()["iv"]
    return answer


def _upsert(kind: str) -> Handler:
    def handler(_request: Request, site: SimSite, body: bytes, fault: Fault | None) -> Response:
        items = _list_in(body, "items")
        if items is None or not all(isinstance(i, dict) and isinstance(i.get("ref"), str) for i in items):
            return json_response({"error": "malformed"}, 400)
        refused = fault.refs if fault and fault.kind is FaultKind.REJECT_ITEMS else frozenset()
        codes = {i["ref"]: "Refused" if i["ref"] in refused else site.upsert(kind, i) for i in items}
        return _results(codes, fault)

    return handler


def _remove(_request: Request, site: SimSite, body: bytes, fault: Fault | None) -> Response:
    refs = _list_in(body, "refs")
    if refs is None or not all(isinstance(ref, str) for ref in refs):
        return json_response({"error": "malformed"}, 400)
    refused = fault.refs if fault and fault.kind is FaultKind.REJECT_ITEMS else frozenset()
    for ref in set(refs) - refused:
        site.remove_appointment(ref)
    return _results({ref: "Refused" if ref in refused else None for ref in refs}, fault)


def _list_in(body: bytes, name: str) -> list[Any] | None:
    """The list of at most a batch's length that `body` holds under `name`."""
    try:
        value = orjson.loads(body).get(name)
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return value if isinstance(value, list) and len(value) <= profile.MAX_BATCH else None


def _results(codes: dict[str, str | None], fault: Fault | None) -> Response:
    """The profile's answer. In reverse, since it promises no order."""
    results: list[dict[str, str]] = [
        {"ref": ref, "status": "rejected", "code": code} if code else {"ref": ref, "status": "accepted"}
        for ref, code in reversed(codes.items())
    ]
    return json_response({"results": results[1:] if fault and fault.kind is FaultKind.DROP_RESULT else results})


def _looking(state: State) -> Iterable[Route]:
    """What a demo prints and a test in another process reads."""

    async def sites(_request: Request) -> Response:
        rows = [
            {
                "siteNum": site.site_number,
                "keyKnown": site.sek is not None,
                "patients": len(site.stored_patients),
                "appointments": len(site.stored_appointments),
                "requests": len(site.requests),
            }
            for site in state.sites.values()
        ]
        return json_response({"sites": rows})

    def of_site(name: str, rows: Callable[[SimSite], list[dict[str, Any]]]) -> Route:
        async def endpoint(request: Request) -> Response:
            site = state.sites.get(request.path_params["number"])
            return json_response({name: rows(site)}) if site else json_response({"error": "no such site"}, 404)

        return Route(f"/_sim/sites/{{number}}/{name}", endpoint)

    def requests(site: SimSite) -> list[dict[str, Any]]:
        return [{"at": r.at, "method": r.method, "path": r.path, "fault": r.fault} for r in site.requests]

    return (
        Route("/_sim/sites", sites),
        of_site("patients", SimSite.patients),
        of_site("appointments", SimSite.appointments),
        of_site("requests", requests),
    )


def _breaking(state: State) -> Iterable[Route]:
    """What a test in another process changes: sites, faults, tokens."""

    async def put_site(request: Request) -> Response:
        number = request.path_params["number"]
        new = SimSite.from_json({**orjson.loads(await request.body()), "siteNum": number})
        if number in state.sites:
            state.sites[number].take_over(new)
        else:
            state.sites[number] = new
        return Response(status_code=204)

    async def add_fault(request: Request) -> Response:
        state.faults.add(Fault.from_json(orjson.loads(await request.body())))
        return Response(status_code=204)

    async def clear_faults(_request: Request) -> Response:
        state.faults.clear()
        return Response(status_code=204)

    async def withdraw_tokens(_request: Request) -> Response:
        state.tokens.clear()
        return Response(status_code=204)

    return (
        Route("/_sim/sites/{number}", put_site, methods=["PUT"]),
        Route("/_sim/faults", add_fault, methods=["POST"]),
        Route("/_sim/faults", clear_faults, methods=["DELETE"]),
        Route("/_sim/tokens", withdraw_tokens, methods=["DELETE"]),
    )
