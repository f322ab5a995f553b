"""What OpenBao's first start leaves behind, as the chart's own files define it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from integration.installation import CREATE_LOGIN, DROP_LOGIN, Installation
from ocean_api import names
from ocean_dev.certificates import Authority
from ocean_dev.errors import NotReadyError
from ocean_dev.servers.openbao import CONFIGURATION, OpenBao, Surroundings

INITIALIZE = (CONFIGURATION / "initialize.hcl").read_text()


def test_two_audit_devices_write_everything_down(installation: Installation) -> None:
    """One in a file, one where the container's log goes."""
    devices = installation.administrator().get("GET", "sys/audit")["data"]
    last = json.loads(installation.bao.audit_log.read_text().splitlines()[-1])
    log = (installation.bao.folder / "log").read_text()

    assert {name: it["options"]["file_path"] for name, it in devices.items()} == {
        "file/": "audit/audit.log",
        "stdout/": "stdout",
    }
    assert last["request"]["id"] in log


def test_audit_devices_cannot_be_taken_away_by_api(installation: Installation) -> None:
    answer = installation.administrator().ask("DELETE", "sys/audit/file")

    assert answer.status_code == 400
    assert "file/" in installation.administrator().get("GET", "sys/audit")["data"]


def test_mounts_are_those_the_programs_ask(installation: Installation) -> None:
    administrator = installation.administrator()
    mounts = administrator.get("GET", "sys/mounts")["data"]
    methods = administrator.get("GET", "sys/auth")["data"]

    assert mounts[f"{names.VAULT_KV_MOUNT}/"]["options"] == {"version": "2"}
    assert mounts[f"{names.VAULT_DATABASE_MOUNT}/"]["type"] == "database"
    assert methods[f"{names.VAULT_AUTH_MOUNT}/"]["type"] == "kubernetes"
    assert administrator.get("GET", f"{names.VAULT_KV_MOUNT}/config")["data"]["cas_required"] is True
    connection = administrator.get("GET", f"database/config/{names.VAULT_DATABASE_CONNECTION}")["data"]
    assert "sslmode=verify-full" in connection["connection_details"]["connection_url"]


@pytest.mark.parametrize(
    ("role", "accounts", "namespaces"),
    [
        (names.VAULT_SITE_ROLE, ["ocean-site-*"], ["*"]),
        (names.VAULT_OPERATOR_ROLE, ["ocean-operator"], ["ocean-system"]),
        (names.VAULT_MIGRATE_ROLE, ["ocean-migrate"], ["ocean-system"]),
    ],
)
def test_auth_roles_are_bound_to_accounts_and_audience(
    installation: Installation, role: str, accounts: list[str], namespaces: list[str]
) -> None:
    found = installation.administrator().get("GET", f"auth/{names.VAULT_AUTH_MOUNT}/role/{role}")["data"]

    assert found["bound_service_account_names"] == accounts
    assert found["bound_service_account_namespaces"] == namespaces
    assert found["audience"] == names.VAULT_AUDIENCE
    assert (found["token_policies"], found["token_no_default_policy"]) == ([role], True)


def test_a_token_outlives_the_database_login_asked_with_it(installation: Installation) -> None:
    """Otherwise the login, which ends with its token, would end before its own time."""
    administrator = installation.administrator()

    def token(role: str) -> int:
        found = administrator.get("GET", f"auth/{names.VAULT_AUTH_MOUNT}/role/{role}")["data"]
        assert found["token_ttl"] == found["token_max_ttl"]
        seconds: int = found["token_ttl"]
        return seconds

    logins = {
        role: administrator.get("GET", f"database/roles/{role}")["data"]["max_ttl"]
        for role in (names.VAULT_OPERATOR_DATABASE_ROLE, names.VAULT_MIGRATE_ROLE)
    }
    # The pods and the migration take a new token for each login; the operator uses one for two thirds of its life.
    assert token(names.VAULT_SITE_ROLE) >= 7_200
    assert token(names.VAULT_MIGRATE_ROLE) >= logins[names.VAULT_MIGRATE_ROLE]
    assert token(names.VAULT_OPERATOR_ROLE) / 3 >= logins[names.VAULT_OPERATOR_DATABASE_ROLE]


def test_same_account_gets_its_own_policy_by_one_template(installation: Installation) -> None:
    """No policy names a clinic, and nobody needs the right to write one."""
    administrator = installation.administrator()
    policy = administrator.get("GET", f"sys/policies/acl/{names.VAULT_SITE_ROLE}")["data"]["policy"]
    accessor = administrator.get("GET", f"sys/auth/{names.VAULT_AUTH_MOUNT}")["data"]["accessor"]

    assert "ACCESSOR" not in policy
    assert set(re.findall(r"aliases\.([^.]+)\.", policy)) == {accessor}
    account = f"identity.entity.aliases.{accessor}.metadata.service_account"
    path = f"sites/{{{{{account}_namespace}}}}/{{{{{account}_name}}}}/sek"
    assert path in policy
    assert names.sek_path("n", "x") == "sites/n/ocean-site-x/sek"


def test_statements_are_the_same_wherever_they_stand() -> None:
    """In the operator's policy, and in the roles that are there from the start."""
    assert INITIALIZE.count(CREATE_LOGIN) == 4
    assert INITIALIZE.count(DROP_LOGIN) == 4


def test_root_token_is_gone(installation: Installation) -> None:
    accessors = installation.administrator().get("LIST", "auth/token/accessors")["data"]["keys"]
    policies = [
        installation.administrator().ask("POST", "auth/token/lookup-accessor", {"accessor": accessor}).json()
        for accessor in accessors
    ]

    assert [it for it in policies if "root" in it.get("data", {}).get("policies", [])] == []


@pytest.mark.parametrize(
    "name",
    [
        "OCEAN_KUBERNETES_HOST",
        "OCEAN_KUBERNETES_OUTSIDE",
        "OCEAN_CONTROL_NAMESPACE",
        "OCEAN_OPERATOR_ACCOUNT",
        "OCEAN_MIGRATE_ACCOUNT",
        "OCEAN_DATABASE_CONNECTION",
        "OCEAN_VAULT_DATABASE_PASSWORD",
    ],
)
def test_missing_value_stops_the_first_start_and_is_named(name: str, tmp_path: Path) -> None:
    """An OpenBao that started without it would look fine, and let nobody in."""
    surroundings = Surroundings(
        kubernetes_host="https://127.0.0.1:1",
        kubernetes_ca=Authority.create().pair.certificate.decode(),
        kubernetes_reviewer="",
        database="127.0.0.1:1",
        database_ca_file=tmp_path / "ca.crt",
        database_password="first",
    )
    server = OpenBao(tmp_path, surroundings)
    del server._environment[name]

    with pytest.raises(NotReadyError, match=name):
        server.start()
