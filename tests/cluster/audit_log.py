"""The API server's audit log: who wrote what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

_WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Write:
    """One request that would change something."""

    verb: str
    resource: str
    """With its subresource, as `oceansites/status`."""
    namespace: str
    name: str
    code: int
    at: str
    """When the API server took it, RFC 3339 with microseconds."""


class AuditLog:
    """What one user wrote since a mark."""

    def __init__(self, path: Path, user: str) -> None:
        self._path, self._user = path, user

    def mark(self) -> int:
        """The end of the log, to count from."""
        return self._path.stat().st_size

    def writes(self, since: int = 0) -> list[Write]:
        """Every write of the user after `since`, except to Leases."""
        return [w for w in self.all_writes(since) if w.resource != "leases"]

    def all_writes(self, since: int = 0) -> list[Write]:
        """Every write of the user after `since`."""
        found = []
        with self._path.open("rb") as lines:
            lines.seek(since)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                entry: dict[str, Any] = orjson.loads(line)
                if entry["verb"] in _WRITES and entry["user"]["username"] == self._user:
                    found.append(_write(entry))
        return found


def _write(entry: dict[str, Any]) -> Write:
    what = entry["objectRef"]
    resource = "/".join(part for part in (what["resource"], what.get("subresource")) if part)
    return Write(
        entry["verb"],
        resource,
        what.get("namespace", ""),
        what.get("name", ""),
        entry.get("responseStatus", {}).get("code", 0),
        entry["requestReceivedTimestamp"],
    )
