"""What the operator and Vault itself may do, and how little that is."""

from __future__ import annotations

import psycopg
import pytest

from integration.installation import CONTROL_NAMESPACE, DATABASE_ROLE, Bao, Installation, fingerprint, put_key
from integration.sites import Site
from ocean_api import names
from ocean_emr.vault.errors import VaultUnavailableError


@pytest.fixture(scope="module")
def site_a(installation: Installation) -> Site:
    return installation.new_site()


@pytest.fixture(scope="module")
def site_b(installation: Installation) -> Site:
    return installation.new_site()


def test_operator_stores_a_key_once_and_never_sees_one(installation: Installation, site_b: Site) -> None:
    operator = installation.operator()
    path = f"ocean/data/{names.sek_path(site_b.namespace, site_b.name)}"
    replace = {"data": {"sek": "x"}, "options": {"cas": 1}}

    for method, body in (("GET", None), ("POST", replace), ("PATCH", replace), ("DELETE", None)):
        assert operator.ask(method, path, body).status_code == 403
    for path_of_destruction in ("ocean/destroy", "ocean/delete", "ocean/undelete"):
        path = f"{path_of_destruction}/{names.sek_path(site_b.namespace, site_b.name)}"
        assert operator.ask("POST", path, {"versions": [1]}).status_code == 403


@pytest.mark.parametrize("options", [{}, {"options": {}}, {"options": {"cas": 7}}])
def test_key_without_check_and_set_is_not_stored(installation: Installation, options: dict[str, object]) -> None:
    site = installation.new_site(with_key=False)
    path = f"ocean/data/{names.sek_path(site.namespace, site.name)}"

    assert installation.operator().ask("POST", path, {"data": {"sek": "x"}, **options}).status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        {"max_versions": 1},
        {"cas_required": False},
        {"delete_version_after": "1s"},
        {"custom_metadata": {"fingerprint": "f"}, "max_versions": 1},
    ],
)
def test_operator_changes_nothing_about_versions(
    installation: Installation, site_b: Site, change: dict[str, object]
) -> None:
    """Fewer versions, or a short life, would be a way to destroy a key."""
    path = f"ocean/metadata/{names.sek_path(site_b.namespace, site_b.name)}"
    operator = installation.operator()

    assert operator.ask("PATCH", path, change).status_code == 403
    assert operator.ask("POST", path, change).status_code == 403
    metadata = operator.get("GET", path)["data"]
    assert (metadata["custom_metadata"]["fingerprint"], metadata["current_version"]) == (fingerprint(site_b), 1)


@pytest.mark.parametrize(
    ("role", "change"),
    [
        pytest.param("a.ocean-site-b", {"creation_statements": "create role x superuser"}, id="statement"),
        pytest.param(
            "a.ocean-site-b",
            {"creation_statements": [DATABASE_ROLE["creation_statements"], "select 1"]},
            id="two statements",
        ),
        pytest.param(
            "a.ocean-site-b",
            {"creation_statements": f"{DATABASE_ROLE['creation_statements']}; select 1"},
            id="appended",
        ),
        pytest.param("a.ocean-site-b", {"revocation_statements": "drop role ocean_owner"}, id="revocation"),
        pytest.param("a.ocean-site-b", {"renew_statements": "select 1"}, id="renewal"),
        pytest.param("a.ocean-site-b", {"rollback_statements": "select 1"}, id="rollback"),
        pytest.param("a.ocean-site-b", {"max_ttl": "24h"}, id="life"),
        pytest.param("a.ocean-site-b", {"db_name": "other"}, id="database"),
        pytest.param(names.VAULT_OPERATOR_DATABASE_ROLE, {}, id="its own role"),
        pytest.param(names.VAULT_MIGRATE_ROLE, {}, id="the migration's role"),
    ],
)
def test_operator_makes_no_other_database_roles(
    installation: Installation, role: str, change: dict[str, object]
) -> None:
    """A statement of its own would run with Vault's rights, for everybody who asks for a login."""
    answer = installation.operator().ask("POST", f"database/roles/{role}", {**DATABASE_ROLE, **change})

    assert answer.status_code == 403


def test_operator_uses_no_login_but_its_own(installation: Installation, site_a: Site) -> None:
    operator = installation.operator()
    for role in (site_a.vault_role, names.VAULT_MIGRATE_ROLE):
        assert operator.ask("GET", f"database/creds/{role}").status_code == 403
    for method, path, body in (
        ("POST", "sys/policies/acl/mine", {"policy": ""}),
        ("POST", "auth/kubernetes/role/mine", {}),
        ("GET", "database/config/ocean", None),
        ("POST", "database/rotate-root/ocean", {}),
        ("POST", "auth/token/create", {}),
        ("LIST", "ocean/metadata/sites", None),
    ):
        assert operator.ask(method, path, body).status_code == 403


@pytest.mark.parametrize("account", ["ocean-operator", "ocean-migrate"])
def test_an_account_of_the_control_plane_cannot_pose_as_a_site(installation: Installation, account: str) -> None:
    """Nor can a site called `operator` get the operator's rights: no site's account is named like these."""
    login = {"role": names.VAULT_SITE_ROLE, "jwt": installation.token(CONTROL_NAMESPACE, account)}
    answer = Bao(installation.bao).ask("POST", f"auth/{names.VAULT_AUTH_MOUNT}/login", login)

    assert answer.status_code == 403
    assert names.service_account(account.removeprefix("ocean-")) != account


def test_operator_reads_the_canary(installation: Installation) -> None:
    assert installation.operator().get("GET", "ocean/data/canary")["data"]["data"] == {"canary": "alive"}


def test_deleted_key_can_be_handed_over_anew(installation: Installation) -> None:
    """`deletionPolicy: Delete`, and the site comes back."""
    site = installation.new_site()
    operator = installation.operator()
    operator.get("DELETE", f"ocean/metadata/{names.sek_path(site.namespace, site.name)}")
    put_key(operator, site, "Test-Key-again-1")

    answer = Bao(installation.bao).log_in(names.VAULT_SITE_ROLE, installation.site_token(site))
    data = answer.get("GET", f"ocean/data/{names.sek_path(site.namespace, site.name)}")["data"]
    assert data["data"] == {"sek": "Test-Key-again-1"}


async def test_retired_site_gets_no_login(installation: Installation) -> None:
    site = installation.new_site()
    async with installation.vault(installation.site_token(site)) as vault:
        login = await vault.database_login(site.vault_role)
        with installation.operator_database() as operator:
            site.retire(operator, forget=False)

        with pytest.raises(VaultUnavailableError):
            await vault.database_login(site.vault_role)
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(installation.server.conninfo(login.user, login.password))


async def test_vaults_password_can_be_replaced_by_one_that_nobody_knows(
    installation: Installation, site_a: Site
) -> None:
    """A step for production: afterwards the first password, which a person chose, opens nothing."""
    installation.administrator().get("POST", "database/rotate-root/ocean", {})

    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(installation.server.conninfo("ocean_vault", installation.server.vault_password))
    async with installation.vault(installation.site_token(site_a)) as vault:
        assert (await vault.database_login(site_a.vault_role)).user
