"""People with Vault tokens of their own, and what they see when they give a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from integration.installation import Installation
from integration.sites import Site
from ocean_api.settings import DatabaseAccess, SiteSettings, VaultAccess
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_dev.paths import REPOSITORY
from ocean_emr.messages.desk import place_of
from ocean_emr.messages.keyring import Keyring
from ocean_emr.vault.access import site_access

POLICIES = REPOSITORY / "examples" / "vault"
PASSWORD = "only-for-tests"


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed for a script."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Someone:
    """A person who is logged in at Vault."""

    installation: Installation
    name: str
    token: str

    def oceanctl(self, *args: str, stdin: str = "", **environment: str) -> Ended:
        """Give the command `oceanctl messages`."""
        bao, server = self.installation.bao, self.installation.server
        env = {
            "PATH": os.environ["PATH"],
            "COLUMNS": "200",
            "VAULT_ADDR": bao.address,
            "VAULT_CACERT": str(bao.ca_file),
            "VAULT_TOKEN": self.token,
            "OCEAN_DATABASE_HOST": server.host,
            "OCEAN_DATABASE_PORT": str(server.port),
            "OCEAN_DATABASE_CA_FILE": str(server.ca_file),
            **environment,
        }
        command = [sys.executable, "-m", "ocean_operator.cli.main", "messages", *args]
        ended = subprocess.run(  # noqa: S603 - our own program
            command, env=env, input=stdin, capture_output=True, text=True, check=False, timeout=120
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)


def log_in(installation: Installation, name: str, site: Site, *policies: str) -> Someone:
    """Make a user with these policies, filled in as their first lines say, and log in as that user."""
    administrator = installation.administrator()
    if "userpass/" not in administrator.get("GET", "sys/auth")["data"]:
        administrator.get("POST", "sys/auth/userpass", {"type": "userpass"})
    given = [f"{policy}-{site.name}" for policy in policies]
    for policy, called in zip(policies, given, strict=True):
        text = (POLICIES / f"{policy}.hcl").read_text().replace("NAMESPACE", site.namespace).replace("NAME", site.name)
        administrator.get("POST", f"sys/policies/acl/{called}", {"policy": text})
    user = {"password": PASSWORD, "token_policies": given, "token_no_default_policy": True}
    administrator.get("POST", f"auth/userpass/users/{name}", user)
    answer = administrator.get("POST", f"auth/userpass/login/{name}", {"password": PASSWORD})
    return Someone(installation, name, answer["auth"]["client_token"])


async def seal(installation: Installation, site: Site, content: bytes, source_id: str) -> tuple[bytes, str]:
    """`content` sealed as the clinic's worker does it: the bytes, and the name of the key."""
    spec = OceanSiteSpec.model_validate(
        {
            "siteNumber": site.number,
            "displayName": "Clinic",
            "timeZone": "America/Toronto",
            "contacts": {"siteCreator": "p0001@clinic.example"},
            "ocean": {"credentialsSecret": "ocean"},
            "emr": {"type": "None"},
            "key": {"source": "Generate"},
        }
    )
    bao, server = installation.bao, installation.server
    settings = SiteSettings(
        namespace=site.namespace,
        name=site.name,
        spec=spec,
        vault=VaultAccess(address=bao.address, ca_bundle=bao.ca),
        database=DatabaseAccess(host=server.host, port=server.port, ca_bundle=server.ca),
    )
    token = installation.token_file(installation.site_token(site))
    async with site_access(settings, application="test", token_file=token) as access:
        sealed = await Keyring(access).seal(content, place_of(site.id, source_id, 1))
    return sealed.data, sealed.key


def reads_of(log: Path, path: str) -> list[tuple[str, str]]:
    """Vault's name of each who read `path`, and when, by its audit log."""
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    return [
        (e["auth"].get("display_name", ""), e["time"])
        for e in entries
        if e["type"] == "response" and e["request"]["path"] == path and e["request"]["operation"] == "read"
    ]


def records(installation: Installation, site: Site) -> list[tuple[str, str, dict[str, Any], str, str]]:
    """Actor, action, what, outcome and time of everything that people did, by the clinic's audit, oldest first."""
    with psycopg.connect(installation.server.admin) as admin:
        rows = admin.execute(
            "select actor, action, what, outcome, to_char(at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.USZ')"
            " from ocean.audit where site = %s and actor like 'person:%%' order by seq",
            [site.id],
        ).fetchall()
    return [(actor, action, what, outcome, at) for actor, action, what, outcome, at in rows]
