"""A site's connections to PostgreSQL: few, short-lived, each under a login that Vault made and will drop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from ocean_emr.store.errors import (
    DatabaseOutdatedError,
    DatabaseUnavailableError,
    DatabaseUnsafeError,
    connect_error,
    store_error,
)

SCHEMA_VERSION = 1
"""The oldest schema that programs work with which need nothing newer."""
MESSAGES_SCHEMA = 2
"""The first schema with messages."""

_OLDEST_SERVER = 150_000
MUST_BE_ON = ("fsync", "full_page_writes", "synchronous_commit")
"""Settings without which a confirmed commit can be lost."""

_POOL_SIZE = 4
_WAIT_SECONDS = 20.0
# The pool's pauses between attempts double, so after an outage it would come back as late again. Having given up,
# it begins anew with the next one who asks.
_RECONNECT_SECONDS = 10.0
# A connection begins under a login of which half is left at least, and ends within four tenths.
_LOGIN_SHARE = 0.5
_CONNECTION_SHARE = 0.4

Transaction = AsyncConnection[TupleRow]
"""A connection inside a transaction; it commits when the block that opened it ends well."""


@dataclass(frozen=True, slots=True)
class Login:
    """A name and password that PostgreSQL accepts for a while."""

    user: str
    password: str = field(repr=False)
    lifetime: float
    """Seconds it was made for."""
    made_at: float = field(default_factory=time.monotonic)

    def is_fresh(self) -> bool:
        """Whether at least half of its life is left."""
        return time.monotonic() - self.made_at < self.lifetime * _LOGIN_SHARE


def conninfo(*, host: str, port: int, ca_file: str | Path, database: str = "ocean") -> str:
    """Where the server is, for libpq: always TLS with the server's name checked, and never waiting for ever."""
    return make_conninfo(
        host=host,
        port=port,
        dbname=database,
        sslmode="verify-full",
        sslrootcert=str(ca_file),
        connect_timeout=10,
        tcp_user_timeout=30_000,
        # Who only listens would otherwise not notice for hours that the server is gone.
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
        options="-c statement_timeout=60s -c lock_timeout=30s -c idle_in_transaction_session_timeout=60s",
    )


@dataclass(frozen=True, slots=True)
class Notices:
    """What is heard on a channel. A notice says nothing and may be missed or forged: it means "look"."""

    _connection: Transaction
    _ends: float

    async def wait(self) -> bool:
        """Return when something was heard; False when this connection has served long enough."""
        left = max(0.0, self._ends - time.monotonic())
        # To its end, or it would keep the connection's lock.
        return bool([notice async for notice in self._connection.notifies(timeout=left, stop_after=1)])


class Database:
    """A small pool. Open it with `async with`; then it has proven that the server is fit to be trusted."""

    def __init__(
        self, where: str, login: Callable[[], Awaitable[Login]], *, application: str, schema: int = SCHEMA_VERSION
    ) -> None:
        """Prepare, and do nothing yet.

        Args:
            where: From `conninfo`.
            login: Asked for a new login whenever the last one is half used up, or was not accepted.
            application: Shown in `pg_stat_activity`.
            schema: The oldest schema the program works with.
        """
        self._schema = schema
        self._where = make_conninfo(where, application_name=application)
        self._source = login
        self._login: Login | None = None
        self._login_accepted = False
        self._login_failure: Exception | None = None
        self._login_lock = anyio.Lock()
        self._pool: AsyncConnectionPool[Transaction] | None = None

    async def __aenter__(self) -> Self:
        """Connect and check the server.

        Raises:
            StoreError: Any but those of leases.
            Exception: What the source of logins raised.
        """
        await self._try_once()
        if self._login is None:
            raise AssertionError("connected without a login")
        self._pool = AsyncConnectionPool(
            self._where,
            kwargs=self._credentials,
            configure=self._check,
            check=AsyncConnectionPool.check_connection,
            min_size=1,
            max_size=_POOL_SIZE,
            max_lifetime=self._login.lifetime * _CONNECTION_SHARE,
            timeout=_WAIT_SECONDS,
            reconnect_timeout=_RECONNECT_SECONDS,
            open=False,
        )
        try:
            await self._pool.open(wait=True, timeout=_WAIT_SECONDS)
        except PoolTimeout:
            raise self._no_connection() from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.close()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction: committed when the block ends well, otherwise undone.

        Raises:
            StoreError: What went wrong in the block, or before it. After a DatabaseUnavailableError at the very
                end the commit may have happened; what is written here can be written twice.
        """
        if self._pool is None:
            raise AssertionError("the database is not open")
        try:
            async with self._pool.connection() as connection:
                yield connection
        except PoolTimeout:
            raise self._no_connection() from None
        except psycopg.Error as error:
            raise store_error(error) from None

    @contextlib.asynccontextmanager
    async def statements(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """A connection on which each statement is a transaction of its own, committed when it has been executed.

        A third of the time that `transaction` takes for one statement. Raises as it does.
        """
        async with self.transaction() as connection:
            await connection.set_autocommit(True)
            try:
                yield connection
            finally:
                # One that broke off cannot be set, and is not used again.
                if connection.info.transaction_status is TransactionStatus.IDLE:
                    await connection.set_autocommit(False)

    @contextlib.asynccontextmanager
    async def notices(self, channel: str) -> AsyncIterator[Notices]:
        """A connection of its own that hears `channel`. It ends before its login does: then open another.

        Raises:
            StoreError: It could not be opened, or broke off within the block.
            Exception: What the source of logins raised.
        """
        try:
            connection = await AsyncConnection.connect(self._where, autocommit=True, **await self._credentials())
        except psycopg.Error as error:
            raise connect_error(error) from None
        if self._login is None:
            raise AssertionError("connected without a login")
        try:
            async with connection:
                self._login_accepted = True
                await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
                yield Notices(connection, time.monotonic() + self._login.lifetime * _CONNECTION_SHARE)
        except psycopg.Error as error:
            raise store_error(error) from None

    def _no_connection(self) -> Exception:
        if self._login_failure is not None:
            return self._login_failure
        return DatabaseUnavailableError("PostgreSQL gave no connection in time.")

    async def _try_once(self) -> None:
        """Connect outside the pool, which would hide why it cannot."""
        try:
            connection = await AsyncConnection.connect(self._where, **await self._credentials())
        except psycopg.Error as error:
            raise connect_error(error) from None
        async with connection:
            await self._check(connection)

    async def _credentials(self) -> dict[str, Any]:
        async with self._login_lock:
            if self._login is None or not self._login_accepted or not self._login.is_fresh():
                try:
                    self._login = await self._source()
                except Exception as error:
                    self._login_failure = error
                    raise
                self._login_failure = None
            # Until PostgreSQL has let it in, the next one to ask gets another.
            self._login_accepted = False
            return {"user": self._login.user, "password": self._login.password}

    async def _check(self, connection: Transaction) -> None:
        self._login_accepted = True
        try:
            refuse_unsafe(connection.info.server_version, await _settings(connection))
            refuse_old_schema(await _schema_version(connection), self._schema)
        except psycopg.Error as error:
            raise store_error(error) from None
        finally:
            await connection.rollback()


def refuse_unsafe(server_version: int, settings: Mapping[str, str]) -> None:
    """Raise DatabaseUnsafeError unless such a server keeps what it has confirmed.

    Source: PostgreSQL documentation, "Write Ahead Log" (fsync, full_page_writes, synchronous_commit).

    Args:
        server_version: As libpq gives it: 150018 is 15.18.
        settings: The values of `MUST_BE_ON` in the session.
    """
    if server_version < _OLDEST_SERVER:
        raise DatabaseUnsafeError(f"PostgreSQL {server_version // 10_000} is too old: use 15 or newer.")
    off = [name for name in MUST_BE_ON if settings.get(name) == "off"]
    if off:
        raise DatabaseUnsafeError(f"PostgreSQL runs with {' and '.join(off)} off and could lose data: turn it on.")


def refuse_old_schema(version: int, needed: int) -> None:
    """Raise DatabaseOutdatedError unless a schema of that version is at least the `needed` one."""
    if version < needed:
        raise DatabaseOutdatedError(
            f"The database's schema has version {version}, this program needs {needed}: run ocean-migrate."
        )


async def _settings(connection: Transaction) -> dict[str, str]:
    cursor = await connection.execute("select name, setting from pg_settings where name = any(%s)", [list(MUST_BE_ON)])
    return dict(await cursor.fetchall())


async def _schema_version(connection: Transaction) -> int:
    row = await (await connection.execute("select ocean.schema_version()")).fetchone()
    return int(row[0]) if row else 0
