"""Everything the gateway says no with: one table, from which answers, metrics, OpenAPI and docs are made.

The form is RFC 9457's. A type is API: whoever reads it may match on it, so it is never renamed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

PROBLEM_TYPE: Final = "application/problem+json"
_URN: Final = "urn:ocean-gateway:"


class Refusal(StrEnum):
    """Why a webhook was not accepted."""

    NOT_HTTP = "not-http"
    MALFORMED = "malformed"
    KEY_MISSING = "key-missing"
    KEY_WRONG = "key-wrong"
    SITE_MISMATCH = "site-mismatch"
    UNKNOWN_PATH = "unknown-path"
    UNKNOWN_SITE = "unknown-site"
    METHOD = "method-not-allowed"
    TOO_LARGE = "too-large"
    CONTENT_TYPE = "content-type"
    TOO_MANY_FAILURES = "too-many-failures"
    TOO_MANY_MESSAGES = "too-many-messages"
    FAULT = "fault"
    UNAVAILABLE = "unavailable"
    BUSY = "busy"
    QUEUE_FULL = "queue-full"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a refusal tells the caller."""

    status: int
    title: str
    detail: str
    """What to do next."""


MEANINGS: Final[dict[Refusal, Meaning]] = {
    Refusal.NOT_HTTP: Meaning(400, "This is not HTTP/1.1.", "Send a well-formed request."),
    Refusal.MALFORMED: Meaning(
        400,
        "The body is neither an event nor a registration.",
        "Send UTF-8 JSON with siteNum, type and ref, or with challenge.",
    ),
    Refusal.KEY_MISSING: Meaning(
        401,
        "The webhook key is missing.",
        "Send the clinic's webhookKey once, in the header X-Ocean-Webhook-Key or as the query parameter k.",
    ),
    Refusal.KEY_WRONG: Meaning(
        401,
        "The webhook key is not the clinic's.",
        "Enter at Ocean the webhookKey that the clinic's Secret holds.",
    ),
    Refusal.SITE_MISMATCH: Meaning(
        403,
        "The event is of another site than the address.",
        "Enter at Ocean the address that ends with this site's own number.",
    ),
    Refusal.UNKNOWN_PATH: Meaning(404, "There is nothing here.", "Send webhooks to /webhooks/{siteNumber}."),
    Refusal.UNKNOWN_SITE: Meaning(
        404,
        "No clinic takes webhooks under this site number.",
        "Check the number. The clinic's Secret must hold a webhookKey.",
    ),
    Refusal.METHOD: Meaning(405, "Only POST is answered here.", "Send webhooks with POST."),
    Refusal.TOO_LARGE: Meaning(413, "The body is too large.", "Events are small: send at most 64 KiB."),
    Refusal.CONTENT_TYPE: Meaning(
        415, "The body is not plain JSON.", "Send application/json in UTF-8, without content encoding."
    ),
    Refusal.TOO_MANY_FAILURES: Meaning(
        429,
        "Too many wrong keys or unknown site numbers came from this address.",
        "Wait as long as Retry-After says, and send the right ones.",
    ),
    Refusal.TOO_MANY_MESSAGES: Meaning(
        429, "Too many messages came for this clinic.", "Send it again when Retry-After is over."
    ),
    Refusal.FAULT: Meaning(500, "The gateway has a fault.", "Send it again later; the gateway's log names the place."),
    Refusal.UNAVAILABLE: Meaning(
        503, "What keeps messages cannot be reached.", "Send it again when Retry-After is over."
    ),
    Refusal.BUSY: Meaning(503, "Too much waits to be kept.", "Send it again when Retry-After is over."),
    Refusal.QUEUE_FULL: Meaning(
        503, "Too many of the clinic's messages wait for its EMR.", "Send it again when Retry-After is over."
    ),
    Refusal.STOPPING: Meaning(503, "This gateway is ending.", "Send it again: another one answers."),
}

_PAUSES: Final = {Refusal.UNAVAILABLE: 5.0, Refusal.BUSY: 2.0, Refusal.QUEUE_FULL: 60.0, Refusal.STOPPING: 1.0}


class RefusedError(Exception):
    """The webhook is not accepted. Holds nothing that came with it."""

    def __init__(self, refusal: Refusal, *, retry_after: float | None = None, cause: str = "") -> None:
        """Refuse.

        Args:
            refusal: Why.
            retry_after: Seconds after which to come again; without them those of the refusal, if it has any.
            cause: The reason of an error of ours, for the log alone.
        """
        super().__init__(refusal)
        self.refusal = refusal
        self.cause = cause
        self.retry_after = _PAUSES.get(refusal) if retry_after is None else retry_after


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def accepted(content: dict[str, str]) -> Answer:
    """200 with `content`."""
    body = orjson.dumps(content)
    return Answer(200, body, ((b"content-type", b"application/json"), _length(body)))


def refused(error: RefusedError, *, close: bool = False) -> Answer:
    """The answer that tells of `error`, and with `close` ends the connection."""
    meaning = MEANINGS[error.refusal]
    body = orjson.dumps(problem_document(error.refusal))
    headers = [(b"content-type", PROBLEM_TYPE.encode()), _length(body)]
    if error.retry_after is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after))).encode()))
    if meaning.status == 401:  # noqa: PLR2004 - RFC 9110 asks for a challenge with it
        headers.append((b"www-authenticate", b"X-Ocean-Webhook-Key"))
    if meaning.status == 405:  # noqa: PLR2004 - RFC 9110 asks for the list with it
        headers.append((b"allow", b"POST"))
    if close:
        headers.append((b"connection", b"close"))
    return Answer(meaning.status, body, tuple(headers))


def problem_document(refusal: Refusal) -> dict[str, str | int]:
    """The JSON of a refusal, always the same one."""
    meaning = MEANINGS[refusal]
    return {"type": _URN + refusal, "title": meaning.title, "status": meaning.status, "detail": meaning.detail}


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", str(len(body)).encode()
