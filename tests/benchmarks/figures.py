"""Measured numbers, and what they were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

_SHOWN = ("kopf", "kubernetes", "aiohttp", "pydantic", "psycopg", "hvac", "httpx", "cryptography")


@dataclass
class Figures:
    """Numbers in the order in which they were measured."""

    rows: list[tuple[str, float, str]] = field(default_factory=list)

    def add(self, name: str, value: float, unit: str) -> None:
        """One more."""
        self.rows.append((name, value, unit))

    def as_text(self, title: str) -> str:
        """A table in Markdown, with machine and versions below."""
        lines = [f"### {title}", "", "| figure | value |", "|---|---|"]
        lines += [f"| {name} | {value:.2f} {unit} |" for name, value, unit in self.rows]
        return "\n".join([*lines, "", surroundings(), "", ""])


def surroundings() -> str:
    """Machine and versions, in one sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in _SHOWN)
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}, load {load:.1f}; "
        f"Python {platform.python_version()}, {libraries}."
    )


def memory_mb(pid: int) -> float:
    """Resident memory of a process now, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_memory_mb(pid: int) -> float:
    """The most resident memory a process has had, in MB; 0.0 when it is not there any more."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    peak = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(peak.split()[1]) * 1024 / 1e6


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
