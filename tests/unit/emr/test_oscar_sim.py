"""The simulated OSCAR by itself: it must not be kinder than the real ones."""

from __future__ import annotations

import ssl
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from authlib.oauth1 import ClientAuth

from ocean_emr.testing.oscar_sim import FaultKind, OscarSim, Profile, SimCredentials, demo_clinic
from ocean_emr.testing.oscar_sim.__main__ import DEMO_CREDENTIALS
from unit.emr.certificates import Authority
from unit.emr.oscar_clinic import BOTH, DAY

CLASSIC_ONLY = pytest.mark.parametrize("profile", [Profile.CLASSIC])
OPEN_O_ONLY = pytest.mark.parametrize("profile", [Profile.OPEN_O_2026])
PROVIDERS = "/ws/services/providerService/providers_json"


def signature(ours: SimCredentials, url: str) -> dict[str, str]:
    """A signed request's header, made by another library than the product's."""
    sign: Any = ClientAuth
    auth = sign(ours.consumer_key, ours.consumer_secret, token=ours.token, token_secret=ours.token_secret)
    _, headers, _ = auth.sign("GET", url, {}, b"")
    return {"Authorization": str(headers["Authorization"])}


def get(sim: OscarSim, path: str) -> httpx.Response:
    url = sim.url + path
    return httpx.get(url, headers=signature(sim.credentials, url))


@BOTH
def test_a_signature_by_another_library_is_accepted(sim: OscarSim) -> None:
    answer = get(sim, PROVIDERS)

    assert answer.status_code == 200
    assert "999998" in {row["providerNo"] for row in answer.json()["content"]}


@BOTH
def test_a_query_is_part_of_what_is_signed(sim: OscarSim) -> None:
    url = sim.url + PROVIDERS

    assert httpx.get(f"{url}?a=b%20c", headers=signature(sim.credentials, f"{url}?a=b%20c")).status_code == 200
    assert httpx.get(f"{url}?a=b", headers=signature(sim.credentials, url)).status_code != 200


@CLASSIC_ONLY
def test_a_classic_build_destroys_a_token_whose_request_is_replayed(sim: OscarSim) -> None:
    headers = signature(sim.credentials, sim.url + PROVIDERS)
    first, again = (httpx.get(sim.url + PROVIDERS, headers=headers) for _ in range(2))

    assert (first.status_code, again.status_code) == (200, 401)
    assert (again.content, again.headers["WWW-Authenticate"]) == (b"", "OAuth")
    assert get(sim, PROVIDERS).status_code == 401


@OPEN_O_ONLY
def test_open_o_takes_a_replay_and_keeps_the_token(sim: OscarSim) -> None:
    headers = signature(sim.credentials, sim.url + PROVIDERS)

    assert [httpx.get(sim.url + PROVIDERS, headers=headers).status_code for _ in range(2)] == [200, 200]


@BOTH
@pytest.mark.parametrize("wrong", ["signature", "clock"])
def test_a_bad_signature_is_refused_in_each_familys_way(sim: OscarSim, profile: Profile, wrong: str) -> None:
    if wrong == "clock":
        sim.faults.add(FaultKind.CLOCK_AHEAD)
        answer = get(sim, PROVIDERS)
    else:
        headers = signature(sim.credentials, sim.url + "/ws/services/oauth/info")
        answer = httpx.get(sim.url + PROVIDERS, headers=headers)

    classic = profile is Profile.CLASSIC
    assert answer.status_code == (401 if classic else 500)
    assert sim.logins.token_exists is not classic
    if not classic:
        assert answer.headers["Content-Type"] == "application/json"
        assert "invalid_signature" in answer.text


@BOTH
def test_somebody_without_a_signature_gets_nothing(sim: OscarSim, profile: Profile) -> None:
    """Although `oauth/info` of Open-O says 200."""
    info, providers = (httpx.get(sim.url + path) for path in ("/ws/services/oauth/info", PROVIDERS))

    assert (info.status_code, providers.status_code) == ((401, 401) if profile is Profile.CLASSIC else (200, 500))
    assert "104" not in info.text
    assert sim.logins.token_exists


@BOTH
def test_the_one_call_list_has_its_familys_habits(sim: OscarSim, profile: Profile) -> None:
    path = "/ws/services/schedule/fetchDays"
    full = get(sim, f"{path}/{DAY}/{DAY}/101")
    free = get(sim, f"{path}/2020-01-01/2020-01-02/101")

    assert (full.status_code, free.status_code) == ((200 if profile is Profile.CLASSIC else 500), 200)
    assert ("content" in free.json(), "appointmentExt" in free.json()) == (False, profile is Profile.OPEN_O_2026)
    assert get(sim, f"{path}/{DAY}/{DAY}/A12").status_code == 500
    assert get(sim, f"{path}/soon/{DAY}/101").status_code == 500


@BOTH
def test_the_two_lists_end_differently(sim: OscarSim, profile: Profile) -> None:
    """One includes its last day, the other does not."""
    end = DAY + timedelta(days=7)
    listed = get(sim, f"/ws/services/schedule/fetchProviderAppts/101/{DAY}/{end}").json()
    rows = listed["content"] if profile is Profile.CLASSIC else listed["ProviderPeriodApps"]

    assert [row["appointmentNo"] for row in rows] == [1, 2, 3]
    assert "startTime" not in rows[0]
    if profile is Profile.CLASSIC:
        days = get(sim, f"/ws/services/schedule/fetchDays/{DAY}/{end}/101").json()["content"]
        assert [row["appointmentNo"] for row in days] == [1, 2, 3, 4]


def test_the_ledger_tells_asking_from_showing(sim: OscarSim) -> None:
    sim.faults.add(FaultKind.CUT_JSON)
    get(sim, "/ws/services/demographics/1001")
    sim.faults.clear()
    get(sim, "/ws/services/demographics/4004")
    told = httpx.get(sim.url.removesuffix("/oscar") + "/_sim/ledger").json()

    assert told["total"] == 2
    assert [entry["fault"] for entry in told["received"]] == ["cut-json", ""]
    assert [entry["status"] for entry in told["received"]] == [200, 204]
    assert told["shown"] == {"patient 1001": 1}


def test_it_can_be_broken_and_changed_from_outside(sim: OscarSim) -> None:
    control = sim.url.removesuffix("/oscar") + "/_sim"
    broken = {"kind": "503", "path": "providers_json", "skip": 1, "times": 1, "retryAfter": "7"}
    booking = {"providerNo": "101", "day": "2026-11-23", "clock": "12:00", "demographicNo": 1001}

    assert httpx.post(f"{control}/faults", json=broken).status_code == 204
    answers = [get(sim, PROVIDERS) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 503, 200]
    assert answers[1].headers["Retry-After"] == "7"
    assert httpx.put(f"{control}/appointments/77", json=booking).status_code == 204
    assert httpx.get(f"{control}/clinic").json()["appointments"] == 5
    assert [httpx.delete(f"{control}/appointments/77").status_code for _ in range(2)] == [204, 404]
    assert httpx.delete(f"{control}/token").status_code == 204
    assert get(sim, PROVIDERS).status_code == 500
    assert httpx.post(f"{control}/token").status_code == 204
    assert get(sim, PROVIDERS).status_code == 200
    assert httpx.delete(f"{control}/ledger").status_code == 204
    assert sim.ledger.total == 0


@pytest.mark.parametrize("wrong", [{}, {"kind": "no such"}, []])
def test_nonsense_at_the_control_is_refused(sim: OscarSim, wrong: object) -> None:
    control = sim.url.removesuffix("/oscar") + "/_sim"

    assert httpx.post(f"{control}/faults", json=wrong).status_code == 400
    assert httpx.put(f"{control}/appointments/77", json=wrong).status_code == 400


def test_the_demo_has_bookings_every_day() -> None:
    today = date(2026, 11, 22)  # A Sunday.
    clinic = demo_clinic(today)

    for ahead in range(60):
        booked = [a for a in clinic.appointments.values() if a.day == today + timedelta(days=ahead)]
        assert len(booked) >= 3
        assert all(a.demographic_no in {0, *clinic.patients} and a.provider_no in clinic.providers for a in booked)
    assert any(a.demographic_no == 0 for a in clinic.appointments.values())
    assert any(a.status == "C" for a in clinic.appointments.values())


def test_it_runs_as_a_program_with_tls(tmp_path: Path) -> None:
    authority = Authority.new()
    certificate, key = authority.server(tmp_path)
    arguments = ["--tls-cert", certificate, "--tls-key", key, "--scenario", "demo", "--profile", "classic"]
    command = [sys.executable, "-m", "ocean_emr.testing.oscar_sim", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:  # noqa: S603 - our own program
        try:
            assert program.stdout is not None
            said = program.stdout.readline()
            port = said.split("port ")[1].split(",")[0]
            url = f"https://127.0.0.1:{port}/oscar{PROVIDERS}"
            trusting = ssl.create_default_context(cadata=authority.pem)
            answer = httpx.get(url, headers=signature(DEMO_CREDENTIALS, url), verify=trusting)
        finally:
            program.terminate()

    assert "demo clinic, classic, https" in said
    assert len(answer.json()["content"]) == 6
