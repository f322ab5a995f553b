"""Rows of the message queue, as the gateway and the workers leave them."""

from __future__ import annotations

import itertools
from typing import Any

import psycopg
from psycopg import sql

from cluster.clinics import Clinic
from ocean_dev.servers.postgres import Postgres

_numbers = itertools.count(1)


class Queue:
    """The messages of all clinics, through a superuser's connection."""

    def __init__(self, server: Postgres) -> None:
        self._server = server

    def add(self, clinic: Clinic, state: str, **columns: Any) -> int:
        """A message. Returns its id."""
        said: dict[str, Any] = {
            "site": clinic.id,
            "event": 1,
            "step": 1,
            "lane": bytes(32),
            "kind": "note",
            "source_id": f"of-{clinic.namespace}-{next(_numbers)}",
            "version": 1,
            "state": state,
            "reason": "PatientNotFound" if state == "held" else None,
            **columns,
        }
        into = sql.SQL("insert into ocean.message ({}) values ({}) returning id").format(
            sql.SQL(", ").join(map(sql.Identifier, said)), sql.SQL(", ").join(sql.Placeholder() * len(said))
        )
        with psycopg.connect(self._server.admin) as admin:
            row = admin.execute(into, list(said.values())).fetchone()
        assert row is not None
        number: int = row[0]
        return number

    def state(self, number: int) -> str:
        """Where a message stands."""
        with psycopg.connect(self._server.admin) as admin:
            row = admin.execute("select state from ocean.message where id = %s", [number]).fetchone()
        assert row is not None
        state: str = row[0]
        return state

    def hold(self, number: int) -> None:
        """Have a message held (again)."""
        self._set(number, "held", "EmrConflict")

    def dismiss(self, number: int) -> None:
        """Have a held message dismissed."""
        self._set(number, "dismissed", "MessageDismissed")

    def _set(self, number: int, state: str, reason: str) -> None:
        with psycopg.connect(self._server.admin) as admin:
            admin.execute("update ocean.message set state = %s, reason = %s where id = %s", [state, reason, number])

    def retries(self, clinic: Clinic) -> list[int]:
        """How many messages each request of the clinic put back, by its audit, oldest first."""
        with psycopg.connect(self._server.admin) as admin:
            rows = admin.execute(
                "select (what ->> 'messages')::int from ocean.audit"
                " where site = %s and action = 'messages.retry' and via = 'operator' order by seq",
                [clinic.id],
            ).fetchall()
        return [number for (number,) in rows]
