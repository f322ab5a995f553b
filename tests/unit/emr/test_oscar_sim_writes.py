"""The simulated OSCAR's write side by itself: it must not be kinder than the real ones."""

from __future__ import annotations

import base64
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from authlib.oauth1 import ClientAuth

from ocean_emr.testing.oscar_sim import FaultKind, OscarSim, Profile, SimCredentials
from ocean_emr.testing.oscar_sim.__main__ import DEMO_CREDENTIALS
from unit.emr.oscar_clinic import BOTH, ZONE

CLASSIC_ONLY = pytest.mark.parametrize("profile", [Profile.CLASSIC])
OPEN_O_ONLY = pytest.mark.parametrize("profile", [Profile.OPEN_O_2026])
NOTE = {"note": "Ça va", "isSigned": False, "uuid": "u-1", "observationDate": 1_700_000_000_000}
BOOKING = {
    "providerNo": "101",
    "appointmentDate": "2026-11-23",
    "startTime": "14:15",
    "duration": 15,
    "demographicNo": 1001,
    "status": "t",
}


def send(
    url: str, ours: SimCredentials, method: str, path: str, body: object, *, accept: str = "*/*"
) -> httpx.Response:
    """A request signed by another library than the product's."""
    address = f"{url}/ws/services/{path}"
    sign: Any = ClientAuth
    auth = sign(ours.consumer_key, ours.consumer_secret, token=ours.token, token_secret=ours.token_secret)
    _, headers, _ = auth.sign(method, address, {"Content-Type": "application/json"}, b"")
    signed = {"Authorization": str(headers["Authorization"]), "Accept": accept}
    return httpx.request(method, address, headers=signed, json=body)


def post(sim: OscarSim, path: str, body: object) -> httpx.Response:
    return send(sim.url, sim.credentials, "POST", path, body)


def put(sim: OscarSim, body: object, accept: str = "*/*") -> httpx.Response:
    return send(sim.url, sim.credentials, "PUT", "demographics", body, accept=accept)


def chart(sim: OscarSim) -> dict[str, Any]:
    answer: dict[str, Any] = send(sim.url, sim.credentials, "GET", "demographics/1001", None).json()
    return answer


@BOTH
def test_each_save_is_a_row_and_the_last_one_of_a_uuid_is_seen(sim: OscarSim) -> None:
    answers = [post(sim, "notes/1001/save", NOTE | {"note": text}).json() for text in ("one", "two")]

    assert [answer["noteId"] for answer in answers] == [1, 2]
    assert [note.text for note in sim.clinic.shown_notes(1001)] == ["two"]
    assert len(sim.ledger.written) == 2


@BOTH
def test_notes_are_taken_as_carelessly_as_by_oscar(sim: OscarSim) -> None:
    assert post(sim, "notes/1001/save", NOTE | {"note": " \n"}).status_code == 204
    assert post(sim, "notes/1001/save", {"note": "x"}).status_code == 500
    assert post(sim, "notes/4004/save", NOTE).status_code == 200
    future = datetime.now(ZONE) + timedelta(days=1)
    post(sim, "notes/1001/save", NOTE | {"uuid": None, "observationDate": int(future.timestamp() * 1000)})

    orphan, own = sim.clinic.notes.values()
    assert (orphan.demographic_no, own.demographic_no) == (4004, 1001)
    assert own.observed < future
    assert own.uuid not in {"", "u-1"}


@BOTH
def test_a_signed_note_of_an_appointment_changes_its_status(sim: OscarSim) -> None:
    post(sim, "notes/1001/save", NOTE | {"isSigned": True, "appointmentNo": 1})

    assert sim.clinic.appointments[1].status == "tS"


@BOTH
def test_notes_are_listed_by_one_family_only(sim: OscarSim, profile: Profile) -> None:
    post(sim, "notes/1001/save", NOTE)
    answer = post(sim, "notes/1001/all", {})

    if profile is Profile.CLASSIC:
        assert answer.status_code == 500
    else:
        assert [row["uuid"] for row in answer.json()["notelist"]] == ["u-1"]
        assert answer.json()["moreNotes"] is False


@BOTH
def test_bookings_are_not_checked(sim: OscarSim) -> None:
    """Two at once; no status; the afternoon lost; an hour that no day has; but somebody must be booked."""
    bodies = [BOOKING, BOOKING, BOOKING | {"status": None}, BOOKING | {"startTime": "02:15 PM"}]
    bodies.append(BOOKING | {"startTime": "24:30"})
    made = [sim.clinic.appointments[post(sim, "schedule/add", body).json()["appointment"]["id"]] for body in bodies]

    assert [row.status for row in made] == ["t", "t", None, "t", "t"]
    assert [f"{row.clock:%H:%M}" for row in made] == ["14:15", "14:15", "14:15", "02:15", "00:30"]
    assert made[4].day == date(2026, 11, 24)
    assert post(sim, "schedule/add", BOOKING | {"demographicNo": 4004}).status_code == 500


@BOTH
def test_a_status_is_overwritten_by_anything(sim: OscarSim) -> None:
    answers = [post(sim, f"schedule/appointment/{n}/updateStatus", {"status": "?"}).status_code for n in (2, 77)]

    assert answers == [200, 500]
    assert sim.clinic.appointments[2].status == "?"


@OPEN_O_ONLY
def test_open_o_answers_a_put_in_xml_or_not_at_all(sim: OscarSim) -> None:
    body = chart(sim) | {"email": "x@example.org", "effDate": None}

    assert put(sim, body, accept="application/json").status_code == 406
    assert sim.clinic.patients[1001].email == ""
    assert put(sim, body).text.startswith("<")
    assert sim.clinic.patients[1001].email == "x@example.org"


@BOTH
def test_a_put_empties_what_is_not_sent_and_moves_bare_dates(sim: OscarSim) -> None:
    whole = chart(sim) | {"phone": "1", "dateJoined": "2010-01-02", "effDate": "2010-01-02T12:00:00"}
    put(sim, whole)
    first = sim.clinic.patients[1001]
    put(sim, {name: value for name, value in whole.items() if name != "phone"})

    assert (first.phone, first.joined, first.effective) == ("1", date(2010, 1, 1), date(2010, 1, 2))
    assert sim.clinic.patients[1001].phone == ""
    assert put(sim, whole | {"lastName": None}).status_code == 500


@BOTH
def test_a_new_chart_without_a_programme_fails_and_stays(sim: OscarSim) -> None:
    body = {"lastName": "p3", "firstName": "x", "sex": "F", "dobYear": "1990", "dobMonth": "08", "dobDay": "31"}
    failed = post(sim, "demographics", body)
    made = post(sim, "demographics", body | {"admissionProgramId": 10016})

    assert (failed.status_code, made.status_code) == (500, 200)
    assert [row.admitted for row in sim.clinic.patients.values() if row.last_name == "p3"] == [False, True]


@BOTH
def test_a_search_finds_more_than_was_meant(sim: OscarSim) -> None:
    def found(kind: str, term: str, *, active: bool) -> list[int]:
        question = {"type": kind, "term": term, "active": active, "params": {}}
        signed = send(sim.url, sim.credentials, "POST", "demographics/search?startIndex=0&itemsToReturn=10", question)
        return [row["demographicNo"] for row in signed.json()["content"]]

    assert found("HIN", "9876", active=True) == [1001]
    assert found("HIN", "9876", active=False) == []
    assert found("Name", "P100.", active=True) == [1001, 1002]
    assert found("DOB", "2000-01-1", active=True) == [1002]


@OPEN_O_ONLY
def test_documents_get_a_name_of_the_servers_own(sim: OscarSim) -> None:
    body = {
        "fileName": "../p1001/référence.pdf",
        "fileContents": base64.b64encode(b"%PDF").decode(),
        "demographicNo": 4004,
        "observationDate": "2024-05-06",
    }
    made = post(sim, "document/saveDocumentToDemographic", body)
    (document,) = sim.clinic.documents.values()

    assert made.json()["id"] == document.no
    assert document.file_name.endswith("reference.pdf")
    assert "/" not in document.file_name
    assert (document.demographic_no, document.observed) == (4004, date(2024, 5, 5))
    assert post(sim, "document/saveDocumentToDemographic", body | {"fileContents": ""}).status_code == 400
    assert post(sim, "document/saveDocumentToDemographic", body | {"fileContents": None}).status_code == 500


@CLASSIC_ONLY
def test_a_classic_build_knows_no_documents(sim: OscarSim) -> None:
    assert post(sim, "document/saveDocumentToDemographic", {}).status_code == 404


def test_what_was_written_is_told_from_what_was_asked_and_what_is_seen(sim: OscarSim) -> None:
    control = sim.url.removesuffix("/oscar") + "/_sim"
    for _ in range(2):
        post(sim, "notes/1001/save", NOTE)
    sim.faults.add(FaultKind.NO_WRITE_RIGHT)
    post(sim, "notes/1001/save", NOTE | {"uuid": "u-2"})
    sim.faults.clear()
    httpx.post(f"{control}/faults", json={"kind": "400", "writesOnly": True})
    post(sim, "notes/1001/save", NOTE | {"uuid": "u-3"})
    assert chart(sim)["demographicNo"] == 1001
    edited = [httpx.post(f"{control}/notes/{uuid}", json={"text": "Vu"}).status_code for uuid in ("u-1", "u-9")]
    told, seen = httpx.get(f"{control}/ledger").json(), httpx.get(f"{control}/visible").json()

    assert edited == [204, 404]
    assert (told["total"], told["writes"]) == (5, 4)
    assert [(entry["what"], entry["patient"], entry["key"]) for entry in told["written"]] == [("note", 1001, "u-1")] * 2
    assert [(row["key"], row["text"], row["revisions"]) for row in seen["notes"]] == [("u-1", "Vu", 3)]


def test_patients_and_statuses_can_be_changed_from_outside(sim: OscarSim) -> None:
    control = sim.url.removesuffix("/oscar") + "/_sim"
    person = {"lastName": "p7", "firstName": "x", "birth": "1990-08-31"}

    assert httpx.put(f"{control}/patients/7", json=person).status_code == 204
    assert httpx.put(f"{control}/statuses/a", json={"description": "Ici"}).status_code == 204
    assert [httpx.put(f"{control}/{path}", json={}).status_code for path in ("patients/7", "statuses/a")] == [400, 400]
    assert httpx.post(f"{control}/notes/u", json=[]).status_code == 400
    assert sim.clinic.patients[7].birth == date(1990, 8, 31)
    assert sim.clinic.statuses["a"].description == "Ici"


def test_killed_it_goes_on_where_it_was(tmp_path: Path) -> None:
    """Nothing that was answered is lost, and a line that broke off is a change that never was."""
    journal = tmp_path / "journal"
    arguments = ["--scenario", "demo", "--journal", str(journal)]
    command = [sys.executable, "-m", "ocean_emr.testing.oscar_sim", *arguments]
    seen, ledgers = [], []
    for turn in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:  # noqa: S603 - our own program
            try:
                assert program.stdout is not None
                port = program.stdout.readline().split("port ")[1].split(",")[0]
                url, control = f"http://127.0.0.1:{port}/oscar", f"http://127.0.0.1:{port}/_sim"
                if turn == 0:
                    number = httpx.get(f"{control}/visible").json()["appointments"][0]["no"]
                    send(url, DEMO_CREDENTIALS, "POST", "notes/1001/save", NOTE)
                    send(url, DEMO_CREDENTIALS, "POST", "schedule/add", BOOKING | {"notes": "[BR:12345678]"})
                    pdf = base64.b64encode(bytes(range(256))).decode()
                    document = {"fileName": "a.pdf", "fileContents": pdf, "demographicNo": 1001}
                    send(url, DEMO_CREDENTIALS, "POST", "document/saveDocumentToDemographic", document)
                    assert httpx.delete(f"{control}/appointments/{number}").status_code == 204
                seen.append(httpx.get(f"{control}/visible").json())
                ledgers.append(httpx.get(f"{control}/ledger").json()["written"])
            finally:
                program.kill()
        if turn == 1:
            journal.write_bytes(journal.read_bytes() + b'["SimNote", {"no": 9')

    assert [note["key"] for note in seen[0]["notes"]] == ["u-1"]
    assert seen[0] == seen[1] == seen[2]
    assert ledgers[0] == ledgers[1] == ledgers[2]
    assert number not in {row["no"] for row in seen[2]["appointments"]}
    assert journal.read_bytes().endswith(b"\n")
