"""Servers that outlive the command that started them, found again by a mark in their environment.

A file with a process id can be stale after a crash or a restart of the machine, or be missing when the
starter died at the wrong moment. The mark is there from the first instruction of a server to its last.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ocean_dev.commands import SYSTEM_PATH

_MARK = "OCEAN_DEV_SERVER"
_PROC = Path("/proc")
_KILL_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running process that carries the mark."""

    pid: int
    name: str
    """What it was started as."""
    program: Path
    """What it runs: a container's shim carries containerd's mark, for example."""

    @property
    def is_server(self) -> bool:
        """Whether this is the server itself, not something that the server started."""
        return self.program.name == self.name


def start(name: str, command: Sequence[str | Path], *, run_dir: Path, log: Path) -> None:
    """Start `command` as nobody's child, marked as the server `name` of the cluster in `run_dir`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        subprocess.run(
            ["setsid", "--fork", *(str(word) for word in command)],
            cwd=run_dir,
            env={_MARK: f"{run_dir}:{name}", "PATH": SYSTEM_PATH, "HOME": str(run_dir)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=True,
        )


def find(run_dir: Path) -> list[Daemon]:
    """All running processes of the cluster in `run_dir`."""
    return [daemon for folder, daemon in _everywhere() if folder == str(run_dir)]


def other_clusters(run_dir: Path) -> frozenset[str]:
    """The folders of clusters that run elsewhere on this machine."""
    return frozenset(folder for folder, _ in _everywhere()) - {str(run_dir)}


def stop(daemons: Iterable[Daemon]) -> None:
    """End `daemons` by force, and return when they are gone."""
    handles = []
    for daemon in daemons:
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(daemon.pid)
            # The handle stays with one process; the number may have passed to another one just before.
            if (_mark_of(daemon.pid) or "").endswith(f":{daemon.name}"):
                handles.append(handle)
            else:
                os.close(handle)
    _kill(handles)


def kill(pids: Iterable[int]) -> None:
    """End the processes `pids` by force, and return when they and their namespaces are gone."""
    handles = []
    for pid in pids:
        with suppress(ProcessLookupError):
            handles.append(os.pidfd_open(pid))
    _kill(handles)


def _everywhere() -> Iterator[tuple[str, Daemon]]:
    """Every marked process of this machine, with its cluster's folder."""
    for process in _PROC.iterdir():
        mark = _mark_of(int(process.name)) if process.name.isdigit() else None
        if mark is None:
            continue
        with suppress(OSError):  # It may just have ended.
            # What the kernel adds when a program's file was removed or replaced.
            program = str((process / "exe").readlink()).removesuffix(" (deleted)")
            folder, _, name = mark.rpartition(":")
            yield folder, Daemon(int(process.name), name, Path(program))


def _mark_of(pid: int) -> str | None:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    for entry in environment.split(b"\0"):
        key, _, value = entry.partition(b"=")
        if key == _MARK.encode():
            return os.fsdecode(value)
    return None


def _kill(handles: Sequence[int]) -> None:
    """Kill the processes of `handles`, wait for their end, and close the handles."""
    try:
        for handle in handles:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        for handle in handles:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            poll.poll(_KILL_SECONDS * 1_000)
    finally:
        for handle in handles:
            os.close(handle)
