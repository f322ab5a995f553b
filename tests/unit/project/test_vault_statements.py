"""The operator may put only these statements into a role of Vault's, so they must be the ones it puts there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ocean_api import names
from ocean_operator import vault


@pytest.fixture(scope="module")
def policy(root: Path) -> str:
    """The file that OpenBao initialises itself with."""
    return (root / "charts/ocean-operator/files/openbao/initialize.hcl").read_text()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("creation_statements", vault.CREATION_STATEMENT),
        ("revocation_statements", vault.REVOCATION_STATEMENT),
        ("default_ttl", vault._LOGIN_LIFE),
        ("max_ttl", vault._LOGIN_LIFE),
        ("db_name", names.VAULT_DATABASE_CONNECTION),
    ],
)
def test_a_role_that_the_operator_writes_is_one_that_its_policy_allows(policy: str, parameter: str, value: str) -> None:
    (allowed,) = re.findall(rf'^\s*"{parameter}"\s*=\s*\["(.*)"\]$', policy, re.MULTILINE)

    assert allowed == value


@pytest.mark.parametrize("parameter", ["creation_statements", "revocation_statements"])
def test_the_installations_own_roles_run_the_same_statements(policy: str, parameter: str) -> None:
    values = set(re.findall(rf'^\s*{parameter}\s*=\s*"(.*)"$', policy, re.MULTILINE))

    assert values == {getattr(vault, parameter.upper().removesuffix("S"))}


@pytest.mark.parametrize(
    "path",
    [
        f"auth/{names.VAULT_AUTH_MOUNT}/role/{names.VAULT_SITE_ROLE}",
        f"auth/{names.VAULT_AUTH_MOUNT}/role/{names.VAULT_OPERATOR_ROLE}",
        f"auth/{names.VAULT_AUTH_MOUNT}/role/{names.VAULT_MIGRATE_ROLE}",
        f"{names.VAULT_DATABASE_MOUNT}/config/{names.VAULT_DATABASE_CONNECTION}",
        f"{names.VAULT_DATABASE_MOUNT}/roles/{names.VAULT_OPERATOR_DATABASE_ROLE}",
        f"sys/mounts/{names.VAULT_KV_MOUNT}",
        f"sys/mounts/{names.VAULT_DATABASE_MOUNT}",
    ],
)
def test_what_the_code_calls_by_name_is_made_under_that_name(policy: str, path: str) -> None:
    assert re.search(rf'^\s*path\s*=\s*"{re.escape(path)}"$', policy, re.MULTILINE)


def test_the_sites_policy_opens_what_the_code_reads(policy: str) -> None:
    """With the service account's namespace and name in the places where Vault puts them."""
    metadata = "{{identity.entity.aliases.ACCESSOR.metadata.service_account_%s}}"
    namespace, account = metadata % "namespace", metadata % "name"
    site = ("SPACE", "SITE")

    def templated(path: str) -> str:
        return path.replace(names.service_account("SITE"), account).replace("SPACE", namespace)

    assert f'path "{names.VAULT_KV_MOUNT}/data/{templated(names.sek_path(*site))}"' in policy
    assert f'path "{names.VAULT_DATABASE_MOUNT}/creds/{templated(names.vault_database_role(*site))}"' in policy
    assert f'audience                         = "{names.VAULT_AUDIENCE}"' in policy


def test_the_operator_can_never_read_a_key(policy: str) -> None:
    (keys,) = re.findall(r'path "ocean/data/sites/\+/\+/sek" \{\s*capabilities = \[(.*)\]', policy)

    assert keys == '"create"'
