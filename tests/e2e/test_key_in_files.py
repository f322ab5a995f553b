"""The key is in Vault and nowhere else: every file of the cluster is searched for one that the product made.

A key that a one-shot Secret handed over would be found in etcd's history (docs/explanation/security.md); one that
was generated never was in Kubernetes at all.
"""

from __future__ import annotations

import base64
import json
import mmap
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocean_api import names
from ocean_dev import demo
from ocean_dev.cluster import PodCluster
from ocean_dev.node import NodeCluster
from ocean_dev.paths import run_dir

CLINIC = "birch-counselling"


def test_a_generated_key_is_in_no_file_of_the_cluster(node_cluster: PodCluster, shown: str) -> None:
    """Etcd's raw files, logs, images, volumes with Vault's storage and audit log, PostgreSQL's files."""
    del shown
    if not isinstance(node_cluster, NodeCluster):
        pytest.skip("The cluster is somebody else's: its files are not here.")
    key = _key_of(node_cluster, CLINIC)
    forms = _forms(key.encode())
    body = json.loads(node_cluster.kubectl("get", "oceansite", CLINIC, "-n", demo.CLINICS, "--output=json"))
    fingerprint = body["status"]["key"]["fingerprint"].encode()
    files = list(_files(run_dir()))

    assert [str(path) for path in files if _holds(path, forms)] == []
    assert any(_holds(path, [fingerprint]) for path in files if "etcd" in path.parts), "the search finds what is there"


def _key_of(cluster: PodCluster, clinic: str) -> str:
    """The clinic's key, read as its own pods do: with a token of its account."""
    account = names.service_account(clinic)
    jwt = cluster.service_account_token(demo.CLINICS, account, audience=names.VAULT_AUDIENCE)
    login = f"auth/{names.VAULT_AUTH_MOUNT}/login"
    token = _bao(cluster, f"bao write -field=token {login} role={names.VAULT_SITE_ROLE} jwt=-", jwt).strip()
    path = names.sek_path(demo.CLINICS, clinic)
    read = f"read -r VAULT_TOKEN; export VAULT_TOKEN; bao kv get -mount={names.VAULT_KV_MOUNT} -field={names.SEK_FIELD}"
    key = _bao(cluster, f"{read} {path}", token + "\n").strip()
    assert len(key) in {16, 24, 32}
    return key


def _bao(cluster: PodCluster, command: str, given: str) -> str:
    """What the client says beside its server. What must not be seen goes by standard input, not by arguments."""
    shell = ["sh", "-c", f"export BAO_CACERT=/etc/ocean/tls/ca.crt; {command}"]
    return cluster.kubectl("exec", "--stdin", "--namespace", demo.SYSTEM, "ocean-openbao-0", "--", *shell, input=given)


def _forms(secret: bytes) -> list[bytes]:
    """How it could stand in a file: as it is, in hex, and in base64 at any of the three offsets."""
    shifted = [base64.b64encode(b"\0" * n + secret)[4 if n else 0 : -4] for n in range(3)]
    return [secret, secret.hex().encode(), *shifted]


def _files(folder: Path) -> Iterator[Path]:
    """Every ordinary file below `folder` that holds something."""
    for path in folder.rglob("*"):
        try:
            status = path.lstat()
        except OSError:  # gone meanwhile, or of a process that has ended
            continue
        if stat.S_ISREG(status.st_mode) and status.st_size:
            yield path


def _holds(path: Path, forms: list[bytes]) -> bool:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(form) >= 0 for form in forms)
    except (OSError, ValueError):  # gone or emptied meanwhile, or a file of the kernel
        return False
