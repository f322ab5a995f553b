"""Real connections: who sends in drops, too much, too many at once, or not HTTP at all; and TLS whose files change."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from ocean_dev.certificates import Authority
from ocean_emr.gateway.request import ClientGoneError, read_body
from ocean_emr.gateway.serving import Certificate, listen, webhook_server
from ocean_emr.gateway.settings import GatewaySettings

_SECONDS = 30


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


@pytest.fixture
def app() -> App:
    """With an open gate."""
    app = App()
    app.gate.set()
    return app


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
        async with asyncio.timeout(_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            return int(head.split(b" ")[1]), await self.reader.readexactly(length)

    async def ended(self) -> bytes:
        """What still came before the server ended the connection."""
        async with asyncio.timeout(_SECONDS):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read()
        return b""


def request(body: bytes = b"x", *headers: str, version: str = "1.1") -> bytes:
    lines = [f"POST /x HTTP/{version}", "host: h", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def problem(body: bytes) -> str:
    return str(json.loads(body)["type"])


async def test_connection_is_kept_for_the_next_request(app: App) -> None:
    async with serving(app) as port:
        connection = await Connection.to(port)
        for body in (b"one", b"two", b""):
            await connection.send(request(body))
            assert await connection.answer() == (200, body)


async def test_requests_sent_in_one_go_are_answered_in_order(app: App) -> None:
    async with serving(app) as port:
        connection = await Connection.to(port)
        await connection.send(b"".join(request(b"%d" % number) for number in range(50)))

        assert [(await connection.answer())[1] for _ in range(50)] == [b"%d" % number for number in range(50)]


async def test_http_1_0_is_answered_once(app: App) -> None:
    """It knows no second request; what follows is not looked at."""
    async with serving(app) as port:
        connection = await Connection.to(port)
        await connection.send(request(b"one", version="1.0") + request(b"two", version="1.0"))

        assert await connection.answer() == (200, b"one")
        assert await connection.ended() == b""
        assert len(app.clients) == 1


@pytest.mark.parametrize(
    "drops",
    [
        pytest.param([b"P", b"O", b"S"], id="a method"),
        pytest.param([b"\r\n"] * 4, id="empty lines"),
        pytest.param([b"POST /x HTTP/1.1\r\n", b"a: b\r\n", b"c: d\r\n"], id="headers"),
        pytest.param([b"POST /x HTTP/1.1\r\ncontent-length: 9\r\n\r\n", b"a", b"b"], id="a body"),
        pytest.param([b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\na\r\n"], id="chunks"),
        pytest.param([], id="nothing"),
        pytest.param([request(), b"POST"], id="a second request"),
    ],
)
async def test_who_sends_in_drops_is_cut_off(drops: list[bytes], app: App) -> None:
    async with serving(app, request_seconds=0.3) as port:
        connection = await Connection.to(port)
        for drop in drops:
            await connection.send(drop)
        if drops[:1] == [request()]:
            await connection.answer()

        assert await connection.ended() == b""


async def test_drops_do_not_prolong_the_time(app: App) -> None:
    async with serving(app, request_seconds=0.3) as port:
        connection = await Connection.to(port)
        await connection.send(b"POST /x HTTP/1.1\r\n")
        drops = 0
        while not connection.writer.transport.is_closing() and drops < 1_000:
            await connection.send(b"a: b\r\n")
            drops += 1
            await asyncio.sleep(0.02)

        assert drops < 1_000


async def test_many_slow_senders_keep_nobody_else_waiting(app: App) -> None:
    async with serving(app, request_seconds=60) as port:
        slow = [await Connection.to(port) for _ in range(300)]
        for connection in slow:
            await connection.send(b"POST /x HTTP/1.1\r\ncontent-length: 9\r\n\r\n1")
        fast = await Connection.to(port)
        await fast.send(request(b"fast"))

        assert await fast.answer() == (200, b"fast")
        for connection in slow:
            connection.writer.close()


async def test_sender_who_takes_too_long_is_gone_for_the_application(app: App) -> None:
    async with serving(app, request_seconds=0.3) as port:
        connection = await Connection.to(port)
        await connection.send(b"POST /x HTTP/1.1\r\ncontent-length: 9\r\n\r\n1")

        await asyncio.wait_for(app.gone.wait(), _SECONDS)


async def test_answer_may_take_longer_than_a_request() -> None:
    app = App()
    async with serving(app, request_seconds=0.2) as port:
        connection = await Connection.to(port)
        await connection.send(request(b"whole"))
        await app.began.wait()
        asyncio.get_running_loop().call_later(0.6, app.gate.set)

        assert await connection.answer() == (200, b"whole")


async def test_further_connections_are_closed_and_come_back_when_there_is_room(app: App) -> None:
    async with serving(app, most_connections=10) as port:
        held = [await Connection.to(port) for _ in range(10)]
        for connection in held:
            await connection.send(request())
            await connection.answer()
        surplus = await Connection.to(port)
        assert await surplus.ended() == b""
        held.pop().writer.close()
        while True:
            late = await Connection.to(port)
            await late.send(request(b"late"))
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                assert await late.answer() == (200, b"late")
                break


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", id="TLS"),
        pytest.param(b"hello\r\n\r\n", id="words"),
        pytest.param(b"POST /x HTTP/9.9\r\n\r\n", id="a version to come"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"POST /x HTTP/1.1\r\nbad header\r\n\r\n", id="no header"),
        pytest.param(b"POST /x HTTP/1.1\r\na: b\x00\r\n\r\n", id="NUL"),
        pytest.param(b"POST /x HTTP/1.1\r\ncontent-length: x\r\n\r\n", id="no number"),
        pytest.param(b"POST /x HTTP/1.1\r\ncontent-length: -1\r\n\r\n", id="less than nothing"),
        pytest.param(b"POST /x HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", id="two lengths"),
        pytest.param(
            b"POST /x HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", id="both lengths"
        ),
        pytest.param(b"POST /x HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n", id="more than there is"),
        pytest.param(b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", id="no chunk"),
        pytest.param(b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked, gzip\r\n\r\n", id="coded after chunking"),
        pytest.param(b"POST /x HTTP/1.1\r\na: " + b"x" * 20_000 + b"\r\n\r\n", id="a long header"),
        pytest.param(b"POST /x HTTP/1.1\r\n" + b"a: b\r\n" * 10_000 + b"\r\n", id="many headers"),
    ],
)
async def test_what_is_not_http_is_refused_in_our_form(sent: bytes, app: App) -> None:
    app.gate.clear()
    async with serving(app) as port:
        connection = await Connection.to(port)
        await connection.send(sent)
        status, body = await connection.answer()

        assert (status, problem(body)) == (400, "urn:ocean-gateway:not-http")
        assert await connection.ended() == b""
        app.gate.set()


@pytest.mark.parametrize("start", [b"POST /", b"POST /x HTTP/1.1\r\na: "])
async def test_line_without_an_end_is_not_kept(start: bytes, app: App) -> None:
    """The parser itself would keep gigabytes of it."""
    async with serving(app) as port:
        connection = await Connection.to(port)
        await connection.send(start)
        sent = 0
        while not connection.writer.transport.is_closing() and sent < 64 * 2**20:
            await connection.send(b"x" * 65_536)
            sent += 65_536
            await asyncio.sleep(0)

        assert sent < 16 * 2**20


async def test_what_follows_a_request_is_not_taken_for_its_answer() -> None:
    """Its sender would think it refused."""
    app = App()
    async with serving(app) as port:
        connection = await Connection.to(port)
        await connection.send(request(b"good") + b"not HTTP\r\n\r\n" + request(b"more"))
        await app.began.wait()
        app.gate.set()

        assert await connection.answer() == (200, b"good")
        assert await connection.ended() == b""


async def test_request_that_is_under_way_is_answered_at_the_end(app: App) -> None:
    app.gate.clear()
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(serving(app))
        connection, idle = await Connection.to(port), await Connection.to(port)
        await connection.send(request(b"under way"))
        await app.began.wait()
        asyncio.get_running_loop().call_later(0.5, app.gate.set)
        await stack.aclose()

        assert await connection.answer() == (200, b"under way")
        assert await connection.ended() == b""
        assert await idle.ended() == b""
        with pytest.raises(ConnectionError):
            await Connection.to(port)


@pytest.mark.parametrize(
    ("trusted", "header", "seen"),
    [
        ("", "198.51.100.7", "127.0.0.1"),
        ("10.0.0.0/8", "198.51.100.7", "127.0.0.1"),
        ("127.0.0.0/8", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "203.0.113.1, 198.51.100.7", "198.51.100.7"),
        ("127.0.0.1,198.51.100.0/24", "203.0.113.1, 198.51.100.7", "203.0.113.1"),
    ],
)
async def test_address_is_taken_from_those_who_are_trusted(trusted: str, header: str, seen: str, app: App) -> None:
    async with serving(app, trusted_proxies=trusted) as port:
        connection = await Connection.to(port)
        await connection.send(request(b"", f"x-forwarded-for: {header}"))
        await connection.answer()

        assert app.clients == [seen]


async def test_client_that_takes_nothing_does_not_stay_for_ever() -> None:
    with listen("127.0.0.1", 0, seconds_unanswered=12.5) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()

        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 12_500
        client.close()
        accepted.close()


@pytest.mark.parametrize("client", ["127.0.0.1", "::1"])
async def test_address_of_both_kinds(client: str) -> None:
    with listen("::", 0, seconds_unanswered=1) as listener:
        socket.create_connection((client, listener.getsockname()[1]), timeout=10).close()


class Files:
    """A certificate as cert-manager mounts and renews it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority.create()
        self.paths = (folder / "tls.crt", folder / "tls.key")
        self.renew("first")

    def renew(self, name: str) -> None:
        """Another one, for a host of that name as well."""
        self.authority.issue("gateway", addresses=["127.0.0.1", name]).write(self.folder, "tls")

    def client(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """What a client trusts, and, if it is told, the one version it speaks."""
        context = ssl.create_default_context(cadata=self.authority.pair.certificate.decode())
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context

    async def names(self, port: int) -> set[str]:
        """The hosts in the certificate that the server shows."""
        connection = await Connection.to(port, ssl=self.client(), server_hostname="127.0.0.1")
        shown = connection.writer.get_extra_info("peercert")["subjectAltName"]
        connection.writer.close()
        return {name for _, name in shown}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A certificate."""
    return Files(tmp_path)


async def test_certificate_that_was_renewed_is_shown_without_a_restart(files: Files, app: App) -> None:
    certificate = Certificate(files.paths)
    async with serving(app, certificate.context) as port:
        kept = await Connection.to(port, ssl=files.client(), server_hostname="127.0.0.1")
        assert await files.names(port) == {"127.0.0.1", "first"}
        files.renew("second")
        with capture_logs() as said:
            certificate.look()
            certificate.look()

        assert await files.names(port) == {"127.0.0.1", "second"}
        assert [line["event"] for line in said] == ["certificate renewed"]
        await kept.send(request(b"still here"))
        assert await kept.answer() == (200, b"still here")
        kept.writer.close()


@pytest.mark.parametrize("spoilt", ["key of another", "half a file", "gone"])
async def test_certificate_that_cannot_be_used_leaves_the_last_one(spoilt: str, files: Files, app: App) -> None:
    certificate = Certificate(files.paths)
    async with serving(app, certificate.context) as port:
        crt, key = files.paths
        match spoilt:
            case "key of another":
                key.write_bytes(Authority.create().issue("x").key)
            case "half a file":
                crt.write_bytes(crt.read_bytes()[:100])
            case _:
                key.unlink()
        with capture_logs() as said:
            certificate.look()

        assert [line["log_level"] for line in said] == ["error"]
        assert await files.names(port) == {"127.0.0.1", "first"}
        files.renew("second")
        certificate.look()
        assert await files.names(port) == {"127.0.0.1", "second"}


async def test_tls_1_1_and_plain_http_are_not_answered(files: Files, app: App) -> None:
    async with serving(app, Certificate(files.paths).context) as port:
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old = files.client(ssl.TLSVersion.TLSv1_1)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await Connection.to(port, ssl=old, server_hostname="127.0.0.1")
        plain = await Connection.to(port)
        await plain.send(request())
        assert b"HTTP" not in await plain.ended()

        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            connection = await Connection.to(port, ssl=files.client(version), server_hostname="127.0.0.1")
            await connection.send(request(b"safe"))
            assert await connection.answer() == (200, b"safe")
            connection.writer.close()
        assert len(app.clients) == 2
