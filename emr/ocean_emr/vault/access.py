"""What a pod of a site has at hand: its Vault and its database, opened by the one identity it was given."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ocean_api import names
from ocean_api.settings import SiteSettings
from ocean_emr.store.database import SCHEMA_VERSION, Database, conninfo
from ocean_emr.vault.authorities import authority_file
from ocean_emr.vault.client import StoredKey, Vault

TOKEN_FILE = Path(names.TOKEN_DIR) / names.TOKEN_FILE


@dataclass(frozen=True, slots=True)
class SiteAccess:
    """A site's key and database, for as long as the block that opened them lasts."""

    site: str
    """The clinic, as `namespace/name`."""
    database: Database
    """The site's rows."""
    vault: Vault
    """Vault under the pod's own identity."""
    settings: SiteSettings
    """What the site's pods are told."""

    async def key(self, version: int | None = None) -> StoredKey:
        """The site's key, the present one or that version of it, read now: Vault records it.

        Raises:
            VaultError: As listed in `vault/errors.py`.
        """
        return await self.vault.site_key(self.settings.namespace, self.settings.name, version)


@contextlib.asynccontextmanager
async def site_access(
    settings: SiteSettings, *, application: str, token_file: Path = TOKEN_FILE, schema: int = SCHEMA_VERSION
) -> AsyncIterator[SiteAccess]:
    """Log in and connect. At the end the database login and Vault's tokens are given back.

    Args:
        settings: From `site.json`.
        application: Shown in `pg_stat_activity`, such as `ocean-sync`.
        token_file: The projected service-account token.
        schema: The oldest schema of the database that the program works with.

    Raises:
        VaultError: As listed in `vault/errors.py`.
        StoreError: As listed in `store/errors.py`, without those of leases.
    """
    vault = Vault(
        address=settings.vault.address,
        ca_file=authority_file(settings.vault.ca_bundle),
        token_file=token_file,
        role=names.VAULT_SITE_ROLE,
    )
    where = conninfo(
        host=settings.database.host,
        port=settings.database.port,
        ca_file=authority_file(settings.database.ca_bundle),
        database=names.DATABASE_NAME,
    )
    role = names.vault_database_role(settings.namespace, settings.name)
    login = partial(vault.database_login, role)
    async with vault, Database(where, login, application=application, schema=schema) as database:
        yield SiteAccess(names.site_id(settings.namespace, settings.name), database, vault, settings)
