"""The gateway's database: opened when Vault and PostgreSQL allow it, and opened again and again until they do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Final

import structlog
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from ocean_api import names
from ocean_emr.gateway.settings import GatewaySettings
from ocean_emr.store import arrivals
from ocean_emr.store.arrivals import Event, Kept, Verifier
from ocean_emr.store.database import MESSAGES_SCHEMA, Database, conninfo
from ocean_emr.store.errors import DatabaseUnavailableError, DatabaseUnsafeError, StoreError
from ocean_emr.vault.authorities import public_authorities
from ocean_emr.vault.client import Vault
from ocean_emr.vault.errors import VaultError

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0
_VAULT_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class GatewayDatabase:
    """What the gateway may do in PostgreSQL. Until it is open, everything raises DatabaseUnavailableError."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._database: Database | None = None

    async def keep_open(self) -> None:
        """Open it as soon as possible, and close it when cancelled.

        Raises:
            DatabaseUnsafeError: The server could lose what it has confirmed.
        """
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._open()
            except DatabaseUnsafeError:
                raise
            except (StoreError, VaultError) as error:
                log.warning("waiting", reason=error.reason.value, message=str(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _open(self) -> None:
        """Open it, until cancelled."""
        settings = self._settings
        vault = Vault(
            address=settings.vault_address,
            ca_file=settings.vault_ca_file or public_authorities(),
            token_file=settings.token_file,
            role=names.VAULT_GATEWAY_ROLE,
            timeout=_VAULT_SECONDS,
        )
        where = conninfo(
            host=settings.database_host,
            port=settings.database_port,
            ca_file=settings.database_ca_file or public_authorities(),
            database=names.DATABASE_NAME,
        )
        login = partial(vault.database_login, names.VAULT_GATEWAY_DATABASE_ROLE)
        opening = Database(where, login, application="ocean-gateway", schema=MESSAGES_SCHEMA)
        async with vault, opening as database:
            self._database = database
            log.info("database open")
            try:
                await asyncio.Event().wait()
            finally:
                self._database = None

    async def keep(self, events: Sequence[Event]) -> list[Kept]:
        """Keep sorted `events`; returns after the commit.

        Raises:
            StoreError, VaultError: It did not happen, or nobody knows.
        """
        async with self._statements() as connection:
            return await arrivals.accept(connection, events)

    async def wake(self, channels: Sequence[str]) -> None:
        """Tell the workers on `channels` that something has come. Raises as `keep`."""
        async with self._statements() as connection:
            await arrivals.wake(connection, channels)

    async def verifier(self, site_number: str) -> Verifier | None:
        """How the clinic's webhooks are known. Raises as `keep`."""
        async with self._statements() as connection:
            return await arrivals.verifier(connection, site_number)

    async def prove(self) -> None:
        """Raise as `keep`, unless PostgreSQL answers."""
        async with self._statements() as connection:
            await connection.execute("select ocean.schema_version()")

    @contextlib.asynccontextmanager
    async def _statements(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        if self._database is None:
            raise DatabaseUnavailableError("The database is not open yet.")
        async with self._database.statements() as connection:
            yield connection
