"""A real PostgreSQL from the Debian package, with TLS and passwords as in production."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ocean_dev.certificates import Authority
from ocean_dev.commands import run, succeeds
from ocean_dev.errors import CommandError, NotReadyError
from ocean_dev.packages import install
from ocean_dev.paths import REPOSITORY
from ocean_dev.processes import Server
from ocean_dev.servers.ports import free_port

BOOTSTRAP = REPOSITORY / "charts/ocean-operator/files/postgres/bootstrap.sql"

_ACCOUNT = "postgres"
_START_SECONDS = 60
_SHUTDOWN_SECONDS = 30


class Postgres:
    """One server. Everything it keeps is in `folder`, so it can be killed and started again."""

    superuser = "postgres"

    def __init__(self, folder: Path, *, fsync: bool = True) -> None:
        self.folder = folder
        self.password = secrets.token_urlsafe(24)
        self.vault_password = secrets.token_urlsafe(24)
        self.host = "127.0.0.1"
        self.port = free_port()
        """The port it listens on, the same after a restart."""
        self._fsync = fsync
        self._programs = _programs()
        self._server: Server | None = None
        authority = Authority.create()
        self.ca = authority.pair.certificate.decode()
        """The authority that signed the server's certificate, as PEM."""
        authority.issue("postgres", addresses=["127.0.0.1", "localhost"]).write(folder, "server")
        self.ca_file.write_text(self.ca)
        _give_away(folder)

    def conninfo(self, user: str, password: str, database: str = "ocean") -> str:
        """How libpq reaches it as `user`."""
        return (
            f"host={self.host} port={self.port} dbname={database} user={user} password={password} "
            f"sslmode=verify-full sslrootcert={self.ca_file}"
        )

    @property
    def ca_file(self) -> Path:
        """The authority that signed the server's certificate."""
        return self.folder / "ca.crt"

    @property
    def admin(self) -> str:
        """How libpq reaches Ocean's database as superuser."""
        return self.conninfo(self.superuser, self.password)

    def create(self) -> None:
        """Make an empty cluster of databases."""
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        _give_away(self.folder)
        initdb: list[str | Path] = [self._programs / "initdb", "--pgdata", self._data, "--username", self.superuser]
        how = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", f"--pwfile={password_file}"]
        run([*_as_owner(), *initdb, *how], folder=self.folder)
        password_file.unlink()
        (self._data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")

    def start(self) -> None:
        """Start it, and return when it answers. After a crash it first recovers."""
        deadline = time.monotonic() + _START_SECONDS
        self._spawn()
        while not self._answers():
            if self._server is None or not self._server.running:
                # The postmaster's children outlive a killed one for a moment and hold its memory.
                self._spawn()
            if time.monotonic() > deadline:
                raise NotReadyError(f"PostgreSQL did not start: read {self.folder / 'log'}.")
            time.sleep(0.05)

    def bootstrap(self) -> None:
        """Run Ocean's `bootstrap.sql` as superuser, the way its first lines say."""
        psql: list[str | Path] = [self._programs / "psql", "--no-psqlrc", "--quiet", "--variable=ON_ERROR_STOP=1"]
        where = ["--dbname", self.conninfo(self.superuser, self.password, "postgres")]
        environment = {"OCEAN_VAULT_DATABASE_PASSWORD": self.vault_password}
        run([*psql, *where, "--output=/dev/null", "--file", BOOTSTRAP], env=environment)

    def stop(self) -> None:
        """End it in order: clients are sent away, everything is written."""
        if self._server is not None and self._server.running:
            os.kill(self._server.pid, signal.SIGINT)
            with contextlib.suppress(TimeoutError):
                _wait_until_ended(self._server)
            self._server.stop()

    def kill(self) -> None:
        """End it as a crash would: nothing is written any more."""
        if self._server is not None:
            self._server.kill()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _spawn(self) -> None:
        settings = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
            "ssl": "on",
            "ssl_cert_file": str(self.folder / "server.crt"),
            "ssl_key_file": str(self.folder / "server.key"),
            "shared_buffers": "32MB",
        }
        if not self._fsync:
            settings["fsync"] = "off"
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command: list[str | Path] = [*_as_owner(), self._programs / "postgres", "-D", self._data, *options]
        self._server = Server("postgres", command, self.folder / "log", self.folder)

    def _answers(self) -> bool:
        ready: list[str | Path] = [
            self._programs / "pg_isready",
            "--quiet",
            "--host",
            self.host,
            "--port",
            str(self.port),
        ]
        return succeeds(ready)


@contextlib.contextmanager
def postgres(*, fsync: bool = True, parent: Path | None = None) -> Iterator[Postgres]:
    """A running server with Ocean's roles and schemas, but no tables yet.

    Args:
        fsync: Off only where nothing is to survive a crash; Ocean's own programs then refuse to work with it.
        parent: Where to keep its folder, for instance on a disk that is to fill up.
    """
    folder = Path(tempfile.mkdtemp(prefix="ocean-postgres-", dir=parent))
    try:
        server = Postgres(folder, fsync=fsync)
        server.create()
        server.start()
        try:
            server.bootstrap()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """The folder of the newest PostgreSQL's programs, installed first where there is none."""
    if not _installed():
        install(["postgresql"])
    found = _installed()
    if not found:
        raise CommandError("The Debian package postgresql brought no initdb.")
    return found[-1].parent


def _installed() -> list[Path]:
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return sorted(found, key=lambda path: int(path.parts[4]))


def _as_owner() -> Sequence[str]:
    """PostgreSQL refuses to run as root, so root hands it to the account that the package made."""
    if os.geteuid() != 0:
        return ()
    return ("setpriv", "--reuid", _ACCOUNT, "--regid", _ACCOUNT, "--init-groups", "--pdeathsig", "KILL", "--")


def _give_away(folder: Path) -> None:
    if os.geteuid() == 0:
        account = pwd.getpwnam(_ACCOUNT)
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)


def _wait_until_ended(server: Server) -> None:
    deadline = time.monotonic() + _SHUTDOWN_SECONDS
    while server.running:
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)
