"""HTTP to an EMR: repetition, limits, links and TLS."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.responses import Response

from ocean_emr.errors import (
    EmrAnswerError,
    EmrRateLimitedError,
    EmrTlsError,
    EmrUnavailableError,
)
from ocean_emr.testing.conformance.rig import FAST
from unit.emr.answering import READ, Server, in_turn, ok, transport
from unit.emr.certificates import Authority


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
