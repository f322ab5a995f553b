"""What a person sees while something takes its time. Always on stderr: stdout is for results."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HEARTBEAT_SECONDS = 15


def say(text: str) -> None:
    """Write one line of progress."""
    sys.stderr.write(f"· {text}\n")
    sys.stderr.flush()


@contextmanager
def step(title: str, detail: Callable[[], str] | None = None) -> Iterator[None]:
    """Announce a step, repeat every 15 seconds that it still runs, and say how long it took.

    Args:
        title: What is being done, as in "building kubelet".
        detail: Asked at each repetition for how far it is.
    """
    begun = time.monotonic()
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            more = f", {detail()}" if detail else ""
            say(f"{title}: {time.monotonic() - begun:.0f} s{more}")

    say(f"{title} …")
    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    say(f"{title}: done in {time.monotonic() - begun:.1f} s")
