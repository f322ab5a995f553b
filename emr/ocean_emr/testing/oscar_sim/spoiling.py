"""Answers gone wrong: refusals by what stands before OSCAR, and right answers that do not arrive as they should."""

from __future__ import annotations

from typing import Any, Final

import anyio
import anyio.lowlevel
import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ocean_emr.testing.oscar_sim.faults import Fault, FaultKind
from ocean_emr.testing.serving import reset_connection

BEFORE_OSCAR: Final = {
    FaultKind.BAD_GATEWAY: 502,
    FaultKind.UNAVAILABLE: 503,
    FaultKind.RATE_LIMITED: 429,
    FaultKind.FIREWALL_PAGE: 403,
    FaultKind.REDIRECT: 302,
    FaultKind.SILENCE: 0,
    FaultKind.BAD_REQUEST: 400,
    FaultKind.TOO_LARGE: 413,
}
_DRIP_SECONDS: Final = 0.05
_CHUNK: Final = b" " * 65_536


def page(title: str, text: str, status: int) -> Response:
    """A web page."""
    return Response(
        f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body>{text}</body></html>",
        status,
        media_type="text/html",
    )


def refusal(fault: Fault) -> Response:
    """The answer to a request that OSCAR never saw."""
    if fault.kind is FaultKind.SILENCE:
        return Spoiled(Response(), fault)
    if fault.kind is FaultKind.REDIRECT:
        return Response(status_code=302, headers={"Location": "https://portal.invalid/login?next=p1001"})
    answer = page("Blocked", "The request was refused.", BEFORE_OSCAR[fault.kind])
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = fault.retry_after
    return answer


def reshaped(good: Response, kind: FaultKind) -> Response:
    """A right answer in another wrapping."""
    value = orjson.loads(good.body)
    if kind is FaultKind.BARE_ARRAY and isinstance(value, dict):
        value = next((item for item in value.values() if isinstance(item, list)), value)
    if kind is FaultKind.NO_CONTENT and isinstance(value, dict):
        value = {key: item for key, item in value.items() if item != []}
    return json_answer(value)


def json_answer(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(value), status, media_type="application/json")


class Spoiled(Response):
    """A right answer, delivered badly."""

    def __init__(self, good: Response, fault: Fault) -> None:
        """Deliver `good` as `fault` says."""
        super().__init__(good.body, good.status_code)
        self.raw_headers = good.raw_headers
        self._fault = fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Deliver."""
        body = bytes(self.body)
        match self._fault.kind:
            case FaultKind.SILENCE | FaultKind.SILENCE_AFTER:
                await _until_gone(receive)
            case FaultKind.RESET_AFTER:
                reset_connection(scope)
            case FaultKind.FAILED_AFTER:
                text = f"java.lang.NullPointerException: p1001 {self._fault.detail}"
                await page("HTTP Status 500", text, 500)(scope, receive, send)
            case FaultKind.WEB_PAGE:
                text = body.decode(errors="replace").replace("<", "&lt;")
                await page("Sign in", f"<pre>{text}</pre>", 200)(scope, receive, send)
            case FaultKind.XML:
                text = body.decode(errors="replace").replace("<", "&lt;")
                await Response(f"<answer>{text}</answer>", media_type="application/xml")(scope, receive, send)
            case FaultKind.CUT_JSON:
                await Response(body[: len(body) // 2] or b"{", media_type="application/json")(scope, receive, send)
            case FaultKind.RESET:
                await self._start(send)
                await _piece(send, body[: len(body) // 2])
                reset_connection(scope)
            case FaultKind.DRIP:
                await self._drip(receive, send)
            case FaultKind.ENDLESS:
                await self._endless(receive, send)
            case _:
                await super().__call__(scope, receive, send)

    async def _start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _drip(self, receive: Receive, send: Send) -> None:
        """A byte at a time, until nobody listens; the last one never comes."""
        await self._start(send)
        async with anyio.create_task_group() as group:

            async def drip() -> None:
                for byte in bytes(self.body[:-1]):
                    await _piece(send, bytes([byte]))
                    await anyio.sleep(_DRIP_SECONDS)

            group.start_soon(drip)
            await _until_gone(receive)
            group.cancel_scope.cancel()

    async def _endless(self, receive: Receive, send: Send) -> None:
        """Spaces, which JSON allows, until nobody listens."""
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with anyio.create_task_group() as group:

            async def pour() -> None:
                while True:
                    await _piece(send, _CHUNK)
                    await anyio.lowlevel.checkpoint()

            group.start_soon(pour)
            await _until_gone(receive)
            group.cancel_scope.cancel()


async def _piece(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
