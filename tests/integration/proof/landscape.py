"""Clinics with everything that messages pass: Ocean, two gateways, PostgreSQL, a worker and an EMR for each.

Gateways and workers are processes, so that they can be killed; the simulators live in the test's process, where
nothing that is killed can take their ledgers along.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from integration.gateways import Gateway, WebhookSite, set_key
from integration.installation import Installation
from integration.proof import worker_process
from integration.proof.checker import Accepted, Seen
from integration.sites import Site
from integration.sync.clinic import ZONE, Clinic, Gate, Tls, patient
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.testing.ocean_sim import OceanSim, SimSite
from ocean_emr.testing.ocean_sim.mailbox import Form
from ocean_emr.testing.ocean_sim.webhooks import Receiver
from ocean_emr.testing.oscar_sim import OscarSim, SimClinic, SimProvider

PATIENTS = (1001, 1002, 1003, 1004)
"""Charts of every clinic: the same numbers, so that whatever reaches another clinic finds a chart there."""
_PATIENCE_SECONDS = 300
_FASTER = 600.0
"""Ocean tries again after minutes; here after tenths of seconds."""


@dataclass
class Worker:
    """One clinic's `ocean-worker`."""

    folder: Path
    _process: subprocess.Popen[bytes] | None = None
    kills: int = 0

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """As the Deployment does whenever it has ended."""
        said = (self.folder.parent / "worker-said").open("ab")
        with said:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", worker_process.__name__, str(self.folder)],
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).parents[2],
            )

    def kill(self) -> None:
        """As the kernel does."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
            self.kills += 1

    def stop(self) -> int | None:
        """As the kubelet does. Returns its exit status."""
        if self._process is None:
            return None
        self._process.terminate()
        return self._process.wait(60)


@dataclass
class ProofClinic:
    """One clinic of the proof."""

    pods: Clinic
    oscar: OscarSim
    worker: Worker
    webhook: WebhookSite

    @property
    def id(self) -> str:
        """As `namespace/name`."""
        return self.pods.site.id

    @property
    def ocean(self) -> SimSite:
        """Its side at Ocean."""
        return self.pods.at_ocean

    @staticmethod
    def person(number: int) -> dict[str, Any]:
        """The patient of that chart, as Ocean knows who it is."""
        chart = patient(number)
        return {
            "externalPatientRef": str(number),
            "demographics": {
                "firstName": chart.first_name,
                "surname": chart.last_name,
                "birthDate": chart.birth.isoformat(),
                "hn": chart.hin,
            },
        }

    def seen(self) -> list[Seen]:
        """Every note that a person sees in its charts, each chart's in the order in which they were written."""
        held = self.oscar.clinic
        return [
            Seen(self.id, str(chart), note.text)
            for chart in (*PATIENTS, *(set(held.patients) - set(PATIENTS)))
            for note in sorted(held.shown_notes(chart), key=lambda note: note.no)
        ]


@dataclass(frozen=True)
class Done:
    """Something that a patient did."""

    clinic: ProofClinic
    chart: str
    marker: str
    number: int
    """Of the event that tells of it, in the simulator's ledger."""
    session: str


@dataclass
class Landscape:
    """All of it."""

    installation: Installation
    ocean: OceanSim
    tls: Tls
    gateways: list[Gateway]
    clinics: list[ProofClinic] = field(default_factory=list)
    told: list[Done] = field(default_factory=list)

    # What patients do

    def complete(self, clinic: ProofClinic, chart: int, *, copies: int = 1, text: str = "été") -> str:
        """A patient completes a questionnaire. Returns what it is known by."""
        marker = f"marker-{secrets.token_hex(8)}"
        made = Form(title="Questionnaire p0001", text=f"Réponse {marker} {text}")
        (notice,) = clinic.ocean.mailbox.complete(f"ref-{chart}", made)
        number = self.ocean.webhooks.tell(clinic.ocean.site_number, notice, copies=copies)
        self.told.append(Done(clinic, str(chart), marker, number, notice.session))
        return marker

    # What is to be seen of it

    def accepted(self) -> list[Accepted]:
        """Everything of which a gateway said that it has it, in the order in which it was taken.

        Ocean tells each event on its own, so nothing is to be said of the order in which patients did it.
        """
        taken = {
            told.number
            for clinic in self.clinics
            for told in self.ocean.webhooks.ledger(clinic.ocean.site_number)
            if told.accepted
        }
        places = self._places()
        done = [each for each in self.told if each.number in taken]
        done.sort(key=lambda each: places.get(each.session, 0))
        return [Accepted(each.clinic.id, each.chart, each.marker) for each in done]

    def _places(self) -> dict[str, int]:
        """Each session's first event in the queue."""
        with psycopg.connect(self.installation.server.admin, autocommit=True) as admin:
            cursor = admin.execute(
                "select detail ->> 'session', min(id) from ocean.message where kind = 'event' group by 1"
            )
            return dict(cursor.fetchall())

    def seen(self) -> list[Seen]:
        """Every note of every clinic."""
        return [row for clinic in self.clinics for row in clinic.seen()]

    def rows(self, *states: str) -> list[tuple[Any, ...]]:
        """Id, kind, state and reason of what is in one of `states`, of the proof's clinics."""
        ids = [clinic.id for clinic in self.clinics]
        with psycopg.connect(self.installation.server.admin, autocommit=True) as admin:
            cursor = admin.execute(
                "select id, kind, state, reason, note from ocean.message where site = any(%s) and state = any(%s)"
                " order by id",
                [ids, list(states)],
            )
            return cursor.fetchall()

    def untold(self) -> int:
        """How many events no gateway has taken yet."""
        return sum(
            not told.accepted and not told.given_up
            for clinic in self.clinics
            for told in self.ocean.webhooks.ledger(clinic.ocean.site_number)
        )

    def drained(self) -> bool:
        """Whether nothing waits any more."""
        return not self.untold() and not self.rows("accepted", "gathering", "sent")

    def until(self, holds: Callable[[], bool], what: str, seconds: float = _PATIENCE_SECONDS) -> None:
        """Return when `holds` does; it depends on other processes, which cannot be awaited."""
        deadline = time.monotonic() + seconds
        while not self._surely(holds):
            assert time.monotonic() < deadline, f"never came true: {what}; {self.story()}"
            time.sleep(0.1)

    def _surely(self, holds: Callable[[], bool]) -> bool:
        try:
            return holds()
        except psycopg.OperationalError:
            return False

    def story(self) -> str:
        """What to look at when it went wrong."""
        waiting = self.rows("accepted", "gathering", "sent")
        ends = [(c.pods.folder.parent / "worker-said").read_text()[-1500:] for c in self.clinics]
        return f"untold {self.untold()}, waiting {waiting[:10]}, workers said {ends}"


def make_landscape(installation: Installation, folder: Path, ocean: OceanSim, tls: Tls, *, clinics: int) -> Landscape:
    """Start the gateways and make clinics; workers are not started yet."""
    gateways = [Gateway(installation, folder / f"gateway-{n}").start() for n in range(2)]
    landscape = Landscape(installation, ocean, tls, gateways)
    sites = [installation.new_site() for _ in range(clinics)]
    at_ocean = [_at_ocean(installation, site) for site in sites]
    ocean.start_over(*at_ocean)
    ocean.webhooks.speed = _FASTER
    for number, site in enumerate(sites):
        landscape.clinics.append(_clinic(landscape, site, folder / f"clinic-{number}", gateways[number % 2]))
    return landscape


def end(landscape: Landscape) -> None:
    """End every process."""
    for clinic in landscape.clinics:
        clinic.worker.kill()
        clinic.oscar.__exit__()
    for gateway in landscape.gateways:
        gateway.__exit__()


def _at_ocean(installation: Installation, site: Site) -> SimSite:
    key = SharedEncryptionKey(installation.keys[site.id])
    return SimSite(site.number, site_key="site-key-1", site_credential="site-credential-1", sek=key)


def _clinic(landscape: Landscape, site: Site, folder: Path, gateway: Gateway) -> ProofClinic:
    oscar = OscarSim(_charts(), zone=ZONE, tls=landscape.tls.files).__enter__()
    block = {"url": oscar.url, "caBundle": landscape.tls.authority, "credentialsSecret": "emr"}
    emr = {"type": "OscarPro", "oscarPro": block}
    secret = oscar.credentials.as_secret()
    pods = Clinic(landscape.installation, site, landscape.ocean, Gate(), landscape.tls, folder / "pod", emr, secret)
    folder.mkdir(parents=True)
    pods.write()
    webhook = WebhookSite(site, f"key-{secrets.token_urlsafe(24)}")
    set_key(landscape.installation, webhook, webhook.key)
    clinic = ProofClinic(pods, oscar, Worker(pods.folder), webhook)
    for number in PATIENTS:
        clinic.ocean.mailbox.put_patient(f"ref-{number}", clinic.person(number))
    ca = (gateway.folder / "ca.crt").read_text()
    receiver = Receiver(f"{gateway.url}/webhooks/{site.number}", webhook.key, ca_bundle=ca)
    assert landscape.ocean.webhooks.register(site.number, receiver), "the challenge is echoed"
    return clinic


def _charts() -> SimClinic:
    clinic = SimClinic()
    clinic.add(SimProvider("101", "Tremblay", "Zoé"))
    clinic.add(*(patient(number) for number in PATIENTS))
    return clinic
