"""What the simulator was asked, and what it showed: two different things when answers get lost."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any, Final

_KEPT: Final = 10_000


@dataclass(slots=True)
class Received:
    """One request."""

    method: str
    path: str
    login: str = ""
    """`accepted`, `unsigned`, or the code of the refusal; empty if it never came to that."""
    fault: str = ""
    status: int = 0


class Ledger:
    """The last requests, and how often each record was put into an answer."""

    def __init__(self) -> None:
        self.received: deque[Received] = deque(maxlen=_KEPT)
        self.total = 0
        """Requests received, those no longer kept included."""
        self.shown: Counter[str] = Counter()
        """`appointment 5001`, `patient 1001`: how many answers held it."""

    def enter(self, method: str, path: str) -> Received:
        """A new entry; its other fields are filled in as they become known."""
        entry = Received(method, path)
        self.received.append(entry)
        self.total += 1
        return entry

    def clear(self) -> None:
        """Forget."""
        self.received.clear()
        self.shown.clear()
        self.total = 0

    def as_json(self) -> dict[str, Any]:
        """For people and scripts."""
        return {"total": self.total, "received": [asdict(e) for e in self.received], "shown": dict(self.shown)}
