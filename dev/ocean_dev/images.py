"""Building images with buildah, and the archives of them that clusters load."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ocean_dev import base_image
from ocean_dev.buildah import Buildah
from ocean_dev.errors import DevError
from ocean_dev.host import unmount_below
from ocean_dev.packages import IMAGES, ensure_packages, require_root
from ocean_dev.paths import DEV, REPOSITORY, cache_dir
from ocean_dev.progress import step


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image of this repository: which file makes it and what it is called."""

    tag: str
    file: Path


ALL = (
    Recipe("ocean-operator:dev", DEV / "image" / "Dockerfile"),
    Recipe("ocean-postgres:dev", DEV / "image" / "postgres.Dockerfile"),
    Recipe("ocean-openbao:dev", DEV / "image" / "openbao.Dockerfile"),
)


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image as a docker archive."""

    tag: str
    digest: str
    """Changes when the image does."""
    archive: Path


def base() -> str:
    """The name of the Python image that the others start from, made if it is not there yet."""
    buildah = _buildah()
    with buildah.alone():
        return base_image.ensure(buildah, _archives())


def build(file: Path, tag: str) -> BuiltImage:
    """Build the image `tag` from a Dockerfile, with the repository as its context.

    Whatever did not change since the last time is taken from the cache.

    Args:
        file: The Dockerfile. Its argument `PYTHON_IMAGE` is our base image.
        tag: Name and tag of the image.

    Raises:
        DevError: This is not root, or there is no such file.
        CommandError: The build failed.
    """
    if not file.is_file():
        raise DevError(f"There is no Dockerfile {file}.")
    buildah = _buildah()
    with buildah.alone():
        python_image = base_image.ensure(buildah, _archives())
        with step(f"building the image {tag}"):
            digest = buildah.build(file, tag=tag, context=REPOSITORY, arguments={"PYTHON_IMAGE": python_image})
        if not _archive(tag).exists() or not _marker(tag).exists() or _marker(tag).read_text() != digest:
            _marker(tag).unlink(missing_ok=True)
            with step(f"writing {_archive(tag)}"):
                buildah.save(tag, _archive(tag))
            _marker(tag).write_text(digest)
    return built(tag)


def built(tag: str) -> BuiltImage:
    """The image `tag` as it was built last.

    Raises:
        DevError: It was never built.
    """
    if not _marker(tag).exists() or not _archive(tag).exists():
        raise DevError(f"The image {tag} is not built yet: python -m ocean_dev image build --tag {tag} --file …")
    return BuiltImage(tag, _marker(tag).read_text(), _archive(tag))


def tidy() -> None:
    """Clear away what a build that was killed has left: containers and mounts. Images stay."""
    if not _store().exists():
        return
    buildah = _buildah()
    if not buildah.busy:
        with buildah.alone():
            unmount_below(_store())


def _buildah() -> Buildah:
    require_root("Building images")
    ensure_packages(IMAGES)
    return Buildah(_store())


def _store() -> Path:
    return cache_dir() / "buildah"


def _archives() -> Path:
    folder = cache_dir() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _archive(tag: str) -> Path:
    return _archives() / f"{_slug(tag)}.tar"


def _marker(tag: str) -> Path:
    return _archives() / f"{_slug(tag)}.digest"


def _slug(tag: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "_", tag)
