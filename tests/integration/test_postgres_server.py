"""The server itself: what happens when it crashes, is not fit to be trusted, or ends a login."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from integration.logins import Logins, LoginSource, where
from integration.sites import Site
from ocean_dev.servers.postgres import Postgres, postgres
from ocean_emr.store import states
from ocean_emr.store.database import MUST_BE_ON, Database, Login, conninfo
from ocean_emr.store.errors import (
    DatabaseAccessRefusedError,
    DatabaseOutdatedError,
    DatabaseUnavailableError,
    DatabaseUnsafeError,
)
from ocean_emr.store.migrate import upgrade


@dataclass(frozen=True)
class Own:
    """A server of this file's own, to be treated badly."""

    server: Postgres
    logins: Logins
    site: Site

    def source(self, *, lifetime: float = 7200) -> LoginSource:
        """Logins of its site."""
        return LoginSource(self.logins, self.site.vault_role, lifetime=lifetime)

    def database(self, source: LoginSource) -> Database:
        """The site's database."""
        return Database(where(self.server), source, application="test")


@pytest.fixture(scope="module")
def own() -> Iterator[Own]:
    with postgres() as server:
        logins = Logins(server)
        upgrade(where(server), logins.new("ocean-migrate"))
        site = Site("clinic-own", "own", "1")
        with logins.connect("ocean-operator") as operator:
            site.register(operator)
        yield Own(server, logins, site)


async def _write(database: Database, site: Site, state: dict[str, int]) -> None:
    async with database.transaction() as transaction:
        await states.write(transaction, site=site.id, process="sync", state=state)


async def _read(database: Database, site: Site) -> dict[str, int] | None:
    async with database.transaction() as transaction:
        return await states.read(transaction, site=site.id, process="sync")


async def test_what_was_committed_survives_a_crash(own: Own) -> None:
    async with own.database(own.source()) as database:
        await _write(database, own.site, {"n": 1})
        with pytest.raises(DatabaseUnavailableError):  # noqa: PT012 - the block is the transaction
            async with database.transaction() as transaction:
                await states.write(transaction, site=own.site.id, process="sync", state={"n": 2})
                own.server.kill()
                while True:  # a backend outlives its postmaster for a moment
                    await transaction.execute("select 1")
        own.server.start()

        assert await _read(database, own.site) == {"n": 1}


async def test_idle_connection_that_died_is_replaced_unseen(own: Own) -> None:
    async with own.database(own.source()) as database:
        await _write(database, own.site, {"n": 3})
        own.server.kill()
        own.server.start()

        assert await _read(database, own.site) == {"n": 3}


async def test_login_that_was_dropped_is_replaced(own: Own) -> None:
    source = own.source()
    async with own.database(source) as database:
        for login in source.given:
            own.logins.drop(login)
        await _write(database, own.site, {"n": 4})

        assert await _read(database, own.site) == {"n": 4}


async def test_login_is_renewed_before_it_ends(own: Own) -> None:
    """A login of which less than half is left opens no connection any more."""
    source = own.source()
    old = Login("unused", "unused", lifetime=100, made_at=Login("", "", 1).made_at - 51)
    young = Login("unused", "unused", lifetime=100, made_at=Login("", "", 1).made_at - 49)

    assert (old.is_fresh(), young.is_fresh()) == (False, True)
    async with own.database(source) as database:
        used = {await _login_of(database) for _ in range(3)}
    assert used <= {login.user for login in source.given}


async def test_connections_end_before_their_login(own: Own) -> None:
    """With a login of one second each use comes over a connection, and under a login, that still lives."""
    source = own.source(lifetime=1)
    async with own.database(source) as database:
        while len(source.given) < 6:
            await _login_of(database)

    assert len({login.user for login in source.given}) == len(source.given)


async def _login_of(database: Database) -> str:
    async with database.transaction() as transaction:
        row = await (await transaction.execute("select session_user")).fetchone()
    assert row is not None
    user: str = row[0]
    return user


async def test_wrong_login_is_refused_and_no_server_is_unavailable(own: Own) -> None:
    async def wrong() -> Login:
        return Login("v_nobody", "secret-p0001", 60)

    with pytest.raises(DatabaseAccessRefusedError) as refused:
        async with Database(where(own.server), wrong, application="test"):
            pass
    nowhere = conninfo(host="127.0.0.1", port=1, ca_file=own.server.ca_file)
    with pytest.raises(DatabaseUnavailableError) as away:
        async with Database(nowhere, wrong, application="test"):
            pass

    assert "secret-p0001" not in str(refused.value) + str(away.value) + repr(Login("u", "secret-p0001", 1))


async def test_failure_to_get_a_login_is_told_as_it_is(own: Own) -> None:
    class VaultIsAwayError(Exception):
        pass

    async def none() -> Login:
        raise VaultIsAwayError

    with pytest.raises(VaultIsAwayError):
        async with Database(where(own.server), none, application="test"):
            pass


async def test_server_with_another_authority_is_not_talked_to(own: Own, server: Postgres) -> None:
    elsewhere = conninfo(host=own.server.host, port=own.server.port, ca_file=server.ca_file)

    with pytest.raises(DatabaseUnavailableError, match="certificate"):
        async with Database(elsewhere, own.source(), application="test"):
            pass


@pytest.mark.parametrize("setting", MUST_BE_ON)
async def test_server_that_could_lose_data_is_refused(own: Own, setting: str) -> None:
    """By the data plane, and by the migration before it would change anything."""
    login = own.logins.new("ocean-migrate")
    with psycopg.connect(own.server.admin, autocommit=True) as admin:
        admin.execute(f"alter system set {setting} = off")
        admin.execute("select pg_reload_conf()")
    try:
        _wait_for(own.server, setting, "off")
        with pytest.raises(DatabaseUnsafeError, match=setting):
            async with own.database(own.source()):
                pass
        with pytest.raises(DatabaseUnsafeError, match=setting):
            upgrade(where(own.server), login)
    finally:
        with psycopg.connect(own.server.admin, autocommit=True) as admin:
            admin.execute(f"alter system reset {setting}")
            admin.execute("select pg_reload_conf()")
        _wait_for(own.server, setting, "on")


def _wait_for(server: Postgres, setting: str, value: str) -> None:
    """Wait until new sessions begin with `setting` at `value`."""
    while True:
        with psycopg.connect(server.admin) as admin:
            row = admin.execute("select current_setting(%s)", [setting]).fetchone()
        if row == (value,):
            return


async def test_program_newer_than_the_schema_waits(own: Own) -> None:
    with pytest.raises(DatabaseOutdatedError, match="ocean-migrate"):
        async with Database(where(own.server), own.source(), application="test", schema=3):
            pass


def test_migrating_again_changes_nothing(own: Own) -> None:
    def fingerprint() -> object:
        with psycopg.connect(own.server.admin) as admin:
            return admin.execute("select count(*), max(oid), max(xmin::text::bigint) from pg_class").fetchone()

    own.server.bootstrap()
    upgrade(where(own.server), own.logins.new("ocean-migrate"))
    before = fingerprint()
    upgrade(where(own.server), own.logins.new("ocean-migrate"))

    assert fingerprint() == before


def test_three_migrations_at_once_do_no_harm() -> None:
    program = """
import sys
from ocean_emr.store.database import Login
from ocean_emr.store.errors import StoreError
from ocean_emr.store.migrate import upgrade
where, user, password = sys.argv[1:]
try:
    upgrade(where, Login(user, password, 60))
except StoreError:
    sys.exit(3)
"""
    with postgres() as server:
        logins = Logins(server)
        accounts = [logins.new("ocean-migrate") for _ in range(3)]
        running = [
            subprocess.Popen([sys.executable, "-c", program, where(server), login.user, login.password])  # noqa: S603
            for login in accounts
        ]
        statuses = [process.wait() for process in running]
        # Whoever came too late was refused as a whole, and finds everything done when it tries again.
        upgrade(where(server), logins.new("ocean-migrate"))

        assert set(statuses) <= {0, 3}
        assert 0 in statuses
        with psycopg.connect(server.admin) as admin:
            assert admin.execute("select count(*) from ocean.alembic_version").fetchone() == (1,)


def test_everything_belongs_to_the_owner(own: Own) -> None:
    """Not to the login that migrated: it is dropped within the hour."""
    with psycopg.connect(own.server.admin) as admin:
        owners = admin.execute(
            """
            select distinct pg_get_userbyid(relowner) from pg_class where relnamespace = 'ocean'::regnamespace
            union select pg_get_userbyid(proowner) from pg_proc where pronamespace = 'ocean'::regnamespace
            """
        ).fetchall()

    assert owners == [("ocean_owner",)]


def test_data_plane_loads_no_migration_tools() -> None:
    """They cost time and memory in every sync pod."""
    program = (
        "import sys; import ocean_emr.store.database, ocean_emr.store.leases, ocean_emr.store.states, "
        "ocean_emr.store.snapshots, ocean_emr.store.data_keys, ocean_emr.store.audit, ocean_emr.vault.access; "
        "sys.exit(len({'alembic', 'sqlalchemy'} & set(sys.modules)))"
    )

    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - our own words
