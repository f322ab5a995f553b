"""The image that ours start from where none can be pulled: Debian with Python, made from its packages.

In production the Dockerfile's default, an official Python image, is in its place.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from ocean_dev.buildah import Buildah
from ocean_dev.host import remove_tree, unmount_below
from ocean_dev.progress import step

_SUITE = "bookworm"
_PACKAGES = ("python3-minimal", "python3-venv", "ca-certificates", "tzdata")

_NOT_NEEDED = (
    *("usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man", "usr/share/lintian"),
    *("var/cache/apt", "var/lib/apt/lists", "var/cache/debconf", "var/log"),
)
"""Folders that are emptied: they are half of the size."""


def ensure(buildah: Buildah, archives: Path) -> str:
    """The base image's name in the store of `buildah`; made, or loaded from `archives`, if it is not there."""
    recipe = repr((_SUITE, _PACKAGES, _NOT_NEEDED))
    name = f"localhost/ocean-base:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if buildah.has(name):
        return name
    archive = archives / f"{name.rpartition('/')[2].replace(':', '_')}.tar"
    if not archive.exists():
        with step("making the base image from Debian packages"):
            _make(buildah, name, archive)
    else:
        buildah.load(archive)
    return name


def _make(buildah: Buildah, name: str, archive: Path) -> None:
    tree = buildah.folder / "tree"
    # One that was killed leaves file systems of the running kernel mounted in its tree.
    unmount_below(tree)
    remove_tree(tree)
    buildah.run("debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", _SUITE, tree)
    for folder in _NOT_NEEDED:
        for content in (tree / folder).iterdir():
            shutil.rmtree(content) if content.is_dir() and not content.is_symlink() else content.unlink()
    buildah.import_tree(tree, name=name, command="python3")
    buildah.save(name, archive)
    remove_tree(tree)
