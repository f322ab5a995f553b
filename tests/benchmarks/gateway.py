"""How many webhooks a second one gateway keeps, against a bare inserter into the same PostgreSQL in the same run.

`python -m benchmarks.gateway [--count N] [--rounds N]`, with real Vault and PostgreSQL. The bare inserter calls the
same function, one event a transaction, from a process of its own, with as many in flight as serve it best. Both wait
for every commit.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
import psycopg
import uvloop

from benchmarks.figures import Figures, cpu_seconds, memory_mb
from benchmarks.webhook_load import Load, Result
from integration.gateways import Gateway, WebhookSite, webhook_site
from integration.installation import Installation, make_reviewer, surroundings
from integration.logins import Logins
from ocean_dev.control_plane import ControlPlane
from ocean_dev.servers.openbao import openbao
from ocean_dev.servers.postgres import postgres
from ocean_emr.store.migrate import migrate

_SITES = 20
_BARE_IN_FLIGHT = (1, 8, 16, 32)
_CONNECTIONS = (1, 16, 64, 128)
_PACED_PER_SECOND = 50
_CONNECTIONS_OF_A_LOGIN = 4
_NO_LIMITS = {"SITE_MESSAGES_PER_SECOND": "100000", "SITE_BURST": "1000000"}
_ACCEPT = "select ocean.accept_event(%s, 'notify-patient-note-added', %s, %s, 'PATIENT')"


@contextlib.contextmanager
def installed() -> Iterator[Installation]:
    """Vault and PostgreSQL as the chart sets them up."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plane = stack.enter_context(ControlPlane.start(folder / "plane"))
        database = stack.enter_context(postgres())
        bao = stack.enter_context(openbao(surroundings(plane, database, make_reviewer(plane))))
        made = Installation(plane, database, bao, folder)
        made.prepare()
        anyio.run(migrate, made.migrate_settings())
        yield made


def bare(made: Installation, clinics: list[WebhookSite], count: int, in_flight: int, prefix: str) -> float:
    """Events a second that a process of its own inserts."""
    logins = Logins(made.server)
    needed = -(-in_flight // _CONNECTIONS_OF_A_LOGIN)
    given = [logins.new("ocean-gateway") for _ in range(needed)]
    order = {
        "where": [made.server.conninfo(login.user, login.password) for login in given],
        "sites": [clinic.number for clinic in clinics],
        "count": count,
        "in_flight": in_flight,
        "prefix": prefix,
    }
    seconds = float(_run(["-m", "benchmarks.gateway", "--bare"], json.dumps(order)))
    for login in given:
        logins.drop(login)
    return count / seconds


async def insert(order: dict[str, Any]) -> float:
    """What the bare inserter does; the seconds it took."""
    places = order["where"]
    connections = [
        await psycopg.AsyncConnection.connect(places[number % len(places)], autocommit=True)
        for number in range(order["in_flight"])
    ]
    numbers = iter(range(order["count"]))
    sites = order["sites"]

    async def work(connection: psycopg.AsyncConnection) -> None:
        for number in numbers:
            values = [sites[number % len(sites)], f"{order['prefix']}-{number}", f"session-{number}"]
            await connection.execute(_ACCEPT, values, prepare=True)

    began = time.perf_counter()
    await asyncio.gather(*[work(connection) for connection in connections])
    seconds = time.perf_counter() - began
    for connection in connections:
        await connection.close()
    return seconds


def loaded(gateway: Gateway, clinics: list[WebhookSite], count: int, connections: int, per_second: float = 0) -> Result:
    """What came of `count` webhooks."""
    load = Load(
        host=gateway.host,
        port=gateway.port,
        ca_file=str(gateway.folder / "ca.crt"),
        sites={clinic.number: clinic.key for clinic in clinics},
        connections=connections,
        count=count,
        per_second=per_second,
        prefix=f"load-{connections}-{per_second}-{time.time()}",
    )
    result = Result(**json.loads(_run(["-m", "benchmarks.webhook_load"], json.dumps(asdict(load)))))
    if result.accepted != count:
        raise RuntimeError(f"{count - result.accepted} webhooks were refused")
    return result


def _run(arguments: list[str], text: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, *arguments], input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def measure(made: Installation, gateway: Gateway, clinics: list[WebhookSite], count: int, rounds: int) -> Figures:
    """Every figure. Both take turns, since other work on the machine comes and goes; the ratio is that of a round."""
    loaded(gateway, clinics, 200, 1)
    bare_rates: dict[int, list[float]] = {n: [] for n in _BARE_IN_FLIGHT}
    results: dict[int, list[Result]] = {n: [] for n in _CONNECTIONS}
    processor: dict[int, list[float]] = {n: [] for n in _CONNECTIONS}
    ratios = []
    for turn in range(rounds):
        for n in _BARE_IN_FLIGHT:
            bare_rates[n].append(bare(made, clinics, count, n, f"bare-{turn}-{n}"))
        for n in _CONNECTIONS:
            spent = cpu_seconds(gateway.pid)
            results[n].append(loaded(gateway, clinics, count if n > 1 else count // 5, n))
            processor[n].append((cpu_seconds(gateway.pid) - spent) / results[n][-1].accepted)
        best = max(found[-1].rate for found in results.values())
        ratios.append(best / max(found[-1] for found in bare_rates.values()))
    figures = Figures()
    for n in _CONNECTIONS:
        fastest = max(results[n], key=lambda result: result.rate)
        figures.add(f"gateway, {n} in flight: accepted", fastest.rate, "/s")
        _add_latencies(figures, f"gateway, {n} in flight", fastest)
        figures.add(f"gateway, {n} in flight: processor time of one", min(processor[n]) * 1e6, "µs")
    for n in _BARE_IN_FLIGHT:
        figures.add(f"bare inserter, {n} in flight", max(bare_rates[n]), "/s")
    figures.add("gateway to bare inserter, each at its best: median of the rounds", statistics.median(ratios), "")
    figures.add("the same, best round", max(ratios), "")
    paced = loaded(gateway, clinics, _PACED_PER_SECOND * 20, 4, _PACED_PER_SECOND)
    _add_latencies(figures, f"gateway at {_PACED_PER_SECOND} a second", paced)
    figures.add("gateway, resident memory", memory_mb(gateway.pid), "MB")
    return figures


def _add_latencies(figures: Figures, name: str, result: Result) -> None:
    ordered = sorted(result.latencies)
    for share in (50, 99):
        figures.add(f"{name}: p{share}", ordered[len(ordered) * share // 100] * 1e3, "ms")


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5_000, help="webhooks of one run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bare", action="store_true", help="be the bare inserter; what to do comes by standard input")
    options = parser.parse_args()
    if options.bare:
        sys.stdout.write(str(uvloop.run(insert(json.load(sys.stdin)))))
        return
    with installed() as made:
        clinics = [webhook_site(made) for _ in range(_SITES)]
        with Gateway(made, made.folder / "gateway", _NO_LIMITS) as gateway:
            figures = measure(made, gateway, clinics, options.count, options.rounds)
    sys.stdout.write(figures.as_text("gateway, over TLS"))


if __name__ == "__main__":
    main()
