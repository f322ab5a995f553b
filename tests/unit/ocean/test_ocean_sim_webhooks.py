"""The simulated Ocean tells its receiver, keeps at it, and remembers what was accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ocean_emr.testing.ocean_sim import OceanSim
from ocean_emr.testing.ocean_sim.mailbox import Form, Notice
from ocean_emr.testing.ocean_sim.webhooks import Receiver
from ocean_emr.testing.serving import Served
from unit.ocean.certificates import Tls
from unit.ocean.uploads import SITE

KEY = "webhook-key-of-twenty-four"
PERSON = {"externalPatientRef": "1001", "demographics": {"surname": "p0001", "hn": "9876543217"}}


@dataclass
class Seen:
    """A receiver that answers as it is told to, and remembers what came."""

    statuses: list[int] = field(default_factory=list)
    """Of the next answers; 200 when there are none left."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[tuple[str | None, str | None]] = field(default_factory=list)
    """As shown in the header and in the query."""
    echoes: bool = True
    changed: Condition = field(default_factory=Condition)

    async def answer(self, request: Request) -> Response:
        body = await request.json()
        with self.changed:
            self.keys.append((request.headers.get("x-ocean-webhook-key"), request.query_params.get("k")))
            if "challenge" in body:
                return JSONResponse({"challenge": body["challenge"] if self.echoes else "something else"})
            self.bodies.append(body)
            status = self.statuses.pop(0) if self.statuses else 200
            self.changed.notify_all()
            return Response(status_code=status)

    def wait_for(self, what: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(what, 30)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def url(seen: Seen) -> Iterator[str]:
    with Served(Starlette(routes=[Route("/webhooks/1001", seen.answer, methods=["POST"])])) as served:
        yield f"{served.url}/webhooks/1001"


@pytest.fixture
def told(sim: OceanSim, url: str) -> OceanSim:
    """A simulator with a patient and a registered receiver, in a hurry."""
    sim.site(SITE).mailbox.put_patient("p0001", PERSON)
    sim.webhooks.speed = 3_600.0
    assert sim.webhooks.register(SITE, Receiver(url, KEY))
    return sim


def a_note(sim: OceanSim, text: str = "marker-1") -> Notice:
    (notice,) = sim.site(SITE).mailbox.complete("p0001", Form("Title", text))
    return notice


def test_registering_sends_a_challenge_and_the_key(sim: OceanSim, url: str, seen: Seen) -> None:
    assert sim.webhooks.register(SITE, Receiver(url, KEY))
    assert sim.webhooks.register(SITE, Receiver(url, KEY, key_in_query=True))
    assert seen.keys == [(KEY, None), (None, KEY)]


def test_a_receiver_that_does_not_echo_is_noticed(sim: OceanSim, url: str, seen: Seen) -> None:
    seen.echoes = False

    assert not sim.webhooks.register(SITE, Receiver(url, KEY))
    assert not sim.webhooks.register(SITE, Receiver("http://127.0.0.1:9/", KEY))


def test_an_event_has_the_form_of_ocean_s_and_nothing_of_a_patient(told: OceanSim, seen: Seen) -> None:
    notice = a_note(told)

    told.webhooks.tell(SITE, notice)

    seen.wait_for(lambda: len(seen.bodies) == 1)
    assert seen.bodies == [
        {
            "ref": "p0001",
            "siteNum": SITE,
            "type": "notify-patient-note-added",
            "changeList": None,
            "user": None,
            "customProperties": {"oceanSessionId": notice.session, "noteCompletionSource": "PATIENT"},
        }
    ]


def test_it_is_told_again_until_it_is_accepted(told: OceanSim, seen: Seen) -> None:
    seen.statuses = [503, 500, 429, 404]

    told.webhooks.tell(SITE, a_note(told))

    assert told.webhooks.until(lambda: bool(told.webhooks.accepted(SITE)))
    (row,) = told.webhooks.ledger(SITE)
    assert row.answers == [503, 500, 429, 404, 200]
    assert row.as_json()["markers"] == ["marker-1"]
    assert row.as_json()["chart"] == "1001"
    assert len(seen.bodies) == 5


def test_duplicates_and_echoes(told: OceanSim, seen: Seen) -> None:
    number = told.webhooks.tell(SITE, a_note(told), copies=3)
    told.webhooks.tell_again(number)

    seen.wait_for(lambda: len(seen.bodies) == 4)
    assert len({body["customProperties"]["oceanSessionId"] for body in seen.bodies}) == 1
    assert len(told.webhooks.ledger(SITE)) == 1


@pytest.mark.parametrize(("order", "expected"), [("as told", [0, 1, 2]), ("reversed", [2, 1, 0])])
def test_out_of_order(told: OceanSim, seen: Seen, order: str, expected: list[int]) -> None:
    notices = [a_note(told, f"marker-{place}") for place in range(3)]
    told.webhooks.hold(SITE)
    for notice in notices:
        told.webhooks.tell(SITE, notice)
    assert seen.bodies == []

    told.webhooks.release(SITE, order=order)

    seen.wait_for(lambda: len(seen.bodies) == 3)
    sessions = [notice.session for notice in notices]
    assert [sessions.index(body["customProperties"]["oceanSessionId"]) for body in seen.bodies] == expected


def test_it_is_given_up_after_four_days_as_ocean_does(sim: OceanSim) -> None:
    """Several times in the first hour, then hourly."""
    sim.site(SITE).mailbox.put_patient("p0001", PERSON)
    sim.webhooks.speed = 1e9
    refusing = Seen(statuses=[503] * 1_000)
    with Served(Starlette(routes=[Route("/", refusing.answer, methods=["POST"])])) as served:
        sim.webhooks.register(SITE, Receiver(served.url, KEY))
        sim.webhooks.tell(SITE, a_note(sim))
        assert sim.webhooks.until(lambda: sim.webhooks.ledger(SITE)[0].given_up)

    assert sim.webhooks.accepted(SITE) == []
    assert 96 < len(refusing.bodies) < 104


def test_a_sitting_of_three_forms_ends_with_word_of_it(told: OceanSim, seen: Seen) -> None:
    """By HTTP, as the demo does it: a patient whom a sync has sent."""
    forms = [{"title": f"Form {place}", "text": f"marker-{place}"} for place in range(3)]

    answer = httpx.post(f"{told.url}/_sim/sites/{SITE}/complete", json={"patient": "p0001", "forms": forms})

    seen.wait_for(lambda: len(seen.bodies) == 4)
    assert len(answer.json()["told"]) == 4
    types = [told.notice.type for told in told.webhooks.ledger(SITE)]
    assert types == ["notify-patient-note-added"] * 3 + ["notify-patient-message-forms-completion"]
    rows = httpx.get(f"{told.url}/_sim/sites/{SITE}/webhooks").json()["webhooks"]
    assert [row["markers"] for row in rows] == [["marker-0"], ["marker-1"], ["marker-2"], []]


@pytest.mark.parametrize(
    ("doing", "given"),
    [
        ("check-in", {"patient": "p0001"}),
        ("walk-in", {"patient": "p0001", "reason": "marker"}),
        ("transcript", {"patient": "p0001", "text": "marker"}),
        ("referral", {"about": PERSON, "record": {"description": "marker"}}),
    ],
)
def test_whatever_is_done_is_told(told: OceanSim, seen: Seen, doing: str, given: dict[str, Any]) -> None:
    answer = httpx.post(f"{told.url}/_sim/sites/{SITE}/{doing}", json=given | {"copies": 2})

    assert answer.status_code == 200
    seen.wait_for(lambda: len(seen.bodies) == 2)
    assert seen.bodies[0]["type"].startswith("ocean-operator/")


def test_nobody_acts_who_is_not_there(told: OceanSim) -> None:
    answer = httpx.post(f"{told.url}/_sim/sites/{SITE}/check-in", json={"patient": "p0009"})

    assert answer.status_code == 404


def test_a_receiver_s_certificate_is_looked_at(sim: OceanSim, seen: Seen, tls: Tls) -> None:
    app = Starlette(routes=[Route("/", seen.answer, methods=["POST"])])
    with Served(app, tls=(tls.certificate, tls.key)) as served:
        assert sim.webhooks.register(SITE, Receiver(served.url, KEY, ca_bundle=tls.authority_pem))
        assert not sim.webhooks.register(SITE, Receiver(served.url, KEY))
