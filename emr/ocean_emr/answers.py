"""What an HTTP answer of an EMR means, once for all adapters. Nothing is sent here.

Nothing an EMR answered gets into an error: a body may quote a patient, and a page may hold anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, Literal

import httpx
import orjson

from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrBlockedError,
    EmrConflictError,
    EmrError,
    EmrNotFoundError,
    EmrOutcomeUnknownError,
    EmrPermissionDeniedError,
    EmrRateLimitedError,
    EmrUnavailableError,
    EmrWriteRefusedError,
)
from ocean_emr.records import Operation

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NOT_FOR_ITS_CONTENT: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
"""Refusals that any other write would meet as well."""
_WITHOUT_BEING_DONE: Final = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})
"""Redirections that say by definition that nothing was done. Source: RFC 9110, 15.4.8 and 15.4.9."""


@dataclass(frozen=True, slots=True, repr=False)
class Read:
    """One question to the EMR. GET, or POST when there is a body. Has no repr: its path may name a patient."""

    op: Operation
    path: str
    """Below the base address; or a page link that the EMR gave, which must lead to the same host."""
    params: Sequence[tuple[str, str]] = ()
    json: Any = None
    form: Mapping[str, str] | None = None
    record: bool = False
    """Whether the address names one record: then 204, 404, 410 and `null` mean that the EMR does not have it.
    Otherwise they mean that the address is wrong."""
    accept: str = "application/json"

    @property
    def method(self) -> str:
        """GET or POST."""
        return "GET" if self.json is None and self.form is None else "POST"

    @property
    def headers(self) -> Mapping[str, str]:
        """None of its own."""
        return {}


@dataclass(frozen=True, slots=True, repr=False)
class Send:
    """One write to the EMR, sent once. Has no repr: its path may name a patient."""

    op: Operation
    path: str
    """Below the base address."""
    method: Literal["POST", "PUT"] = "POST"
    params: Sequence[tuple[str, str]] = ()
    json: Any = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Such as If-Match, or another Content-Type than JSON's plain one."""
    record: bool = False
    """Whether the address names one record: then 404 and 410 mean that the EMR does not have it.
    Otherwise they mean that the address is wrong."""
    accept: str = "application/json"


Asked = Read | Send


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What came back, whole."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def markup(self) -> str:
        """What the body is, whatever its label says: "HTML", "XML", or empty for neither."""
        head = self.body[:512].lstrip(_BYTE_ORDER_MARK + b" \t\r\n").lower()
        if not head.startswith(b"<"):
            return ""
        return "HTML" if b"<html" in head or b"<!doctype html" in head else "XML"

    def text(self) -> str:
        """The body as text, for looking at; undecodable bytes are replaced."""
        return self.body.decode("utf-8", errors="replace")


def problem(answer: Answer, asked: Asked) -> EmrError | None:
    """What the status means where the EMR keeps to HTTP; None for 2xx, unless it answers a write with a web page."""
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        page = isinstance(asked, Send) and answer.markup == "HTML"
        return unreadable_outcome(answer, asked) if page else None
    return _read_problem(answer, asked) if isinstance(asked, Read) else _write_problem(answer, asked)


def _read_problem(answer: Answer, read: Read) -> EmrError:
    status = answer.status
    if status < HTTPStatus.BAD_REQUEST:
        what = "the EMR redirects to another address; it was not followed"
        return EmrAnswerError(what, op=read.op, http_status=status)
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return nothing(answer, read)
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _server_failure(answer, read)
    return _refusal(answer, read)


def _write_problem(answer: Answer, send: Send) -> EmrError:
    """Nothing was written only where the status says so by its definition."""
    op, status = send.op, answer.status
    if status in _WITHOUT_BEING_DONE:
        return EmrAnswerError("the EMR redirects to another address; it was not followed", op=op, http_status=status)
    if (
        status < HTTPStatus.BAD_REQUEST
        or status == HTTPStatus.REQUEST_TIMEOUT
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        return EmrOutcomeUnknownError("the EMR failed while it was given something", op=op, http_status=status)
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return nothing(answer, send)
    if status in {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}:
        return EmrConflictError("the EMR's record has changed since it was read", op=op, http_status=status)
    if status not in _NOT_FOR_ITS_CONTENT:
        return EmrWriteRefusedError("the EMR does not take it", op=op, http_status=status)
    return _refusal(answer, send)


def nothing(answer: Answer, asked: Asked) -> EmrError:
    """What it means that nothing is there."""
    if asked.record:
        return EmrNotFoundError("the EMR has no such record", op=asked.op, http_status=answer.status)
    what = "the EMR has nothing at this address of its interface"
    return EmrAnswerError(what, op=asked.op, http_status=answer.status)


def unreadable_outcome(answer: Answer, asked: Asked) -> EmrOutcomeUnknownError:
    """What it means that an EMR took a write and its answer tells nothing."""
    what = "the EMR's answer does not say whether it was carried out"
    return EmrOutcomeUnknownError(what, op=asked.op, http_status=answer.status)


def json_value(answer: Answer, asked: Asked) -> Any:
    """The JSON value in the body, never None.

    Raises:
        EmrNotFoundError: The body is empty or `null`, and `asked.record`.
        EmrAnswerError: The body is not JSON, whatever its label says.
    """
    if answer.markup:
        what = f"the EMR answered {answer.markup} where JSON was due"
        raise EmrAnswerError(what, op=asked.op, http_status=answer.status)
    try:
        value = orjson.loads(answer.body.removeprefix(_BYTE_ORDER_MARK).strip() or b"null")
    except orjson.JSONDecodeError:
        what = "the EMR answered something that is not JSON, or JSON cut short"
        raise EmrAnswerError(what, op=asked.op, http_status=answer.status) from None
    if value is None:
        raise nothing(answer, asked)
    return value


def http_moment(value: str | None) -> datetime | None:
    """An HTTP date; None if it is none."""
    try:
        moment = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _server_failure(answer: Answer, read: Read) -> EmrError:
    op, status = read.op, answer.status
    if status == HTTPStatus.INTERNAL_SERVER_ERROR and b"access denied" in answer.body.lower():
        # OSCAR throws a missing right as a RuntimeException. Source: scoophealth/oscar, managers' privilege checks.
        return EmrPermissionDeniedError("the EMR denied the right to do this", op=op, http_status=status)
    return EmrUnavailableError(
        "the EMR failed or is not available",
        op=op,
        http_status=status,
        retry_after=_retry_after(answer.headers),
        # A plain 500 is a fault in a program: the same question gets the same answer.
        momentary=status not in {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.NOT_IMPLEMENTED},
    )


def _refusal(answer: Answer, asked: Asked) -> EmrError:
    op, status = asked.op, answer.status
    if status == HTTPStatus.UNAUTHORIZED:
        return EmrAuthRefusedError("the EMR refused the login", op=op, http_status=status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = _retry_after(answer.headers)
        what = "the EMR asked for fewer calls"
        return EmrRateLimitedError(what, op=op, http_status=status, retry_after=wait, momentary=True)
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return EmrBlockedError("a proxy on the way to the EMR wants a login", op=op, http_status=status)
    if status == HTTPStatus.FORBIDDEN and answer.markup == "HTML":
        return EmrBlockedError("a web page refused the call, not the EMR's interface", op=op, http_status=status)
    if status == HTTPStatus.FORBIDDEN:
        return EmrPermissionDeniedError("the EMR denied the right to do this", op=op, http_status=status)
    return EmrAnswerError("the EMR does not take the request in this form", op=op, http_status=status)


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds from now. Source: RFC 9110, 10.2.3: seconds or a date."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    moment = http_moment(value)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment else None
