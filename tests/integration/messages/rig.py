"""A clinic whose worker can be run: Ocean and OSCAR simulated, PostgreSQL, OpenBao and Kubernetes real."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from integration.messages import failing_worker
from integration.sync.clinic import Clinic, until
from ocean_api.report import WorkerReport
from ocean_api.settings import SiteSettings
from ocean_api.v1alpha1.spec import MessagesSpec
from ocean_emr.testing.ocean_sim.mailbox import Form, Notice
from ocean_emr.testing.oscar_sim import OscarSim

_SECONDS = 90
WAITING = ("accepted", "gathering", "sent")


@dataclass(repr=False)
class MessageClinic(Clinic):
    """A clinic with settings for its messages."""

    messages: MessagesSpec = field(default_factory=MessagesSpec)

    def settings(self) -> SiteSettings:
        """What its pods are told."""
        settings = super().settings()
        spec = settings.spec.model_copy(update={"messages": self.messages})
        return settings.model_copy(update={"spec": spec})


class WorkerProcess:
    """One `ocean-worker`."""

    def __init__(self, folder: Path, trap: Sequence[str], pod: str) -> None:
        self._said = folder.parent / f"worker-said-{id(self)}"
        environment = {**os.environ, "HOSTNAME": pod}
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", failing_worker.__name__, str(folder), *trap],
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).parents[2],
                env=environment,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def said(self) -> str:
        """What it printed."""
        return self._said.read_text()

    async def status(self) -> int:
        """Its exit status, when it has ended; -9 when it was killed."""
        try:
            return await asyncio.to_thread(self._process.wait, _SECONDS)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            raise AssertionError(f"the worker did not end; it said:\n{self.said}") from None

    def send(self, number: signal.Signals) -> None:
        """A signal, if it still runs."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """As the kernel does."""
        self.send(signal.SIGKILL)
        self._process.wait()


@dataclass
class Rig:
    """The clinic, its EMR, and its workers."""

    clinic: MessageClinic
    oscar: OscarSim
    workers: list[WorkerProcess] = field(default_factory=list)

    def start(self, *trap: str, pod: str = "pod-1") -> WorkerProcess:
        """Start a worker; with a point and a number, one that is killed when it gets there so often."""
        self.workers.append(WorkerProcess(self.clinic.folder, trap, pod))
        return self.workers[-1]

    def complete(self, chart: int = 1001, *, last: bool = False, **form: Any) -> str:
        """A patient completes a questionnaire, and Ocean tells of it. Returns the text by which its note is known."""
        marker = f"marker-{secrets.token_hex(6)}"
        made = Form(title="Questionnaire", text=f"Réponse {marker}", **form)
        for notice in self.clinic.at_ocean.mailbox.complete(f"ref-{chart}", made, last=last):
            self.tell(notice)
        return marker

    def tell(self, notice: Notice) -> str:
        """Have the gateway's function keep it, and wake the worker. Returns the outcome."""
        arguments = [self.clinic.site.number, notice.type, notice.ref, notice.session, notice.source]
        with psycopg.connect(self.clinic.installation.server.admin, autocommit=True) as admin:
            row = admin.execute("select outcome, channel from ocean.accept_event(%s, %s, %s, %s, %s)", arguments)
            outcome, channel = row.fetchone() or ("", "")
            admin.execute("select pg_notify(%s, '')", [channel])
        return str(outcome)

    def notes(self, chart: int = 1001) -> list[str]:
        """What stands in a chart, in the order in which it was written."""
        return [note.text for note in sorted(self.oscar.clinic.shown_notes(chart), key=lambda note: note.no)]

    def places(self, *markers: str, chart: int = 1001) -> list[int]:
        """In which notes of the chart the markers stand, all of them, one after the other."""
        return [n for marker in markers for n, text in enumerate(self.notes(chart)) if marker in text]

    def rows(self, *states: str) -> list[tuple[Any, ...]]:
        """Kind, state and reason of the clinic's messages in one of these states."""
        return self.clinic.query(
            "select kind, state, reason from ocean.message where site = %s and state = any(%s) order by event, step",
            list(states),
        )

    def report(self) -> WorkerReport:
        """What the worker said last."""
        return WorkerReport.model_validate(self.clinic.state("worker") or {})

    async def drained(self) -> None:
        """Return when nothing waits any more."""
        try:
            await until(lambda: not self.rows(*WAITING))
        except TimeoutError:
            said = "\n".join(worker.said[-3000:] for worker in self.workers)
            raise AssertionError(f"still waiting: {self.rows(*WAITING)}; the workers said:\n{said}") from None

    def end(self) -> None:
        """End every worker."""
        for worker in self.workers:
            worker.send(signal.SIGCONT)
            worker.kill()
