"""Showing an EMR who asks: refusals, renewals, clocks, and what may be logged."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email.utils import formatdate
from time import time
from typing import ClassVar

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from ocean_emr.auth import ClientCredentials, require, token_faults
from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrClockSkewError,
)
from ocean_emr.oauth1 import OAuth1
from ocean_emr.records import Operation
from ocean_emr.transport import Transport
from unit.emr.answering import READ, Server, in_turn, ok, transport


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
