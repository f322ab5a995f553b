"""Clinics as the integration tests make them."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from ocean_api import names


@dataclass(frozen=True, slots=True)
class Site:
    """A clinic that the operator has made known to the database."""

    namespace: str
    name: str
    number: str

    @property
    def id(self) -> str:
        """As in every table."""
        return names.site_id(self.namespace, self.name)

    @property
    def vault_role(self) -> str:
        """The Vault role its logins are asked from."""
        return names.vault_database_role(self.namespace, self.name)

    @property
    def group_role(self) -> str:
        """Its group role in PostgreSQL."""
        return names.postgres_role(self.namespace, self.name)

    def register(self, operator: psycopg.Connection, *, uid: str = "uid-1") -> None:
        """Make it known."""
        operator.execute("select ocean.ensure_site(%s, %s, %s, %s)", [self.namespace, self.name, uid, self.number])

    def retire(self, operator: psycopg.Connection, *, forget: bool) -> None:
        """End it."""
        operator.execute("select ocean.retire_site(%s, %s, %s)", [self.namespace, self.name, forget])
