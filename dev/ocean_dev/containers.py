"""containerd's store of images, from which pods start."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

from ocean_dev.commands import run, succeeds

_NAMESPACE = "k8s.io"
"""Where the kubelet looks. Source: containerd's CRI plugin."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class ContainerStore:
    """The images that pods of one containerd can use."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def ready(self) -> bool:
        """Whether containerd answers."""
        return succeeds([*self._ctr(), "version"])

    def load(self, archive: Path) -> None:
        """Bring in all images of a docker archive."""
        run([*self._ctr(), "images", "import", archive])

    def names(self) -> frozenset[str]:
        """The full names of all images."""
        return frozenset(run([*self._ctr(), "images", "list", "--quiet"]).split())

    def _ctr(self) -> list[str]:
        return ["ctr", f"--address={self._socket}", f"--namespace={_NAMESPACE}"]


def write_single_program_image(archive: Path, *, program: Path, name: str) -> None:
    """Write a docker archive of an image that holds one static program and nothing else.

    Source: Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format".
    """
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files:
        files.add(program, arcname=program.name)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    settings = {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, "w") as parts:
        for part, content in (
            ("config.json", json.dumps(settings).encode()),
            ("layer.tar", layer.getvalue()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            entry = tarfile.TarInfo(part)
            entry.size = len(content)
            parts.addfile(entry, io.BytesIO(content))
