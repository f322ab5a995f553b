"""What the FHIR gateway can be told to do wrong, and how a good answer is spoiled."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Any, Final, Self

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ocean_emr.testing.fhir_clinic import Resource
from ocean_emr.testing.serving import reset_connection

FHIR_JSON: Final = "application/fhir+json"
_PAGE: Final = b"<!DOCTYPE html><html><body><h1>Sign in</h1>P0001, 1980-02-29</body></html>"
_XML: Final = b'<?xml version="1.0"?><Bundle xmlns="http://hl7.org/fhir"><type value="searchset"/></Bundle>'


class FaultKind(StrEnum):
    """One way to fail. The first group answers in the EMR's place; the others spoil what the EMR answered."""

    EXPIRED_TOKENS = "expired-tokens"
    """Every token given out so far is no good any more."""
    BARE_401 = "401"
    """401 without body or header, however good the token."""
    FORBIDDEN = "403"
    FORBIDDEN_PAGE = "403-html"
    GONE = "410"
    TOO_MANY = "429"
    THROTTLED = "400-throttled"
    """400 with an OperationOutcome that says `throttled`."""
    ACCESS_DENIED = "500-access-denied"
    BROKEN = "500"
    AWAY = "503"
    REDIRECT = "redirect"
    SILENCE = "silence"
    """No answer at all, until the client hangs up."""
    NOT_ALLOWED = "405"
    CONFLICT = "409"
    STALE = "412"
    TOO_LARGE = "413"
    REFUSED = "422"
    UNSUPPORTED = "400-not-supported"
    """400 with an OperationOutcome that says `not-supported`."""
    NOT_IMPLEMENTED = "501"
    PRETENDED = "200-pretended"
    """200 without a body, as if it had been done."""

    # The EMR has carried out what it was asked.
    SILENCE_AFTER = "silence-after"
    """No answer at all, until the client hangs up."""
    BROKEN_AFTER = "500-after"
    CONFLICT_AFTER = "409-after"
    """As whoever comes second sees it, when the first was an earlier attempt of theirs."""

    PAGE = "html"
    XML = "xml"
    CUT_JSON = "cut-json"
    """Half of the JSON, as if that were all of it."""
    RESET = "reset"
    """The connection breaks off in the middle of the body, or before it begins if it is empty, with a TCP reset."""
    OUTCOME = "outcome"
    """200 with an OperationOutcome in the place of the result."""
    HIDDEN = "hidden"
    """The resources in `ids`, and bookings with them, are silently left out of every search."""
    FOREIGN_LINK = "foreign-link"
    """The link to the next page leads to another host."""
    LOST_LINK = "lost-link"
    """There is no link to the next page, although there is one."""
    CIRCULAR_LINK = "circular-link"
    """The link to the next page leads to this page."""
    SHORTENED = "shortened"
    """The page has lost its last entry; the total still counts it."""
    SUPPRESSED = "suppressed"
    """An OperationOutcome among the entries says that some were left out."""
    GARBLED = "garbled"
    """The first resource, or the only one, is not what the standard says."""
    OTHER_RECORDS = "other-records"
    """The records of somebody else: other practitioners' bookings, another patient's chart."""


_OUTCOMES: Final[Mapping[FaultKind, tuple[int, str]]] = {
    FaultKind.FORBIDDEN: (403, "forbidden"),
    FaultKind.GONE: (410, "not-found"),
    FaultKind.TOO_MANY: (429, "throttled"),
    FaultKind.THROTTLED: (400, "throttled"),
    FaultKind.BROKEN: (500, "exception"),
    FaultKind.AWAY: (503, "transient"),
    FaultKind.NOT_ALLOWED: (405, "processing"),
    FaultKind.CONFLICT: (409, "conflict"),
    FaultKind.STALE: (412, "processing"),
    FaultKind.TOO_LARGE: (413, "too-long"),
    FaultKind.REFUSED: (422, "business-rule"),
    FaultKind.UNSUPPORTED: (400, "not-supported"),
    FaultKind.NOT_IMPLEMENTED: (501, "not-supported"),
}
_AFTER: Final = {FaultKind.BROKEN_AFTER: FaultKind.BROKEN, FaultKind.CONFLICT_AFTER: FaultKind.CONFLICT}
_PLAIN: Final[Mapping[FaultKind, tuple[int, bytes, str | None]]] = {
    FaultKind.BARE_401: (401, b"", None),
    FaultKind.FORBIDDEN_PAGE: (403, _PAGE, "text/html"),
    FaultKind.ACCESS_DENIED: (500, b"Access Denied", "text/plain"),
    FaultKind.REDIRECT: (302, b"", None),
    FaultKind.PRETENDED: (200, b"", None),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure to come."""

    kind: FaultKind
    path: str = ""
    """Only requests whose path and query hold this."""
    methods: frozenset[str] = frozenset()
    """Only these; empty for all."""
    after: int = 0
    """How many such requests go well first."""
    times: int | None = None
    """How many are struck then; None for all until it is cleared."""
    retry_after: str | None = None
    """Sent along as `Retry-After`."""
    ids: frozenset[str] = frozenset()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The fault in `{"kind", "path", "methods", "after", "times", "retryAfter", "ids"}`; only the kind must be."""
        return cls(
            kind=FaultKind(value["kind"]),
            path=value.get("path", ""),
            methods=frozenset(value.get("methods", ())),
            after=value.get("after", 0),
            times=value.get("times"),
            retry_after=value.get("retryAfter"),
            ids=frozenset(value.get("ids", ())),
        )


class Faults:
    """The failures to come. May be used from any thread."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Fault, int, int | None]] = []
        self._lock = Lock()

    def add(self, *faults: Fault) -> None:
        """Let `faults` happen."""
        with self._lock:
            self._waiting += [(fault, fault.after, fault.times) for fault in faults]

    def clear(self) -> None:
        """Let nothing more happen."""
        with self._lock:
            self._waiting.clear()

    def take(self, method: str, path: str) -> tuple[Fault, ...]:
        """The faults that strike a request for `path`, counted down."""
        with self._lock:
            struck, waiting = [], []
            for fault, after, left in self._waiting:
                if fault.path not in path or (fault.methods and method not in fault.methods):
                    waiting.append((fault, after, left))
                elif after:
                    waiting.append((fault, after - 1, left))
                else:
                    struck.append(fault)
                    if left is None or left > 1:
                        waiting.append((fault, 0, left and left - 1))
            self._waiting = waiting
            return tuple(struck)


def outcome(code: str, *, severity: str = "error") -> Resource:
    """An OperationOutcome. Its text is of the kind that must never be shown."""
    issue = {"severity": severity, "code": code, "diagnostics": "about P0001, born 1980-02-29"}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def instead(fault: Fault) -> Response | None:
    """What is answered in the EMR's place; None if the EMR is asked."""
    if fault.kind is FaultKind.SILENCE:
        return _Silence()
    if fault.kind in _OUTCOMES:
        answer = _refusal(fault.kind)
    elif fault.kind in _PLAIN:
        status, body, label = _PLAIN[fault.kind]
        answer = Response(body, status, media_type=label)
    else:
        return None
    if fault.retry_after:
        answer.headers["retry-after"] = fault.retry_after
    if fault.kind is FaultKind.REDIRECT:
        answer.headers["location"] = "https://elsewhere.invalid/"
    return answer


def _refusal(kind: FaultKind) -> Response:
    status, code = _OUTCOMES[kind]
    return Response(orjson.dumps(outcome(code)), status, media_type=FHIR_JSON)


def spoiled(good: Response, faults: tuple[Fault, ...]) -> Response:
    """`good`, as the faults leave it."""
    answer = good
    for fault in faults:
        match fault.kind:
            case FaultKind.PAGE:
                answer = Response(_PAGE, media_type="text/html")
            case FaultKind.XML:
                answer = Response(_XML, media_type="application/fhir+xml")
            case FaultKind.CUT_JSON:
                answer = Response(answer.body[: len(answer.body) // 2], answer.status_code, media_type=FHIR_JSON)
            case FaultKind.SILENCE_AFTER:
                answer = _Silence()
            case FaultKind.BROKEN_AFTER | FaultKind.CONFLICT_AFTER:
                answer = _refusal(_AFTER[fault.kind])
            case FaultKind.RESET:
                answer = _BrokenOff(answer)
            case FaultKind.OUTCOME:
                answer = Response(orjson.dumps(outcome("processing")), media_type=FHIR_JSON)
            case _:
                answer = _changed(answer, fault)
    return answer


def _changed(good: Response, fault: Fault) -> Response:
    """`good` with its JSON changed."""
    try:
        value = orjson.loads(good.body)
    except orjson.JSONDecodeError:
        return good
    if value.get("resourceType") == "Bundle":
        value.setdefault("entry", [])
        value.setdefault("link", [])
        if fault.kind in _CHANGES:
            _CHANGES[fault.kind](value, fault)
    elif fault.kind is FaultKind.OTHER_RECORDS:
        value["id"] = "somebody-else"
    elif fault.kind is FaultKind.GARBLED:
        value["name"] = "P0001"
    return Response(orjson.dumps(value), good.status_code, media_type=FHIR_JSON)


def _hide(bundle: Resource, fault: Fault) -> None:
    visible = [entry for entry in bundle["entry"] if not _names(entry["resource"], fault.ids)]
    if "total" in bundle:
        bundle["total"] -= len(bundle["entry"]) - len(visible)
    bundle["entry"] = visible


def _lead_elsewhere(bundle: Resource, _fault: Fault) -> None:
    for link in _following(bundle):
        link["url"] = re.sub(r"//[^/]+", "//elsewhere.invalid", link["url"])


def _lead_nowhere(bundle: Resource, _fault: Fault) -> None:
    bundle["link"] = [link for link in bundle["link"] if link not in _following(bundle)]


def _lead_back(bundle: Resource, _fault: Fault) -> None:
    for link in _following(bundle):
        link["url"] = re.sub(r"_getpagesoffset=\d+", "_getpagesoffset=0", link["url"])


def _shorten(bundle: Resource, _fault: Fault) -> None:
    bundle["total"] = bundle.get("total", len(bundle["entry"]))
    del bundle["entry"][-1:]


def _suppress(bundle: Resource, _fault: Fault) -> None:
    told = outcome("suppressed", severity="information")
    bundle["entry"].append({"resource": told, "search": {"mode": "outcome"}})


def _garble(bundle: Resource, _fault: Fault) -> None:
    for entry in bundle["entry"][:1]:
        # Bookings lose their time of day, providers their names' shape.
        entry["resource"] |= {"start": "2026", "name": "P0001"}


def _put_others(bundle: Resource, _fault: Fault) -> None:
    for entry in bundle["entry"]:
        for part in entry["resource"].get("participant", ()):
            reference = part.get("actor", {}).get("reference", "")
            part["actor"] = {"reference": reference.replace("Practitioner/", "Practitioner/not-")}


_CHANGES: Final[Mapping[FaultKind, Callable[[Resource, Fault], None]]] = {
    FaultKind.HIDDEN: _hide,
    FaultKind.FOREIGN_LINK: _lead_elsewhere,
    FaultKind.LOST_LINK: _lead_nowhere,
    FaultKind.CIRCULAR_LINK: _lead_back,
    FaultKind.SHORTENED: _shorten,
    FaultKind.SUPPRESSED: _suppress,
    FaultKind.GARBLED: _garble,
    FaultKind.OTHER_RECORDS: _put_others,
}


def _following(bundle: Resource) -> list[Resource]:
    return [link for link in bundle["link"] if link["relation"] == "next"]


def _names(resource: Resource, ids: frozenset[str]) -> bool:
    """Whether the resource has one of the ids, or is a booking with somebody who has."""
    actors = (part.get("actor", {}).get("reference", "") for part in resource.get("participant", ()))
    return bool(ids & {resource.get("id"), *(actor.rpartition("/")[2] for actor in actors)})


class _Silence(Response):
    async def __call__(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


class _BrokenOff(Response):
    """Half of what its header promises, then nothing any more."""

    def __init__(self, good: Response) -> None:
        super().__init__(good.body, good.status_code, media_type=FHIR_JSON)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        half = bytes(self.body[: len(self.body) // 2])
        if not self.body:
            reset_connection(scope)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": half, "more_body": True})
        reset_connection(scope)
