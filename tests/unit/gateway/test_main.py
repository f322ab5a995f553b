"""`ocean-gateway` where it cannot begin: what it says, and how it ends."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ocean_dev.certificates import Authority


def end_of(**settings: Any) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and log of a gateway with those settings."""
    environment = {
        "PATH": os.environ["PATH"],
        "OCEAN_VAULT_ADDRESS": "https://127.0.0.1:1",
        "OCEAN_DATABASE_HOST": "127.0.0.1",
        "OCEAN_LISTEN_HOST": "127.0.0.1",
        "OCEAN_LISTEN_PORT": "0",
        "OCEAN_PROBE_PORT": "0",
        **{f"OCEAN_{name}": str(value) for name, value in settings.items()},
    }
    ended = subprocess.run(
        [sys.executable, "-m", "ocean_emr.gateway.main"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return ended.returncode, [json.loads(line) for line in ended.stderr.splitlines()]


def test_wrong_settings_are_told_by_name_and_not_by_value() -> None:
    status, said = end_of(TLS_IN_FRONT="true", LISTEN_PORT="a-secret", VAULT_ADDRESS="another")

    assert status == 2
    assert [line["name"] for line in said] == ["vault_address", "listen_port"]
    assert "a-secret" not in str(said)
    assert "another" not in str(said)


def test_certificate_that_is_missing(tmp_path: Path) -> None:
    status, said = end_of(TLS_CERT_FILE=tmp_path / "tls.crt", TLS_KEY_FILE=tmp_path / "tls.key")

    assert (status, len(said)) == (1, 1)
    assert "tls.crt" in said[0]["message"]


def test_certificate_that_does_not_fit_its_key(tmp_path: Path) -> None:
    authority = Authority.create()
    authority.issue("one").write(tmp_path, "tls")
    (tmp_path / "tls.key").write_bytes(authority.issue("two").key)
    status, said = end_of(TLS_CERT_FILE=tmp_path / "tls.crt", TLS_KEY_FILE=tmp_path / "tls.key")

    assert (status, [line["level"] for line in said]) == (1, ["error"])


@pytest.mark.parametrize("setting", ["LISTEN_PORT", "PROBE_PORT"])
def test_port_that_is_taken(setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        status, said = end_of(TLS_IN_FRONT="true", **{setting: other.getsockname()[1]})

    assert status == 1
    assert "in use" in said[0]["message"]
