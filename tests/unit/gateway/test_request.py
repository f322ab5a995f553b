from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Message

from ocean_emr.gateway.answers import Refusal, RefusedError
from ocean_emr.gateway.request import LARGEST_BODY, ClientGoneError, client_of, may_go_on, read_body, read_head

JSON = (b"content-type", b"application/json")
KEY = (b"x-ocean-webhook-key", b"the-key")


def scope(*headers: tuple[bytes, bytes], path: str = "/webhooks/1001", method: str = "POST", **more: Any) -> Any:
    return {
        "path": path,
        "method": method,
        "headers": list(headers),
        "query_string": b"",
        "client": ("192.0.2.1", 4711),
        **more,
    }


def refusal(*headers: tuple[bytes, bytes], **more: Any) -> Refusal:
    with pytest.raises(RefusedError) as refused:
        read_head(scope(*headers, **more))
    return refused.value.refusal


def test_head_of_a_webhook() -> None:
    head = read_head(scope(JSON, KEY))

    assert (head.site_number, head.keys, head.client) == ("1001", ("the-key",), "192.0.2.1")
    assert "the-key" not in repr(head)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "*",
        "/webhooks",
        "/webhooks/",
        "/webhooks/1001/",
        "/webhooks/1001/x",
        "/webhooks/12345678901",
        "/webhooks/-1",
        "/webhooks/1001\n",
        "/webhooks/\u0661\u0660\u0660\u0661",
        "/webhooks/../webhooks/1001",
        "//webhooks/1001",
        "/Webhooks/1001",
        "http://gateway/webhooks/1001",
    ],
)
def test_other_paths(path: str) -> None:
    assert refusal(JSON, KEY, path=path) is Refusal.UNKNOWN_PATH


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS", "TRACE", "post", "QUERY"])
def test_other_methods(method: str) -> None:
    assert refusal(JSON, KEY, method=method) is Refusal.METHOD


@pytest.mark.parametrize(
    "value",
    [
        b"application/json",
        b"Application/JSON",
        b"application/json; charset=utf-8",
        b'application/json;charset="UTF-8"',
        b"application/json ; charset = utf8 ",
        b"application/json;",
    ],
)
def test_json_by_its_names(value: bytes) -> None:
    assert read_head(scope((b"content-type", value))).site_number == "1001"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"")],
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"text/json")],
        [(b"content-type", b"application/jsonp")],
        [(b"content-type", b"application/problem+json")],
        [(b"content-type", b"application/x-www-form-urlencoded")],
        [(b"content-type", b"multipart/form-data; boundary=application/json")],
        [(b"content-type", b"application/json; charset=utf-16")],
        [(b"content-type", b"application/json; charset=latin-1")],
        [(b"content-type", b"application/json\nx")],
        [JSON, JSON],
        [JSON, (b"content-encoding", b"gzip")],
        [JSON, (b"content-encoding", b"identity")],
    ],
)
def test_what_is_not_plain_json(headers: list[tuple[bytes, bytes]]) -> None:
    assert refusal(*headers, KEY) is Refusal.CONTENT_TYPE


def test_size_that_is_declared() -> None:
    assert read_head(scope(JSON, (b"content-length", str(LARGEST_BODY).encode())))
    assert refusal(JSON, (b"content-length", str(LARGEST_BODY + 1).encode())) is Refusal.TOO_LARGE
    assert refusal(JSON, (b"content-length", b"9" * 19)) is Refusal.TOO_LARGE


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        (b"", ()),
        (b"k=", ("",)),
        (b"k=abc", ("abc",)),
        (b"x=1&k=abc&y=2", ("abc",)),
        (b"K=abc&kk=abc&k", ()),
        (b"k=a%2Bb%2F%3D", ("a+b/=",)),
        (b"k=a+b/=", ("a+b/=",)),
        (b"k=one&k=two", ("one", "two")),
        (b"k=\xff", ("\ufffd",)),
    ],
)
def test_key_in_the_address(query: bytes, keys: tuple[str, ...]) -> None:
    assert read_head(scope(JSON, query_string=query)).keys == keys


def test_key_in_the_header_comes_first() -> None:
    assert read_head(scope(JSON, KEY, query_string=b"k=other")).keys == ("the-key",)
    assert read_head(scope(JSON, KEY, KEY)).keys == ("the-key", "the-key")


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("<script>", "unknown"),
        ("", "unknown"),
    ],
)
def test_who_counts_as_one_client(address: str, counted: str) -> None:
    assert client_of(address) == counted


def test_client_without_an_address() -> None:
    assert read_head(scope(JSON, client=None)).client == "unknown"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], False),
        ([(b"content-length", b"65536")], False),
        ([(b"content-length", b"65537")], True),
        ([(b"transfer-encoding", b"chunked")], True),
    ],
)
def test_connection_ends_where_much_may_still_come(headers: list[tuple[bytes, bytes]], expected: bool) -> None:  # noqa: FBT001
    assert may_go_on(scope(*headers)) is expected


class Sender:
    """Hands out a body in pieces, and counts what was taken."""

    def __init__(self, *pieces: bytes, goes: bool = False) -> None:
        self.pieces = list(pieces)
        self.goes = goes
        self.taken = 0

    async def __call__(self) -> Message:
        """The next piece."""
        if not self.pieces:
            assert self.goes
            return {"type": "http.disconnect"}
        piece = self.pieces.pop(0)
        self.taken += len(piece)
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces) or self.goes}


async def test_body_comes_in_pieces() -> None:
    assert await read_body(Sender(b"ab", b"", b"cd")) == b"abcd"
    assert await read_body(Sender(b"x" * LARGEST_BODY)) == b"x" * LARGEST_BODY


async def test_no_more_is_read_than_needed_to_refuse() -> None:
    sender = Sender(*[b"x" * 1000] * 1000)
    with pytest.raises(RefusedError) as refused:
        await read_body(sender)

    assert refused.value.refusal is Refusal.TOO_LARGE
    assert sender.taken == 66_000


async def test_sender_who_goes() -> None:
    with pytest.raises(ClientGoneError):
        await read_body(Sender(b"ab", goes=True))
