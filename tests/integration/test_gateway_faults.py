"""The gateway, PostgreSQL or Vault killed or away: whoever was told 200 finds the message kept, whatever happens."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import psycopg
import pytest

from integration.gateways import Gateway, WebhookSite, rows, webhook_site
from integration.installation import Installation

KILLS = 6
SENDERS = 8


@pytest.fixture
def clinic(installation: Installation) -> WebhookSite:
    """A clinic of its own for each test."""
    return webhook_site(installation)


@pytest.fixture
def admin(installation: Installation) -> Iterator[psycopg.Connection]:
    """A superuser's connection."""
    with psycopg.connect(installation.server.admin, autocommit=True) as connection:
        yield connection


@dataclass
class Senders:
    """Ocean, in a hurry: sends event after event, each with a reference of its own, and remembers the answers."""

    gateway: Gateway
    clinic: WebhookSite
    accepted: set[str] = field(default_factory=set)
    statuses: set[int] = field(default_factory=set)
    broken: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(SENDERS)
        self._done = [self._pool.submit(self._send) for _ in range(SENDERS)]
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        for done in self._done:
            done.result()

    def _send(self) -> None:
        client: httpx.Client | None = None
        while not self._stop.is_set():
            ref = f"ref-{next(self._numbers)}"
            try:
                client = client or self.gateway.client()
                response = client.post(
                    f"/webhooks/{self.clinic.number}",
                    json=self.clinic.event(ref),
                    headers={"X-Ocean-Webhook-Key": self.clinic.key},
                )
            except httpx.TransportError:
                self.broken += 1
                client = None
                self._stop.wait(0.01)
                continue
            self.statuses.add(response.status_code)
            if response.status_code == 200:
                self.accepted.add(ref)

    def until_more(self, count: int = 20) -> None:
        """Return when so many more were accepted."""
        goal = len(self.accepted) + count
        self.gateway.until(lambda: len(self.accepted) >= goal)


def check(installation: Installation, senders: Senders) -> None:
    """Everything that was accepted is there, and nothing is there twice."""
    kept = [ref for ref, _ in rows(installation, senders.clinic)]
    assert len(kept) == len(set(kept))
    assert senders.accepted - set(kept) == set()


def test_gateway_that_is_killed_has_kept_what_it_accepted(
    clinic: WebhookSite, installation: Installation, tmp_path: Path
) -> None:
    chance = random.Random(20_261_124)  # noqa: S311 - moments of kills
    with Gateway(installation, tmp_path) as gateway, Senders(gateway, clinic) as senders:
        for _ in range(KILLS):
            senders.until_more()
            time.sleep(chance.random() / 10)
            gateway.kill()
            gateway.start()
        senders.until_more()

    assert senders.broken >= KILLS
    assert senders.statuses <= {200, 503}
    check(installation, senders)


def test_killed_between_request_and_commit(
    clinic: WebhookSite, installation: Installation, admin: psycopg.Connection, tmp_path: Path
) -> None:
    """Nobody was told anything, and the same events can come again."""
    with Gateway(installation, tmp_path) as gateway:
        gateway.post(clinic, clinic.event("before"))
        with psycopg.connect(installation.server.admin) as blocker:
            blocker.execute("lock table ocean.message in exclusive mode")
            answers = gateway.post_later(clinic, [clinic.event(f"ref-{number}") for number in range(3)])
            gateway.until(lambda: _waiting_for_a_lock(admin) > 0)
            gateway.kill()
            for answer in answers:
                assert isinstance(answer.exception(30), httpx.TransportError)
        gateway.start()
        for number in range(3):
            assert gateway.post(clinic, clinic.event(f"ref-{number}")).status_code == 200

        assert {ref for ref, _ in rows(installation, clinic)} == {"before", "ref-0", "ref-1", "ref-2"}
        assert len(rows(installation, clinic)) == 4


def test_postgresql_that_is_killed_again_and_again(
    clinic: WebhookSite, installation: Installation, tmp_path: Path
) -> None:
    limits = {"ACCEPT_SECONDS": "1", "SITE_BURST": "100000"}
    with Gateway(installation, tmp_path, limits) as gateway, Senders(gateway, clinic) as senders:
        for _ in range(3):
            senders.until_more()
            installation.server.kill()
            try:
                gateway.until(lambda: 503 in senders.statuses)
                gateway.until(lambda: gateway.probe("/readyz").status_code == 503)
                assert gateway.probe("/livez").status_code == 200
            finally:
                installation.server.start()
            senders.until_more()
            gateway.until_ready()

    assert senders.statuses == {200, 503}
    check(installation, senders)


def test_refusal_says_when_to_come_again(clinic: WebhookSite, installation: Installation, tmp_path: Path) -> None:
    with Gateway(installation, tmp_path, {"ACCEPT_SECONDS": "1"}) as gateway:
        assert gateway.post(clinic, clinic.event("ref-1")).status_code == 200
        installation.server.kill()
        try:
            response = gateway.post(clinic, clinic.event("ref-2"))
        finally:
            installation.server.start()

        assert response.status_code == 503
        assert int(response.headers["retry-after"]) >= 1
        assert response.headers["content-type"] == "application/problem+json"


def test_postgresql_that_stands_still(clinic: WebhookSite, installation: Installation, tmp_path: Path) -> None:
    """No connection is broken: only time tells."""
    with Gateway(installation, tmp_path, {"ACCEPT_SECONDS": "1"}) as gateway:
        assert gateway.post(clinic, clinic.event("ref-1")).status_code == 200
        stopped = _processes_of(installation)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert gateway.post(clinic, clinic.event("ref-2")).status_code == 503
            assert gateway.probe("/readyz").status_code == 503
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

        gateway.until(lambda: gateway.post(clinic, clinic.event("ref-3")).status_code == 200)
        kept = [ref for ref, _ in rows(installation, clinic)]
        assert len(kept) == len(set(kept))
        assert {"ref-1", "ref-3"} <= set(kept)


def test_more_than_postgresql_can_take(
    clinic: WebhookSite, installation: Installation, admin: psycopg.Connection, tmp_path: Path
) -> None:
    """A bounded number waits, the others are told at once to come again."""
    with Gateway(installation, tmp_path, {"MOST_WAITING": "5", "ACCEPT_SECONDS": "30"}) as gateway:
        assert gateway.post(clinic, clinic.event("before")).status_code == 200
        with psycopg.connect(installation.server.admin) as blocker:
            blocker.execute("lock table ocean.message in exclusive mode")
            # Each writer takes what it finds, so first it is given one.
            first = []
            for number in (1, 2):
                first += gateway.post_later(clinic, [clinic.event(f"first-{number}")])
                gateway.until(lambda number=number: _waiting_for_a_lock(admin) == number)
            answers = gateway.post_later(clinic, [clinic.event(f"ref-{number}") for number in range(20)])
            gateway.until(lambda: sum(answer.done() for answer in answers) == 15)
            refused = [answer.result() for answer in answers if answer.done()]
            assert {(response.status_code, response.json()["type"]) for response in refused} == {
                (503, "urn:ocean-gateway:busy")
            }

        assert sorted(answer.result(60).status_code for answer in answers) == [200] * 5 + [503] * 15
        assert [answer.result(60).status_code for answer in first] == [200, 200]
        assert len(rows(installation, clinic)) == 8


def test_gateway_that_begins_before_postgresql_and_vault(
    clinic: WebhookSite, installation: Installation, tmp_path: Path
) -> None:
    gateway = Gateway(installation, tmp_path)
    environment = gateway.environment()
    installation.bao.kill()
    installation.server.kill()
    try:
        with gateway.spawn(environment):
            gateway.until(lambda: gateway.probe("/livez").status_code == 200)
            assert gateway.probe("/readyz").text == "DatabaseUnavailable"
            assert gateway.post(clinic, clinic.event("ref-1")).status_code == 503
            installation.server.start()
            assert gateway.post(clinic, clinic.event("ref-2")).status_code == 503
            installation.bao.start()
            gateway.until_ready()
            assert gateway.post(clinic, clinic.event("ref-3")).status_code == 200
    finally:
        installation.server.start()
        installation.bao.start()

    assert rows(installation, clinic) == [("ref-3", 0)]


def test_vault_is_needed_for_new_logins_only(clinic: WebhookSite, installation: Installation, tmp_path: Path) -> None:
    with Gateway(installation, tmp_path) as gateway:
        installation.bao.kill()
        try:
            assert gateway.post(clinic, clinic.event("ref-1")).status_code == 200
        finally:
            installation.bao.start()


def _waiting_for_a_lock(admin: psycopg.Connection) -> int:
    row = admin.execute(
        "select count(*) from pg_stat_activity where application_name = 'ocean-gateway' and wait_event_type = 'Lock'"
    ).fetchone()
    assert row
    return int(row[0])


def _processes_of(installation: Installation) -> list[int]:
    """The postmaster's and its children's."""
    server = installation.server._server
    assert server
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ProcessLookupError):
            continue
    return [server.pid, *(pid for pid, parent in parents.items() if parent == server.pid)]
