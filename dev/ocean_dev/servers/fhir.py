"""A real FHIR R4 server for tests: built once by Maven, then started on a free loopback port."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from ocean_dev.api_client import wait_until
from ocean_dev.commands import run
from ocean_dev.packages import Package, ensure_packages
from ocean_dev.paths import DEV, cache_dir
from ocean_dev.processes import Server
from ocean_dev.progress import step

_SOURCES = DEV / "fhir-server"
_READY_SECONDS = 180

_NEEDED = (
    Package("default-jdk-headless", "java"),
    Package("default-jdk-headless", "javac"),
    Package("maven", "mvn"),
)

_JVM = (
    "-Xmx700m",
    # A server that lives for one test run is not worth the optimising compiler.
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    # The class archive names hundreds of classes that it leaves out; only errors are of interest.
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
)


class FhirServer:
    """A running FHIR R4 server with an empty database. Made by `start`; a context manager that stops it.

    It asks nobody for a password: put a gateway in front of it to try logins.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.base_url = ""
        """Where its resources are, without a slash at the end."""

    @classmethod
    def start(cls, workdir: Path) -> Self:
        """Start one and return when it takes requests; built first where the cache lacks it.

        Args:
            workdir: Where its log goes.

        Raises:
            DevError: It could not be built.
            NotReadyError: It did not start; its log says why.
        """
        workdir.mkdir(parents=True, exist_ok=True)
        folder = built()
        command: list[str | Path] = ["java", *_JVM, f"-XX:SharedArchiveFile={_archive(folder)}", "-jar", _jar(folder)]
        made = cls(Server("fhir", command, workdir / "fhir.log", workdir))
        try:
            made._wait_ready()
        except BaseException:
            made.stop()
            raise
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._server.pid

    def stop(self) -> None:
        """End it at once; its database is gone. May be called again."""
        self._server.kill()

    def _wait_ready(self) -> None:
        def ready() -> bool:
            found = re.search(r"^READY (\S+)$", self._server.log.read_text(errors="replace"), re.MULTILINE)
            self.base_url = found[1] if found else ""
            return bool(found)

        def given_up() -> str | None:
            return None if self._server.running else self._server.last_words()

        wait_until(ready, what="the FHIR server", seconds=_READY_SECONDS, given_up=given_up)


def built() -> Path:
    """The folder with the server's jar, its libraries and its class archive; made where the cache lacks it.

    Raises:
        DevError: Java or Maven is missing and cannot be installed, or the build failed.
    """
    folder = cache_dir() / f"fhir-{_key()}"
    finished = folder / "finished"
    if finished.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        # Two test runs that begin at once build it once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            _build(folder)
            finished.touch()
    return folder


def _build(folder: Path) -> None:
    ensure_packages(package for package in _NEEDED if not shutil.which(package.program))
    # Not built elsewhere and renamed: the class archive only fits the path it was made for.
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(_SOURCES, folder, ignore=shutil.ignore_patterns("target"))
    with step("building the FHIR server"):
        run(["mvn", "--quiet", "--batch-mode", "package"], folder=folder)
    with step("archiving the FHIR server's classes, which halves its start"):
        run(
            ["java", *_JVM, f"-XX:ArchiveClassesAtExit={_archive(folder)}", "-jar", _jar(folder), "once"], folder=folder
        )


def _jar(folder: Path) -> Path:
    return folder / "target" / "ocean-fhir-server.jar"


def _archive(folder: Path) -> Path:
    return folder / "target" / "classes.jsa"


def _key() -> str:
    """Changes with everything that decides what is built."""
    digest = hashlib.sha256()
    for source in sorted([_SOURCES / "pom.xml", *_SOURCES.glob("src/**/*")]):
        if source.is_file():
            digest.update(str(source.relative_to(_SOURCES)).encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
