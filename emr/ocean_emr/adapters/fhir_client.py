"""The requests of FHIR's REST interface, and what an OperationOutcome in an answer means.

Source: FHIR R4, http, search and bundle.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal

import httpx
import orjson

from ocean_emr.adapters.fhir_resources import Bundle, OperationOutcome, Reference, is_id, read
from ocean_emr.answers import Answer, Asked, Read, Send, json_value, problem
from ocean_emr.errors import (
    EmrAnswerError,
    EmrError,
    EmrNotFoundError,
    EmrNotSupportedError,
    EmrPermissionDeniedError,
    EmrRateLimitedError,
    EmrRecordError,
    EmrUnavailableError,
    EmrWriteRefusedError,
)
from ocean_emr.records import Operation
from ocean_emr.transport import Transport

MOST_PAGES: Final = 2_000
"""Of one answer: 100,000 bookings of one provider. Links that go on beyond that lead nowhere."""

Json = dict[str, Any]

_JSON: Final = "application/fhir+json"
_FORGOTTEN: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_NOT_OFFERED: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.METHOD_NOT_ALLOWED})
"""Answers to a write that is not about one record: the interface lacks it."""


@dataclass(frozen=True, slots=True, repr=False)
class Held:
    """A resource as the EMR holds it. Has no repr: it is a patient's."""

    resource: Json
    tag: str | None
    """For If-Match; None where the EMR tells no version."""


class FhirClient:
    """One FHIR interface. Whoever made the transport closes it."""

    def __init__(self, url: str, transport: Transport) -> None:
        """Ask nobody yet.

        Args:
            url: FHIR base address.
            transport: To that address, made with `faults=outcome_faults`.
        """
        self._base = httpx.URL(url.rstrip("/") + "/")
        self._transport = transport

    async def get(self, op: Operation, path: str, *params: tuple[str, str], record: bool = False) -> Any:
        """The JSON answered; `record` as in `Read`."""
        return await self._transport.read_json(Read(op, path, params=params, record=record, accept=_JSON))

    async def held(self, op: Operation, kind: str, id_: str, *params: tuple[str, str]) -> Held:
        """One resource and its version.

        Raises:
            EmrNotFoundError: There is none, or there cannot be one.
            EmrRecordError: What came is no resource of this kind.
            EmrAnswerError: Another one came.
        """
        if not is_id(id_):
            raise EmrNotFoundError("FHIR has no ids of this form, so the EMR has no such record", op=op)
        question = Read(op, f"{kind}/{id_}", params=params, record=True, accept=_JSON)
        answer = await self._transport.read(question)
        resource = json_value(answer, question)
        if not isinstance(resource, dict) or resource.get("resourceType") != kind:
            raise EmrRecordError(f"what the EMR answered is no {kind} that can be read", op=op)
        if str(resource.get("id")) != id_:
            raise EmrAnswerError(f"the EMR answered with another {kind} than the one asked for", op=op)
        return Held(resource, _tag(resource) or answer.headers.get("ETag"))

    async def pages(self, op: Operation, path: str, *params: tuple[str, str]) -> AsyncGenerator[Bundle, None]:
        """A search's answer, page by page, the next one asked for when it is taken."""
        raw = await self.get(op, path, *params)
        followed: set[str] = set()
        while True:
            page = bundle(raw, op)
            yield page
            if page.next is None:
                return
            if page.next in followed or len(followed) == MOST_PAGES:
                raise EmrAnswerError("the EMR's page links have no end", op=op)
            followed.add(page.next)
            raw = await self.get(op, self._absolute(page.next, op))

    async def create(self, op: Operation, resource: Json, *, unless: str | None) -> tuple[str | None, bool]:
        """The id of the resource that is there now, and whether it was made by this call. Sent once.

        Args:
            op: What for.
            resource: Without an id.
            unless: A search, written as in an address: if something fits it, nothing is made and that is answered.
                None: made whatever there is.

        Raises:
            EmrConflictError: Several fit, or somebody was making the same; nothing was made.
            EmrNotSupportedError: The interface does not make resources of this kind.
            EmrError: As `Transport.write`.
        """
        kind = resource["resourceType"]
        headers = {"Prefer": "return=minimal"} | ({"If-None-Exist": unless} if unless else {})
        answer = await self._send(op, "POST", kind, resource, headers)
        return _id_of(answer, kind), answer.status == HTTPStatus.CREATED

    async def update(self, op: Operation, resource: Json, *, tag: str | None) -> None:
        """Replace the resource, if it is still the version `tag`. Sent once.

        Raises:
            EmrConflictError: It is another version by now; nothing was replaced.
            EmrNotSupportedError: The interface does not replace resources of this kind.
            EmrError: As `Transport.write`.
        """
        headers = {"If-Match": tag} if tag else {}
        kind, id_ = resource["resourceType"], resource["id"]
        await self._send(op, "PUT", f"{kind}/{id_}", resource, headers)

    async def _send(
        self, op: Operation, method: Literal["POST", "PUT"], path: str, resource: Json, headers: Mapping[str, str]
    ) -> Answer:
        headers = {**headers, "Content-Type": _JSON}
        record = method == "PUT"
        send = Send(op, path, method=method, json=resource, headers=headers, record=record, accept=_JSON)
        try:
            return await self._transport.write(send)
        except EmrAnswerError as error:
            if error.http_status in _NOT_OFFERED:
                raise _not_offered(send, error.http_status) from None
            raise

    def _absolute(self, link: str, op: Operation) -> str:
        try:
            return str(self._base.join(link))
        except (httpx.InvalidURL, ValueError):
            raise EmrAnswerError("the EMR gave a page link that is no address", op=op) from None


def bundle(raw: object, op: Operation) -> Bundle:
    """One page of a search's answer.

    Raises:
        EmrAnswerError: It is something else.
    """
    page = read(Bundle, raw)
    if page is not None:
        return page
    outcome = read(OperationOutcome, raw)
    codes = f"; its issue codes: {', '.join(outcome.codes)}" if outcome and outcome.codes else ""
    raise EmrAnswerError(f"the EMR answered something else than the result of a search{codes}", op=op)


def outcome_faults(answer: Answer, asked: Asked) -> EmrError | None:
    """What an OperationOutcome adds to the status it came with. Only the standard's codes in it are read or shown."""
    if "://" in asked.path and answer.status in _FORGOTTEN:
        # HAPI keeps a search's result for an hour, other servers for as long as they like.
        what = "the EMR has forgotten the rest of the answer before it was asked for"
        return EmrUnavailableError(what, op=asked.op, http_status=answer.status)
    if answer.status == HTTPStatus.NOT_IMPLEMENTED and isinstance(asked, Send):
        return _not_offered(asked, answer.status)
    error = problem(answer, asked)
    outcome = _outcome(answer.body) if error is not None else None
    if error is None or outcome is None or not outcome.codes:
        return error
    vague = (EmrAnswerError, EmrUnavailableError, EmrWriteRefusedError)
    if isinstance(error, vague) and not isinstance(error, EmrRateLimitedError):
        clearer = _clearer(outcome, answer.status, asked)
        if clearer is not None:
            return clearer
    error.what += f"; its issue codes: {', '.join(outcome.codes)}"
    return error


def _clearer(outcome: OperationOutcome, status: int, asked: Asked) -> EmrError | None:
    """What the codes say where the status says little."""
    if "throttled" in outcome.codes:
        what = "the EMR asked for fewer calls"
        return EmrRateLimitedError(what, op=asked.op, http_status=status, momentary=True)
    if "forbidden" in outcome.codes:
        return EmrPermissionDeniedError("the EMR denied the right to do this", op=asked.op, http_status=status)
    if "not-supported" in outcome.codes and isinstance(asked, Send):
        return _not_offered(asked, status)
    return None


def _not_offered(send: Send, status: int | None) -> EmrNotSupportedError:
    interaction = f"`{'create' if send.method == 'POST' else 'update'}` of {send.path.partition('/')[0]}"
    return EmrNotSupportedError(
        f"the EMR's interface offers no {interaction}",
        op=send.op,
        http_status=status,
        remedy=f"Ask the EMR's vendor to offer {interaction}, or switch off in the spec what needs it.",
    )


def _outcome(body: bytes) -> OperationOutcome | None:
    try:
        return read(OperationOutcome, orjson.loads(body))
    except orjson.JSONDecodeError:
        return None


def _id_of(answer: Answer, kind: str) -> str | None:
    """From the address the EMR gave for the resource, else from the resource."""
    for name in ("Location", "Content-Location"):
        named = Reference(reference=answer.headers.get(name, "")).id_of(kind)
        if named:
            return named
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    id_ = str(body.get("id", "")) if isinstance(body, dict) and body.get("resourceType") == kind else ""
    return id_ if is_id(id_) else None


def _tag(resource: Json) -> str | None:
    """Made of the version id, since proxies that compress change the header of that name.

    Source: FHIR R4, http, "Managing Resource Contention".
    """
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return f'W/"{version}"' if version else None
