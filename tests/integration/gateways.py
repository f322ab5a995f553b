"""The gateway as a process, on real servers, and clinics that take webhooks."""

from __future__ import annotations

import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg

from integration.installation import CONTROL_NAMESPACE, Bao, Installation
from integration.logins import where
from integration.sites import Site
from ocean_api import names
from ocean_dev.certificates import Authority
from ocean_dev.servers.ports import free_port
from ocean_emr.store.webhooks import digest_of

_SECONDS = 60


@dataclass(frozen=True)
class WebhookSite:
    """A clinic with a webhook key."""

    site: Site
    key: str

    @property
    def number(self) -> str:
        """Its number at Ocean."""
        return self.site.number

    def event(self, ref: str, **more: Any) -> dict[str, Any]:
        """An event as Ocean sends it."""
        return {
            "ref": ref,
            "siteNum": self.number,
            "type": "notify-patient-note-added",
            "changeList": [],
            "user": "p0001",
            "customProperties": {"oceanSessionId": "session-1", "noteCompletionSource": "PORTAL"},
            **more,
        }


def webhook_site(installation: Installation) -> WebhookSite:
    """A new clinic that takes webhooks."""
    site = installation.new_site(with_key=False)
    made = WebhookSite(site, f"key-{secrets.token_urlsafe(24)}")
    set_key(installation, made, made.key)
    return made


def set_key(installation: Installation, clinic: WebhookSite, key: str) -> None:
    """Register `key` under a login of the clinic's own pods, as `ocean-check` does."""
    salt = secrets.token_bytes(32)
    vault = Bao(installation.bao).log_in(names.VAULT_SITE_ROLE, installation.site_token(clinic.site))
    login = vault.get("GET", f"{names.VAULT_DATABASE_MOUNT}/creds/{clinic.site.vault_role}")["data"]
    with psycopg.connect(
        where(installation.server), user=login["username"], password=login["password"], autocommit=True
    ) as connection:
        connection.execute(
            "insert into ocean.webhook (site, salt, digest) values (%s, %s, %s)"
            " on conflict (site) do update set salt = excluded.salt, digest = excluded.digest",
            [clinic.site.id, salt, digest_of(key, salt)],
        )


def rows(installation: Installation, clinic: WebhookSite) -> list[tuple[str, int]]:
    """The clinic's events in the order in which they were kept: reference, and how often it came again."""
    with psycopg.connect(installation.server.admin, autocommit=True) as admin:
        cursor = admin.execute(
            "select detail ->> 'ref', repeats from ocean.message where site = %s and kind = 'event' order by id",
            [clinic.site.id],
        )
        return list(cursor.fetchall())


def total(installation: Installation) -> int:
    """All rows of all clinics."""
    with psycopg.connect(installation.server.admin, autocommit=True) as admin:
        row = admin.execute("select count(*) from ocean.message").fetchone()
        assert row
        return int(row[0])


@dataclass
class Gateway:
    """One replica. What it prints is kept."""

    installation: Installation
    folder: Path
    more: Mapping[str, str] = field(default_factory=dict)
    """Further settings, without their prefix."""
    tls: bool = True
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.probe_port = free_port(), free_port()
        self.authority = Authority.create()
        (self.folder / "ca.crt").write_bytes(self.authority.pair.certificate)
        self.issue()
        self._said = self.folder / "said"
        self._process: subprocess.Popen[bytes] | None = None

    def issue(self) -> None:
        """A new certificate, as cert-manager would mount it."""
        self.authority.issue("gateway", addresses=["127.0.0.1", "localhost"]).write(self.folder, "tls")

    @property
    def url(self) -> str:
        """Where webhooks go."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    @property
    def said(self) -> str:
        """What it printed on both channels."""
        return self._said.read_text()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process
        return self._process.pid

    def trust(self) -> ssl.SSLContext:
        """What its clients trust."""
        return ssl.create_default_context(cafile=self.folder / "ca.crt")

    def client(self, **more: Any) -> httpx.Client:
        """A client that trusts it."""
        return httpx.Client(base_url=self.url, verify=self.trust(), trust_env=False, timeout=30, **more)

    def post(self, clinic: WebhookSite, event: Mapping[str, Any], *, key: str | None = None) -> httpx.Response:
        """Send one event."""
        with self.client() as client:
            return client.post(
                f"/webhooks/{clinic.number}", json=event, headers={"X-Ocean-Webhook-Key": key or clinic.key}
            )

    def post_later(self, clinic: WebhookSite, events: Sequence[Mapping[str, Any]]) -> list[Future[httpx.Response]]:
        """Send events at once, each by its own connection; their answers, when they come."""
        pool = ThreadPoolExecutor(len(events))
        answers = [pool.submit(self.post, clinic, event) for event in events]
        pool.shutdown(wait=False)
        return answers

    def probe(self, path: str) -> httpx.Response:
        """What the kubelet or Prometheus sees."""
        return httpx.get(f"http://{self.host}:{self.probe_port}{path}", trust_env=False, timeout=10)

    def metric(self, name: str) -> float:
        """One of its numbers."""
        for line in self.probe("/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"there is no metric {name}")

    def environment(self) -> dict[str, str]:
        """Its settings."""
        installed = self.installation
        token = installed.token_file(installed.token(CONTROL_NAMESPACE, "ocean-gateway"))
        tls = {"TLS_CERT_FILE": self.folder / "tls.crt", "TLS_KEY_FILE": self.folder / "tls.key"}
        settings = {
            "VAULT_ADDRESS": installed.bao.address,
            "VAULT_CA_FILE": installed.bao.ca_file,
            "DATABASE_HOST": installed.server.host,
            "DATABASE_PORT": installed.server.port,
            "DATABASE_CA_FILE": installed.server.ca_file,
            "TOKEN_FILE": token,
            "LISTEN_HOST": self.host,
            "LISTEN_PORT": self.port,
            "PROBE_PORT": self.probe_port,
            **(tls if self.tls else {"TLS_IN_FRONT": "true"}),
            **self.more,
        }
        return {f"OCEAN_{name}": str(value) for name, value in settings.items()}

    def spawn(self, environment: Mapping[str, str] | None = None) -> Self:
        """Start it, and do not wait. Its settings are made now, if they were not before: that takes a cluster."""
        with self._said.open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ocean_emr.gateway.main"],
                stdout=said,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], **(environment or self.environment())},
            )
        return self

    def start(self) -> Self:
        """Start it, and return when it is ready."""
        self.spawn()
        self.until_ready()
        return self

    def until_ready(self) -> None:
        """Return when its database answers."""
        self.until(lambda: self.probe("/readyz").status_code == 200)

    def until(self, holds: Any) -> None:
        """Return when `holds` does; the process cannot be asked to tell."""
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                if holds():
                    return
            except httpx.TransportError:
                assert self._process is None or self._process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def terminate(self) -> None:
        """SIGTERM, as the kubelet sends it."""
        assert self._process
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL, as the kernel sends it."""
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def status(self, seconds: float = _SECONDS) -> int:
        """Its exit status, when it has ended."""
        assert self._process
        return self._process.wait(seconds)

    def __enter__(self) -> Self:
        return self if self._process else self.start()

    def __exit__(self, *_exc: object) -> None:
        if self._process and self._process.poll() is None:
            self.kill()
