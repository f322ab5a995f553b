"""Database logins, made by the same statements and with the same names as by Vault's database engine."""

from __future__ import annotations

import hashlib
import secrets
import string

import psycopg

from ocean_dev.servers.postgres import Postgres
from ocean_emr.store.database import Login, conninfo

_CHARACTERS = string.ascii_letters + string.digits


class Logins:
    """What Vault does with its own login, `ocean_vault`."""

    def __init__(self, server: Postgres) -> None:
        self._server = server

    def new(self, vault_role: str, *, lifetime: float = 7200) -> Login:
        """A login from that Vault role."""
        login = Login(login_name(vault_role), secrets.token_urlsafe(16), lifetime)
        with self.vault() as vault:
            verifier = vault.pgconn.encrypt_password(
                login.password.encode(), login.user.encode(), b"scram-sha-256"
            ).decode()
            vault.execute(
                "select ocean_login.create_login(%s, %s, now() + make_interval(secs => %s))",
                [login.user, verifier, lifetime],
            )
        return login

    def drop(self, login: Login) -> None:
        """End it, as Vault does when its lease ends."""
        with self.vault() as vault:
            vault.execute("select ocean_login.drop_login(%s)", [login.user])

    def connect(self, vault_role: str) -> psycopg.Connection:
        """A connection under a new login; each statement commits by itself."""
        return self.connect_as(self.new(vault_role))

    def connect_as(self, login: Login) -> psycopg.Connection:
        """A connection under `login`."""
        return psycopg.connect(self._server.conninfo(login.user, login.password), autocommit=True)

    def vault(self) -> psycopg.Connection:
        """Vault's own connection."""
        return psycopg.connect(self._server.conninfo("ocean_vault", self._server.vault_password), autocommit=True)


def login_name(vault_role: str) -> str:
    """A name as `username_template` in initialize.hcl makes it."""
    digest = hashlib.sha256(vault_role.encode()).hexdigest()[:20]
    return f"v_{digest}_{''.join(secrets.choice(_CHARACTERS) for _ in range(20))}"


def where(server: Postgres) -> str:
    """The server's place, as the programs name it."""
    return conninfo(host=server.host, port=server.port, ca_file=server.ca_file)


class LoginSource:
    """Gives a program its logins, as Vault's client does, and remembers them."""

    def __init__(self, logins: Logins, vault_role: str, *, lifetime: float = 7200) -> None:
        self._logins = logins
        self._vault_role = vault_role
        self._lifetime = lifetime
        self.given: list[Login] = []

    async def __call__(self) -> Login:
        """Another login."""
        self.given.append(self._logins.new(self._vault_role, lifetime=self._lifetime))
        return self.given[-1]
