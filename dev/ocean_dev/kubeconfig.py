"""Kubeconfig files of a local cluster."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from ocean_dev.certificates import KeyPair, write_private


def kubeconfig(*, server: str, authority: bytes, user: KeyPair) -> str:
    """The text of a kubeconfig with one context that holds everything it needs.

    Args:
        server: URL of the API server.
        authority: The cluster's authority, as PEM.
        user: The client certificate to show.
    """
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "local",
                    "cluster": {"server": server, "certificate-authority-data": _encoded(authority)},
                }
            ],
            "users": [
                {
                    "name": "local",
                    "user": {
                        "client-certificate-data": _encoded(user.certificate),
                        "client-key-data": _encoded(user.key),
                    },
                }
            ],
            "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local"}}],
            "current-context": "local",
        }
    )


def write_kubeconfig(path: Path, *, server: str, authority: bytes, user: KeyPair) -> Path:
    """Write such a file, readable by its owner only, and return `path`."""
    write_private(path, kubeconfig(server=server, authority=authority, user=user).encode())
    return path


def _encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
