"""A small FHIR R4 server in memory, for tests that must be fast and for a demo without Java.

It keeps to the standard where it answers at all: searches are filtered, answered in pages by link, and a page belongs
to the search it was made for, whatever changes meanwhile; creates may be conditional, updates may ask for a version,
what is identical makes no new one. What it cannot do is refused. It asks nobody who they are.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocean_emr.testing.fhir_clinic import Resource
from ocean_emr.testing.fhir_matching import SEARCHABLE, RefusedError, match

PATH: Final = "/fhir"
_MOST_SEARCHES: Final = 100
_UUID: Final = "urn:uuid:"
_CAN: Final = ("read", "search-type", "create", "update")


@dataclass(frozen=True, slots=True)
class Habits:
    """Where servers differ."""

    stale_status: int = 412
    """Answered to an update of a version that is no more: HAPI says 409."""
    transitions: Mapping[str, Collection[str]] | None = None
    """Appointment status to those that may follow it; None for whatever comes."""
    conditional: bool = True
    """Whether If-None-Exist is looked at."""
    keeps_keys: bool = True
    """Whether identifiers of new resources are kept."""
    ignored: Collection[str] = ()
    """Search parameters that are passed over, as if they had not been sent."""
    unknown: Collection[str] = ()
    """Search parameters that are refused."""
    tells_where: bool = True
    """Whether a write is answered with the address of what was written."""
    tells_versions: bool = True
    rewrites: Mapping[str, str] = field(default_factory=dict)
    """Texts that are kept in another form than they were sent."""


class FhirStore:
    """The resources and the searches under way."""

    def __init__(self, resources: Sequence[Resource] = (), *, largest_page: int = 100) -> None:
        """Hold `resources`. No page is larger than `largest_page`, whatever `_count` asks."""
        self._largest_page = largest_page
        self._resources: dict[tuple[str, str], Resource | None] = {}
        self._versions: dict[tuple[str, str], int] = {}
        self._searches: dict[str, tuple[Resource, ...]] = {}
        self.statement = _statement()
        """The capability statement; may be changed."""
        self.habits = Habits()
        """Likewise."""
        self.replace(resources)

    def replace(self, resources: Sequence[Resource]) -> None:
        """Hold these and nothing else, as if nothing else had ever been."""
        self._resources = {(each["resourceType"], each["id"]): each for each in resources}
        self._versions = dict.fromkeys(self._resources, 1)

    def put(self, resource: Resource) -> Resource:
        """Create or replace it. Answered with its version, which stays where nothing changed."""
        place = resource["resourceType"], resource["id"]
        bare = {name: value for name, value in resource.items() if name != "meta"}
        if self._resources.get(place) != bare:
            self._resources[place] = bare
            self._versions[place] = self._versions.get(place, 0) + 1
        return self.get(*place)

    def delete(self, kind: str, id_: str) -> None:
        """Delete it; it is remembered as deleted. What refers to it stays."""
        self._resources[kind, id_] = None

    def get(self, kind: str, id_: str) -> Resource:
        """The resource, with its version.

        Raises:
            RefusedError: 404 if it never was, 410 if it was deleted.
        """
        if (kind, id_) not in self._resources:
            raise RefusedError(404, "not-found")
        resource = self._resources[kind, id_]
        if resource is None:
            raise RefusedError(410, "deleted")
        if not self.habits.tells_versions:
            return resource
        return resource | {"meta": {"versionId": str(self._versions[kind, id_])}}

    def all(self, kind: str) -> list[Resource]:
        """Everything of one kind that there is, with versions."""
        ids = [id_ for (type_, id_), resource in self._resources.items() if type_ == kind and resource is not None]
        return [self.get(kind, id_) for id_ in ids]

    def ledger(self) -> list[Resource]:
        """What there is, without its content: kind, id, whose, status, and the keys it was written under."""
        return [
            {
                "kind": kind,
                "id": each["id"],
                "patient": each["id"] if kind == "Patient" else patient_of(each),
                "status": each.get("status", ""),
                "keys": [*keys_of(each)],
            }
            for kind in SEARCHABLE
            for each in self.all(kind)
        ]

    def create(self, resource: Resource, unless: str | None) -> tuple[Resource, bool]:
        """The new resource and True; or the one that fits the search `unless` and False.

        Raises:
            RefusedError: 412 if several fit.
        """
        kind = resource["resourceType"]
        fitting = self._found(kind, parse_qsl(unless)) if unless and self.habits.conditional else []
        if len(fitting) > 1:
            raise RefusedError(412, "multiple-matches")
        if fitting:
            return fitting[0], False
        if not self.habits.keeps_keys:
            resource = {name: value for name, value in resource.items() if not name.lower().endswith("identifier")}
        return self.put(resource | {"id": secrets.token_hex(8)}), True

    def update(self, resource: Resource, tag: str | None) -> tuple[Resource, bool]:
        """The resource as it is now, and whether it is new.

        Raises:
            RefusedError: It is another version than `tag`, or has a status that none can become.
        """
        place = resource["resourceType"], resource["id"]
        old = self._resources.get(place)
        if tag is not None and tag != f'W/"{self._versions.get(place)}"':
            raise RefusedError(self.habits.stale_status, "conflict")
        allowed = self.habits.transitions
        before, after = (str(each.get("status", "")) if each else "" for each in (old, resource))
        if allowed is not None and before not in {"", after} and after not in allowed.get(before, ()):
            raise RefusedError(422, "business-rule")
        sent = orjson.dumps(resource).decode()
        for ours, theirs in self.habits.rewrites.items():
            sent = sent.replace(ours, theirs)
        return self.put(orjson.loads(sent)), old is None

    def search(self, base: str, kind: str, query: Sequence[tuple[str, str]]) -> Resource:
        """The first page of the answer.

        Raises:
            RefusedError: 400 for a parameter that is not known or not understood.
        """
        found = tuple(self._found(kind, query))
        token = secrets.token_hex(8)
        self._searches[token] = found
        while len(self._searches) > _MOST_SEARCHES:
            self._searches.pop(next(iter(self._searches)))
        return self.page(base, token, 0, int(dict(query).get("_count", 20)))

    def _found(self, kind: str, query: Sequence[tuple[str, str]]) -> list[Resource]:
        if not {name for name, _ in query}.isdisjoint(self.habits.unknown):
            raise RefusedError(400, "not-supported")
        passed_over = {"_count", "_format", *self.habits.ignored}
        tests = [match(kind, name, value) for name, value in query if name not in passed_over]
        return [resource for resource in self.all(kind) if all(test(resource) for test in tests)]

    def page(self, base: str, token: str, offset: int, count: int) -> Resource:
        """A page of a search's answer, with a link to the next one.

        Raises:
            RefusedError: 410 for a search that is forgotten.
        """
        found = self._searches.get(token)
        if found is None:
            raise RefusedError(410, "not-found")
        count = max(1, min(count, self._largest_page))
        entries = [{"resource": each, "search": {"mode": "match"}} for each in found[offset : offset + count]]
        links = []
        if offset + count < len(found):
            address = f"{base}?_getpages={token}&_getpagesoffset={offset + count}&_count={count}"
            links.append({"relation": "next", "url": address})
        return {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(found),
            "link": links,
            "entry": entries,
        }


def keys_of(resource: Resource) -> Iterator[str]:
    """The UUIDs among its identifiers, each once."""
    identifiers = (resource.get("masterIdentifier", {}), *resource.get("identifier", ()))
    values = (str(each.get("value", "")) for each in identifiers)
    return iter(dict.fromkeys(value.removeprefix(_UUID) for value in values if value.startswith(_UUID)))


def patient_of(resource: Resource) -> str:
    """Whose it is; empty for nobody's."""
    references = (resource.get("subject", {}), *(part.get("actor", {}) for part in resource.get("participant", ())))
    named = (str(each.get("reference", "")).partition("Patient/")[2] for each in references)
    return next(filter(None, named), "")


def application(store: FhirStore) -> Starlette:
    """The server's ASGI application over `store`."""
    return Starlette(
        routes=[
            Route(PATH, _answered(store, _root)),
            Route(PATH + "/metadata", _answered(store, _metadata)),
            Route(PATH + "/{kind}", _answered(store, _many), methods=["GET", "POST"]),
            Route(PATH + "/{kind}/{id}", _answered(store, _one), methods=["GET", "PUT", "DELETE"]),
        ]
    )


_Answer = tuple[Resource | None, int]
_Handler = Callable[[FhirStore, Request, bytes], _Answer]


def _answered(store: FhirStore, handler: _Handler) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            value, status = handler(store, request, await request.body())
        except RefusedError as error:
            issue = {"severity": "error", "code": error.code, "diagnostics": f"about {request.url.path}"}
            value, status = {"resourceType": "OperationOutcome", "issue": [issue]}, error.status
        return _response(value, status, request, tells_where=store.habits.tells_where)

    return endpoint


def _response(value: Resource | None, status: int, request: Request, *, tells_where: bool) -> Response:
    if value is None:
        return Response(status_code=status)
    headers = {}
    version = value.get("meta", {}).get("versionId")
    if version:
        headers["etag"] = f'W/"{version}"'
        address = f"{_base(request)}/{value['resourceType']}/{value['id']}/_history/{version}"
        if tells_where:
            headers["location" if request.method == "POST" else "content-location"] = address
    minimal = request.headers.get("prefer") == "return=minimal" and request.method in {"POST", "PUT"}
    body = b"" if minimal and status < 300 else orjson.dumps(value)  # noqa: PLR2004 - HTTP's own classes
    return Response(body, status, headers, media_type="application/fhir+json")


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/") + PATH


def _root(store: FhirStore, request: Request, _body: bytes) -> _Answer:
    query = request.query_params
    try:
        page = store.page(_base(request), query["_getpages"], int(query["_getpagesoffset"]), int(query["_count"]))
    except (KeyError, ValueError):
        raise RefusedError(400, "invalid") from None
    return page, 200


def _metadata(store: FhirStore, _request: Request, _body: bytes) -> _Answer:
    return store.statement, 200


def _statement() -> Resource:
    can = [{"code": code} for code in _CAN]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "software": {"name": "FHIR stub", "version": "1"},
        "rest": [{"mode": "server", "resource": [{"type": kind, "interaction": can} for kind in SEARCHABLE]}],
    }


def _many(store: FhirStore, request: Request, body: bytes) -> _Answer:
    kind = request.path_params["kind"]
    if request.method == "GET":
        return store.search(_base(request), kind, request.query_params.multi_items()), 200
    resource = _sent(body, kind)
    made, is_new = store.create(resource, request.headers.get("if-none-exist"))
    return made, 201 if is_new else 200


def _one(store: FhirStore, request: Request, body: bytes) -> _Answer:
    kind, id_ = request.path_params["kind"], request.path_params["id"]
    if request.method == "DELETE":
        store.delete(kind, id_)
        return None, 204
    if request.method == "GET":
        return store.get(kind, id_), 200
    resource = _sent(body, kind)
    if resource.get("id") != id_:
        raise RefusedError(400, "invalid")
    made, is_new = store.update(resource, request.headers.get("if-match"))
    return made, 201 if is_new else 200


def _sent(body: bytes, kind: str) -> Resource:
    """The resource in a request.

    Raises:
        RefusedError: 404 for a kind that is not held, 400 for something else.
    """
    if kind not in SEARCHABLE:
        raise RefusedError(404, "not-supported")
    try:
        resource = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RefusedError(400, "structure") from None
    if not isinstance(resource, dict) or resource.get("resourceType") != kind:
        raise RefusedError(400, "invalid")
    return resource
