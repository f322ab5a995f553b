"""How long a pod of the synchronisation takes from the start of its interpreter to its first call to the EMR.

`python -m benchmarks.sync_cold_start [--runs N]`, with real Vault and PostgreSQL. What came before the EMR: imports,
Vault's login, the key, the database's login, the lease.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time

from benchmarks.clinic_rig import FULL, FirstCall, ended, real_servers
from benchmarks.figures import Figures, cpu_seconds, memory_mb
from integration.sync.clinic import TODAY, Clinic
from ocean_emr.testing.oscar_sim import OscarSim, Profile, demo_clinic

_IMPORTED = "from ocean_api import lean; lean.begin('click'); import ocean_emr.sync.program, ocean_emr.adapters.oscar"
_SLOWEST_SHOWN = 12


async def measure(clinic: Clinic, oscar: OscarSim, runs: int) -> Figures:
    """Every figure; the least of `runs`, since other work on the machine can only add."""
    first = FirstCall(oscar.ledger)
    seconds, processor, resident = [], [], []
    await ended(clinic.start(*FULL))  # compiles what is imported, as in the image
    for _ in range(runs):
        began = time.monotonic()
        process = clinic.start(*FULL)
        first.expect(
            lambda pid=process.pid: (processor.append(cpu_seconds(pid)), resident.append(memory_mb(pid)))  # type: ignore[misc]
        )
        await ended(process)
        seconds.append(first.at - began)
    figures = Figures()
    figures.add("interpreter start to first EMR request", min(seconds), "s")
    figures.add("the same, median", sorted(seconds)[len(seconds) // 2], "s")
    figures.add("processor time until then", min(processor), "s")
    figures.add("resident memory at the first EMR request", max(resident), "MB")
    return figures


def slowest_imports() -> str:
    """The modules that take longest to import with all they need, by `-X importtime`."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-X", "importtime", "-c", _IMPORTED], capture_output=True, text=True, check=True
    )
    rows = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines()[1:]]
    total = sum(int(own) for own, _, _ in rows)
    rows.sort(key=lambda row: -int(row[1]))
    lines = [f"Imports: {len(rows)} modules, {total / 1e6:.2f} s. The largest, with all they need:", ""]
    return "\n".join(
        [*lines, *(f"    {int(all_) / 1e3:7.1f} ms {name}" for _, all_, name in rows[:_SLOWEST_SHOWN]), "", ""]
    )


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    with real_servers() as servers, servers.oscar(demo_clinic(TODAY), Profile.OPEN_O_2026) as (clinic, oscar):
        figures = asyncio.run(measure(clinic, oscar, options.runs))
    sys.stdout.write(figures.as_text("sync pod, cold start") + slowest_imports())


if __name__ == "__main__":
    main()
