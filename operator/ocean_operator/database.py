"""The operator's side of PostgreSQL: it registers sites, reads what their pods reported, and adds to the audit.

Logins come from Vault and end within hours, so no connection is kept longer than its login is good for.
docs/reference/database.md describes the functions called here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import psycopg_pool
import structlog
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from ocean_api import names
from ocean_api.reasons import Reason
from ocean_operator.core.queue import Line
from ocean_operator.core.site import SiteKey

_CONNECTIONS: Final = 4
_WAIT_SECONDS: Final = 10
_POLL_SECONDS: Final = 15.0
"""A notification may be missed (the connection was just being renewed), so the table is read this often anyway."""
_SPARE: Final = 0.5

log = structlog.get_logger(__name__)


class DatabaseError(Exception):
    """PostgreSQL could not be asked, or refused. The text holds no values."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class State:
    """One row of `site_state`."""

    site: SiteKey
    process: str
    document: dict[str, Any]


Login = Callable[[], Awaitable[tuple[str, str, float]]]
"""Gives user, password, and seconds for which they are good."""


class Database:
    """One PostgreSQL. `open` it before use, `close` it at the end.

    Args:
        host: Where it is.
        port: Its port.
        ca_file: PEM file of its authority; empty: the public ones.
        login: Asked for a login when one is needed.
        may_act: Called right before each statement; what it raises keeps it from being sent.
    """

    def __init__(self, host: str, port: int, *, ca_file: str, login: Login, may_act: Callable[[], None]) -> None:
        self._may_act = may_act
        self._host, self._port, self._ca_file, self._login = host, port, ca_file, login
        self._conninfo, self._good_until = "", 0.0
        self._renewal = asyncio.Lock()
        self._pool = psycopg_pool.AsyncConnectionPool(
            self._current_conninfo,
            min_size=0,
            max_size=_CONNECTIONS,
            open=False,
            timeout=_WAIT_SECONDS,
            max_lifetime=1800,
            kwargs={"autocommit": True},
        )

    async def open(self) -> None:
        """Begin to serve. Connections are made when they are needed."""
        await self._pool.open()

    async def close(self) -> None:
        """End all connections."""
        await self._pool.close()

    async def ensure_site(self, site: SiteKey, uid: str, site_number: str) -> None:
        """Make the site and its group role known. Nothing happens the second time."""
        await self._call("select ocean.ensure_site(%s, %s, %s, %s)", (site.namespace, site.name, uid, site_number))

    async def retire_site(self, site: SiteKey) -> None:
        """End the site's access. Its rows stay for its return, its audit stays for ever."""
        await self._call("select ocean.retire_site(%s, %s, false)", (site.namespace, site.name))

    async def audit(self, site: SiteKey, action: str, what: str, *, outcome: str = "done") -> None:
        """Add a record of something the operator does by itself to the site's chain."""
        await self._call(
            "select ocean.append_audit(%s, %s, %s, %s, %s)",
            (str(site), names.MANAGED_BY, action, Jsonb({"text": what}), outcome),
        )

    async def states_since(self, mark: int) -> tuple[list[State], int]:
        """The rows that changed since `mark` (0: all), and the mark for the next call. A row may come twice."""
        rows = await self._rows("select site, process, state, next_mark from ocean.states_since(%s)", (mark,))
        states = [State(SiteKey(*site.split("/", 1)), process, document) for site, process, document, _ in rows]
        return states, max((row[3] for row in rows), default=mark)

    async def queues(self) -> dict[SiteKey, Line]:
        """What waits and what is held, of each site that has any."""
        rows = await self._rows("select site, waiting, oldest, held, oldest_held from ocean.queues()", ())
        return {SiteKey(*site.split("/", 1)): Line(*counted) for site, *counted in rows}

    async def retry_held(self, site: SiteKey) -> int:
        """Put the site's held messages back into the queue, and tell the audit. Returns how many there were."""
        rows = await self._rows("select ocean.retry_held(%s, %s, %s)", (site.namespace, site.name, names.MANAGED_BY))
        number: int = rows[0][0]
        return number

    async def changes(self) -> AsyncIterator[None]:
        """Yield at once, then whenever `site_state` may have changed. Never ends; hides lost connections."""
        while True:
            yield
            try:
                async with self._connection() as connection:
                    await connection.execute(f"listen {names.STATE_CHANNEL}")
                    yield
                    async for _ in connection.notifies(timeout=_POLL_SECONDS, stop_after=1):
                        pass
                    await connection.execute(f"unlisten {names.STATE_CHANNEL}")
            except DatabaseError as error:
                log.warning("database not reachable", error=str(error))
                await asyncio.sleep(1)

    async def _call(self, statement: str, values: tuple[Any, ...]) -> None:
        await self._rows(statement, values)

    async def _rows(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        async with self._connection() as connection:
            self._may_act()
            cursor = await connection.execute(statement, values)
            return await cursor.fetchall()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        try:
            async with self._pool.connection() as connection:
                yield connection
        except psycopg.errors.UniqueViolation:
            raise DatabaseError(
                Reason.SITE_NUMBER_TAKEN, "Another clinic that was not deleted properly has this site number."
            ) from None
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction) as error:
            said = f"PostgreSQL refused a statement ({type(error).__name__})."
            raise DatabaseError(Reason.DATABASE_ACCESS_REFUSED, said) from None
        except (psycopg.Error, psycopg_pool.PoolTimeout, OSError) as error:
            said = f"PostgreSQL does not serve ({type(error).__name__})."
            raise DatabaseError(Reason.DATABASE_UNAVAILABLE, said) from None

    async def _current_conninfo(self) -> str:
        async with self._renewal:
            if asyncio.get_running_loop().time() >= self._good_until:
                user, password, seconds = await self._login()
                self._good_until = asyncio.get_running_loop().time() + seconds * _SPARE
                self._conninfo = make_conninfo(
                    host=self._host,
                    port=self._port,
                    dbname=names.DATABASE_NAME,
                    user=user,
                    password=password,
                    sslmode="verify-full",
                    sslrootcert=self._ca_file or "system",
                    connect_timeout=5,
                    application_name="ocean-operator",
                )
            return self._conninfo
