"""What the simulator can be told to do wrong, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Any, Self


class FaultKind(StrEnum):
    """One way to fail. Those up to `TIMEOUT_BEFORE` change nothing; the others spoil the answer to a done deed."""

    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    FORBIDDEN_PAGE = "403-html"
    NOT_FOUND = "404"
    TOO_MANY = "429"
    BROKEN = "500"
    AWAY = "503"
    REDIRECT = "redirect"
    TIMEOUT_BEFORE = "timeout-before-commit"

    REJECT_ITEMS = "reject-items"
    """The items in `refs` are rejected with the code `Refused`, the others are taken."""
    DROP_RESULT = "drop-result"
    """The answer says nothing about the last item."""
    TIMEOUT_AFTER = "timeout-after-commit"
    PAGE = "html"
    EMPTY = "empty"
    CUT_JSON = "cut-json"
    RESET = "reset-mid-body"
    DRIP = "slow-drip"
    COMPRESSED = "compressed"
    ENDLESS = "endless"
    """An answer that does not stop."""


BEFORE_COMMIT = frozenset(
    {
        FaultKind.UNAUTHORIZED,
        FaultKind.FORBIDDEN,
        FaultKind.FORBIDDEN_PAGE,
        FaultKind.NOT_FOUND,
        FaultKind.TOO_MANY,
        FaultKind.BROKEN,
        FaultKind.AWAY,
        FaultKind.REDIRECT,
        FaultKind.TIMEOUT_BEFORE,
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure to come."""

    kind: FaultKind
    times: int | None = 1
    """How many requests it strikes; None for all until it is cleared."""
    path: str = "/svc"
    """Only requests whose path begins so."""
    retry_after: str | None = None
    """Sent along as `Retry-After`."""
    refs: frozenset[str] = frozenset()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The fault in `{"kind", "times", "path", "retryAfter", "refs"}`; all but the kind may be left out."""
        return cls(
            kind=FaultKind(value["kind"]),
            times=value.get("times", 1),
            path=value.get("path", "/svc"),
            retry_after=value.get("retryAfter"),
            refs=frozenset(value.get("refs", ())),
        )


class Faults:
    """The failures to come, first added first served. May be used from any thread."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Fault, int | None]] = []
        self._lock = Lock()

    def add(self, *faults: Fault) -> None:
        """Let `faults` happen, in this order."""
        with self._lock:
            self._waiting += [(fault, fault.times) for fault in faults]

    def clear(self) -> None:
        """Let nothing more happen."""
        with self._lock:
            self._waiting.clear()

    def take(self, path: str) -> Fault | None:
        """The fault that strikes a request for `path`, counted down."""
        with self._lock:
            for place, (fault, left) in enumerate(self._waiting):
                if path.startswith(fault.path):
                    if left == 1:
                        del self._waiting[place]
                    elif left is not None:
                        self._waiting[place] = (fault, left - 1)
                    return fault
        return None
