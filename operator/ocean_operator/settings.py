"""The operator's settings: read once from the environment, where each variable is `OCEAN_` and the field's name."""

from __future__ import annotations

import json
from typing import Annotated, Any, Self

from pydantic import Field, JsonValue, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ocean_operator.core.validate import AddressRules


class OperatorSettings(BaseSettings):
    """How this installation is set up. Durations carry their unit in the name."""

    model_config = SettingsConfigDict(env_prefix="OCEAN_", frozen=True, extra="ignore")

    namespace: str = "ocean-system"
    """Where the operator itself runs: its Lease and its certificate live there."""
    pod_name: str = "ocean-operator-local"
    """Who holds the Lease."""
    image: str = "ocean-operator:dev"
    """Image of the data plane's pods: the operator's own."""
    image_pull_policy: str = "IfNotPresent"
    """Of those pods."""
    image_pull_secrets: Annotated[tuple[str, ...], NoDecode] = ()
    """Of those pods: names of Secrets in the site's namespace."""
    full_window_minutes: Annotated[int, Field(ge=0, le=180)] = 0
    """How many minutes after midnight the fleet's full runs are spread over."""
    workers: Annotated[int, Field(ge=1, le=256)] = 24
    """Passes at once."""
    external_workers: Annotated[int, Field(ge=1, le=64)] = 8
    """Sites whose Vault and database are seen to at once."""
    resync_seconds: Annotated[int, Field(ge=60, le=86_400)] = 3600
    """Every site is looked at again this often, though nothing happened."""
    audit_index_seconds: Annotated[int, Field(ge=5, le=3600)] = 300
    """How often what the watches showed is compared with a LIST."""
    lease_seconds: Annotated[int, Field(ge=5, le=120)] = 15
    """How long leadership lasts without renewal."""
    leader_election: bool = True
    """False only where nobody else can run."""

    listen_host: str = "0.0.0.0"  # noqa: S104 - a pod's probes and webhook come from outside it
    """Where probes, metrics and admission listen."""
    probe_port: int = 8080
    """Plain HTTP: /livez, /readyz, /metrics."""
    webhook_port: int = 9443
    """HTTPS: /validate. 0 turns admission off."""
    webhook_service: str = "ocean-operator-webhook"
    """Service in `namespace` the certificate is made for."""
    webhook_configuration: str = ""
    """ValidatingWebhookConfiguration whose caBundle is kept right; empty: none."""

    vault_address: str = ""
    """https URL; empty: no Vault, and no clinic becomes Ready."""
    vault_ca_file: str = ""
    """PEM file; empty: the public authorities."""
    vault_token_file: str = "/var/run/secrets/ocean/token"  # noqa: S105 - a path
    """The operator's own projected token with Vault's audience."""
    vault_peers: Annotated[tuple[JsonValue, ...], NoDecode] = ()
    """NetworkPolicy peers through which the sites' pods reach Vault; empty: any address, on its port."""
    database_host: str = ""
    """Host of PostgreSQL; empty: no database, and no clinic becomes Ready."""
    database_port: int = 5432
    """Its port."""
    database_ca_file: str = ""
    """PEM file; empty: the public authorities."""
    database_peers: Annotated[tuple[JsonValue, ...], NoDecode] = ()
    """NetworkPolicy peers through which the sites' pods reach PostgreSQL; empty: any address, on its port."""
    allowed_address_ranges: Annotated[tuple[str, ...], NoDecode] = ()
    """CIDR ranges that EMR and Ocean addresses may lie in although they are private."""
    allowed_host_suffixes: Annotated[tuple[str, ...], NoDecode] = ()
    """Host suffixes that EMR and Ocean addresses may have although only the cluster knows them."""

    @field_validator("image_pull_secrets", "allowed_address_ranges", "allowed_host_suffixes", mode="before")
    @classmethod
    def _comma_separated(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("vault_peers", "database_peers", mode="before")
    @classmethod
    def _json(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) and value else value or ()

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.vault_address and not self.vault_address.startswith("https://"):
            raise ValueError("OCEAN_VAULT_ADDRESS must begin with https://: keys travel over it")
        AddressRules.parse(self.allowed_address_ranges, self.allowed_host_suffixes)
        if bool(self.vault_address) != bool(self.database_host):
            raise ValueError("set OCEAN_VAULT_ADDRESS and OCEAN_DATABASE_HOST together, or neither")
        return self

    @property
    def has_stores(self) -> bool:
        """Whether Vault and database are declared."""
        return bool(self.vault_address)
