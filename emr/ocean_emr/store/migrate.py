"""`ocean-migrate`: bring the database's schema up to this version, with a login that lasts for minutes.

Run by a Job before the operator rolls. It waits for Vault and the database, so nothing has to be started in
order; running it twice, or two at once, does no harm. This is the only process that loads alembic and SQLAlchemy.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import anyio
import anyio.to_thread
import psycopg
import structlog
from alembic import command
from alembic.config import Config
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ocean_api import names
from ocean_emr.observe import configure_logs
from ocean_emr.store.database import MUST_BE_ON, Login, conninfo, refuse_unsafe
from ocean_emr.store.errors import StoreError, connect_error, store_error
from ocean_emr.vault.authorities import public_authorities
from ocean_emr.vault.client import Vault
from ocean_emr.vault.errors import VaultError

_PAUSE_SECONDS = 2.0

log = structlog.get_logger("ocean-migrate")


class MigrateSettings(BaseSettings):
    """Where things are. Read from the environment, each with the prefix `OCEAN_`."""

    model_config = SettingsConfigDict(env_prefix="OCEAN_")

    vault_address: str
    """https address of Vault."""
    vault_ca_file: Path | None = None
    """Vault's authority as PEM; without it the public ones."""
    database_host: str
    """Host name or address of PostgreSQL."""
    database_port: int = 5432
    """TCP port."""
    database_ca_file: Path | None = None
    """PostgreSQL's authority as PEM; without it the public ones."""
    token_file: Path = Path(names.TOKEN_DIR) / names.TOKEN_FILE
    """The projected service-account token."""
    wait_seconds: float = Field(default=600, ge=0)
    """How long to wait for Vault and PostgreSQL before the Job fails and Kubernetes starts it again."""


def upgrade(where: str, login: Login) -> None:
    """Bring the schema up to this version, all missing steps in one transaction.

    Args:
        where: From `conninfo`.
        login: A member of `ocean_owner`.

    Raises:
        StoreError: The database is away, refuses, or is not fit to be trusted; nothing was changed.
    """

    def connect() -> psycopg.Connection:
        try:
            connection = psycopg.connect(where, user=login.user, password=login.password)
        except psycopg.Error as error:
            raise connect_error(error) from None
        rows = connection.execute("select name, setting from pg_settings where name = any(%s)", [list(MUST_BE_ON)])
        settings: dict[str, str] = dict(rows.fetchall())
        connection.rollback()
        refuse_unsafe(connection.info.server_version, settings)
        return connection

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", "ocean_emr.store:migrations")
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise store_error(error.orig) from error
        raise


async def migrate(settings: MigrateSettings) -> None:
    """Get a login from Vault and bring the schema up to this version.

    Raises:
        VaultError, StoreError: It did not work; nothing was changed.
    """
    where = conninfo(
        host=settings.database_host,
        port=settings.database_port,
        ca_file=settings.database_ca_file or public_authorities(),
        database=names.DATABASE_NAME,
    )
    vault = Vault(
        address=settings.vault_address,
        ca_file=settings.vault_ca_file or public_authorities(),
        token_file=settings.token_file,
        role=names.VAULT_MIGRATE_ROLE,
    )
    async with vault:
        login = await vault.database_login(names.VAULT_MIGRATE_ROLE)
        await anyio.to_thread.run_sync(upgrade, where, login)


async def migrate_when_possible(settings: MigrateSettings) -> None:
    """`migrate`, again and again while something it needs is not up yet."""
    deadline = time.monotonic() + settings.wait_seconds
    while True:
        try:
            return await migrate(settings)
        except (VaultError, StoreError) as error:
            # A refusal is waited out as well: on a first start Vault, its roles and PostgreSQL's appear one by one.
            if time.monotonic() >= deadline:
                raise
            log.warning("waiting", reason=error.reason, message=str(error))
        await anyio.sleep(_PAUSE_SECONDS)


def main() -> None:
    """Exit status: 0 up to date, 1 not."""
    configure_logs()
    try:
        anyio.run(migrate_when_possible, MigrateSettings())
    except (VaultError, StoreError) as error:
        log.error("failed", reason=error.reason, message=str(error))  # noqa: TRY400 - the message says it all
        sys.exit(1)
    log.info("up to date")
