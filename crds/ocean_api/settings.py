"""`site.json`: what a site's pods are told. Made by the operator from the spec, mounted from the site's ConfigMap."""

from __future__ import annotations

from ocean_api.addresses import AddressRules
from ocean_api.base import ApiModel
from ocean_api.v1alpha1.spec import OceanSiteSpec


class VaultAccess(ApiModel):
    """Where Vault is."""

    address: str
    """https URL without a path."""
    ca_bundle: str = ""
    """PEM; empty: the public authorities."""


class DatabaseAccess(ApiModel):
    """Where PostgreSQL is. The login comes from Vault."""

    host: str
    """Host name or address."""
    port: int = 5432
    """TCP port."""
    ca_bundle: str = ""
    """PEM; empty: the public authorities. The connection is always `sslmode=verify-full`."""


class SiteSettings(ApiModel):
    """Everything a pod of the site needs to know that is not secret."""

    namespace: str
    """The site's namespace."""
    name: str
    """The site's name."""
    spec: OceanSiteSpec
    """The spec as it was applied."""
    vault: VaultAccess
    """Where Vault is."""
    database: DatabaseAccess
    """Where PostgreSQL is."""
    allowed_address_ranges: tuple[str, ...] = ()
    """CIDR ranges that EMR and Ocean addresses may lie in although they are private to the cluster."""
    allowed_host_suffixes: tuple[str, ...] = ()
    """Suffixes of host names that may lead to private addresses."""

    @property
    def addresses(self) -> AddressRules:
        """Where the pods' connections to EMR and Ocean may lead."""
        return AddressRules.parse(self.allowed_address_ranges, self.allowed_host_suffixes)
