"""`ocean-worker` as a pod runs it, but for where its folders are, and that it can be killed at a named point.

python failing_worker.py FOLDER [POINT NTH]

The points are wrapped around the product from here; the product knows nothing of them. What an EMR's search lacks
after a write, and how long a slow poll is, are shortened or lengthened, so that a test waits for events and not for
time.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from integration.sync.process import places_in
from ocean_api import lean

if TYPE_CHECKING:
    from ocean_emr.contract import Capabilities, EmrAdapter

LAG_SECONDS: Final = 0.2
SETTLE_SECONDS: Final = 0.2
AT_THE_DESK: Final = ("expand", "merge", "intend", "go_on", "finish", "put_off")
AT_THE_EMR: Final = ("write", "probe")
POINTS: Final = tuple(f"{when} {step}" for step in (*AT_THE_DESK, *AT_THE_EMR) for when in ("before", "after"))


class Trap:
    """Ends the process the hard way when it has come by its point often enough."""

    def __init__(self, point: str, nth: int) -> None:
        self._point, self._left = point, nth

    def at(self, point: str) -> None:
        """Whoever comes by."""
        if point == self._point:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, step: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """`call`, with a point before and one after it."""

        async def trapped(*arguments: Any, **named: Any) -> Any:
            self.at(f"before {step}")
            result = await call(*arguments, **named)
            self.at(f"after {step}")
            return result

        return trapped


def set_up(trap: Trap) -> None:
    """Lay the trap, and shorten the waiting."""
    from ocean_emr.messages import decide, lines, worker  # noqa: PLC0415 - see ocean_emr/messages/main.py
    from ocean_emr.messages.desk import Desk  # noqa: PLC0415 - likewise

    decide.SETTLE_SECONDS = SETTLE_SECONDS  # type: ignore[misc]
    # Whatever arrives, arrives by a notification.
    worker.POLL_SECONDS = 3600.0  # type: ignore[misc]
    worker.LOOK_SECONDS = 0.5  # type: ignore[misc]
    for step in AT_THE_DESK:
        setattr(Desk, step, trap.around(step, getattr(Desk, step)))
    open_adapter = lines.open_adapter

    def opened(*arguments: Any) -> EmrAdapter:
        adapter: Any = open_adapter(*arguments)
        for step in AT_THE_EMR:
            setattr(adapter, step, trap.around(step, getattr(adapter, step)))
        adapter.capabilities = _hasty(adapter.capabilities())
        emr: EmrAdapter = adapter
        return emr

    lines.open_adapter = opened


def _hasty(capabilities: Capabilities) -> Callable[[], Capabilities]:
    operations = {
        operation: replace(able, probe_lag_seconds=LAG_SECONDS if able.probe_lag_seconds is not None else None)
        for operation, able in capabilities.operations.items()
    }
    return lambda: replace(capabilities, operations=operations)


def main() -> None:
    """Work until told to stop, or killed."""
    folder, *trap = sys.argv[1:]
    lean.begin("click")
    from ocean_emr.messages import program  # noqa: PLC0415 - as in ocean_emr/messages/main.py

    lean.ready()
    set_up(Trap(trap[0], int(trap[1])) if trap else Trap("", 0))
    sys.exit(program.main(places_in(Path(folder))))


if __name__ == "__main__":
    main()
