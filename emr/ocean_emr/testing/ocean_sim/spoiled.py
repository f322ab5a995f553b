"""Answers gone wrong: refusals, and good answers that do not arrive as they should."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections.abc import MutableMapping
from typing import Final

import anyio
import anyio.lowlevel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ocean_emr.testing.ocean_sim.faults import Fault, FaultKind

_PAGE: Final = b"<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>"
_DRIP_SECONDS: Final = 0.05
_STATUS: Final = {
    FaultKind.UNAUTHORIZED: 401,
    FaultKind.FORBIDDEN: 403,
    FaultKind.FORBIDDEN_PAGE: 403,
    FaultKind.NOT_FOUND: 404,
    FaultKind.TOO_MANY: 429,
    FaultKind.BROKEN: 500,
    FaultKind.AWAY: 503,
    FaultKind.REDIRECT: 302,
}

_connections: Final[MutableMapping[tuple[str, int], H11Protocol]] = {}
"""Open connections by the client's address, for the faults that need the socket itself."""


class Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, with its connections within reach."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the connection."""
        super().connection_made(transport)
        if self.client:
            _connections[self.client] = self

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self.client:
            _connections.pop(self.client, None)
        super().connection_lost(exc)


def refusal(fault: Fault) -> Response:
    """The answer to a request that changed nothing."""
    if fault.kind is FaultKind.TIMEOUT_BEFORE:
        return Spoiled(Response(), fault.kind)
    if fault.kind is FaultKind.FORBIDDEN_PAGE:
        return Response(_PAGE, 403, media_type="text/html")
    answer = Response(b'{"error":"told to fail"}', _STATUS[fault.kind], media_type="application/json")
    if fault.retry_after is not None:
        answer.headers["retry-after"] = fault.retry_after
    if fault.kind is FaultKind.REDIRECT:
        answer.headers["location"] = "https://elsewhere.invalid/"
    return answer


class Spoiled(Response):
    """A good answer, delivered badly; what was asked has been done."""

    def __init__(self, good: Response, kind: FaultKind) -> None:
        super().__init__(good.body, good.status_code)
        self.raw_headers = good.raw_headers
        self._kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Deliver."""
        match self._kind:
            case FaultKind.TIMEOUT_BEFORE | FaultKind.TIMEOUT_AFTER:
                await _until_gone(receive)
            case FaultKind.PAGE:
                await Response(_PAGE, 200, media_type="text/html")(scope, receive, send)
            case FaultKind.EMPTY:
                await Response(b"", 200)(scope, receive, send)
            case FaultKind.CUT_JSON:
                half = bytes(self.body[: len(self.body) // 2])
                await Response(half, self.status_code, media_type="application/json")(scope, receive, send)
            case FaultKind.COMPRESSED:
                packed = Response(gzip.compress(bytes(self.body)), self.status_code, media_type="application/json")
                packed.headers["content-encoding"] = "gzip"
                await packed(scope, receive, send)
            case FaultKind.RESET:
                await self._start(send)
                await self._piece(send, bytes(self.body[: len(self.body) // 2]))
                _reset(scope)
                await _until_gone(receive)
            case FaultKind.DRIP:
                await self._drip(receive, send)
            case FaultKind.ENDLESS:
                await self._endless(scope, send)
            case _:
                await super().__call__(scope, receive, send)

    async def _start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _piece(self, send: Send, piece: bytes) -> None:
        await send({"type": "http.response.body", "body": piece, "more_body": True})

    async def _drip(self, receive: Receive, send: Send) -> None:
        """A byte at a time, until nobody listens; the last one never comes."""
        await self._start(send)
        async with anyio.create_task_group() as group:

            async def drip() -> None:
                for byte in bytes(self.body[:-1]):
                    await self._piece(send, bytes([byte]))
                    await anyio.sleep(_DRIP_SECONDS)

            group.start_soon(drip)
            await _until_gone(receive)
            group.cancel_scope.cancel()

    async def _endless(self, scope: Scope, send: Send) -> None:
        """Spaces, which JSON allows, without end."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        while scope["client"] and tuple(scope["client"]) in _connections:
            await self._piece(send, b" " * 65_536)
            await anyio.lowlevel.checkpoint()


async def _until_gone(receive: Receive) -> None:
    """Until the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _reset(scope: Scope) -> None:
    """Break the connection off with a TCP reset, as a crashed machine does."""
    transport = _connections[tuple(scope["client"])].transport
    # Closing with a linger time of zero sends RST instead of FIN. Source: socket(7).
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
