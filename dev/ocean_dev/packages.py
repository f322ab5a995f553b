"""Debian packages that the local cluster needs, installed by name when something of them is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ocean_dev.commands import SYSTEM_PATH, run
from ocean_dev.errors import DevError
from ocean_dev.progress import step

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
"""Where network plugins are: Debian's folder, then the one most others use."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package, and how to see that what it brings is there, whoever brought it."""

    name: str
    program: str
    """Looked for on the system's path, then among the network plugins."""


NODE = (
    Package("containerd", "containerd"),
    Package("runc", "runc"),
    Package("containernetworking-plugins", "ptp"),
    Package("nftables", "nft"),
    Package("iproute2", "ip"),
)
"""What a node needs beside the programs we build."""

IMAGES = (Package("buildah", "buildah"), Package("debootstrap", "debootstrap"))
"""What building images needs."""

_PATIENT = ("-o", "DPkg::Lock::Timeout=600")
"""Two test processes may come here at the same time."""
_QUIET: Mapping[str, str] = {"DEBIAN_FRONTEND": "noninteractive"}


def ensure_packages(packages: Iterable[Package]) -> None:
    """Install those of `packages` whose programs are missing; ask nothing when none is.

    Raises:
        DevError: Something is missing, and this is not root or not a Debian.
    """
    missing = sorted({package.name for package in packages if find_program(package.program) is None})
    if missing:
        install(missing)


def install(packages: Sequence[str]) -> None:
    """Install Debian packages by name.

    Raises:
        DevError: This is not root or not a Debian.
    """
    names = " ".join(packages)
    if shutil.which("apt-get", path=SYSTEM_PATH) is None:
        raise DevError(f"Missing: {names} (Debian's names). Install them with this system's package manager.")
    if os.geteuid() != 0:
        raise DevError(f"Missing Debian packages. Run as root: apt-get install --no-install-recommends {names}")
    with step(f"installing the Debian packages {names}"):
        run(["apt-get", "update", "--quiet", *_PATIENT], env=_QUIET)
        run(["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *_PATIENT, *packages], env=_QUIET)


def find_program(name: str) -> Path | None:
    """Where the system's program or network plugin `name` is, if anywhere."""
    places = ":".join([SYSTEM_PATH, *(str(folder) for folder in CNI_FOLDERS)])
    found = shutil.which(name, path=places)
    return Path(found) if found else None


def require_root(what: str) -> None:
    """Refuse `what` to anybody but root.

    Raises:
        DevError: This is not root.
    """
    if os.geteuid() != 0:
        raise DevError(f"{what} needs root: it makes network namespaces, mounts and addresses.")
