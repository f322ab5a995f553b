"""The cluster's programs, built from Go modules and kept in the cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ocean_dev.errors import CommandError
from ocean_dev.paths import DEV, cache_dir
from ocean_dev.progress import say, step
from ocean_dev.toolchain import go

MODULES = DEV / "cluster"

_ENVIRONMENT = {
    "GOFLAGS": "-mod=readonly",
    # Static programs: no C compiler is needed, and `pause` runs in an image that holds nothing else.
    "CGO_ENABLED": "0",
    # A Go that is too old was already replaced; without this it would fetch a newer one unseen.
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}


@dataclass(frozen=True, slots=True)
class Program:
    """One program and where its source is."""

    name: str
    module: str
    """Folder of the Go module, below `dev/cluster`."""
    package: str


_KUBERNETES = "k8s.io/kubernetes/cmd/"

PROGRAMS: Mapping[str, Program] = {
    program.name: program
    for program in (
        Program("etcd", "kubernetes", "go.etcd.io/etcd/server/v3"),
        Program("kube-apiserver", "kubernetes", _KUBERNETES + "kube-apiserver"),
        Program("kube-controller-manager", "kubernetes", _KUBERNETES + "kube-controller-manager"),
        Program("kubectl", "kubernetes", _KUBERNETES + "kubectl"),
        Program("kube-scheduler", "kubernetes", _KUBERNETES + "kube-scheduler"),
        Program("kubelet", "kubernetes", _KUBERNETES + "kubelet"),
        Program("kube-proxy", "kubernetes", _KUBERNETES + "kube-proxy"),
        Program("coredns", "dns", "."),
        Program("pause", "pause", "."),
        Program("helm", "helm", "helm.sh/helm/v4/cmd/helm"),
    )
}

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
NODE = (*CONTROL_PLANE, "kube-scheduler", "kubelet", "kube-proxy", "coredns", "pause", "helm")


def programs(names: Iterable[str]) -> dict[str, Path]:
    """The programs `names`, building those that are missing.

    What lies in the folder that `KUBEBUILDER_ASSETS` names is used as it is.
    """
    return {name: _prebuilt(name) or _built(PROGRAMS[name]) for name in names}


def program(name: str) -> Path:
    """One program, as `programs` gives it."""
    return programs([name])[name]


def _prebuilt(name: str) -> Path | None:
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    path = Path(folder) / name if folder else None
    return path if path and os.access(path, os.X_OK) else None


def _built(wanted: Program) -> Path:
    path = cache_dir() / f"bin-{wanted.module}-{_key(wanted.module)}" / wanted.name
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(path.parent / ".lock"):
        if not path.exists():
            _build(wanted, path)
    return path


def _build(wanted: Program, path: Path) -> None:
    count = 0

    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        unfinished = Path(temporary) / wanted.name
        command = [
            *(str(go()), "build", "-v", "-trimpath", "-buildvcs=false"),
            *("-ldflags", _link_flags(wanted.module), "-o", str(unfinished), wanted.package),
        ]
        with step(f"building {wanted.name}", lambda: f"{count} packages compiled"):
            process = subprocess.Popen(
                command,
                cwd=MODULES / wanted.module,
                env={**os.environ, **_ENVIRONMENT},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            said: list[str] = []
            with process:
                for line in process.stderr or ():
                    said.append(line)
                    count += 1
        if process.returncode:
            raise CommandError(f"Building {wanted.name} failed:\n{''.join(said[-30:])}")
        unfinished.rename(path)


def _key(module: str) -> str:
    """Changes with everything that decides what is built."""
    digest = hashlib.sha256(f"{platform.machine()}\0{_link_flags(module)}\0".encode())
    for source in sorted((MODULES / module).glob("go.*")) + sorted((MODULES / module).glob("*.go")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _link_flags(module: str) -> str:
    """Flags for the linker: no debug symbols, and for Kubernetes the version it says it is.

    A module build knows no version by itself, and Helm refuses a server without one.
    """
    flags = ["-s", "-w"]
    found = re.search(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)", (MODULES / module / "go.mod").read_text())
    if found:
        values = {"gitVersion": found[1], "gitMajor": found[2], "gitMinor": found[3]}
        for name, value in values.items():
            flags += ["-X", f"k8s.io/component-base/version.{name}={value}"]
    return " ".join(flags)


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Hold `lock`: two test runs that begin at once build everything once."""
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is building the same: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
