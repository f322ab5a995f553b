"""A clinic whose pods can be run: a site of the installation, its Ocean, its EMR, and the folders of its pods."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import psycopg

from integration.installation import Installation
from integration.sites import Site
from integration.sync import process
from ocean_api.report import CheckReport, SyncReport
from ocean_api.settings import DatabaseAccess, SiteSettings, VaultAccess
from ocean_dev.certificates import Authority
from ocean_emr.jobs import check
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.sync import program
from ocean_emr.testing.ocean_sim import OceanSim, SimSite
from ocean_emr.testing.oscar_sim import OscarSim, SimAppointment, SimClinic, SimPatient, SimProvider

_SECONDS = 90


def midday_zone() -> ZoneInfo:
    """A zone where it is about noon now, so that no test runs over a midnight."""
    off = datetime.now(UTC).hour - 12
    return ZoneInfo(f"Etc/GMT{off:+d}")


ZONE = midday_zone()
TODAY = datetime.now(ZONE).date()


@dataclass(frozen=True)
class Tls:
    """Certificate and key of the simulators, and who signed them."""

    authority: str
    files: tuple[Path, Path]

    @classmethod
    def made_in(cls, folder: Path) -> Tls:
        """New ones."""
        authority = Authority.create()
        authority.issue("simulator", addresses=["127.0.0.1"]).write(folder, "simulator")
        return cls(authority.pair.certificate.decode(), (folder / "simulator.crt", folder / "simulator.key"))


class Gate:
    """Where a simulator stops a request, so that a test can do something at exactly that moment."""

    def __init__(self) -> None:
        self._path = ""
        self._spared = 0
        self._reached, self._open = threading.Event(), threading.Event()

    def close(self, path: str, *, after: int = 0) -> None:
        """Stop the next request whose path ends so, when `after` of them have gone by."""
        self._path, self._spared = path, after
        self._reached.clear()
        self._open.clear()

    def open(self) -> None:
        """Let the stopped request go on."""
        self._path = ""
        self._open.set()

    async def reached(self, process: Process | None = None) -> None:
        """Return when a request of `process` stands at the gate."""
        came = await asyncio.to_thread(self._reached.wait, _SECONDS)
        assert came, f"nobody came to the gate; the process said:\n{process.said if process else ''}"

    def passing(self, path: str) -> None:
        """Called by the simulator, in its own thread."""
        if not self._path or not path.endswith(self._path):
            return
        if self._spared:
            self._spared -= 1
            return
        self._reached.set()
        self._open.wait(_SECONDS)


class GatedSite(SimSite):
    """Ocean's side of the clinic, with a gate at its entrance."""

    gate: Gate

    def record(self, method: str, path: str, body: bytes, fault: str | None) -> None:
        """As usual, after the gate."""
        super().record(method, path, body, fault)
        self.gate.passing(path)


@dataclass(repr=False)
class Clinic:
    """Everything of one clinic."""

    installation: Installation
    site: Site
    ocean: OceanSim
    gate: Gate
    tls: Tls
    folder: Path
    emr: dict[str, Any]
    """The EMR block of the spec."""
    secret: Mapping[str, str]
    """The EMR's credentials."""
    schedule: dict[str, Any] = field(default_factory=lambda: {"days": 2, "providers": "All"})
    allowed: Sequence[str] = ("127.0.0.0/8",)
    """Ranges that its pods may call although they are not public."""

    @property
    def at_ocean(self) -> SimSite:
        """What Ocean has of it."""
        return self.ocean.site(self.site.number)

    @property
    def key(self) -> str:
        """Its Shared Encryption Key."""
        return self.installation.keys[self.site.id]

    def write(self) -> None:
        """Lay out the pods' folders."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("site", "vault"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "termination-log").touch()
        self.write_settings()
        self.mount("ocean", {"siteKey": "site-key-1", "siteCredential": "site-credential-1"})
        self.mount("emr", self.secret)
        (self.folder / "vault" / "token").write_text(self.installation.site_token(self.site))

    def write_settings(self) -> None:
        """`site.json`, as the operator's ConfigMap holds it."""
        (self.folder / "site" / "site.json").write_text(self.settings().model_dump_json(by_alias=True))

    def mount(self, name: str, secret: Mapping[str, str | bytes] | None) -> None:
        """Mount a Secret; None: there is none, and the folder of an optional volume is empty."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for key, value in (secret or {}).items():
            (folder / key).write_bytes(value if isinstance(value, bytes) else value.encode())

    def settings(self) -> SiteSettings:
        """What its pods are told."""
        spec = {
            "siteNumber": self.site.number,
            "displayName": "Clinic",
            "timeZone": str(ZONE),
            "contacts": {"siteCreator": "creator@clinic.example"},
            "ocean": {"url": self.ocean.url, "caBundle": self.tls.authority, "credentialsSecret": "ocean"},
            "emr": self.emr,
            "key": {"source": "Generate"},
            "schedule": self.schedule,
        }
        return SiteSettings.model_validate(
            {
                "namespace": self.site.namespace,
                "name": self.site.name,
                "spec": spec,
                "vault": VaultAccess(address=self.installation.bao.address, ca_bundle=self.installation.bao.ca),
                "database": DatabaseAccess(
                    host=self.installation.server.host,
                    port=self.installation.server.port,
                    ca_bundle=self.installation.server.ca,
                ),
                "allowed_address_ranges": self.allowed,
            }
        )

    async def sync(self, kind: str = "full", *arguments: str) -> int:
        """Run `ocean-sync` within this process, at a person's request if nothing is said. Returns its status."""
        order = program.parse([kind, *(arguments or ("--trigger", "Requested"))])
        return await program.run(order, process.places_in(self.folder))

    async def check(self, token: str = "token-1") -> int:  # noqa: S107 - names a request
        """Run `ocean-check` within this process. Returns its exit status."""
        return await check.run(token, process.places_in(self.folder))

    def start(self, *arguments: str) -> Process:
        """Start `ocean-sync` or `ocean-check` as a process of its own."""
        return Process([str(self.folder), *arguments], self.folder.parent)

    def report(self) -> SyncReport:
        """What `ocean-sync` said last, as the operator reads it."""
        return SyncReport.model_validate(self.state("sync") or {})

    def check_report(self) -> CheckReport:
        """What `ocean-check` said last, as the operator reads it."""
        return CheckReport.model_validate(self.state("check"))

    def state(self, process: str) -> dict[str, Any] | None:
        """A row of `site_state`."""
        rows = self.query("select state from ocean.site_state where site = %s and process = %s", process)
        return rows[0][0] if rows else None

    def audit(self) -> list[tuple[str, str]]:
        """The site's audit: action and outcome."""
        return self.query("select action, outcome from ocean.audit where site = %s order by seq")

    def query(self, statement: str, *more: Any) -> list[Any]:
        """The rows of a statement about the site, as a superuser sees them."""
        with psycopg.connect(self.installation.server.admin, autocommit=True) as admin:
            cursor = admin.execute(statement, [self.site.id, *more])
            return cursor.fetchall() if cursor.description else []

    def date_refusal(self, at: datetime) -> None:
        """Have the refusal that stands bear the time of a pod whose clock said `at`."""
        self.query(
            """
            update ocean.site_state as told set state = jsonb_set(state, '{refusal,at}', to_jsonb(at))
            from (values (%s, %s::text)) as wanted (site, at) where told.site = wanted.site and process = 'sync'
            """,
            at.isoformat(),
        )

    def end_lease(self) -> None:
        """Let the time go by after which a dead run's lease has ended."""
        self.query("update ocean.sync_lease set expires_at = clock_timestamp() where site = %s")

    def appointments_at_ocean(self) -> dict[str, str]:
        """Each appointment at Ocean, with its status."""
        return {row["ref"]: row["content"]["status"] for row in self.at_ocean.appointments()}

    def patients_at_ocean(self) -> dict[str, str]:
        """Each patient at Ocean, with the surname."""
        return {row["ref"]: row["content"]["demographics"]["surname"] for row in self.at_ocean.patients()}

    def requests(self, path: str = "") -> int:
        """How many requests Ocean had for paths that end so."""
        return sum(request.path.endswith(path) for request in self.at_ocean.requests)


class Process:
    """A program of the pods, as a process; what it prints is kept."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        self._said = folder / f"said-{id(self)}"
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, process.__file__, *arguments], stdout=said, stderr=subprocess.STDOUT
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def said(self) -> str:
        """What it printed on both channels."""
        return self._said.read_text()

    async def status(self, *, within: float = _SECONDS) -> int:
        """Its exit status, when it has ended, in so many seconds at most."""
        try:
            return await asyncio.to_thread(self._process.wait, within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the process did not end; it said:\n{self.said}") from None

    def stop(self) -> None:
        """SIGTERM, as the kubelet sends it."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL, as the kernel sends it."""
        self._process.kill()
        self._process.wait()


async def until(what: Callable[[], bool]) -> None:
    """Return once `what` holds, in another process whose events cannot be awaited."""
    with anyio.fail_after(_SECONDS):
        while not what():  # noqa: ASYNC110 - see above
            await anyio.sleep(0.02)


def small_clinic() -> SimClinic:
    """Two providers with two bookings each, today and tomorrow; they share a patient."""
    clinic = SimClinic()
    clinic.add(SimProvider("101", "Tremblay", "Zoé"), SimProvider("102", "Singh", "Arjun"))
    clinic.add(*(patient(number) for number in (1001, 1002, 1003)))
    clinic.add(
        appointment(1, "101", patient_no=1001),
        appointment(2, "101", patient_no=1002, ahead=1),
        appointment(3, "102", patient_no=1001),
        appointment(4, "102", patient_no=1003, ahead=1),
    )
    return clinic


def patient(number: int) -> SimPatient:
    """Somebody whose names and number can be searched for where they may not be."""
    return SimPatient(
        number,
        last_name=f"Surname-p{number:04d}",
        first_name=f"Givenname-p{number:04d}",
        birth=date(1980, 1, 1) + timedelta(days=number),
        hin=f"98765{number:05d}",
        street=f"{number} Street-of-patients",
    )


def appointment(
    number: int, provider: str, *, patient_no: int = 1001, ahead: int = 0, status: str = "t", reason: str = ""
) -> SimAppointment:
    """A booking, `ahead` days from today."""
    clock = time(8 + number % 9, number % 60)
    return SimAppointment(
        number,
        provider,
        TODAY + timedelta(days=ahead),
        clock,
        demographic_no=patient_no,
        status=status,
        reason=reason or f"Reason-of-visit-{number}",
    )


def make_clinic(installation: Installation, folder: Path, tls: Tls, oscar: OscarSim, ocean: OceanSim) -> Clinic:
    """A new clinic with OSCAR."""
    block = {"url": oscar.url, "caBundle": tls.authority, "credentialsSecret": "emr"}
    emr = {"type": "OscarPro", "oscarPro": block}
    return make_site(installation, folder, tls, ocean, emr=emr, secret=oscar.credentials.as_secret())


def make_site(
    installation: Installation,
    folder: Path,
    tls: Tls,
    ocean: OceanSim,
    *,
    emr: dict[str, Any],
    secret: Mapping[str, str],
    with_key: bool = True,
) -> Clinic:
    """A new clinic with the EMR of that block, which Ocean knows."""
    site = installation.new_site(with_key=with_key)
    gate = Gate()
    key = SharedEncryptionKey(installation.keys[site.id]) if with_key else None
    at_ocean = GatedSite(site.number, site_key="site-key-1", site_credential="site-credential-1", sek=key)
    at_ocean.gate = gate
    ocean.start_over(at_ocean)
    clinic = Clinic(installation, site, ocean, gate, tls, folder / "pod", emr, secret)
    clinic.write()
    return clinic


def files_with(folders: Sequence[Path], texts: Sequence[str]) -> list[tuple[str, str]]:
    """Every file below `folders` that holds one of `texts`, in UTF-8 or as JSON writes it, with that text."""
    needles = [(text, form) for text in texts for form in {text.encode(), json.dumps(text)[1:-1].encode()}]
    found = []
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        found += [(str(path), text) for text, form in needles if form in content]
    return found
