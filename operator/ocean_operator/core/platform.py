"""What the installation adds to every clinic: images, and where Vault and PostgreSQL are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ocean_api.settings import DatabaseAccess, VaultAccess
from ocean_operator.core.validate import AddressRules


@dataclass(frozen=True, slots=True)
class Platform:
    """The part of the operator's settings that the clinics' objects are made from."""

    image: str
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    full_window_minutes: int = 0
    vault: VaultAccess | None = None
    """None: this installation has no stores, so no clinic can work."""
    database: DatabaseAccess | None = None
    vault_peers: tuple[Any, ...] = ()
    """NetworkPolicy peers; empty: any address, on Vault's port."""
    database_peers: tuple[Any, ...] = ()
    """NetworkPolicy peers; empty: any address, on the database's port."""
    addresses: AddressRules = field(default_factory=AddressRules)
    allowed_address_ranges: tuple[str, ...] = ()

    @property
    def has_stores(self) -> bool:
        """Whether Vault and database are declared."""
        return self.vault is not None and self.database is not None
