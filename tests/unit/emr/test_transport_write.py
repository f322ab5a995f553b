"""Writing to an EMR over HTTP: what is certain not to have been done, and what is not."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from ocean_emr.answers import Send
from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrBlockedError,
    EmrClockSkewError,
    EmrConflictError,
    EmrError,
    EmrNotFoundError,
    EmrOutcomeUnknownError,
    EmrPermissionDeniedError,
    EmrRateLimitedError,
    EmrTlsError,
    EmrUnavailableError,
    EmrWriteRefusedError,
)
from ocean_emr.records import Operation
from ocean_emr.testing.conformance.rig import FAST
from ocean_emr.testing.serving import LOOPBACK
from ocean_emr.transport import Limits, Transport
from unit.emr.answering import Server, in_turn, ok, transport
from unit.emr.certificates import Authority

SEND = Send(Operation.WRITE_NOTE, "note", json={"note": "p0001"})
HASTY = replace(FAST, silence_seconds=0.3, attempt_seconds=0.5)


class Signing:
    """Signs with a number of its own each time."""

    signs_time = True

    def __init__(self) -> None:
        self.signed = 0

    async def apply(self, request: httpx.Request, _op: Operation) -> None:
        self.signed += 1
        request.headers["Authorization"] = f"Signed {self.signed}"

    async def renew(self) -> bool:
        return True


async def test_method_headers_and_body_arrive_as_given() -> None:
    server = Server(in_turn(ok()))
    send = replace(
        SEND, method="PUT", headers={"If-Match": 'W/"3"', "Content-Type": "application/fhir+json"}, accept="*/*"
    )
    with server.running() as url:
        async with transport(url) as emr:
            assert await emr.write_json(send) == {"ok": True}

    (asked,) = server.asked
    assert (asked.method, asked.url.path) == ("PUT", "/base/note")
    assert asked.headers["If-Match"] == 'W/"3"'
    assert asked.headers["Accept"] == "*/*"
    assert asked.headers["Content-Type"] == "application/fhir+json"
    assert json.loads(await asked.body()) == {"note": "p0001"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (303, EmrOutcomeUnknownError),
        (307, EmrAnswerError),
        (400, EmrWriteRefusedError),
        (401, EmrAuthRefusedError),
        (403, EmrPermissionDeniedError),
        (404, EmrAnswerError),
        (405, EmrAnswerError),
        (406, EmrAnswerError),
        (407, EmrBlockedError),
        (408, EmrOutcomeUnknownError),
        (409, EmrConflictError),
        (412, EmrConflictError),
        (413, EmrWriteRefusedError),
        (415, EmrWriteRefusedError),
        (422, EmrWriteRefusedError),
        (429, EmrRateLimitedError),
        (500, EmrOutcomeUnknownError),
        (502, EmrOutcomeUnknownError),
        (503, EmrOutcomeUnknownError),
    ],
)
async def test_a_status_says_whether_something_can_have_been_written(status: int, kind: type[EmrError]) -> None:
    server = Server(in_turn(Response(b"p0001", status)))
    with server.running() as url:
        async with transport(url) as emr:
            with pytest.raises(kind) as caught:
                await emr.write(SEND)

    assert type(caught.value) is kind
    assert caught.value.http_status == status
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [404, 410])
async def test_a_path_that_names_a_record_may_lead_nowhere(status: int) -> None:
    with Server(in_turn(Response(status_code=status))).running() as url:
        async with transport(url) as emr:
            with pytest.raises(EmrNotFoundError):
                await emr.write(replace(SEND, record=True))


@pytest.mark.parametrize(
    "answer",
    [Response(b'{"id": 1'), Response(b"null"), Response(b""), Response(b"<html>p0001</html>")],
    ids=["half", "null", "empty", "page"],
)
async def test_an_answer_that_tells_nothing_leaves_the_outcome_unknown(answer: Response) -> None:
    with Server(in_turn(answer)).running() as url:
        async with transport(url) as emr:
            with pytest.raises(EmrOutcomeUnknownError, match="200"):
                await emr.write_json(SEND)


async def test_a_web_page_is_not_taken_for_success() -> None:
    """Nobody looks at the body of a plain `write`."""
    with Server(in_turn(Response(b"<!DOCTYPE html><p>Sign in"))).running() as url:
        async with transport(url) as emr:
            with pytest.raises(EmrOutcomeUnknownError):
                await emr.write(SEND)


async def test_an_answer_too_large_to_take_is_unknown() -> None:
    with Server(in_turn(Response(b" " * 5000))).running() as url:
        async with transport(url, limits=replace(FAST, body_bytes=4096)) as emr:
            with pytest.raises(EmrOutcomeUnknownError, match="larger than"):
                await emr.write(SEND)


# Connections


@contextmanager
def raw_server(answering: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server below HTTP: each connection, once something was received, is `answering`'s to spoil."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    answering(connection)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _silent(connection: socket.socket) -> None:
    connection.recv(1)  # Until the other side gives up.


def _half(connection: socket.socket) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id"')


def _gone(_connection: socket.socket) -> None:
    pass


@pytest.mark.parametrize("spoil", [_silent, _half, _gone])
async def test_whatever_happens_after_it_left_is_unknown(spoil: Callable[[socket.socket], None]) -> None:
    with raw_server(spoil) as url:
        async with transport(url, limits=HASTY) as emr:
            with pytest.raises(EmrOutcomeUnknownError):
                await emr.write(SEND)


async def test_nobody_there_means_nothing_written() -> None:
    with Server(in_turn(ok())).running() as url:
        pass
    async with transport(url) as emr:
        with pytest.raises(EmrUnavailableError, match="could not be reached"):
            await emr.write(SEND)


async def test_a_certificate_not_to_be_trusted_means_nothing_written(tmp_path: object) -> None:
    server = Server(in_turn(ok()))
    with server.running(Authority.new().server(tmp_path)) as url:  # type: ignore[arg-type]
        async with transport(url, ca_bundle=Authority.new().pem) as emr:
            with pytest.raises(EmrTlsError):
                await emr.write(SEND)

    assert server.asked == []


async def test_a_connection_that_never_comes_about_means_nothing_written() -> None:
    """The time for a whole attempt ends while the TLS handshake waits for its answer: nothing has been sent."""
    with raw_server(_silent) as url:
        async with transport(url.replace("http:", "https:"), limits=HASTY) as emr:
            with pytest.raises(EmrUnavailableError):
                await emr.write(SEND)


# Logins


@pytest.fixture
async def signed() -> AsyncIterator[Callable[[str, Limits], Transport]]:
    """A transport whose proof holds the time."""
    opened: list[Transport] = []

    def opening(url: str, limits: Limits = FAST) -> Transport:
        opened.append(Transport(url, auth=Signing(), limits=limits, addresses=LOOPBACK))
        return opened[-1]

    yield opening
    for emr in opened:
        await emr.__aexit__()


async def test_a_refused_login_is_signed_afresh_once(signed: Callable[[str], Transport]) -> None:
    """A refused request wrote nothing, and its nonce may have been spent on the way."""

    def answering(request: Request) -> Response:
        return ok() if request.headers.get("Authorization") == "Signed 2" else Response(status_code=401)

    server = Server(answering)
    with server.running() as url:
        await signed(url).write(SEND)

    written = [request for request in server.asked if request.method == "POST"]
    assert [request.headers["Authorization"] for request in written] == ["Signed 1", "Signed 2"]


async def test_a_credential_refused_on_a_write_is_not_used_any_more(signed: Callable[[str], Transport]) -> None:
    server = Server(in_turn(Response(status_code=401)))
    with server.running() as url:
        emr = signed(url)
        for _ in range(3):
            with pytest.raises(EmrAuthRefusedError):
                await emr.write(SEND)

    assert len([request for request in server.asked if request.method == "POST"]) == 2


async def test_nothing_is_signed_while_the_clocks_differ(signed: Callable[[str], Transport]) -> None:
    old = Response(headers={"Date": "Mon, 01 Jan 2024 00:00:00 GMT"})
    server = Server(in_turn(old))
    with server.running() as url, pytest.raises(EmrClockSkewError):
        await signed(url).write(SEND)

    assert [request.method for request in server.asked] == ["GET"]
