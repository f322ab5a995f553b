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

import h11
import orjson
import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol

from ocean_emr.gateway import metrics
from ocean_emr.gateway.answers import PROBLEM_TYPE, Refusal, problem_document
from ocean_emr.gateway.settings import GatewaySettings

_LARGEST_HEAD: Final = 16 * 1024
_KEEP_ALIVE_SECONDS: Final = 65
"""Longer than an ingress keeps its connections, so that it is not surprised by their end."""
_TLS_SECONDS: Final = 10.0
_FAREWELL_SECONDS: Final = 2.0
_BACKLOG: Final = 1024
_LOOK_AGAIN_SECONDS: Final = 5.0

log = structlog.get_logger("ocean-gateway")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may cost."""

    most_connections: int
    request_seconds: float


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, patient for a while: who sends a request in drops is cut off, and so are too many."""

    def __init__(self, *args: Any, limits: Limits, **more: Any) -> None:
        super().__init__(*args, **more)
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.most_connections:
            metrics.CONNECTIONS_REFUSED.inc()
            transport.abort()
        else:
            self._deadline = self.loop.call_later(self._limits.request_seconds, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait on if it was not a whole request."""
        super().data_received(data)
        waits = self.conn.their_state in {h11.IDLE, h11.SEND_BODY}
        between = self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]
        if not waits or between:
            self._stop_waiting()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self._limits.request_seconds, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, _msg: str) -> None:
        """Refuse what is not HTTP, in the same form as everything else."""
        metrics.REFUSED.labels(Refusal.NOT_HTTP).inc()
        body = orjson.dumps(problem_document(Refusal.NOT_HTTP))
        headers = [
            ("content-type", PROBLEM_TYPE),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        # Where an answer is under way already, there is no place for another.
        with contextlib.suppress(h11.LocalProtocolError):
            head = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

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
    return Server(_config(app, H11Protocol, 1), listener)


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
        h11_max_incomplete_event_size=_LARGEST_HEAD,
    )


def listen(host: str, port: int, *, seconds_unanswered: float) -> socket.socket:
    """A listening socket. A client that takes nothing for `seconds_unanswered` is dropped by the kernel.

    Raises:
        OSError: The address is not to be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    # Inherited by the connections. Source: tcp(7).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds_unanswered * 1000))
    return listener
