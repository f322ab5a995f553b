"""Starting servers that end with us, and ending them."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# The kernel ties "parent died" to the thread that made the child, so one thread that lives as long as
# this process makes them all. A short-lived worker thread would take its servers with it.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")

_STOP_SECONDS = 10


class Server:
    """A running server. The kernel kills it if this process dies without stopping it."""

    def __init__(self, name: str, command: Sequence[str | Path], log: Path, folder: Path) -> None:
        self.name = name
        self.log = log
        words = ["setpriv", "--pdeathsig", "KILL", "--", *(str(word) for word in command)]

        def start() -> subprocess.Popen[bytes]:
            with log.open("ab") as output:
                return subprocess.Popen(
                    words,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

        self._process = _spawner.submit(start).result()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def signal_stop(self) -> None:
        """Ask it to end, and return at once."""
        if self.running:
            self._process.terminate()

    def stop(self) -> None:
        """Ask it to end, and end it by force when it does not within ten seconds."""
        self.signal_stop()
        try:
            self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def last_words(self, lines: int = 20) -> str:
        """The end of its log."""
        return last_lines(self.log, lines)


def last_lines(log: Path, lines: int = 20) -> str:
    """The end of a log, as far as there is one."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


class ReservedPort:
    """A loopback port that nobody else gets until `release`.

    Bound but not listening, with SO_REUSEPORT: a server that sets the same option can listen on it,
    and the kernel gives it to nobody else in between. Source: socket(7).
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Give the port back."""
        self._socket.close()
