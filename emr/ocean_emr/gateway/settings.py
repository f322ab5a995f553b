"""The gateway's settings: read once from the environment, where each variable is `OCEAN_` and the field's name."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ocean_api import names

Network = IPv4Network | IPv6Network


class GatewaySettings(BaseSettings):
    """How this installation receives webhooks. Durations carry their unit in the name.

    The pod's `terminationGracePeriodSeconds` is 30 or more. A `preStop` sleep of a few seconds keeps webhooks from
    being sent to a pod that has begun to stop.
    """

    model_config = SettingsConfigDict(env_prefix="OCEAN_", frozen=True, extra="ignore")

    vault_address: Annotated[str, Field(pattern="^https://")]
    """https address of Vault."""
    vault_ca_file: Path | None = None
    """Vault's authority as PEM; without it the public ones."""
    database_host: str
    """Host name or address of PostgreSQL."""
    database_port: int = 5432
    """Its port."""
    database_ca_file: Path | None = None
    """PostgreSQL's authority as PEM; without it the public ones."""
    token_file: Path = Path(names.TOKEN_DIR) / names.TOKEN_FILE
    """The projected service-account token, with Vault's audience."""

    listen_host: str = "0.0.0.0"  # noqa: S104 - webhooks and probes come from outside the pod
    """Where webhooks and probes are received."""
    listen_port: int = 8443
    """HTTPS, or HTTP with `tls_in_front`: POST /webhooks/{siteNumber}."""
    probe_port: int = 8080
    """Plain HTTP: /livez, /readyz, /metrics."""
    tls_cert_file: Path | None = None
    """The certificate and its chain as PEM, such as `tls.crt` of a mounted Secret. Read again when it changes."""
    tls_key_file: Path | None = None
    """Its key as PEM."""
    tls_in_front: bool = False
    """True: webhooks come in plain HTTP from an ingress that ends TLS. Only where nobody else reaches `listen_port`."""
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = ()
    """Addresses or ranges, separated by commas, whose `X-Forwarded-For` is believed; without them nobody's is."""

    failed_keys_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 60
    """How many wrong keys one client address may show for one clinic, and how many unknown clinics it may ask for."""
    site_messages_per_second: Annotated[float, Field(ge=1, le=100_000)] = 100
    """How many messages of one clinic each replica keeps, over time."""
    site_burst: Annotated[int, Field(ge=1, le=1_000_000)] = 2_000
    """How many may come at once before that counts."""
    verifier_seconds: Annotated[float, Field(gt=0, le=60)] = 30
    """How long a clinic's webhook key is remembered."""
    most_connections: Annotated[int, Field(ge=10, le=100_000)] = 1_000
    """Further connections are closed at once."""
    most_waiting: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """How many messages may wait for PostgreSQL; further ones are told to come again."""
    accept_seconds: Annotated[float, Field(gt=0, le=30)] = 5
    """How long one message waits for PostgreSQL."""
    request_seconds: Annotated[float, Field(gt=0, le=60)] = 10
    """Within this time a request must have arrived whole."""
    grace_seconds: Annotated[float, Field(gt=0, le=60)] = 12
    """How long the end waits for requests that are being answered."""

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _comma_separated(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @model_validator(mode="after")
    def _protected(self) -> Self:
        files = (self.tls_cert_file, self.tls_key_file)
        if self.tls_in_front and any(files):
            raise ValueError("set OCEAN_TLS_IN_FRONT, or OCEAN_TLS_CERT_FILE and OCEAN_TLS_KEY_FILE, not both")
        if not self.tls_in_front and not all(files):
            raise ValueError("set OCEAN_TLS_CERT_FILE and OCEAN_TLS_KEY_FILE: webhook keys travel here")
        return self

    @property
    def tls_files(self) -> tuple[Path, Path] | None:
        """Certificate and key; None where TLS ends in front."""
        if self.tls_cert_file is None or self.tls_key_file is None:
            return None
        return self.tls_cert_file, self.tls_key_file
