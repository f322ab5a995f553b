"""Real connections: who sends in drops, too much, too many at once, or not HTTP at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import pytest

from ocean_emr.gateway.serving import listen
from unit.gateway.wires import SECONDS, App, Connection, request, serving


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
        pytest.param([request(), b"\r\n", b"\r\n"], id="empty lines after a request"),
    ],
)
async def test_who_sends_in_drops_is_cut_off(drops: list[bytes], app: App) -> None:
    async with serving(app, request_seconds=0.3) as port:
        connection = await Connection.to(port)
        for drop in drops:
            await connection.send(drop)
            if drop == request():
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

        await asyncio.wait_for(app.gone.wait(), SECONDS)


async def test_answer_may_take_longer_than_a_request() -> None:
    app = App()
    async with serving(app, request_seconds=0.2) as port:
        connection = await Connection.to(port)
        await connection.send(request(b"whole"))
        await app.began.wait()
        asyncio.get_running_loop().call_later(0.6, app.gate.set)

        assert await connection.answer() == (200, b"whole")


async def test_further_connections_are_closed_and_come_back_when_there_is_room(app: App) -> None:
    async with serving(app, most_connections=10, request_seconds=60) as port:
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
