"""Running another program to its end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ocean_dev.errors import CommandError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the system's programs are. A shell that `su` opened may know only half of it."""

_LAST_CHARACTERS = 4_000


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
    locks: Sequence[int] = (),
) -> str:
    """What `command` printed.

    Args:
        command: Program and arguments; no shell reads them.
        stdin: Fed to the program; without it the program reads nothing.
        env: Added to our own environment.
        folder: Where to run it.
        locks: Open files it inherits. A lock on one is held until it and all that it started have ended,
            even when we are killed before.

    Raises:
        CommandError: It could not be started, or ended with another status than 0.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=stdin if stdin is not None else "",
            env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}", **(env or {})},
            cwd=folder,
            pass_fds=locks,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandError(f"`{words[0]}` is not installed or not executable.") from error
    if done.returncode:
        said = f"{done.stdout}{done.stderr}".strip()[-_LAST_CHARACTERS:]
        raise CommandError(f"`{' '.join(words)}` ended with status {done.returncode}:\n{said}")
    return done.stdout


def succeeds(command: Sequence[str | Path]) -> bool:
    """Whether `command` ends with status 0. For questions, and for clean-up of what may be gone."""
    try:
        run(command)
    except CommandError:
        return False
    return True
