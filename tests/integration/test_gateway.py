"""`ocean-gateway` as a process, with a real Vault and a real PostgreSQL: what it keeps, and how it begins and ends."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from integration.gateways import Gateway, WebhookSite, rows, set_key, webhook_site
from integration.installation import Installation
from ocean_api import names


@pytest.fixture(scope="module")
def gateway(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One replica that all tests share."""
    with Gateway(installation, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def admin(installation: Installation) -> Iterator[psycopg.Connection]:
    """A superuser's connection."""
    with psycopg.connect(installation.server.admin, autocommit=True) as connection:
        yield connection


@pytest.fixture
def clinic(installation: Installation) -> WebhookSite:
    """A clinic of its own for each test."""
    return webhook_site(installation)


def test_event_is_kept_as_it_was_told(gateway: Gateway, clinic: WebhookSite, installation: Installation) -> None:
    response = gateway.post(clinic, clinic.event("ref-1"))

    assert (response.status_code, response.json()) == (200, {"result": "stored"})
    with psycopg.connect(installation.server.admin) as admin:
        row = admin.execute(
            "select site, kind, state, detail, body from ocean.message where site = %s", [clinic.site.id]
        ).fetchone()
    detail = {"ref": "ref-1", "type": "notify-patient-note-added", "session": "session-1", "source": "PORTAL"}
    assert row == (clinic.site.id, "event", "accepted", detail, None)


def test_event_without_a_sitting_is_kept(gateway: Gateway, clinic: WebhookSite, installation: Installation) -> None:
    for _ in range(2):
        assert gateway.post(clinic, clinic.event("ref-1", customProperties=None)).status_code == 200

    assert rows(installation, clinic) == [("ref-1", 1)]


def test_replay_is_kept_once(gateway: Gateway, clinic: WebhookSite, installation: Installation) -> None:
    event = clinic.event("ref-1")
    results = [gateway.post(clinic, event).json()["result"] for _ in range(3)]
    other_sitting = {**event, "customProperties": {"oceanSessionId": "session-2"}}

    assert results == ["stored", "replay", "replay"]
    assert gateway.post(clinic, other_sitting).json() == {"result": "stored"}
    assert rows(installation, clinic) == [("ref-1", 2), ("ref-1", 0)]


@pytest.mark.parametrize("where", ["header", "query"])
def test_registration_as_ocean_makes_it(where: str, gateway: Gateway, clinic: WebhookSite) -> None:
    with gateway.client() as client:
        response = client.post(
            f"/webhooks/{clinic.number}",
            json={"challenge": "a-challenge"},
            headers={"X-Ocean-Webhook-Key": clinic.key} if where == "header" else {},
            params={"k": clinic.key} if where == "query" else {},
        )

        assert (response.status_code, response.json()) == (200, {"challenge": "a-challenge"})
        assert client.post(f"/webhooks/{clinic.number}", json={"challenge": "x"}).status_code == 401


def test_each_clinic_has_a_key_of_its_own(gateway: Gateway, clinic: WebhookSite, installation: Installation) -> None:
    other = webhook_site(installation)

    assert gateway.post(clinic, clinic.event("r"), key=other.key).status_code == 401
    assert gateway.post(other, clinic.event("r")).status_code == 403
    assert (rows(installation, clinic), rows(installation, other)) == ([], [])


def test_changed_key_counts_at_once(gateway: Gateway, clinic: WebhookSite, installation: Installation) -> None:
    assert gateway.post(clinic, clinic.event("ref-1")).status_code == 200
    new = secrets.token_urlsafe(24)
    set_key(installation, clinic, new)
    gateway.until(lambda: gateway.post(clinic, clinic.event("ref-2"), key=new).status_code == 200)

    assert gateway.post(clinic, clinic.event("ref-3")).status_code == 401


def test_clinic_that_ends_is_unknown(clinic: WebhookSite, installation: Installation, tmp_path: Path) -> None:
    """Although its key is remembered: the database knows better."""
    with Gateway(installation, tmp_path, {"VERIFIER_SECONDS": "60"}) as gateway:
        assert gateway.post(clinic, clinic.event("ref-1")).status_code == 200
        with installation.operator_database() as operator:
            clinic.site.retire(operator, forget=False)

        assert gateway.post(clinic, clinic.event("ref-2")).status_code == 404
        assert rows(installation, clinic) == [("ref-1", 0)]


def test_worker_is_woken(gateway: Gateway, clinic: WebhookSite, installation: Installation) -> None:
    channel = names.message_channel(clinic.site.namespace, clinic.site.name)
    with psycopg.connect(installation.server.admin, autocommit=True) as worker:
        worker.execute(f'listen "{channel}"')
        gateway.post(clinic, clinic.event("ref-1"))
        (notice,) = worker.notifies(timeout=30, stop_after=1)

        assert (notice.channel, notice.payload) == (channel, "")
        # Who was woken finds what he was woken for.
        assert rows(installation, clinic) == [("ref-1", 0)]


def test_clinic_of_which_too_much_waits_is_refused(
    clinic: WebhookSite, installation: Installation, tmp_path: Path
) -> None:
    with psycopg.connect(installation.server.admin, autocommit=True) as admin:
        admin.execute("alter database ocean set ocean.most_waiting_events = 3")
        try:
            with Gateway(installation, tmp_path, {"VERIFIER_SECONDS": "0.001"}) as gateway:
                statuses = [gateway.post(clinic, clinic.event(str(number))).status_code for number in range(6)]
                other = webhook_site(installation)

                assert statuses == [200] * 4 + [503] * 2
                assert gateway.post(other, other.event("r")).status_code == 200
        finally:
            admin.execute("alter database ocean reset ocean.most_waiting_events")


def test_probes_and_metrics(clinic: WebhookSite, installation: Installation, tmp_path: Path) -> None:
    with Gateway(installation, tmp_path) as gateway:
        gateway.post(clinic, clinic.event("ref-1"))
        gateway.post(clinic, clinic.event("ref-1"))
        gateway.post(clinic, clinic.event("ref-2"), key="wrong")

        assert gateway.probe("/livez").status_code == 200
        assert gateway.probe("/readyz").status_code == 200
        assert gateway.metric("ocean_gateway_accepted_total") == 1
        assert gateway.metric("ocean_gateway_replayed_total") == 1
        assert gateway.metric('ocean_gateway_refused_total{reason="key-wrong"}') == 1
        assert gateway.metric('ocean_gateway_refused_total{reason="unavailable"}') == 0
        assert gateway.metric("ocean_gateway_request_seconds_count") == 3
        assert clinic.site.name not in gateway.probe("/metrics").text
        with gateway.client() as client:
            assert client.get("/metrics").status_code == 404


async def test_same_webhook_at_two_replicas_at_once_is_one_row(
    clinic: WebhookSite, installation: Installation, tmp_path: Path
) -> None:
    with Gateway(installation, tmp_path / "a") as a, Gateway(installation, tmp_path / "b") as b:
        trust = a.trust()
        trust.load_verify_locations(b.folder / "ca.crt")
        async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=60) as client:

            async def post(gateway: Gateway, ref: str) -> str:
                response = await client.post(
                    f"{gateway.url}/webhooks/{clinic.number}",
                    json=clinic.event(ref),
                    headers={"X-Ocean-Webhook-Key": clinic.key},
                )
                assert response.status_code == 200, response.text
                return str(response.json()["result"])

            # In opposite orders, so that one would wait for the other and the other for the one.
            refs = [f"ref-{number:03}" for number in range(100)]
            results = await asyncio.gather(*[post(a, ref) for ref in refs], *[post(b, ref) for ref in reversed(refs)])

        assert sorted(results) == ["replay"] * 100 + ["stored"] * 100
        assert sorted(rows(installation, clinic)) == [(ref, 1) for ref in refs]


def test_end_answers_what_has_come_and_takes_no_more(
    clinic: WebhookSite, installation: Installation, admin: psycopg.Connection, tmp_path: Path
) -> None:
    with Gateway(installation, tmp_path) as gateway, psycopg.connect(installation.server.admin) as blocker:
        gateway.post(clinic, clinic.event("ref-0"))
        blocker.execute("lock table ocean.message in exclusive mode")
        answers = gateway.post_later(clinic, [clinic.event(f"ref-{number}") for number in (1, 2, 3)])
        gateway.until(lambda: waiting_for_a_lock(admin) > 0)
        gateway.terminate()
        gateway.until(lambda: '"stopping"' in gateway.said)
        blocker.rollback()

        assert [answer.result(30).status_code for answer in answers] == [200] * 3
        assert gateway.status() == 0
        with pytest.raises(httpx.ConnectError):
            gateway.post(clinic, clinic.event("late"))
        assert len(rows(installation, clinic)) == 4


def test_login_is_given_back_at_the_end(
    clinic: WebhookSite, installation: Installation, admin: psycopg.Connection, tmp_path: Path
) -> None:
    def logins() -> int:
        row = admin.execute("select count(*) from pg_roles where rolname like 'v\\_%' and rolcanlogin").fetchone()
        assert row
        return int(row[0])

    before = logins()
    with Gateway(installation, tmp_path) as gateway:
        gateway.post(clinic, clinic.event("ref-1"))
        assert logins() == before + 1
        gateway.terminate()

        assert gateway.status() == 0
        gateway.until(lambda: logins() == before)


def test_end_does_not_wait_for_a_vault_that_does_not_answer(
    clinic: WebhookSite, installation: Installation, tmp_path: Path
) -> None:
    with Gateway(installation, tmp_path) as gateway:
        gateway.post(clinic, clinic.event("ref-1"))
        vault = installation.bao._server
        assert vault
        os.kill(vault.pid, signal.SIGSTOP)
        try:
            gateway.terminate()
            assert gateway.status(40) in {0, 1}  # within twenty seconds of its own, on a machine that is busy
        finally:
            os.kill(vault.pid, signal.SIGCONT)


@pytest.fixture
def unsafe(admin: psycopg.Connection) -> Iterator[None]:
    """PostgreSQL confirms commits that it could still lose."""
    admin.execute("alter database ocean set synchronous_commit = off")
    yield
    admin.execute("alter database ocean reset synchronous_commit")


@pytest.mark.usefixtures("unsafe")
def test_server_that_could_lose_messages_is_refused_at_the_start(installation: Installation, tmp_path: Path) -> None:
    gateway = Gateway(installation, tmp_path).spawn()

    assert gateway.status() == 1
    assert "synchronous_commit off" in gateway.said
    assert '"database unsafe"' in gateway.said


def test_server_that_could_lose_messages_is_refused_later_as_well(
    clinic: WebhookSite, installation: Installation, admin: psycopg.Connection, tmp_path: Path
) -> None:
    with Gateway(installation, tmp_path, {"ACCEPT_SECONDS": "2"}) as gateway:
        assert gateway.post(clinic, clinic.event("ref-1")).status_code == 200
        admin.execute("alter database ocean set synchronous_commit = off")
        end_sessions(admin)
        statuses = {gateway.post(clinic, clinic.event("ref-2")).status_code for _ in range(3)}
        assert gateway.probe("/readyz").status_code == 503
        admin.execute("alter database ocean reset synchronous_commit")

        assert statuses == {503}
        gateway.until(lambda: gateway.post(clinic, clinic.event("ref-3")).status_code == 200)
        # What was refused may be kept all the same, once that is safe; never twice.
        kept = [ref for ref, _ in rows(installation, clinic)]
        assert set(kept) - {"ref-2"} == {"ref-1", "ref-3"}
        assert len(kept) == len(set(kept))


def end_sessions(admin: psycopg.Connection) -> None:
    """Have PostgreSQL end all of the gateways'."""
    admin.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'ocean-gateway'"
    )


def waiting_for_a_lock(admin: psycopg.Connection) -> int:
    """How many of the gateways' sessions wait for one."""
    row = admin.execute(
        "select count(*) from pg_stat_activity where application_name = 'ocean-gateway' and wait_event_type = 'Lock'"
    ).fetchone()
    assert row
    return int(row[0])


def test_log_is_one_json_object_a_line(gateway: Gateway) -> None:
    assert all(json.loads(line)["event"] for line in gateway.said.splitlines())
