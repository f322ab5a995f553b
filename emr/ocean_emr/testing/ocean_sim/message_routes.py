"""The simulator's answers about messages: what is fetched under `/svc`, what makes and shows them under `/_sim`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocean_emr.ocean import inbound_profile, inbox
from ocean_emr.testing.ocean_sim.answering import State, as_site, binary_json, json_response
from ocean_emr.testing.ocean_sim.faults import Fault
from ocean_emr.testing.ocean_sim.mailbox import Form, Notice, Sealed, Upload
from ocean_emr.testing.ocean_sim.sites import SimSite
from ocean_emr.testing.ocean_sim.webhooks import Receiver

_SITE = "/_sim/sites/{number}"


def message_routes(state: State) -> Iterable[Route]:
    """All of them."""
    yield from _fetched(state)
    yield from _done(state)
    yield from _told(state)


def _fetched(state: State) -> Iterable[Route]:
    def patient(request: Request, site: SimSite, _body: bytes, _fault: Fault | None) -> Response:
        return _sealed(site, site.mailbox.patient(request.path_params["ref"]))

    def note(request: Request, site: SimSite, _body: bytes, _fault: Fault | None) -> Response:
        session = request.query_params.get("oceanSessionId", "")
        return _sealed(site, site.mailbox.note(request.path_params["ref"], session))

    def session(request: Request, site: SimSite, _body: bytes, _fault: Fault | None) -> Response:
        return _sealed(site, site.mailbox.session(request.path_params["ref"], request.path_params["session"]))

    def referral(request: Request, site: SimSite, _body: bytes, _fault: Fault | None) -> Response:
        return _found(site.mailbox.referral_record(request.path_params["ref"]))

    def file(request: Request, site: SimSite, _body: bytes, _fault: Fault | None) -> Response:
        return _found(site.mailbox.file(request.path_params["ref"], request.path_params["file"]))

    handlers = {
        inbox.PATIENT_PATH: patient,
        inbox.NOTE_PATH: note,
        inbound_profile.SESSION_PATH: session,
        inbox.REFERRAL_PATH: referral,
        inbox.REFERRAL_FILE_PATH: file,
        inbound_profile.PATIENT_FILE_PATH: file,
    }
    for path, handler in handlers.items():
        yield Route(path.partition("?")[0], as_site(state, handler))


def _sealed(site: SimSite, sealed: Sealed | None) -> Response:
    if sealed is None:
        return json_response({"error": "not found"}, 404)
    answer = json_response(binary_json(site, sealed.body))
    answer.headers.update({name: value for name, value in sealed.headers.items() if value})
    return answer


def _found(body: bytes | None) -> Response:
    return Response(body, media_type="application/json") if body else json_response({"error": "not found"}, 404)


def _complete(site: SimSite, given: dict[str, Any]) -> list[Notice]:
    forms = [Form.from_json(form) for form in given["forms"]]
    source, whole = given.get("source", "PATIENT"), given.get("whole", True)
    told: list[Notice] = []
    for place, form in enumerate(forms, start=1):
        last = whole and place == len(forms)
        told += site.mailbox.complete(given["patient"], form, source=source, last=last)
    return told


def _check_in(site: SimSite, given: dict[str, Any]) -> list[Notice]:
    return [site.mailbox.check_in(given["patient"], at=_moment(given))]


def _walk_in(site: SimSite, given: dict[str, Any]) -> list[Notice]:
    return [site.mailbox.walk_in(given["patient"], reason=given.get("reason", ""), at=_moment(given))]


def _transcript(site: SimSite, given: dict[str, Any]) -> list[Notice]:
    text, title = given["text"], given.get("title", "")
    return [site.mailbox.transcript(given["patient"], title=title, text=text, at=_moment(given))]


def _referral(site: SimSite, given: dict[str, Any]) -> list[Notice]:
    files = [Upload.from_json(each) for each in given.get("files", ())]
    return [site.mailbox.referral(given["about"], given.get("record", {}), files, given.get("message", ""))]


_DOINGS: Final[dict[str, Callable[[SimSite, dict[str, Any]], list[Notice]]]] = {
    "complete": _complete,
    "check-in": _check_in,
    "walk-in": _walk_in,
    "transcript": _transcript,
    "referral": _referral,
}
"""What a patient or a member of staff does at Ocean: each makes what there is to tell of."""


def _done(state: State) -> Iterable[Route]:
    """Doing it, and who is there to do it."""
    for name, do in _DOINGS.items():
        yield Route(f"{_SITE}/{name}", _doing(state, do), methods=["POST"])

    async def person(request: Request) -> Response:
        site, ref = state.sites.get(request.path_params["number"]), request.path_params["ref"]
        if site is None:
            return json_response({"error": "no such site"}, 404)
        if request.method == "PUT":
            site.mailbox.put_patient(ref, orjson.loads(await request.body()))
        else:
            site.mailbox.forget_patient(ref)
        return Response(status_code=204)

    yield Route(f"{_SITE}/people/{{ref}}", person, methods=["PUT", "DELETE"])


def _doing(state: State, do: Callable[[SimSite, dict[str, Any]], list[Notice]]) -> Any:
    async def endpoint(request: Request) -> Response:
        site = state.sites.get(request.path_params["number"])
        given = orjson.loads(await request.body())
        if site is None or ("patient" in given and not site.admit(given["patient"])):
            return json_response({"error": "no such site or patient"}, 404)
        copies = given.get("copies", 1)
        numbers = [state.webhooks.tell(site.site_number, notice, copies=copies) for notice in do(site, given)]
        return json_response({"told": numbers})

    return endpoint


def _told(state: State) -> Iterable[Route]:
    """The receiver, and the ledger of what it was told."""

    async def register(request: Request) -> Response:
        receiver = Receiver.from_json(orjson.loads(await request.body()))
        # It waits for the answer of another server, which may be this one's own caller.
        echoed = await run_in_threadpool(state.webhooks.register, request.path_params["number"], receiver)
        return json_response({"echoed": echoed})

    async def ledger(request: Request) -> Response:
        rows = state.webhooks.ledger(request.path_params["number"])
        if "accepted" in request.query_params:
            rows = [told for told in rows if told.accepted]
        return json_response({"webhooks": [told.as_json() for told in rows], "pending": state.webhooks.pending()})

    async def again(request: Request) -> Response:
        state.webhooks.tell_again(int(request.path_params["told"]))
        return Response(status_code=204)

    async def hold(request: Request) -> Response:
        state.webhooks.hold(request.path_params["number"])
        return Response(status_code=204)

    async def release(request: Request) -> Response:
        order = request.query_params.get("order", "as told")
        state.webhooks.release(request.path_params["number"], order=order)
        return Response(status_code=204)

    async def speed(request: Request) -> Response:
        state.webhooks.speed = float(orjson.loads(await request.body())["speed"])
        return Response(status_code=204)

    yield Route(f"{_SITE}/webhook", register, methods=["PUT"])
    yield Route(f"{_SITE}/webhooks", ledger)
    yield Route(f"{_SITE}/webhooks/{{told:int}}", again, methods=["POST"])
    yield Route(f"{_SITE}/webhooks/held", hold, methods=["PUT"])
    yield Route(f"{_SITE}/webhooks/held", release, methods=["DELETE"])
    yield Route("/_sim/webhooks", speed, methods=["PUT"])


def _moment(given: dict[str, Any]) -> datetime | None:
    return datetime.fromisoformat(given["at"]) if given.get("at") else None
