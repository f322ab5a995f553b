"""A small FHIR R4 server in memory, for tests that must be fast and for a demo without Java.

It keeps to the standard where it answers at all: searches are filtered, answered in pages by link, and a page belongs
to the search it was made for, whatever changes meanwhile. What it cannot do is refused. It asks nobody who they are.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import ge, gt, le, lt
from typing import Any, Final

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocean_emr.testing.fhir_clinic import Resource

PATH: Final = "/fhir"
_MOST_SEARCHES: Final = 100
_PREFIXES: Final = {"ge": ge, "gt": gt, "le": le, "lt": lt}


class RefusedError(Exception):
    """The request cannot be answered as it is."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class FhirStore:
    """The resources and the searches under way."""

    def __init__(self, resources: Sequence[Resource] = (), *, largest_page: int = 100) -> None:
        """Hold `resources`. No page is larger than `largest_page`, whatever `_count` asks."""
        self._largest_page = largest_page
        self._resources: dict[tuple[str, str], Resource | None] = {}
        self._searches: dict[str, tuple[Resource, ...]] = {}
        self.statement = _statement()
        """The capability statement; may be changed."""
        self.replace(resources)

    def replace(self, resources: Sequence[Resource]) -> None:
        """Hold these and nothing else, as if nothing else had ever been."""
        self._resources = {(each["resourceType"], each["id"]): each for each in resources}

    def put(self, resource: Resource) -> None:
        """Create or replace it."""
        self._resources[resource["resourceType"], resource["id"]] = resource

    def delete(self, kind: str, id_: str) -> None:
        """Delete it; it is remembered as deleted. What refers to it stays."""
        self._resources[kind, id_] = None

    def get(self, kind: str, id_: str) -> Resource:
        """The resource.

        Raises:
            RefusedError: 404 if it never was, 410 if it was deleted.
        """
        if (kind, id_) not in self._resources:
            raise RefusedError(404, "not-found")
        resource = self._resources[kind, id_]
        if resource is None:
            raise RefusedError(410, "deleted")
        return resource

    def search(self, base: str, kind: str, query: Sequence[tuple[str, str]]) -> Resource:
        """The first page of the answer.

        Raises:
            RefusedError: 400 for a parameter that is not known or not understood.
        """
        tests = [_test(kind, name, value) for name, value in query if name not in {"_count", "_format"}]
        found = tuple(
            resource
            for (type_, _), resource in list(self._resources.items())
            if type_ == kind and resource is not None and all(test(resource) for test in tests)
        )
        token = secrets.token_hex(8)
        self._searches[token] = found
        while len(self._searches) > _MOST_SEARCHES:
            self._searches.pop(next(iter(self._searches)))
        return self.page(base, token, 0, int(dict(query).get("_count", 20)))

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


def application(store: FhirStore) -> Starlette:
    """The server's ASGI application over `store`."""
    return Starlette(
        routes=[
            Route(PATH, _answered(store, _root)),
            Route(PATH + "/metadata", _answered(store, _metadata)),
            Route(PATH + "/{kind}", _answered(store, _search)),
            Route(PATH + "/{kind}/{id}", _answered(store, _one), methods=["GET", "PUT", "DELETE"]),
        ]
    )


_Handler = Callable[[FhirStore, Request, bytes], Resource | None]


def _answered(store: FhirStore, handler: _Handler) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            value, status = handler(store, request, await request.body()), 200
        except RefusedError as error:
            issue = {"severity": "error", "code": error.code, "diagnostics": f"about {request.url.path}"}
            value, status = {"resourceType": "OperationOutcome", "issue": [issue]}, error.status
        if value is None:
            return Response(status_code=204)
        return Response(orjson.dumps(value), status, media_type="application/fhir+json")

    return endpoint


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/") + PATH


def _root(store: FhirStore, request: Request, _body: bytes) -> Resource:
    query = request.query_params
    try:
        return store.page(_base(request), query["_getpages"], int(query["_getpagesoffset"]), int(query["_count"]))
    except (KeyError, ValueError):
        raise RefusedError(400, "invalid") from None


def _metadata(store: FhirStore, _request: Request, _body: bytes) -> Resource:
    return store.statement


def _statement() -> Resource:
    can = [{"code": "read"}, {"code": "search-type"}]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "software": {"name": "FHIR stub", "version": "1"},
        "rest": [{"mode": "server", "resource": [{"type": kind, "interaction": can} for kind in _TESTS]}],
    }


def _search(store: FhirStore, request: Request, _body: bytes) -> Resource:
    return store.search(_base(request), request.path_params["kind"], request.query_params.multi_items())


def _one(store: FhirStore, request: Request, body: bytes) -> Resource | None:
    kind, id_ = request.path_params["kind"], request.path_params["id"]
    if request.method == "DELETE":
        store.delete(kind, id_)
        return None
    if request.method == "PUT":
        resource: Resource = orjson.loads(body)
        if (resource.get("resourceType"), resource.get("id")) != (kind, id_):
            raise RefusedError(400, "invalid")
        store.put(resource)
        return resource
    return store.get(kind, id_)


_Test = Callable[[Resource], bool]


def _refers(element: Callable[[Resource], Sequence[str]], kind: str) -> Callable[[str], _Test]:
    """Matches resources that refer to one of the ids in the value."""

    def of(value: str) -> _Test:
        wanted = {f"{kind}/{id_.rpartition('/')[2]}" for id_ in value.split(",")}
        return lambda resource: any(reference in wanted for reference in element(resource))

    return of


def _date(value: str) -> _Test:
    compare = _PREFIXES.get(value[:2])
    try:
        moment = datetime.fromisoformat(value[2:] if compare else value)
    except ValueError:
        raise RefusedError(400, "invalid") from None
    if moment.tzinfo is None:
        # Whose midnight a bare date means is the server's guess; a client that leaves it open is wrong here.
        raise RefusedError(400, "invalid")

    def test(resource: Resource) -> bool:
        start = datetime.fromisoformat(resource["start"]) if "start" in resource else None
        if start is None:
            return False
        return compare(start, moment) if compare else abs(start - moment) < timedelta(seconds=1)

    return test


def _code(name: str) -> Callable[[str], _Test]:
    def of(value: str) -> _Test:
        wanted = set(value.lower().split(","))
        return lambda resource: str(resource.get(name, "")).lower() in wanted

    return of


def _participants(resource: Resource) -> Sequence[str]:
    return [part.get("actor", {}).get("reference", "") for part in resource.get("participant", ())]


def _identifier(value: str) -> _Test:
    system, _, number = value.rpartition("|")
    return lambda resource: any(
        each.get("value") == number and (not system or each.get("system") == system)
        for each in resource.get("identifier", ())
    )


_TESTS: Final[Mapping[str, Mapping[str, Callable[[str], _Test]]]] = {
    "Practitioner": {"_id": _code("id"), "active": _code("active")},
    "Appointment": {
        "_id": _code("id"),
        "practitioner": _refers(_participants, "Practitioner"),
        "patient": _refers(_participants, "Patient"),
        "status": _code("status"),
        "date": _date,
    },
    "Patient": {"_id": _code("id"), "identifier": _identifier},
}


def _test(kind: str, name: str, value: str) -> _Test:
    if kind not in _TESTS:
        raise RefusedError(404, "not-supported")
    if name not in _TESTS[kind]:
        raise RefusedError(400, "invalid")
    return _TESTS[kind][name](value)
