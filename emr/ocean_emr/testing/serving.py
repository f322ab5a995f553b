"""An ASGI application as a real server on a loopback port, for as long as a `with` block lasts."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Final, Self

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from ocean_api.addresses import AddressRules

LOOPBACK: Final = AddressRules.parse(["127.0.0.0/8"], [])
"""What an adapter or a client must be allowed that is to call a server of this module."""

_START_SECONDS: Final = 10

_connections: Final[MutableMapping[tuple[str, int], H11Protocol]] = {}
"""Open connections by the client's address, for faults that need the socket itself."""


class _Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, with its connections within reach."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client:
            _connections[self.client] = self

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client:
            _connections.pop(self.client, None)
        super().connection_lost(exc)


class Server(uvicorn.Server):
    """Says when it listens, so that nobody has to ask again and again, and ends at once when it is stopped."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        await super().startup(sockets)
        self.listening.set()

    def stop(self) -> None:
        """End, and with it every request that is being answered. From another thread."""
        self.should_exit = self.force_exit = True
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def main_loop(self) -> None:
        """As uvicorn's, which looks ten times a second whether it is to end, but without waiting for the next look."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, which gives connections a tenth of a second to end."""
        if not self.force_exit:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()


def listener(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    # `socket.create_server` leaves the protocol 0. asyncio then does not set TCP_NODELAY, and each answer whose body
    # follows its head waits some 40 ms for the client's delayed acknowledgement.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen()
    return listening


def server(app: ASGIApp, *, tls: tuple[Path, Path] | None = None) -> Server:
    """A server over `app`, to be run with sockets of the caller's; `tls` is certificate and key, PEM.

    It sends no Date of its own, so that an application can pretend to live at another time.
    """
    return Server(
        uvicorn.Config(
            app,
            http=_Protocol,
            loop="asyncio",
            lifespan="off",
            log_level="error",
            access_log=False,
            date_header=False,
            ssl_certfile=tls[0] if tls else None,
            ssl_keyfile=tls[1] if tls else None,
        )
    )


class Served:
    """`app`, listening in a thread while the context lasts."""

    def __init__(self, app: ASGIApp, *, tls: tuple[Path, Path] | None = None) -> None:
        """Listen once entered. `tls` is certificate and key, PEM."""
        self._server = server(app, tls=tls)
        self._scheme = "https" if tls else "http"

    def __enter__(self) -> Self:
        self._socket = listener("127.0.0.1", 0)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"{self._scheme}://127.0.0.1:{self.port}"
        self._thread = Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        if not self._server.listening.wait(_START_SECONDS):
            raise TimeoutError("the server did not start")
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.stop()
        self._thread.join(_START_SECONDS)
        self._socket.close()


def reset_connection(scope: Scope) -> None:
    """Break the connection that `scope` came by off with a TCP reset, as a crashed machine does."""
    transport = _connections[tuple(scope["client"])].transport
    plain = transport.get_extra_info("socket")
    # Closing with a linger time of zero sends RST instead of FIN. Source: socket(7).
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
