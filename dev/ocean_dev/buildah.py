"""Buildah with a store of its own, so that the machine's images and ours do not meet."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ocean_dev.commands import run, succeeds
from ocean_dev.paths import DEV

# So that what is installed during a build is checked against the authorities that this machine trusts. Not
# the folder: packages put their own certificates there.
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"

_IGNORED = DEV / "image" / "ignore"


class Buildah:
    """Images in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._locks: tuple[int, ...] = ()
        self._buildah = [
            "buildah",
            *("--root", str(folder / "root"), "--runroot", str(folder / "run")),
            *("--storage-driver", "overlay"),
        ]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other builds waiting, and clear away what one that was killed has left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._locks = (handle.fileno(),)
            try:
                self._run("rm", "--all")
                yield
            finally:
                self._locks = ()

    def run(self, *command: str | Path) -> str:
        """What `command` printed. Other builds wait until all that it started has ended, come what may."""
        return run(command, locks=self._locks)

    @property
    def busy(self) -> bool:
        """Whether a build is under way."""
        with (self.folder / "lock").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def has(self, name: str) -> bool:
        """Whether the image `name` is in the store."""
        return succeeds([*self._buildah, "inspect", "--type", "image", name])

    def build(self, file: Path, *, tag: str, context: Path, arguments: Mapping[str, str]) -> str:
        """Build `file` and return the image's id, which is another one when the image changed.

        Without namespaces of its own (`chroot`), because not every machine allows them inside another
        container; on the machine's network, because there is no other one to give it.
        """
        values = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        shared = f"{_CERTIFICATES}:{_CERTIFICATES}:ro"
        return self._run(
            *("build", "--quiet", "--layers", "--force-rm", "--pull=never"),
            *("--isolation", "chroot", "--network", "host", "--volume", shared),
            *("--ignorefile", str(_IGNORED)),
            *values,
            *("--file", str(file), "--tag", tag, str(context)),
        ).strip()

    def save(self, name: str, archive: Path) -> None:
        """Write the image `name` as a docker archive, which is whole or not there."""
        unfinished = archive.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        self._run("push", "--quiet", name, f"docker-archive:{unfinished}:{name}")
        unfinished.rename(archive)

    def load(self, archive: Path) -> None:
        """Bring in the image of a docker archive."""
        self._run("pull", "--quiet", f"docker-archive:{archive}")

    def import_tree(self, tree: Path, *, name: str, command: str) -> None:
        """Make the folder `tree` the only layer of a new image that runs `command`."""
        container = self._run("from", "scratch").strip()
        try:
            self._run("add", "--quiet", container, str(tree), "/")
            self._run("config", "--cmd", command, container)
            self._run("commit", "--quiet", container, name)
        finally:
            self._run("rm", container)

    def _run(self, *arguments: str | Path) -> str:
        return self.run(*self._buildah, *arguments)
