"""HTTP as the gateway receives it: uvicorn, but a request must come whole in time, and TLS follows its files."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ocean_emr.gateway import metrics
from ocean_emr.gateway.answers import PROBLEM_TYPE, Refusal, problem_document
from ocean_emr.gateway.settings import GatewaySettings

_LARGEST_HEAD: Final = 16 * 1024
_READ_AT_ONCE: Final = 256 * 1024
"""What the loop hands over at most; the rest of a request before may be in it."""
_KEEP_ALIVE_SECONDS: Final = 65
"""Longer than an ingress keeps its connections, so that it is not surprised by their end."""
_TLS_SECONDS: Final = 10.0
_FAREWELL_SECONDS: Final = 2.0
_BACKLOG: Final = 1024
_LOOK_AGAIN_SECONDS: Final = 5.0

log = structlog.get_logger("ocean-gateway")


class HeadTooLargeError(Exception):
    """A request's head is larger than any that Ocean would send."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may cost."""

    most_connections: int
    request_seconds: float


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, patient for a while: who sends a request in drops is cut off, and so are too many."""

    def __init__(self, *args: Any, limits: Limits, **more: Any) -> None:
        super().__init__(*args, **more)
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_size = 0
        """Bytes of the headers that came so far."""
        self._unparsed = 0
        """Bytes that came since, while the head is not complete."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.most_connections:
            metrics.CONNECTIONS_REFUSED.inc()
            transport.abort()
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came. The parser keeps what it has of a line, and would do so without end."""
        self._wait()
        self._unparsed = self._unparsed + len(data) if self._in_head else 0
        if self._unparsed > _LARGEST_HEAD + _READ_AT_ONCE:
            self.send_400_response("")
        else:
            super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = True
        self._head_size = 0
        self._wait()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers, or trailers."""
        self._head_size += len(name) + len(value)
        if self._head_size > _LARGEST_HEAD:
            raise HeadTooLargeError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Its head is there."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it is there."""
        super().on_message_complete()
        self._stop_waiting()

    def send_400_response(self, _msg: str) -> None:
        """Refuse what is not HTTP, in the same form as everything else."""
        metrics.REFUSED.labels(Refusal.NOT_HTTP).inc()
        self._stop_waiting()
        earlier = self.cycle is not None and not self.cycle.response_complete
        if earlier and not self.cycle.more_body:
            # It would be taken for the answer to the request before.
            self.cycle.keep_alive = False
            self.pipeline.clear()
            self.flow.pause_reading()
            return
        if not (earlier and self.cycle.response_started):
            body = orjson.dumps(problem_document(Refusal.NOT_HTTP))
            head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: {PROBLEM_TYPE}\r\ncontent-length: {len(body)}\r\n"
            self.transport.write(f"{head}connection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def _wait(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._limits.request_seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Certificate:
    """The server's certificate, always as the files last were when they fitted together."""

    def __init__(self, files: tuple[Path, Path]) -> None:
        """Read `files`, certificate and key.

        Raises:
            OSError, ssl.SSLError: They are missing or do not fit.
        """
        self._files = files
        self._seen = _signature(files)
        self._current = _tls(files)
        self.context = _tls(files)
        """For the server. Each connection gets the certificate that is current when it begins."""
        self.context.sni_callback = self._choose

    async def keep_current(self) -> None:
        """Look at the files again and again, until cancelled: cert-manager renews them."""
        while True:
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            self.look()

    def look(self) -> None:
        """Take the files as they are now, if they changed and fit together."""
        try:
            seen = _signature(self._files)
            if seen == self._seen:
                return
            self._current = _tls(self._files)
        except (OSError, ssl.SSLError) as error:
            log.error("certificate not usable, the last one stays", error=type(error).__name__)  # noqa: TRY400
            return
        self._seen = seen
        log.info("certificate renewed")

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current


def _signature(files: tuple[Path, Path]) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in files)


def _tls(files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(*files)
    return context


class Server(uvicorn.Server):
    """A uvicorn server on a socket of the caller's, which leaves signals to the process."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serve on `listener`, with `tls` or in the clear."""
        super().__init__(config)
        self._listener = listener
        self._tls = tls

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: main.py ends all parts together."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. As uvicorn's, which knows no time-outs for TLS."""
        if sockets:
            raise AssertionError("the socket was given already")
        protocol: Any = self.config.http_protocol_class
        listening = await asyncio.get_running_loop().create_server(
            partial(protocol, config=self.config, server_state=self.server_state, app_state={}),
            sock=self._listener,
            ssl=self._tls,
            backlog=self.config.backlog,
            ssl_handshake_timeout=_TLS_SECONDS if self._tls else None,
            ssl_shutdown_timeout=_FAREWELL_SECONDS if self._tls else None,
        )
        self.servers = [listening]
        self.started = True


def webhook_server(
    app: ASGIApp, settings: GatewaySettings, listener: socket.socket, tls: ssl.SSLContext | None
) -> Server:
    """A server for webhooks, not yet running."""
    limits = Limits(settings.most_connections, settings.request_seconds)
    if settings.trusted_proxies:
        app = ProxyHeadersMiddleware(app, ",".join(map(str, settings.trusted_proxies)))  # type: ignore[arg-type,assignment]
    return Server(_config(app, partial(PatientProtocol, limits=limits), settings.grace_seconds), listener, tls)


def probe_server(app: ASGIApp, listener: socket.socket) -> Server:
    """A server for probes, not yet running."""
    return Server(_config(app, HttpToolsProtocol, 1), listener)


def _config(app: ASGIApp, protocol: Any, grace_seconds: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        loop="none",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace_seconds,  # type: ignore[arg-type]
    )


def listen(host: str, port: int, *, seconds_unanswered: float) -> socket.socket:
    """A listening socket. A client that takes nothing for `seconds_unanswered` is dropped by the kernel.

    Raises:
        OSError: The address is not to be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    # Inherited by the connections. Source: tcp(7).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds_unanswered * 1000))
    return listener
