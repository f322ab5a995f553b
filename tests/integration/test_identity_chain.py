"""From a pod's token to its site's key and rows: all of it real, and every way round it tried."""

from __future__ import annotations

import base64
import json
import os
import random
import time
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from psycopg.errors import InsufficientPrivilege

from integration.installation import DATABASE_ROLE, Bao, Installation, fingerprint
from integration.sites import Site
from ocean_api import names
from ocean_api.settings import DatabaseAccess, SiteSettings, VaultAccess
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_emr.store import states
from ocean_emr.vault.access import site_access
from ocean_emr.vault.client import Vault
from ocean_emr.vault.errors import KeyMissingError, VaultAccessRefusedError, VaultUnavailableError

# What the clinic wants plays no part in this file.
SPEC = OceanSiteSpec.model_validate(
    {
        "siteNumber": "1",
        "displayName": "Clinic",
        "timeZone": "America/Toronto",
        "contacts": {"clinicalAdministrators": ["p0001@clinic.example"]},
        "ocean": {"credentialsSecret": "ocean"},
        "emr": {"type": "None"},
        "key": {"source": "Generate"},
    }
)


@pytest.fixture(scope="module")
def site_a(installation: Installation) -> Site:
    return installation.new_site()


@pytest.fixture(scope="module")
def site_b(installation: Installation) -> Site:
    return installation.new_site()


def _settings(installation: Installation, site: Site) -> SiteSettings:
    return SiteSettings(
        namespace=site.namespace,
        name=site.name,
        spec=SPEC,
        vault=VaultAccess(address=installation.bao.address, ca_bundle=installation.bao.ca),
        database=DatabaseAccess(
            host=installation.server.host, port=installation.server.port, ca_bundle=installation.server.ca
        ),
    )


async def test_pod_gets_its_key_and_its_rows(installation: Installation, site_a: Site) -> None:
    """The whole chain, by the function that the programs in the pods call."""
    token = installation.token_file(installation.site_token(site_a))
    async with site_access(_settings(installation, site_a), application="test", token_file=token) as access:
        stored = await access.key()
        async with access.database.transaction() as transaction:
            await states.write(transaction, site=access.site, process="sync", state={"running": True})

    assert (stored.key.reveal(), stored.fingerprint, stored.version) == (
        installation.keys[site_a.id],
        fingerprint(site_a),
        1,
    )
    assert installation.keys[site_a.id] not in repr(stored)
    with installation.operator_database() as operator:
        seen = operator.execute("select state from ocean.site_state where site = %s", [site_a.id]).fetchall()
    assert seen == [({"running": True},)]


async def test_login_is_gone_when_the_pod_is_done(installation: Installation, site_a: Site) -> None:
    token = installation.token_file(installation.site_token(site_a))
    settings = _settings(installation, site_a)
    async with (
        site_access(settings, application="test", token_file=token) as access,
        access.database.transaction() as transaction,
    ):
        row = await (await transaction.execute("select session_user")).fetchone()
    assert row is not None

    with psycopg.connect(installation.server.admin) as admin:
        assert admin.execute("select to_regrole(%s)", [f'"{row[0]}"']).fetchone() == (None,)


async def test_environment_opens_nothing(
    installation: Installation, site_a: Site, site_b: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The library looks for tokens, addresses and proxies where a pod's author may have left some."""
    (tmp_path / ".vault-token").write_text(installation.bao.administrator_token())
    for name, value in {
        "HOME": str(tmp_path),
        "VAULT_TOKEN": installation.bao.administrator_token(),
        "VAULT_ADDR": "https://127.0.0.1:1",
        "VAULT_NAMESPACE": "elsewhere",
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "REQUESTS_CA_BUNDLE": os.devnull,
    }.items():
        monkeypatch.setenv(name, value)
    async with installation.vault(installation.site_token(site_a)) as vault:
        assert (await vault.site_key(site_a.namespace, site_a.name)).fingerprint == fingerprint(site_a)
        with pytest.raises(VaultAccessRefusedError):
            await vault.site_key(site_b.namespace, site_b.name)


async def test_other_sites_key_and_login_are_refused(installation: Installation, site_a: Site, site_b: Site) -> None:
    async with installation.vault(installation.site_token(site_a)) as vault:
        with pytest.raises(VaultAccessRefusedError) as key:
            await vault.site_key(site_b.namespace, site_b.name)
        with pytest.raises(VaultAccessRefusedError):
            await vault.database_login(site_b.vault_role)

    assert key.value.reason == "VaultAccessRefused"


async def test_same_site_name_in_another_namespace_is_another_site(installation: Installation, site_a: Site) -> None:
    installation.namespace("lookalike")
    installation.account("lookalike", names.service_account(site_a.name))
    token = installation.token("lookalike", names.service_account(site_a.name))

    async with installation.vault(token) as vault:
        with pytest.raises(VaultAccessRefusedError):
            await vault.site_key(site_a.namespace, site_a.name)
        with pytest.raises(KeyMissingError):
            await vault.site_key("lookalike", site_a.name)


@pytest.mark.parametrize("account", ["default", "ocean-other", "other"])
async def test_other_account_in_the_sites_namespace_is_refused(
    installation: Installation, site_a: Site, account: str
) -> None:
    if account != "default":
        installation.account(site_a.namespace, account)
    async with installation.vault(installation.token(site_a.namespace, account)) as vault:
        with pytest.raises(VaultAccessRefusedError):
            await vault.site_key(site_a.namespace, site_a.name)


@pytest.mark.parametrize("audience", [None, "vault", "https://kubernetes.default.svc"])
async def test_token_for_another_audience_is_refused(
    installation: Installation, site_a: Site, audience: str | None
) -> None:
    token = installation.token(site_a.namespace, names.service_account(site_a.name), audience)
    async with installation.vault(token) as vault:
        with pytest.raises(VaultAccessRefusedError):
            await vault.site_key(site_a.namespace, site_a.name)


@pytest.mark.parametrize("role", [names.VAULT_OPERATOR_ROLE, names.VAULT_MIGRATE_ROLE, "administrator", "no-such-role"])
async def test_site_gets_no_other_role(installation: Installation, site_a: Site, role: str) -> None:
    async with installation.vault(installation.site_token(site_a), role) as vault:
        with pytest.raises(VaultAccessRefusedError):
            await vault.site_key(site_a.namespace, site_a.name)


def _signed(claims: dict[str, object], key: rsa.RSAPrivateKey, like: str) -> str:
    """A token with the header of `like`, other claims, and a proper signature."""
    header = like.split(".", maxsplit=1)[0]
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    signature = key.sign(f"{header}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{header}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _claims(token: str) -> dict[str, object]:
    body = token.split(".")[1]
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def _cluster_key(installation: Installation) -> rsa.RSAPrivateKey:
    (path,) = installation.cluster.kubeconfig.parent.rglob("service-accounts.key")
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


async def test_only_a_living_token_with_the_clusters_signature_is_accepted(
    installation: Installation, site_a: Site
) -> None:
    """The first proves that the tokens made here are like real ones; the others differ in one thing each."""
    real = installation.site_token(site_a)
    claims = _claims(real)
    now = int(time.time())
    expired = {"iat": now - 1_200, "nbf": now - 1_200, "exp": now - 600}
    stranger = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    key = _cluster_key(installation)
    header, body, signature = real.split(".")

    async with installation.vault(_signed(claims, key, real)) as vault:
        assert (await vault.site_key(site_a.namespace, site_a.name)).version == 1
    for bad in (
        _signed(claims | expired, key, real),
        _signed(claims, stranger, real),
        f"{header}.{body}.",
        f"{header}.{body}.{signature[:-8]}AAAAAAAA",
        "nonsense",
        "",
    ):
        async with installation.vault(bad) as vault:
            with pytest.raises(VaultAccessRefusedError):
                await vault.site_key(site_a.namespace, site_a.name)


async def test_token_of_a_deleted_account_is_refused(installation: Installation) -> None:
    """Also when an account of the same name has come in its place."""
    site = installation.new_site()
    token = installation.site_token(site)
    account = names.service_account(site.name)
    for make_again in (False, True):
        installation.cluster.kubectl(
            "delete", "serviceaccount", account, f"--namespace={site.namespace}", "--ignore-not-found"
        )
        if make_again:
            installation.account(site.namespace, account)
        async with installation.vault(token) as vault:
            with pytest.raises(VaultAccessRefusedError):
                await vault.site_key(site.namespace, site.name)


async def test_missing_key_and_missing_token_file_are_told_apart(installation: Installation, tmp_path: Path) -> None:
    site = installation.new_site(with_key=False)
    async with installation.vault(installation.site_token(site)) as vault:
        with pytest.raises(KeyMissingError):
            await vault.site_key(site.namespace, site.name)
    nowhere = Vault(
        address=installation.bao.address,
        ca_file=installation.bao.ca_file,
        token_file=tmp_path / "none",
        role=names.VAULT_SITE_ROLE,
    )
    async with nowhere:
        with pytest.raises(VaultAccessRefusedError, match="no service-account token"):
            await nowhere.site_key(site.namespace, site.name)


async def test_vault_that_is_away_or_not_itself_is_unavailable(installation: Installation, site_a: Site) -> None:
    token = installation.token_file(installation.site_token(site_a))
    for address, authority in (
        ("https://127.0.0.1:1", installation.bao.ca_file),
        (installation.bao.address, installation.server.ca_file),
    ):
        vault = Vault(address=address, ca_file=authority, token_file=token, role=names.VAULT_SITE_ROLE)
        async with vault:
            with pytest.raises(VaultUnavailableError):
                await vault.site_key(site_a.namespace, site_a.name)


@pytest.fixture(scope="module")
def intruder(installation: Installation, site_a: Site) -> Bao:
    """OpenBao's API in the hands of somebody with all that a pod of site A has."""
    return Bao(installation.bao).log_in(names.VAULT_SITE_ROLE, installation.site_token(site_a))


def test_hundreds_of_attempts_across_sites_are_all_refused(
    installation: Installation, intruder: Bao, site_a: Site, site_b: Site
) -> None:
    chance = random.Random(20_261_123)  # noqa: S311 - the order of attempts
    a, b = (names.sek_path(site.namespace, site.name) for site in (site_a, site_b))
    attempts = [
        ("GET", f"ocean/data/{b}", None),
        ("GET", f"ocean/data/{a}/../../{b.removeprefix('sites/')}", None),
        ("GET", f"ocean/data//{b}", None),
        ("GET", f"ocean/data/{b}?version=1", None),
        ("GET", f"ocean/data/{b.replace('/', '%2F')}", None),
        ("GET", f"ocean/metadata/{b}", None),
        ("GET", f"ocean/metadata/{a}", None),
        ("GET", f"ocean/subkeys/{b}", None),
        ("LIST", "ocean/metadata/sites", None),
        ("LIST", f"ocean/metadata/sites/{site_b.namespace}", None),
        ("GET", "ocean/config", None),
        ("GET", "ocean/data/canary", None),
        ("POST", f"ocean/data/{a}", {"data": {"sek": "x"}, "options": {"cas": 1}}),
        ("POST", f"ocean/data/{b}", {"data": {"sek": "x"}, "options": {"cas": 1}}),
        ("PATCH", f"ocean/data/{a}", {"data": {"sek": "x"}, "options": {"cas": 1}}),
        ("DELETE", f"ocean/data/{a}", None),
        ("DELETE", f"ocean/metadata/{b}", None),
        ("POST", f"ocean/delete/{b}", {"versions": [1]}),
        ("POST", f"ocean/destroy/{b}", {"versions": [1]}),
        ("GET", f"database/creds/{site_b.vault_role}", None),
        ("GET", "database/creds/ocean-operator", None),
        ("GET", "database/creds/ocean-migrate", None),
        ("GET", f"database/roles/{site_a.vault_role}", None),
        ("POST", f"database/roles/{site_a.vault_role}", DATABASE_ROLE),
        ("POST", "database/roles/intruder", DATABASE_ROLE),
        ("GET", "database/config/ocean", None),
        ("POST", "database/rotate-root/ocean", {}),
        ("GET", "sys/policies/acl/ocean-site", None),
        ("POST", "sys/policies/acl/ocean-site", {"policy": 'path "*" { capabilities = ["read"] }'}),
        ("POST", "auth/kubernetes/role/ocean-site", {"token_policies": ["root"]}),
        ("GET", "auth/kubernetes/config", None),
        ("POST", "auth/token/create", {"policies": ["ocean-operator"]}),
        ("POST", "auth/token/create-orphan", {"policies": ["root"]}),
        ("POST", "identity/entity", {"name": "intruder", "policies": ["root"]}),
        ("GET", "identity/entity/name?list=true", None),
        ("POST", "sys/leases/lookup", {"lease_id": f"database/creds/{site_b.vault_role}"}),
        ("POST", "sys/leases/revoke", {"lease_id": f"database/creds/{site_b.vault_role}"}),
        ("GET", "sys/audit", None),
        ("GET", "sys/mounts", None),
        ("POST", "sys/seal", {}),
        ("POST", "sys/wrapping/wrap", {"a": "b"}),
    ]
    for method, path, body in [*attempts, *chance.choices(attempts, k=300)]:
        answer = intruder.ask(method, path, body)
        assert answer.status_code in {400, 403, 404, 405, 307}, f"{method} {path}: {answer.status_code}"
        assert installation.keys[site_b.id] not in answer.text


def test_what_was_refused_was_also_written_down(installation: Installation, intruder: Bao, site_b: Site) -> None:
    path = f"ocean/data/{names.sek_path(site_b.namespace, site_b.name)}"
    intruder.ask("GET", path)
    entries = [json.loads(line) for line in installation.bao.audit_log.read_text().splitlines()]
    refused = [it for it in entries if it["request"].get("path") == path and "permission denied" in it.get("error", "")]

    assert refused
    assert refused[-1]["auth"]["metadata"]["service_account_name"].startswith("ocean-site-")


async def test_no_key_or_password_is_in_any_log(installation: Installation, site_a: Site) -> None:
    async with installation.vault(installation.site_token(site_a)) as vault:
        await vault.site_key(site_a.namespace, site_a.name)
        login = await vault.database_login(site_a.vault_role)
    logs = [installation.bao.audit_log, installation.bao.folder / "log", installation.server.folder / "log"]
    text = "".join(path.read_text(errors="replace") for path in logs)

    for secret in (*installation.keys.values(), login.password, installation.server.vault_password):
        assert secret not in text


def test_key_is_in_no_file_in_clear(installation: Installation, site_a: Site) -> None:
    """Neither OpenBao's storage nor PostgreSQL's nor etcd's."""
    key = installation.keys[site_a.id].encode()
    folders = [installation.bao.folder, installation.server.folder, installation.cluster.etcd_data_dir]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]

    assert len(files) > 100
    assert [path for path in files if key in path.read_bytes()] == []


async def test_login_from_vault_reaches_its_own_rows_only(
    installation: Installation, site_a: Site, site_b: Site
) -> None:
    async with installation.vault(installation.site_token(site_a)) as vault:
        login = await vault.database_login(site_a.vault_role)
        with psycopg.connect(installation.server.conninfo(login.user, login.password), autocommit=True) as connection:
            assert connection.execute("select site from ocean.site").fetchall() == [(site_a.id,)]
            with pytest.raises(InsufficientPrivilege):
                connection.execute(
                    "insert into ocean.site_state (site, process, state) values (%s, 'sync', '{}')", [site_b.id]
                )
    assert login.lifetime == 7_200


async def test_everything_is_still_there_after_both_servers_crashed(installation: Installation, site_a: Site) -> None:
    installation.bao.kill()
    installation.server.kill()
    installation.server.start()
    installation.bao.start()

    token = installation.token_file(installation.site_token(site_a))
    async with site_access(_settings(installation, site_a), application="test", token_file=token) as access:
        stored = await access.key()
        async with access.database.transaction() as transaction:
            state = await states.read(transaction, site=site_a.id, process="sync")

    assert stored.key.reveal() == installation.keys[site_a.id]
    assert state == {"running": True}
