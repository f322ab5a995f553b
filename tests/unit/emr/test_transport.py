"""HTTP to an EMR: repetition, limits, TLS, refused credentials, and what may be logged."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import ClassVar

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocean_emr.answers import Read
from ocean_emr.auth import ClientCredentials, OAuth1, require, token_faults
from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrClockSkewError,
    EmrRateLimitedError,
    EmrTlsError,
    EmrUnavailableError,
)
from ocean_emr.records import Operation
from ocean_emr.testing.conformance.rig import FAST
from ocean_emr.testing.serving import Served
from ocean_emr.transport import NoAuth, Transport
from unit.emr.certificates import Authority

READ = Read(Operation.LIST_PROVIDERS, "list")
Answering = Callable[[Request], Response]


class Server:
    """Answers by a function and remembers what it was asked."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.asked: list[Request] = []

    @contextmanager
    def running(self, tls: tuple[Path, Path] | None = None) -> Iterator[str]:
        """Serve; the value is the base address."""

        async def endpoint(request: Request) -> Response:
            await request.body()
            self.asked.append(request)
            return self.answering(request)

        app = Starlette(routes=[Route("/{path:path}", endpoint, methods=["GET", "POST"])])
        with Served(app, tls=tls) as served:
            yield f"{served.url}/base"


def in_turn(*answers: Response) -> Answering:
    """Each answer once, the last one for ever."""
    left = list(answers)
    return lambda _request: left.pop(0) if len(left) > 1 else left[0]


def ok() -> Response:
    return Response(b'{"ok": true}', media_type="application/json")


def transport(url: str, **options: object) -> Transport:
    return Transport(url, **{"auth": NoAuth(), "limits": FAST, **options})  # type: ignore[arg-type]


async def test_what_passes_in_seconds_is_asked_again() -> None:
    server = Server(in_turn(Response(status_code=503), Response(status_code=502), ok()))
    with server.running() as url:
        async with transport(url) as emr:
            assert await emr.read_json(READ) == {"ok": True}

    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [500, 400, 401, 403, 404])
async def test_what_does_not_pass_is_asked_once(status: int) -> None:
    server = Server(in_turn(Response(status_code=status)))
    with server.running() as url:
        async with transport(url) as emr:
            with pytest.raises(Exception, match=str(status)):
                await emr.read(READ)

    assert len(server.asked) == 1


async def test_repetition_ends() -> None:
    server = Server(in_turn(Response(status_code=503)))
    with server.running() as url:
        async with transport(url) as emr:
            with pytest.raises(EmrUnavailableError):
                await emr.read(READ)

    assert len(server.asked) == FAST.attempts


async def test_a_pause_longer_than_ours_ends_the_run() -> None:
    server = Server(in_turn(Response(status_code=429, headers={"Retry-After": "3600"})))
    with server.running() as url:
        async with transport(url) as emr:
            with pytest.raises(EmrRateLimitedError) as caught:
                await emr.read(READ)

    assert caught.value.retry_after == 3600
    assert len(server.asked) == 1


async def test_nobody_there_is_unavailable() -> None:
    with Server(in_turn(ok())).running() as url:
        pass
    async with transport(url) as emr:
        with pytest.raises(EmrUnavailableError, match="could not be reached"):
            await emr.read(READ)


async def test_a_name_that_nobody_knows_is_unavailable() -> None:
    async with transport("https://emr.invalid/oscar") as emr:
        with pytest.raises(EmrUnavailableError, match="could not be reached"):
            await emr.read(READ)


async def test_redirects_are_not_followed() -> None:
    """A signature, and a question that may name a patient, go to the configured host only."""
    server = Server(in_turn(Response(status_code=302, headers={"Location": "https://portal.invalid/?next=p1001"})))
    with server.running() as url:
        async with transport(url) as emr:
            with pytest.raises(EmrAnswerError, match="redirects") as caught:
                await emr.read(READ)

    assert "p1001" not in str(caught.value)


@pytest.mark.parametrize("link", ["https://portal.invalid/base/list?page=2", "http://127.0.0.1:1/base", "https://[bad"])
async def test_a_page_link_to_another_host_is_not_followed(link: str) -> None:
    server = Server(in_turn(ok()))
    with server.running() as url:
        async with transport(url) as emr:
            with pytest.raises(EmrAnswerError, match="page link"):
                await emr.read(replace(READ, path=link))

    assert server.asked == []


async def test_a_page_link_on_the_same_host_keeps_its_query() -> None:
    server = Server(in_turn(ok()))
    with server.running() as url:
        async with transport(url) as emr:
            await emr.read(replace(READ, path=f"{url}?_getpages=a%7Cb&x=1"))

    assert str(server.asked[0].url).endswith("/base?_getpages=a%7Cb&x=1")


async def test_queries_are_encoded_so_that_signatures_hold() -> None:
    server = Server(in_turn(ok()))
    with server.running() as url:
        async with transport(url) as emr:
            await emr.read(replace(READ, path="/Patient", params=[("identifier", "a|b c+d"), ("n", "Zoé")]))

    assert str(server.asked[0].url).endswith("/base/Patient?identifier=a%7Cb%20c%2Bd&n=Zo%C3%A9")


async def test_an_answer_without_end_is_cut_off() -> None:
    server = Server(in_turn(Response(b"[" + b" " * 5000)))
    with server.running() as url:
        async with transport(url, limits=replace(FAST, body_bytes=4096)) as emr:
            with pytest.raises(EmrAnswerError, match="larger than"):
                await emr.read(READ)


async def test_a_compressed_bomb_is_cut_off() -> None:
    import gzip  # noqa: PLC0415 - for this test only

    bomb = Response(gzip.compress(b" " * 5_000_000), headers={"Content-Encoding": "gzip"})
    server = Server(in_turn(bomb))
    with server.running() as url:
        async with transport(url, limits=replace(FAST, body_bytes=1_000_000)) as emr:
            with pytest.raises(EmrAnswerError, match="larger than"):
                await emr.read(READ)


async def test_false_compression_is_unreadable() -> None:
    server = Server(in_turn(Response(b"p1001 is not gzip", headers={"Content-Encoding": "gzip"})))
    with server.running() as url:
        async with transport(url) as emr:
            with pytest.raises(EmrAnswerError, match="compressed"):
                await emr.read(READ)


# TLS


@pytest.fixture
def authority() -> Authority:
    return Authority.new()


async def test_a_bundle_is_trusted(authority: Authority, tmp_path: Path) -> None:
    server = Server(in_turn(ok()))
    with server.running(authority.server(tmp_path)) as url:
        async with transport(url, ca_bundle=authority.pem) as emr:
            assert await emr.read_json(READ) == {"ok": True}
            assert emr.encrypted


@pytest.mark.parametrize(
    ("change", "trusted", "what"),
    [
        ({}, False, "unable to get local issuer certificate|self-signed"),
        ({"life": timedelta(hours=1)}, True, "expired"),
        ({"address": "127.0.0.2"}, True, "mismatch"),
    ],
    ids=["unknown authority", "expired", "another host's"],
)
async def test_a_certificate_that_is_not_to_be_trusted(
    authority: Authority, tmp_path: Path, change: dict[str, object], what: str, *, trusted: bool
) -> None:
    server = Server(in_turn(ok()))
    bundle = authority if trusted else Authority.new()
    with server.running(authority.server(tmp_path, **change)) as url:  # type: ignore[arg-type]
        async with transport(url, ca_bundle=bundle.pem) as emr:
            with pytest.raises(EmrTlsError, match=what):
                await emr.read(READ)

    assert server.asked == []


async def test_a_bundle_takes_the_place_of_the_public_authorities(authority: Authority, tmp_path: Path) -> None:
    """And without one, the public ones count."""
    with Server(in_turn(ok())).running(authority.server(tmp_path)) as url:
        async with transport(url) as emr:
            with pytest.raises(EmrTlsError):
                await emr.read(READ)


async def test_https_to_a_server_that_speaks_http() -> None:
    with Server(in_turn(ok())).running() as url:
        async with transport(url.replace("http:", "https:")) as emr:
            with pytest.raises(EmrTlsError, match="speaks no TLS"):
                await emr.read(READ)


# Credentials


class Password:
    """Shows a password that may be renewed."""

    signs_time: ClassVar[bool] = False

    def __init__(self, *passwords: str) -> None:
        self.passwords = list(passwords)

    async def apply(self, request: httpx.Request, op: Operation) -> None:  # noqa: ARG002 - the protocol's
        """Show the first one."""
        request.headers["X-Password"] = self.passwords[0]

    async def renew(self) -> bool:
        """Go on to the next one, if there is one."""
        self.passwords.pop(0)
        return bool(self.passwords)


def by_password(request: Request) -> Response:
    return ok() if request.headers["X-Password"] == "good" else Response(status_code=401)


async def test_a_refused_credential_is_renewed_once() -> None:
    server = Server(by_password)
    with server.running() as url:
        async with transport(url, auth=Password("stale", "good")) as emr:
            assert await emr.read_json(READ) == {"ok": True}
            assert await emr.read_json(READ) == {"ok": True}

    assert len(server.asked) == 3


@pytest.mark.parametrize("passwords", [("bad", "bad", "good"), ("bad",)])
async def test_a_credential_that_stays_refused_is_not_used_again(passwords: tuple[str, ...]) -> None:
    server = Server(by_password)
    with server.running() as url:
        async with transport(url, auth=Password(*passwords)) as emr:
            for _ in range(3):
                with pytest.raises(EmrAuthRefusedError):
                    await emr.read(READ)

    assert len(server.asked) == min(2, len(passwords))


def oauth1() -> OAuth1:
    return OAuth1("key", "secret", "token", "token-secret")


async def test_every_attempt_is_signed_afresh() -> None:
    server = Server(in_turn(ok(), Response(status_code=503), Response(status_code=503), ok()))
    with server.running() as url:
        async with transport(url, auth=oauth1()) as emr:
            await emr.read(READ)

    unsigned, *signed = [request.headers.get("authorization") for request in server.asked]
    assert unsigned is None
    assert len(signed) == len(set(signed)) == 3


@pytest.mark.parametrize("ahead", [3600, -3600])
async def test_nothing_is_signed_by_a_clock_that_is_wrong(ahead: int) -> None:
    """Some servers destroy a token whose signature carries a wrong time."""
    server = Server(in_turn(Response(headers={"Date": formatdate(time() + ahead, usegmt=True)})))
    with server.running() as url:
        async with transport(url, auth=oauth1()) as emr:
            with pytest.raises(EmrClockSkewError, match="seconds"):
                await emr.read(READ)

    assert [request.headers.get("authorization") for request in server.asked] == [None]


async def test_a_server_that_tells_no_time_is_believed_to_have_ours() -> None:
    server = Server(in_turn(ok()))
    with server.running() as url:
        async with transport(url, auth=oauth1()) as emr:
            await emr.read(READ)

            assert emr.clock_skew_seconds is None


async def test_missing_credentials_are_named() -> None:
    with pytest.raises(EmrAuthRefusedError, match="lack token, tokenSecret") as caught:
        require({"consumerKey": "k", "token": " \n"}, ("consumerKey", "token", "tokenSecret"))

    assert "Secret" in caught.value.remedy
    assert require({"token": "t\n"}, ("token",)) == ("t",)


def token_endpoint(request: Request) -> Response:
    if request.url.path.startswith("/base/token"):
        return Response(b'{"access_token": "T%d", "expires_in": 3600}' % token_endpoint_calls.pop(0))
    return ok() if request.headers.get("authorization") == "Bearer T2" else Response(status_code=401)


token_endpoint_calls: list[int] = []


@asynccontextmanager
async def by_token(url: str) -> AsyncIterator[Transport]:
    async with transport(f"{url}/token", faults=token_faults) as endpoint:
        credentials = ClientCredentials("id", "secret", "user/*", endpoint=endpoint)
        async with transport(url, auth=credentials) as emr:
            yield emr


@pytest.fixture
async def bearer() -> AsyncIterator[tuple[Server, Transport]]:
    token_endpoint_calls[:] = [1, 2, 3]
    server = Server(token_endpoint)
    with server.running() as url:
        async with by_token(url) as emr:
            yield server, emr


async def test_a_token_that_expired_early_is_fetched_again(bearer: tuple[Server, Transport]) -> None:
    server, emr = bearer
    for _ in range(2):
        assert await emr.read_json(READ) == {"ok": True}

    assert [request.url.path for request in server.asked] == [
        "/base/token",
        "/base/list",
        "/base/token",
        "/base/list",
        "/base/list",
    ]
    assert (await server.asked[0].body()).decode() == (
        "grant_type=client_credentials&client_id=id&client_secret=secret&scope=user%2F%2A"
    )


@pytest.mark.parametrize("status", [400, 401])
async def test_a_client_refused_by_the_token_endpoint_is_told_with_its_code(status: int) -> None:
    refusal = Response(b'{"error": "invalid_client", "error_description": "p1001"}', status)
    server = Server(in_turn(refusal))
    with server.running() as url:
        async with by_token(url) as emr:
            with pytest.raises(EmrAuthRefusedError, match="invalid_client") as caught:
                await emr.read(READ)

    assert "p1001" not in str(caught.value)
    assert {request.url.path for request in server.asked} == {"/base/token"}


async def test_a_token_endpoint_that_answers_something_else() -> None:
    server = Server(in_turn(Response(b'{"token": "T1"}')))
    with server.running() as url:
        async with by_token(url) as emr:
            with pytest.raises(EmrAnswerError, match="without an access token"):
                await emr.read(READ)


async def test_no_address_and_no_header_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The libraries would: addresses at INFO, headers and what is signed at DEBUG."""
    caplog.set_level(logging.DEBUG)
    server = Server(in_turn(ok(), Response(status_code=503), ok()))
    with server.running() as url:
        async with transport(url, auth=oauth1()) as emr:
            await emr.read(replace(READ, path="patients/p1001", params=[("hn", "9876543217")]))

    shown = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    assert "p1001" not in shown
    assert "9876543217" not in shown
    assert "oauth_signature" not in shown
