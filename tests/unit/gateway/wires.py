"""Real connections to a gateway's server, as bytes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Scope, Send

from ocean_emr.gateway.request import ClientGoneError, read_body
from ocean_emr.gateway.serving import listen, webhook_server
from ocean_emr.gateway.settings import GatewaySettings

SECONDS = 30


@dataclass
class App:
    """Answers with the body, once the gate is open."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    clients: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        self.clients.append(scope["client"][0])
        self.began.set()
        await self.gate.wait()
        try:
            body = await read_body(receive)
        except ClientGoneError:
            self.gone.set()
            return
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def serving(app: Any, tls: ssl.SSLContext | None = None, **more: Any) -> AsyncIterator[int]:
    """The port at which `app` is served."""
    listener = listen("127.0.0.1", 0, seconds_unanswered=10)
    settings = GatewaySettings(vault_address="https://v", database_host="d", tls_in_front=True, grace_seconds=5, **more)
    server = webhook_server(app, settings, listener, tls)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn does not tell
        await asyncio.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


class Connection:
    """A client's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int, **more: Any) -> Connection:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, **more))

    async def send(self, data: bytes) -> None:
        """Send. A server that has closed is no failure of the sender's."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer."""
        async with asyncio.timeout(SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            return int(head.split(b" ")[1]), await self.reader.readexactly(length)

    async def ended(self) -> bytes:
        """What still came before the server ended the connection."""
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read()
        return b""


def request(body: bytes = b"x", *headers: str, version: str = "1.1") -> bytes:
    lines = [f"POST /x HTTP/{version}", "host: h", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
