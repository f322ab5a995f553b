from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ocean_operator.runtime import platform_of
from ocean_operator.settings import OperatorSettings

PEERS = '[{"namespaceSelector": {"matchLabels": {"a": "b"}}}]'


@pytest.fixture(autouse=True)
def nothing_of_this_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of the person who runs the tests would count."""
    for name in OperatorSettings.model_fields:
        monkeypatch.delenv(f"OCEAN_{name.upper()}", raising=False)


def from_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> OperatorSettings:
    """The settings of an operator started with these variables."""
    for name, value in variables.items():
        monkeypatch.setenv(f"OCEAN_{name}", value)
    return OperatorSettings()


def test_an_operator_starts_with_no_settings_at_all() -> None:
    assert not OperatorSettings().has_stores


@pytest.mark.parametrize(
    ("variable", "value", "field", "read"),
    [
        ("WORKERS", "7", "workers", 7),
        ("LEADER_ELECTION", "false", "leader_election", False),
        ("IMAGE_PULL_SECRETS", "one, two,,", "image_pull_secrets", ("one", "two")),
        ("IMAGE_PULL_SECRETS", "", "image_pull_secrets", ()),
        ("ALLOWED_ADDRESS_RANGES", "10.0.0.0/8,fd00::/8", "allowed_address_ranges", ("10.0.0.0/8", "fd00::/8")),
        ("ALLOWED_HOST_SUFFIXES", ".demo.svc", "allowed_host_suffixes", (".demo.svc",)),
        ("VAULT_PEERS", PEERS, "vault_peers", ({"namespaceSelector": {"matchLabels": {"a": "b"}}},)),
        ("VAULT_PEERS", "", "vault_peers", ()),
        ("DATABASE_PEERS", PEERS, "database_peers", ({"namespaceSelector": {"matchLabels": {"a": "b"}}},)),
    ],
)
def test_a_variable_is_read(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, field: str, read: object
) -> None:
    assert getattr(from_environment(monkeypatch, **{variable: value}), field) == read


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"WORKERS": "0"}, "workers"),
        ({"FULL_WINDOW_MINUTES": "181"}, "full_window_minutes"),
        ({"LEASE_SECONDS": "1"}, "lease_seconds"),
        ({"VAULT_PEERS": "{not json"}, "vault_peers"),
        ({"VAULT_ADDRESS": "https://vault.example"}, "OCEAN_VAULT_ADDRESS and OCEAN_DATABASE_HOST together"),
        ({"DATABASE_HOST": "postgres.example"}, "OCEAN_VAULT_ADDRESS and OCEAN_DATABASE_HOST together"),
    ],
)
def test_an_impossible_setting_ends_the_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str
) -> None:
    with pytest.raises(ValidationError, match=named):
        from_environment(monkeypatch, **variables)


@pytest.mark.parametrize(
    "variables",
    [
        {"VAULT_ADDRESS": "http://vault.example", "DATABASE_HOST": "postgres.example"},
        {"ALLOWED_ADDRESS_RANGES": "cluster"},
    ],
    ids=["Vault without TLS", "no range"],
)
def test_a_dangerous_or_senseless_setting_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    with pytest.raises(ValidationError):
        from_environment(monkeypatch, **variables)


def test_both_stores_make_clinics_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    ca_file = tmp_path / "ca.crt"
    ca_file.write_text("PEM")
    settings = from_environment(
        monkeypatch,
        VAULT_ADDRESS="https://vault.example:8200",
        VAULT_CA_FILE=str(ca_file),
        DATABASE_HOST="postgres.example",
        DATABASE_PORT="5433",
    )
    platform = platform_of(settings)

    assert settings.has_stores
    assert platform.has_stores
    assert platform.vault is not None
    assert platform.database is not None
    assert (platform.vault.address, platform.vault.ca_bundle) == ("https://vault.example:8200", "PEM")
    assert (platform.database.host, platform.database.port, platform.database.ca_bundle) == (
        "postgres.example",
        5433,
        "",
    )


def test_clinics_objects_are_made_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    platform = platform_of(
        from_environment(
            monkeypatch,
            IMAGE="ocean:1",
            FULL_WINDOW_MINUTES="90",
            ALLOWED_ADDRESS_RANGES="10.0.0.0/8",
            ALLOWED_HOST_SUFFIXES="demo.svc",
        )
    )

    assert (platform.image, platform.full_window_minutes, platform.has_stores) == ("ocean:1", 90, False)
    assert [str(r) for r in platform.addresses.ranges] == ["10.0.0.0/8"]
    assert platform.addresses.host_suffixes == (".demo.svc",)
