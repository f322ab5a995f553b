"""From the webhook to the note that the clinic sees: how long it takes at a steady pace, and how much one worker does.

python -m benchmarks.message_latency [--rate 50] [--seconds 20] [--clinics 5]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx

from benchmarks.figures import Figures, memory_mb
from integration.installation import Installation, make_reviewer, surroundings
from integration.proof.landscape import PATIENTS, Landscape, ProofClinic, end, make_landscape
from integration.sync.clinic import Tls
from ocean_dev.control_plane import ControlPlane
from ocean_dev.servers.openbao import openbao
from ocean_dev.servers.postgres import postgres
from ocean_emr.store.migrate import migrate
from ocean_emr.testing.ocean_sim import OceanSim
from ocean_emr.testing.ocean_sim.mailbox import Form, Notice
from ocean_emr.testing.ocean_sim.webhooks import KEY_HEADER

_WARM_UP = 20


@contextlib.contextmanager
def on_real_servers(clinics: int) -> Iterator[Landscape]:
    """Gateways, workers, PostgreSQL and OpenBao, with simulators at both ends."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plane = stack.enter_context(ControlPlane.start(folder / "plane"))
        database = stack.enter_context(postgres())
        bao = stack.enter_context(openbao(surroundings(plane, database, make_reviewer(plane))))
        installed = Installation(plane, database, bao, folder)
        installed.prepare()
        anyio.run(migrate, installed.migrate_settings())
        tls = Tls.made_in(folder)
        ocean = stack.enter_context(OceanSim(tls=tls.files))
        landscape = make_landscape(installed, folder / "clinics", ocean, tls, clinics=clinics)
        stack.callback(end, landscape)
        for clinic in landscape.clinics:
            clinic.worker.start()
        yield landscape


class Seen:
    """When each text came to stand in a chart."""

    def __init__(self, landscape: Landscape) -> None:
        self.at: dict[str, float] = {}
        for clinic in landscape.clinics:
            held, add = clinic.oscar.clinic, clinic.oscar.clinic.add

            def adding(*rows: Any, _add: Any = add) -> None:
                _add(*rows)
                for row in rows:
                    text = getattr(row, "text", "")
                    self.at.setdefault(text.split()[-1] if text else "", time.monotonic())

            held.add = adding  # type: ignore[method-assign]


async def send(landscape: Landscape, count: int, rate: float) -> dict[str, float]:
    """Tell of `count` completed questionnaires, in turn over clinics and charts. Returns when each was sent."""
    began: dict[str, float] = {}
    clients = [await _client(landscape, number) for number in range(len(landscape.gateways))]
    start = time.monotonic()

    async def one(number: int) -> None:
        place = number % len(landscape.clinics)
        clinic = landscape.clinics[place]
        marker = f"marker-{time.monotonic_ns()}-{number}"
        chart = PATIENTS[number // len(landscape.clinics) % len(PATIENTS)]
        (notice,) = clinic.ocean.mailbox.complete(f"ref-{chart}", Form("Questionnaire", f"Text {marker}"))
        began[marker] = time.monotonic()
        answer = await clients[place % 2].post(
            f"/webhooks/{clinic.ocean.site_number}",
            json=_event(clinic, notice),
            headers={KEY_HEADER: clinic.webhook.key},
        )
        answer.raise_for_status()

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
            group.create_task(one(number))
    for client in clients:
        await client.aclose()
    return began


async def _client(landscape: Landscape, number: int) -> httpx.AsyncClient:
    gateway = landscape.gateways[number]
    return httpx.AsyncClient(base_url=gateway.url, verify=str(gateway.folder / "ca.crt"), trust_env=False, timeout=30)


def _event(clinic: ProofClinic, notice: Notice) -> dict[str, Any]:
    return {
        "ref": notice.ref,
        "siteNum": clinic.ocean.site_number,
        "type": notice.type,
        "customProperties": {"oceanSessionId": notice.session, "noteCompletionSource": notice.source},
    }


def measure(landscape: Landscape, *, rate: float, seconds: float) -> Figures:
    """A steady pace first, then as much as there is at once."""
    figures, seen = Figures(), Seen(landscape)
    began = asyncio.run(send(landscape, _WARM_UP * len(landscape.clinics), 5.0))
    landscape.until(lambda: began.keys() <= seen.at.keys(), "the workers are at work")
    began = asyncio.run(send(landscape, int(rate * seconds), rate))
    landscape.until(lambda: began.keys() <= seen.at.keys(), "everything is seen")
    took = sorted(seen.at[marker] - at for marker, at in began.items())
    figures.add(f"webhook to visible note at {rate:.0f}/s, p50", 1000 * statistics.median(took), "ms")
    figures.add(f"webhook to visible note at {rate:.0f}/s, p99", 1000 * took[int(len(took) * 0.99)], "ms")
    start = time.monotonic()
    began = asyncio.run(send(landscape, 100 * len(landscape.clinics), 1e6))
    landscape.until(lambda: began.keys() <= seen.at.keys(), "everything is seen")
    last = max(seen.at[marker] for marker in began)
    figures.add(f"messages delivered by {len(landscape.clinics)} workers at once", len(began) / (last - start), "/s")
    workers = [clinic.worker for clinic in landscape.clinics]
    figures.add("a worker, resident memory", max(memory_mb(worker.pid) for worker in workers), "MB")
    return figures


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clinics", type=int, default=5)
    given = parser.parse_args()
    with on_real_servers(given.clinics) as landscape:
        figures = measure(landscape, rate=given.rate, seconds=given.seconds)
    sys.stdout.write(figures.as_text("messages, from webhook to chart"))


if __name__ == "__main__":
    main()
