"""Kubernetes, OpenBao and PostgreSQL together, set up as the chart does it, with clinics as the operator makes them."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import requests

from integration.logins import where
from integration.sites import Site
from ocean_api import names
from ocean_dev.control_plane import ControlPlane
from ocean_dev.servers.openbao import OpenBao, Surroundings
from ocean_dev.servers.postgres import Postgres
from ocean_emr.store.migrate import MigrateSettings
from ocean_emr.vault.client import Vault

CONTROL_NAMESPACE = "ocean-system"

# What the operator writes for each site's Vault database role; its policy allows nothing else.
CREATE_LOGIN = "select ocean_login.create_login('{{name}}', '{{password}}', '{{expiration}}')"
DROP_LOGIN = "select ocean_login.drop_login('{{name}}')"
DATABASE_ROLE = {
    "db_name": names.VAULT_DATABASE_CONNECTION,
    "creation_statements": CREATE_LOGIN,
    "revocation_statements": DROP_LOGIN,
    "default_ttl": "2h",
    "max_ttl": "2h",
}

# One of our own making, in the form that Ocean asks for.
KEY = "Test-Key-{:07d}"

_numbers = itertools.count(1)


class Bao:
    """OpenBao's API under one token."""

    def __init__(self, server: OpenBao, token: str = "") -> None:
        self._server = server
        self.token = token
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(server.ca_file)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        """Whatever it answers to that."""
        kind = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
        return self._session.request(
            method,
            f"{self._server.address}/v1/{path}",
            data=None if body is None else json.dumps(body),
            headers={"X-Vault-Token": self.token, **kind},
            timeout=30,
        )

    def get(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What it answers, when it does what it is asked."""
        answer = self.ask(method, path, body)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        content: dict[str, Any] = answer.json() if answer.content else {}
        return content

    def log_in(self, role: str, jwt: str) -> Bao:
        """The API under the token that `jwt` gets."""
        answer = self.get("POST", f"auth/{names.VAULT_AUTH_MOUNT}/login", {"role": role, "jwt": jwt})
        return Bao(self._server, answer["auth"]["client_token"])


@dataclass
class Installation:
    """The three servers and what was made in them."""

    cluster: ControlPlane
    server: Postgres
    bao: OpenBao
    folder: Path
    keys: dict[str, str] = field(default_factory=dict)
    """The key of each site, by its id."""

    def prepare(self) -> None:
        """What the chart brings along: namespace and accounts."""
        self.namespace(CONTROL_NAMESPACE)
        for account in ("ocean-operator", "ocean-migrate", "ocean-gateway"):
            self.account(CONTROL_NAMESPACE, account)

    def namespace(self, name: str) -> None:
        """Make a namespace."""
        self.cluster.kubectl("create", "namespace", name)

    def account(self, namespace: str, name: str) -> None:
        """Make a service account."""
        self.cluster.kubectl("create", "serviceaccount", name, f"--namespace={namespace}")

    def token(self, namespace: str, account: str, audience: str | None = names.VAULT_AUDIENCE) -> str:
        """A token as the kubelet projects it into a pod of that account."""
        return self.cluster.service_account_token(namespace, account, audience=audience, seconds=600)

    def token_file(self, jwt: str) -> Path:
        """A file that holds it."""
        path = self.folder / secrets.token_hex(8)
        path.write_text(jwt + "\n")
        return path

    def vault(self, jwt: str, role: str = names.VAULT_SITE_ROLE) -> Vault:
        """Vault as our programs see it from a pod with that token."""
        return Vault(address=self.bao.address, ca_file=self.bao.ca_file, token_file=self.token_file(jwt), role=role)

    def migrate_settings(self) -> MigrateSettings:
        """What the migrate Job is told."""
        return MigrateSettings(
            vault_address=self.bao.address,
            vault_ca_file=self.bao.ca_file,
            database_host=self.server.host,
            database_port=self.server.port,
            database_ca_file=self.server.ca_file,
            token_file=self.token_file(self.token(CONTROL_NAMESPACE, "ocean-migrate")),
        )

    def administrator(self) -> Bao:
        """OpenBao's API with every right."""
        return Bao(self.bao, self.bao.administrator_token())

    def operator(self) -> Bao:
        """OpenBao's API as the operator reaches it."""
        jwt = self.token(CONTROL_NAMESPACE, "ocean-operator")
        return Bao(self.bao).log_in(names.VAULT_OPERATOR_ROLE, jwt)

    def operator_database(self) -> psycopg.Connection:
        """PostgreSQL as the operator reaches it: by a login from Vault."""
        answer = self.operator().get("GET", f"database/creds/{names.VAULT_OPERATOR_DATABASE_ROLE}")["data"]
        return psycopg.connect(
            where(self.server), user=answer["username"], password=answer["password"], autocommit=True
        )

    def new_site(self, *, with_key: bool = True) -> Site:
        """A clinic with everything the operator makes for it in Kubernetes, PostgreSQL and Vault."""
        number = next(_numbers)
        site = Site(f"clinic-{number}", f"site-{number}", str(number))
        self.namespace(site.namespace)
        self.account(site.namespace, names.service_account(site.name))
        with self.operator_database() as database:
            site.register(database)
        operator = self.operator()
        operator.get("POST", f"database/roles/{site.vault_role}", DATABASE_ROLE)
        if with_key:
            self.keys[site.id] = KEY.format(number)
            put_key(operator, site, self.keys[site.id])
        return site

    def site_token(self, site: Site) -> str:
        """The token in that clinic's pods."""
        return self.token(site.namespace, names.service_account(site.name))


def put_key(operator: Bao, site: Site, key: str) -> None:
    """Store a key the way the operator does: check-and-set, then what may be known about it."""
    path = names.sek_path(site.namespace, site.name)
    mount = names.VAULT_KV_MOUNT
    operator.get("POST", f"{mount}/data/{path}", {"data": {names.SEK_FIELD: key}, "options": {"cas": 0}})
    custom = {"fingerprint": fingerprint(site), "storedAt": "2026-11-23T00:00:00Z", "source": "test"}
    operator.get("PATCH", f"{mount}/metadata/{path}", {"custom_metadata": custom})


def fingerprint(site: Site) -> str:
    """A site's key's random id; here one that a test can foretell."""
    return f"fingerprint-of-{site.name}"


def surroundings(cluster: ControlPlane, server: Postgres, reviewer: str) -> Surroundings:
    """What OpenBao is told on its first start."""
    return Surroundings(
        kubernetes_host=cluster.server,
        kubernetes_ca=cluster.ca_file.read_text(),
        kubernetes_reviewer=reviewer,
        database=f"{server.host}:{server.port}",
        database_ca_file=server.ca_file,
        database_password=server.vault_password,
        control_namespace=CONTROL_NAMESPACE,
    )


def make_reviewer(cluster: ControlPlane) -> str:
    """The token with which OpenBao asks Kubernetes whether a token is good."""
    cluster.kubectl("create", "namespace", "vault")
    cluster.kubectl("create", "serviceaccount", "reviewer", "--namespace=vault")
    cluster.kubectl(
        "create",
        "clusterrolebinding",
        "vault-reviewer",
        "--clusterrole=system:auth-delegator",
        "--serviceaccount=vault:reviewer",
    )
    return cluster.service_account_token("vault", "reviewer", seconds=3_600)
