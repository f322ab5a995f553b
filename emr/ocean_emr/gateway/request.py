"""What the gateway looks at in a request, and what it refuses before it reads a body."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from starlette.types import Receive, Scope

from ocean_emr.gateway.answers import Refusal, RefusedError

KEY_HEADER: Final = "X-Ocean-Webhook-Key"
KEY_PARAMETER: Final = "k"
LARGEST_BODY: Final = 64 * 1024
SITE_NUMBER: Final = r"[0-9]{1,10}"

_PATH: Final = re.compile(f"/webhooks/({SITE_NUMBER})")
_JSON: Final = re.compile(rb'\s*application/json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?;?\s*', re.IGNORECASE)
_KEY_HEADER: Final = KEY_HEADER.lower().encode()
_KEY_IN_QUERY: Final = f"{KEY_PARAMETER}="
_PREFIX: Final = 64
"""Bits of an IPv6 address that one customer of a provider has to himself."""


class ClientGoneError(Exception):
    """Whoever sent the request did not wait for the answer, or took too long to send it."""


@dataclass(frozen=True, slots=True, repr=False)
class Head:
    """A request as far as it is known before its body."""

    site_number: str
    keys: tuple[str, ...]
    """The keys that were shown; of the header where it is there, else of the query."""
    client: str
    """The address that limits count by."""


def read_head(scope: Scope) -> Head:
    """What came with the request.

    Raises:
        RefusedError: Path, method, content type or declared size.
    """
    site_number = site_in(scope["path"])
    if site_number is None:
        raise RefusedError(Refusal.UNKNOWN_PATH)
    if scope["method"] != "POST":
        raise RefusedError(Refusal.METHOD)
    types, keys, length = [], [], 0
    for name, value in scope["headers"]:
        if name == b"content-type":
            types.append(value)
        elif name == _KEY_HEADER:
            keys.append(value.decode("ascii", "replace"))
        elif name == b"content-encoding":
            raise RefusedError(Refusal.CONTENT_TYPE)
        elif name == b"content-length":
            length = int(value)
    if len(types) != 1 or not _JSON.fullmatch(types[0]):
        raise RefusedError(Refusal.CONTENT_TYPE)
    if length > LARGEST_BODY:
        raise RefusedError(Refusal.TOO_LARGE)
    return Head(
        site_number,
        tuple(keys) or _keys_in(scope["query_string"]),
        client_of(scope["client"][0] if scope["client"] else ""),
    )


def site_in(path: str) -> str | None:
    """The site number that a webhook's path ends with; None for another path."""
    found = _PATH.fullmatch(path)
    return found[1] if found else None


def _keys_in(query: bytes) -> tuple[str, ...]:
    """A `+` stays one: keys in base64 have it, and people paste them into addresses as they are."""
    parts = query.decode("ascii", "replace").split("&")
    return tuple(unquote(part[len(_KEY_IN_QUERY) :]) for part in parts if part.startswith(_KEY_IN_QUERY))


@lru_cache(maxsize=1_000)
def client_of(address: str) -> str:
    """Who is counted as one client: an address, or what one customer has of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), _PREFIX), strict=False))
    return str(parsed)


def may_go_on(scope: Scope) -> bool:
    """Whether so much of the request's body may still come that it is better to end the connection."""
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and int(value) > LARGEST_BODY):
            return True
    return False


async def read_body(receive: Receive) -> bytes:
    """The whole body.

    Raises:
        RefusedError: It is too large. No more than that was read.
        ClientGoneError: It did not come.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            raise RefusedError(Refusal.TOO_LARGE)
        if not message.get("more_body", False):
            return bytes(body)
