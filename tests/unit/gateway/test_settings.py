from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ocean_emr.gateway.settings import GatewaySettings

STORES = {"OCEAN_VAULT_ADDRESS": "https://vault", "OCEAN_DATABASE_HOST": "db"}
FILES = {"OCEAN_TLS_CERT_FILE": "/tls/tls.crt", "OCEAN_TLS_KEY_FILE": "/tls/tls.key"}
IN_FRONT = {"OCEAN_TLS_IN_FRONT": "true"}


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No setting of this machine's."""
    for name in [name for name in os.environ if name.startswith("OCEAN_")]:
        monkeypatch.delenv(name)
    return monkeypatch


def read(patch: pytest.MonkeyPatch, **environment: str) -> GatewaySettings:
    for name, value in environment.items():
        patch.setenv(name, value)
    settings: Any = GatewaySettings
    return settings()  # type: ignore[no-any-return]


def test_certificate_files(empty: pytest.MonkeyPatch) -> None:
    settings = read(empty, **STORES, **FILES)

    assert settings.tls_files == (Path("/tls/tls.crt"), Path("/tls/tls.key"))
    assert settings.trusted_proxies == ()


def test_tls_that_ends_in_front(empty: pytest.MonkeyPatch) -> None:
    settings = read(empty, **STORES, **IN_FRONT, OCEAN_TRUSTED_PROXIES="10.0.0.0/8, 2001:db8::1")

    assert settings.tls_files is None
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("2001:db8::1"))


@pytest.mark.parametrize(
    "environment",
    [
        {**STORES},
        {**STORES, "OCEAN_TLS_CERT_FILE": "/tls/tls.crt"},
        {**STORES, "OCEAN_TLS_KEY_FILE": "/tls/tls.key"},
        {**STORES, **FILES, **IN_FRONT},
        {**FILES, "OCEAN_DATABASE_HOST": "db"},
        {**FILES, "OCEAN_VAULT_ADDRESS": "https://vault"},
        {**FILES, **STORES, "OCEAN_VAULT_ADDRESS": "http://vault"},
        {**FILES, **STORES, "OCEAN_TRUSTED_PROXIES": "ingress"},
        {**FILES, **STORES, "OCEAN_VERIFIER_SECONDS": "61"},
        {**FILES, **STORES, "OCEAN_MOST_WAITING": "0"},
    ],
)
def test_what_cannot_be(environment: dict[str, str], empty: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError):
        read(empty, **environment)
