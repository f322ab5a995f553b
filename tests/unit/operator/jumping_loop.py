"""An event loop whose clock jumps: it waits for nothing, so pauses of minutes cost nothing and are exact."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class _Jumping(selectors.DefaultSelector):
    """A selector that, instead of waiting, says that the time has passed."""

    ahead = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found: list[tuple[selectors.SelectorKey, int]] = super().select(0 if timeout is not None else None)
        if not found and timeout:
            self.ahead += timeout
        return found


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop on which only waiting takes time."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds waited since the loop was made."""
        return self._jumping.ahead


BACKEND: tuple[str, dict[str, Any]] = ("asyncio", {"loop_factory": JumpingLoop})
"""For the fixture `anyio_backend`."""
