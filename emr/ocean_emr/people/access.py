"""How a person reaches a clinic: with a Vault token of their own, and the database login that Vault gives for it.

Here, and nowhere else in the product, a token is taken from the environment or the home folder: it is the person's.
Vault writes down every key that is read and every login that is made, with the person's name.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import hvac
import hvac.exceptions
import requests

from ocean_api import names
from ocean_emr.store.database import MESSAGES_SCHEMA, Database, Login, conninfo
from ocean_emr.vault.authorities import public_authorities
from ocean_emr.vault.client import StoredKey, make_login, raise_vault_error, read_key
from ocean_emr.vault.errors import VaultAccessRefusedError

_TOKEN_VARIABLE: Final = "VAULT_TOKEN"  # noqa: S105 - a variable's name
_TIMEOUT_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Servers:
    """Where Vault and PostgreSQL are, as seen from the person's machine."""

    vault_address: str
    vault_ca_file: Path | None
    database_host: str
    database_port: int
    database_ca_file: Path | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token belongs to, in Vault's words."""

    display_name: str
    """Such as `oidc-p0001`."""
    entity: str
    """Vault's id of the person; empty for a token that belongs to nobody."""


def token_of(environment: Mapping[str, str], home: Path) -> str:
    """The person's Vault token: from VAULT_TOKEN, or from the file that `vault login` and `bao login` write.

    Raises:
        VaultAccessRefusedError: There is none.
    """
    token = environment.get(_TOKEN_VARIABLE, "").strip()
    if token:
        return token
    with contextlib.suppress(OSError):
        token = (home / ".vault-token").read_text().strip()
    if not token:
        raise VaultAccessRefusedError("There is no Vault token, neither in VAULT_TOKEN nor in ~/.vault-token.")
    return token


class PersonsVault:
    """Vault under a person's own token, which is left as it is. Database logins made here end with `close`."""

    def __init__(self, servers: Servers, token: str) -> None:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(servers.vault_ca_file or public_authorities())
        self._session = session
        # A certificate of no length, not None: for None hvac looks into the environment.
        self._client = hvac.Client(  # type: ignore[no-untyped-call]
            url=servers.vault_address,
            token=token,
            cert=(),
            timeout=_TIMEOUT_SECONDS,
            session=session,
            allow_redirects=False,
        )
        self._leases: list[str] = []

    def identity(self) -> Identity:
        """Who asks. Raises VaultError."""
        try:
            data: dict[str, Any] = self._client.auth.token.lookup_self()["data"]
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            raise_vault_error(error, "look up your token")
        return Identity(str(data.get("display_name") or "token"), str(data.get("entity_id") or ""))

    def key(self, namespace: str, name: str, version: int | None) -> StoredKey:
        """The clinic's key, the present one or that version of it. Raises VaultError."""
        return read_key(self._client, names.sek_path(namespace, name), version)

    def login(self, namespace: str, name: str) -> Login:
        """A database login of the clinic's. Raises VaultError."""
        login, lease = make_login(self._client, names.vault_database_role(namespace, name))
        self._leases.append(lease)
        return login

    def close(self) -> None:
        """End the logins. One that Vault does not let the person end is over within two hours."""
        while self._leases:
            with contextlib.suppress(hvac.exceptions.VaultError, requests.RequestException):
                self._client.sys.revoke_lease(self._leases.pop())
        self._session.close()


@dataclass(frozen=True, slots=True)
class Person:
    """A person who has reached a clinic."""

    namespace: str
    name: str
    who: Identity
    database: Database
    vault: PersonsVault = field(repr=False)

    @property
    def site(self) -> str:
        """The clinic, as `namespace/name`."""
        return names.site_id(self.namespace, self.name)

    async def key(self, version: int | None = None) -> StoredKey:
        """The clinic's key. Vault writes down that this person has read it. Raises VaultError."""
        return self.vault.key(self.namespace, self.name, version)


@contextlib.asynccontextmanager
async def reach(servers: Servers, token: str, namespace: str, name: str) -> AsyncIterator[Person]:
    """Reach a clinic as a person.

    Raises:
        VaultError: As listed in `vault/errors.py`.
        StoreError: As listed in `store/errors.py`, without those of leases.
    """
    where = conninfo(
        host=servers.database_host,
        port=servers.database_port,
        ca_file=servers.database_ca_file or public_authorities(),
        database=names.DATABASE_NAME,
    )
    vault = PersonsVault(servers, token)

    async def login() -> Login:
        return vault.login(namespace, name)

    try:
        who = vault.identity()
        async with Database(where, login, application="oceanctl", schema=MESSAGES_SCHEMA) as database:
            yield Person(namespace, name, who, database, vault)
    finally:
        vault.close()
