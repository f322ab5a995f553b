"""The FHIR gateway and the stub behind it: what the adapter's tests rest on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from ocean_api.v1alpha1.spec import EmrSpec
from ocean_emr.records import PatientId, ProviderId
from ocean_emr.registry import open_adapter
from ocean_emr.testing.fhir_clinic import sample_clinic
from ocean_emr.testing.fhir_gateway import FHIR_PATH, TOKEN_PATH, FhirGateway, State
from ocean_emr.testing.fhir_stub import FhirStore, Habits
from ocean_emr.testing.serving import LOOPBACK
from unit.ocean.certificates import Tls

_TORONTO = ZoneInfo("America/Toronto")
_FIRST = date(2026, 11, 23)
_WINDOW = [("date", "ge2026-11-23T00:00:00-05:00"), ("date", "lt2026-11-30T00:00:00-05:00")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def running() -> Iterator[FhirGateway]:
    with FhirGateway(State("id", "secret", FhirStore())) as gateway:
        yield gateway


@pytest.fixture
def store(running: FhirGateway) -> FhirStore:
    assert isinstance(running.state.upstream, FhirStore)
    running.state.upstream.replace([*sample_clinic(_FIRST, 7, _TORONTO)])
    running.state.upstream.habits = Habits()
    return running.state.upstream


@pytest.fixture
def gateway(running: FhirGateway, store: FhirStore) -> FhirGateway:
    vars(running.state).update(vars(State("id", "secret", store)))
    return running


@pytest.fixture
def http(gateway: FhirGateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, trust_env=False) as http:
        yield http


def _login(http: httpx.Client) -> None:
    form = {"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret", "scope": "user/*"}
    token = http.post(TOKEN_PATH, data=form).json()["access_token"]
    http.headers["authorization"] = f"Bearer {token}"


@pytest.mark.parametrize(
    ("form", "basic", "status"),
    [
        ({"client_id": "id", "client_secret": "secret"}, None, 200),
        ({}, ("id", "secret"), 200),
        ({"client_id": "id", "client_secret": "wrong"}, None, 400),
        ({"client_id": "id"}, None, 400),
        ({}, ("id", "wrong"), 401),
        ({}, None, 400),
        ({"client_id": "id", "client_secret": "secret", "grant_type": "password"}, None, 400),
    ],
)
def test_tokens_are_for_the_client_by_form_or_header(
    http: httpx.Client, form: dict[str, str], basic: tuple[str, str] | None, status: int
) -> None:
    answer = http.post(TOKEN_PATH, data={"grant_type": "client_credentials"} | form, auth=basic or httpx.Auth())

    assert answer.status_code == status
    assert ("access_token" in answer.json()) == (status == 200)


def test_one_way_to_log_in_can_be_closed(gateway: FhirGateway, http: httpx.Client) -> None:
    gateway.state.takes_form = False
    form = {"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret"}

    assert http.post(TOKEN_PATH, data=form).status_code == 400


@pytest.mark.parametrize("header", [None, "Bearer made-up", "Bearer", "Basic aWQ6c2VjcmV0"])
def test_nobody_passes_without_a_token(http: httpx.Client, header: str | None) -> None:
    answer = http.get(f"{FHIR_PATH}/Patient/p0001", headers={"authorization": header} if header else {})

    assert answer.status_code == 401
    assert "invalid_token" in answer.headers["www-authenticate"]


def test_a_token_ends_by_itself(gateway: FhirGateway, http: httpx.Client) -> None:
    gateway.state.token_seconds = 0
    _login(http)

    assert http.get(f"{FHIR_PATH}/Patient/p0001").status_code == 401


def test_pages_lead_through_the_gateway_and_belong_to_their_search(
    store: FhirStore, gateway: FhirGateway, http: httpx.Client
) -> None:
    _login(http)
    query = httpx.QueryParams([("practitioner", "dr1"), *_WINDOW, ("_count", "8")])
    page = http.get(f"{FHIR_PATH}/Appointment", params=query).json()
    store.delete("Appointment", page["entry"][0]["resource"]["id"])
    seen = []
    while True:
        seen += [entry["resource"]["id"] for entry in page["entry"]]
        following = [link["url"] for link in page["link"] if link["relation"] == "next"]
        if not following:
            break
        assert following[0].startswith(gateway.fhir_url + "?")
        page = http.get(following[0]).json()

    assert len(seen) == len(set(seen)) == page["total"] == 21


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("Patient/p0001", {}, 200),
        ("Patient/p9999", {}, 404),
        ("Appointment", {"date": "ge2026-11-23"}, 400),
        ("Appointment", {"date": "ge2026-11-23T00:00:00"}, 400),
        ("Appointment", {"surname": "x"}, 400),
        ("Observation", {"status": "x"}, 404),
        ("", {"_getpages": "gone", "_getpagesoffset": "1", "_count": "1"}, 410),
        ("", {}, 400),
    ],
)
def test_the_stub_refuses_what_it_does_not_know(
    http: httpx.Client, path: str, query: dict[str, str], status: int
) -> None:
    _login(http)

    assert http.get(f"{FHIR_PATH}/{path}".rstrip("/"), params=query).status_code == status


def test_a_plus_sent_as_it_is_written_is_no_offset(http: httpx.Client) -> None:
    _login(http)

    assert http.get(f"{FHIR_PATH}/Appointment?date=ge2026-11-23T00:00:00+05:00").status_code == 400


def test_what_was_deleted_is_gone(http: httpx.Client) -> None:
    _login(http)

    assert http.delete(f"{FHIR_PATH}/Patient/p0001").status_code == 204
    assert http.get(f"{FHIR_PATH}/Patient/p0001").status_code == 410


def test_what_was_put_is_found(http: httpx.Client) -> None:
    _login(http)
    resource: dict[str, Any] = {"resourceType": "Patient", "id": "p0100", "identifier": [{"value": "77"}]}

    assert http.put(f"{FHIR_PATH}/Patient/p0100", json=resource).is_success
    assert http.get(f"{FHIR_PATH}/Patient", params={"identifier": "77"}).json()["total"] == 1
    assert http.put(f"{FHIR_PATH}/Patient/p0101", json=resource).status_code == 400


def test_another_process_can_break_it_and_look(http: httpx.Client) -> None:
    http.put("/_gateway/faults", json=[{"kind": "503", "path": "/fhir", "times": 1}])
    _login(http)
    answers = [http.get(f"{FHIR_PATH}/Patient/p0001").status_code for _ in range(2)]

    assert answers == [503, 200]
    assert http.get("/_gateway").json() == {
        "GET /fhir/Patient/p0001 200": 1,
        "GET /fhir/Patient/p0001 503": 1,
        "POST /oauth/token 200": 1,
    }


_NOTE: dict[str, Any] = {
    "resourceType": "DocumentReference",
    "identifier": [{"value": "urn:uuid:k-1"}],
    "subject": {"reference": "Patient/p0001"},
    "status": "current",
    "description": "P0001's secret",
}


def test_a_conditional_create_makes_one(http: httpx.Client) -> None:
    _login(http)
    condition = {"if-none-exist": "identifier=urn%3Auuid%3Ak-1"}
    answers = [http.post(f"{FHIR_PATH}/DocumentReference", json=_NOTE, headers=condition) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert answers[0].headers["location"].startswith(f"{http.base_url}/fhir/DocumentReference/")


def test_a_condition_that_several_fit_is_refused(store: FhirStore, http: httpx.Client) -> None:
    _login(http)
    for id_ in ("d1", "d2"):
        store.put(_NOTE | {"id": id_})
    condition = {"if-none-exist": "identifier=urn%3Auuid%3Ak-1"}

    assert http.post(f"{FHIR_PATH}/DocumentReference", json=_NOTE, headers=condition).status_code == 412


@pytest.mark.parametrize("stale", [409, 412])
def test_an_update_is_of_the_version_that_was_read(store: FhirStore, http: httpx.Client, stale: int) -> None:
    store.habits = Habits(stale_status=stale)
    _login(http)
    tag = http.get(f"{FHIR_PATH}/Patient/p0001").headers["etag"]
    changed = {"resourceType": "Patient", "id": "p0001", "gender": "other"}
    answers = [http.put(f"{FHIR_PATH}/Patient/p0001", json=changed, headers={"if-match": tag}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, stale]


def test_what_is_identical_is_no_new_version(http: httpx.Client) -> None:
    _login(http)
    before = http.get(f"{FHIR_PATH}/Patient/p0001")
    http.put(f"{FHIR_PATH}/Patient/p0001", json=before.json())

    assert http.get(f"{FHIR_PATH}/Patient/p0001").headers["etag"] == before.headers["etag"]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("Observation", b"{}", 404),
        ("Patient", b"{", 400),
        ("Patient", b"[]", 400),
        ("Patient", b'{"resourceType": "Appointment"}', 400),
    ],
)
def test_the_stub_takes_no_other_than_it_was_asked_for(http: httpx.Client, kind: str, body: bytes, status: int) -> None:
    _login(http)

    assert http.post(f"{FHIR_PATH}/{kind}", content=body).status_code == status


def test_another_process_sees_what_was_sent_and_what_is_there(http: httpx.Client) -> None:
    """Under which key, and nothing of what is in it."""
    http.put("/_gateway/faults", json=[{"kind": "500-after", "methods": ["POST"], "path": "/fhir", "times": 1}])
    _login(http)
    for _ in range(2):
        http.post(f"{FHIR_PATH}/DocumentReference", json=_NOTE)
    sent, there = http.get("/_gateway/writes"), http.get("/_gateway/records")

    path = f"{FHIR_PATH}/DocumentReference"
    assert sent.json() == [
        {"method": "POST", "path": path, "status": 500, "key": "k-1"},
        {"method": "POST", "path": path, "status": 201, "key": "k-1"},
    ]
    notes = [each for each in there.json() if each["kind"] == "DocumentReference"]
    assert [(each["patient"], each["keys"], each["status"]) for each in notes] == [("p0001", ["k-1"], "current")] * 2
    assert "secret" not in sent.text + there.text


async def test_it_runs_as_a_program_with_tls_and_a_sample_clinic(tmp_path: Path) -> None:
    """As the demo runs it, read by the adapter that a site's settings lead to."""
    tls = Tls.made_in(tmp_path)
    options = ["--sample-clinic", "America/Toronto", "--tls-cert", str(tls.certificate), "--tls-key", str(tls.key)]
    command = [sys.executable, "-m", "ocean_emr.testing.fhir_gateway", "--client-id", "id", "--client-secret", "secret"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603, ASYNC220 - our own program, and nothing else runs in this loop
        assert process.stdout is not None
        port = process.stdout.readline().partition("port ")[2].partition(",")[0]
        root = f"https://127.0.0.1:{port}"
        spec = {"url": root + FHIR_PATH, "tokenUrl": root + TOKEN_PATH, "credentialsSecret": "emr"}
        emr = EmrSpec.model_validate({"type": "FHIR", "fhir": spec | {"caBundle": tls.authority_pem}})
        async with open_adapter(emr, {"clientId": "id", "clientSecret": "secret"}, LOOPBACK) as adapter:
            report = await adapter.check_connection()
            today = datetime.now(_TORONTO).date()
            pages = adapter.list_appointments([ProviderId("dr1")], today, today + timedelta(days=1), _TORONTO)
            items = [item async for page in pages for item in page.items]
            patient = await adapter.get_patient(PatientId("p0001"))
        process.terminate()

    assert report.encrypted
    assert report.warnings == ()
    assert [item.start.hour for item in items] == [9, 10, 11]
    assert patient.last_name == "P0001"
