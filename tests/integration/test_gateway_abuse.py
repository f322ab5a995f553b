"""What nobody should send: refused as it should be, nothing kept of it, nothing of it in any log."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from integration.gateways import Gateway, WebhookSite, rows, total, webhook_site
from integration.installation import Installation

CANARY = "canary-p0001"
JSON = "content-type: application/json"


@pytest.fixture(scope="module")
def gateway(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One replica that all tests share, with little patience."""
    limits = {"FAILED_KEYS_PER_MINUTE": "1000", "REQUEST_SECONDS": "3", "LISTEN_HOST": "127.0.0.1"}
    with Gateway(installation, tmp_path_factory.mktemp("gateway"), limits) as running:
        yield running


@pytest.fixture(scope="module")
def clinic(installation: Installation) -> WebhookSite:
    """A clinic that all tests share."""
    return webhook_site(installation)


class Wire:
    """Bytes as they are, over TLS."""

    def __init__(self, gateway: Gateway) -> None:
        plain = socket.create_connection((gateway.host, gateway.port), timeout=60)
        self._socket: ssl.SSLSocket = gateway.trust().wrap_socket(plain, server_hostname=gateway.host)

    def send(self, data: bytes) -> None:
        """Send; a server that has closed is no failure of the sender's."""
        with contextlib.suppress(OSError):
            self._socket.sendall(data)

    def statuses(self) -> list[int]:
        """The status of each answer, until the server ends the connection."""
        came = b""
        with contextlib.suppress(OSError):
            while piece := self._socket.recv(65_536):
                came += piece
        self._socket.close()
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", came)]


def request(clinic: WebhookSite, body: bytes, *headers: str, line: str = "") -> bytes:
    """A request with the clinic's key, its length, and the end of the connection; or with other lines."""
    lines = [
        line or f"POST /webhooks/{clinic.number} HTTP/1.1",
        f"host: {CANARY}",
        f"x-ocean-webhook-key: {clinic.key}",
        *(headers or (JSON, f"content-length: {len(body)}", "connection: close")),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def event(clinic: WebhookSite, **more: Any) -> bytes:
    return json.dumps({**clinic.event(CANARY), **more}).encode()


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


REFUSED = {
    "unknown site": (404, lambda c: request(c, event(c), line="POST /webhooks/4242424242 HTTP/1.1")),
    "no number": (404, lambda c: request(c, event(c), line=f"POST /webhooks/{CANARY} HTTP/1.1")),
    "another path": (404, lambda c: request(c, event(c), line=f"POST /{CANARY}?{CANARY} HTTP/1.1")),
    "a path with dots": (404, lambda c: request(c, event(c), line=f"POST /webhooks/../webhooks/{c.number} HTTP/1.1")),
    "a proxy's form": (404, lambda c: request(c, event(c), line=f"POST https://{CANARY}/webhooks/x HTTP/1.1")),
    "a method": (405, lambda c: request(c, event(c), line=f"PUT /webhooks/{c.number} HTTP/1.1")),
    "body of a GET": (405, lambda c: request(c, event(c), line=f"GET /webhooks/{c.number} HTTP/1.1")),
    "type": (415, lambda c: request(c, event(c), "content-type: text/plain", "content-length: 9", "connection: close")),
    "no type": (415, lambda c: request(c, event(c), f"content-length: {len(event(c))}", "connection: close")),
    "charset": (
        415,
        lambda c: request(
            c, b"xx", f"{JSON}; charset=utf-16", "content-length: 2", "connection: close", f"x: {CANARY}"
        ),
    ),
    "coding": (
        415,
        lambda c: request(c, b"xx", JSON, "content-encoding: gzip", "content-length: 2", "connection: close"),
    ),
    "declared size": (413, lambda c: request(c, event(c), JSON, "content-length: 1000000000")),
    "size in chunks": (
        413,
        lambda c: request(c, chunked(*[b" " * 10_000] * 10), JSON, "transfer-encoding: chunked"),
    ),
    "one chunk": (413, lambda c: request(c, chunked(event(c) + b" " * 70_000), JSON, "transfer-encoding: chunked")),
    "another site": (403, lambda c: request(c, event(c, siteNum="4242424242"))),
    "no JSON": (400, lambda c: request(c, CANARY.encode())),
    "empty": (400, lambda c: request(c, b"")),
    "half": (400, lambda c: request(c, event(c)[:-1])),
    "two": (400, lambda c: request(c, event(c) * 2)),
    "deep lists": (400, lambda c: request(c, b"[" * 65_000)),
    "deep objects": (400, lambda c: request(c, b'{"customProperties":' * 3_000)),
    "deep and whole": (400, lambda c: request(c, event(c, ref=json.loads("[" * 500 + "]" * 500)))),
    "NUL": (400, lambda c: request(c, event(c, ref=f"{CANARY}\0"))),
    "raw NUL": (400, lambda c: request(c, event(c).replace(CANARY.encode(), b"a\0b"))),
    "UTF-16": (400, lambda c: request(c, event(c).decode().encode("utf-16"))),
    "Latin-1": (400, lambda c: request(c, event(c, user="\xe9").decode("unicode-escape").encode("latin-1"))),
    "half a character": (400, lambda c: request(c, event(c).replace(b"PORTAL", b"\xe2\x82"))),
    "a reference without end": (400, lambda c: request(c, event(c, ref=CANARY * 5_000))),
    "a mark of byte order": (400, lambda c: request(c, b"\xef\xbb\xbf" + event(c))),
    "a large head": (400, lambda c: request(c, event(c), *[f"x-{n}: {CANARY}" for n in range(2_000)])),
    "two lengths": (400, lambda c: request(c, event(c), JSON, "content-length: 1", "content-length: 2")),
    "length and chunks": (
        400,
        lambda c: request(c, chunked(event(c)), JSON, "content-length: 5", "transfer-encoding: chunked"),
    ),
    "no chunk": (400, lambda c: request(c, b"xyz\r\n", JSON, "transfer-encoding: chunked")),
    "chunks without end": (
        400,
        lambda c: request(c, chunked(event(c))[:-5] + b"zz\r\n", JSON, "transfer-encoding: chunked"),
    ),
    "folded header": (400, lambda c: request(c, event(c), JSON, f" {CANARY}", "content-length: 5")),
    "plain words": (400, lambda _: CANARY.encode() + b"\r\n\r\n"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, gateway: Gateway, clinic: WebhookSite, installation: Installation) -> None:
    status, build = REFUSED[case]
    before = total(installation)
    wire = Wire(gateway)
    wire.send(build(clinic))

    assert wire.statuses() == [status]
    assert total(installation) == before


@pytest.mark.parametrize(
    "key",
    [
        [],
        ["x-ocean-webhook-key: "],
        [f"x-ocean-webhook-key: {CANARY}"],
        ["x-ocean-webhook-key: KEY", "x-ocean-webhook-key: KEY"],
        [f"x-ocean-webhook-key: {CANARY}", "x-ocean-webhook-key: KEY"],
        ["authorization: Bearer KEY"],
        ["cookie: k=KEY"],
    ],
)
def test_key_that_is_none(key: list[str], gateway: Gateway, clinic: WebhookSite, installation: Installation) -> None:
    body = event(clinic)
    shown = [line.replace("KEY", clinic.key) for line in key]
    lines = [
        f"POST /webhooks/{clinic.number} HTTP/1.1",
        JSON,
        *shown,
        f"content-length: {len(body)}",
        "connection: close",
    ]
    before = total(installation)
    wire = Wire(gateway)
    wire.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    assert wire.statuses() == [401]
    assert total(installation) == before


def test_too_large_is_refused_before_it_is_read(gateway: Gateway, clinic: WebhookSite) -> None:
    """A gigabyte is announced, and the answer comes although none of it is sent."""
    wire = Wire(gateway)
    wire.send(request(clinic, b"", JSON, "content-length: 1073741824", "expect: 100-continue"))

    assert wire.statuses() == [413]


def test_length_that_promises_more_than_comes(gateway: Gateway, clinic: WebhookSite) -> None:
    wire = Wire(gateway)
    wire.send(request(clinic, event(clinic), JSON, "content-length: 60000"))

    assert wire.statuses() == []


def test_length_that_promises_less_than_comes(
    gateway: Gateway, clinic: WebhookSite, installation: Installation
) -> None:
    """The rest is taken for a second request, and is none."""
    before = total(installation)
    wire = Wire(gateway)
    wire.send(request(clinic, b"{}" + event(clinic), JSON, "content-length: 2"))

    assert wire.statuses()[0] == 400
    assert total(installation) == before


def test_hidden_second_request_is_one_of_its_own(
    gateway: Gateway, clinic: WebhookSite, installation: Installation
) -> None:
    """Without the key it gets nowhere, whatever came before it on the connection."""
    hidden = f"POST /webhooks/{clinic.number} HTTP/1.1\r\n{JSON}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
    first = event(clinic, ref="first-of-two")
    wire = Wire(gateway)
    wire.send(request(clinic, first, JSON, f"content-length: {len(first)}") + hidden.encode())

    assert wire.statuses() == [200, 401]
    assert ("first-of-two", 0) in rows(installation, clinic)


def test_http_1_0_and_many_requests_at_once(gateway: Gateway, clinic: WebhookSite, installation: Installation) -> None:
    bodies = [event(clinic, ref=f"at-once-{number}") for number in range(20)]
    ten, eleven = (f"POST /webhooks/{clinic.number} HTTP/1.{minor}" for minor in (0, 1))
    old, new = Wire(gateway), Wire(gateway)
    old.send(b"".join(request(clinic, b, JSON, f"content-length: {len(b)}", line=ten) for b in bodies[:10]))
    new.send(b"".join(request(clinic, b, JSON, f"content-length: {len(b)}", line=eleven) for b in bodies[10:-1]))
    new.send(request(clinic, bodies[-1]))

    # The old protocol answers one, and ends.
    assert old.statuses() == [200]
    assert new.statuses() == [200] * 10
    kept = [ref for ref, _ in rows(installation, clinic) if ref.startswith("at-once")]
    assert kept == ["at-once-0", *[f"at-once-{number}" for number in range(10, 20)]]


def test_slow_senders_are_cut_off_and_others_served(gateway: Gateway, clinic: WebhookSite) -> None:
    whole = request(clinic, event(clinic, ref="slow"))
    slow = [Wire(gateway) for _ in range(100)]
    for number, wire in enumerate(slow):
        wire.send(whole[: 1 + number * len(whole) // 101])

    assert gateway.post(clinic, clinic.event("not-slow")).status_code == 200
    with ThreadPoolExecutor(len(slow)) as pool:
        assert [status for found in pool.map(Wire.statuses, slow) for status in found] == []


def test_flood_of_wrong_keys(clinic: WebhookSite, installation: Installation, tmp_path: Path) -> None:
    before = total(installation)
    with Gateway(installation, tmp_path, {"FAILED_KEYS_PER_MINUTE": "60"}) as gateway:
        with gateway.client() as client:

            def post(key: str) -> int:
                headers = {"X-Ocean-Webhook-Key": key}
                return client.post(f"/webhooks/{clinic.number}", json=clinic.event("r"), headers=headers).status_code

            with ThreadPoolExecutor(16) as pool:
                statuses = list(pool.map(post, [f"{CANARY}-{number}" for number in range(600)]))

        assert set(statuses) == {401, 429}
        assert 60 <= statuses.count(401) < 200
        assert total(installation) == before
        assert gateway.said.count("\n") < 300
        assert CANARY not in gateway.said
        # Who has the key is served meanwhile.
        assert gateway.post(clinic, clinic.event("after-the-flood")).status_code == 200


def test_flood_of_unknown_sites(clinic: WebhookSite, installation: Installation, tmp_path: Path) -> None:
    with Gateway(installation, tmp_path, {"FAILED_KEYS_PER_MINUTE": "60"}) as gateway:
        assert gateway.post(clinic, clinic.event("before-the-flood-of-sites")).status_code == 200
        with gateway.client() as client:
            statuses = [
                client.post(f"/webhooks/{number}", json={}, headers={"X-Ocean-Webhook-Key": CANARY}).status_code
                for number in range(7_000_000, 7_000_200)
            ]

        assert set(statuses) == {404, 429}
        assert statuses.count(429) > 50
        assert gateway.post(clinic, clinic.event("after-the-flood-of-sites")).status_code == 200
        assert "70000" not in gateway.said


def test_flood_of_messages_of_one_clinic(clinic: WebhookSite, installation: Installation, tmp_path: Path) -> None:
    limits = {"SITE_MESSAGES_PER_SECOND": "1", "SITE_BURST": "20"}
    other = webhook_site(installation)
    before = len(rows(installation, clinic))
    with Gateway(installation, tmp_path, limits) as gateway:
        responses = [a.result(60) for a in gateway.post_later(clinic, [clinic.event(f"many-{n}") for n in range(60)])]
        kept = [response for response in responses if response.status_code == 200]
        refused = [response for response in responses if response.status_code == 429]

        assert len(kept) + len(refused) == 60
        assert 20 <= len(kept) < 60
        assert all(int(response.headers["retry-after"]) >= 1 for response in refused)
        assert len(rows(installation, clinic)) - before == len(kept)
        assert gateway.post(other, other.event("r")).status_code == 200


def test_after_all_that_nothing_of_it_is_in_any_log(
    gateway: Gateway, clinic: WebhookSite, installation: Installation
) -> None:
    assert gateway.post(clinic, clinic.event("the-end")).status_code == 200
    logs = gateway.said + (installation.server.folder / "log").read_text()

    assert '"webhook"' in logs
    for secret in (CANARY, clinic.key, "4242424242", "session-1", "notify-patient", "host:"):
        assert secret not in logs
    assert all(json.loads(line) for line in gateway.said.splitlines())
