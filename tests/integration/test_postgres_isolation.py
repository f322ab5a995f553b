# ruff: noqa: S608 - the SQL is of the tests' own making
"""Who can do what in PostgreSQL: every way into another clinic's rows is tried with a real login."""

from __future__ import annotations

import random

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from integration.logins import Logins, login_name
from integration.sites import Site
from ocean_dev.servers.postgres import Postgres

ROWS = {
    "site_state": "insert into ocean.site_state (site, process, state) values (%(site)s, 'sync', '{}')",
    "sync_lease": "insert into ocean.sync_lease values (%(site)s, 'p0001', 1, now())",
    "data_key": "insert into ocean.data_key (site, sek_fingerprint, envelope) values (%(site)s, 'f', 'e')",
    "snapshot": """
        insert into ocean.snapshot (site, kind, ref_digest, content_digest, body, run_id)
        values (%(site)s, 'patient', 'r', 'c', 'b', gen_random_uuid())
    """,
    "message": """
        insert into ocean.message (site, event, step, lane, kind, source_id, version, state, body, body_key)
        values (%(site)s, 1, 1, sha256('p0001'), 'note', gen_random_uuid(), 0, 'accepted', 'b', 'k')
    """,
    "webhook": "insert into ocean.webhook (site, salt, digest) values (%(site)s, sha256('s'), sha256('p0001'))",
    "chart_link": """
        insert into ocean.chart_link (site, ref_digest, body, body_key) values (%(site)s, sha256('p0001'), 'b', 'k')
    """,
    "worker_lease": "insert into ocean.worker_lease values (%(site)s, 'p0001', 1, now())",
}
CHANGES = {
    "site_state": "update ocean.site_state set state = '{\"seen\": 1}' where site = %(site)s",
    "sync_lease": "update ocean.sync_lease set epoch = 0 where site = %(site)s",
    "snapshot": "update ocean.snapshot set body = 'x' where site = %(site)s",
    "message": "update ocean.message set attempts = 7 where site = %(site)s",
    "webhook": "update ocean.webhook set updated_at = now() where site = %(site)s",
    "chart_link": "update ocean.chart_link set body = 'x' where site = %(site)s",
    "worker_lease": "update ocean.worker_lease set epoch = 0 where site = %(site)s",
}

# Each is tried by a site's login, in words that would do harm if they worked.
FORBIDDEN = [
    "set role {other}",
    "set role ocean_owner",
    "set role ocean_operator",
    "set session authorization postgres",
    "grant {other} to {me}",
    "grant ocean_owner to {me}",
    "grant pg_read_all_data to {me}",
    "grant pg_execute_server_program to {me}",
    "alter role {me} createrole",
    "alter role {me} superuser",
    "create role intruder",
    "drop role {other}",
    "select * from pg_catalog.pg_authid",
    "select ocean.ensure_site('x', 'y', 'uid', '99999')",
    "select ocean.retire_site('{namespace}', '{name}', true)",
    "select ocean.states_since(0)",
    "select ocean.audit_break('{site}')",
    "select ocean_login.create_login('x', 'y', now())",
    "select ocean_login.drop_login('x')",
    "select ocean_login.open_account('00000000000000000000', '{other}')",
    "select * from ocean_login.account",
    "select * from ocean.audit",
    "select * from ocean.audit_head",
    "insert into ocean.audit select * from ocean.audit",
    "delete from ocean.audit_head",
    "select ocean.append_audit('{site}', 'p0001', 'sync.full', '{{}}', 'done')",
    "select * from ocean.alembic_version",
    "select ocean.accept_event('1', 'x', 'y', 'z', '')",
    "select * from ocean.webhook_verifier('1')",
    "select * from ocean.queues()",
    "select ocean.retry_held('{namespace}', '{name}')",
    "delete from ocean.message",
    "truncate ocean.message",
    "update ocean.message set source_id = 'x'",
    "update ocean.message set event = 0",
    "update ocean.message set received_at = now()",
    "update ocean.message set detail = '{{}}'",
    (
        "insert into ocean.message (site, event, step, lane, kind, state, detail, event_key)"
        " values ('{site}', 1, 0, sha256('x'), 'event', 'accepted', '{{}}', 'k')"
    ),
    "alter table ocean.message disable trigger ended_is_ended",
    "select nextval('ocean.message_id_seq')",
    "delete from ocean.worker_lease",
    "update ocean.site set retired_at = now()",
    "delete from ocean.data_key",
    "update ocean.data_key set envelope = 'x'",
    "truncate ocean.snapshot",
    "alter table ocean.snapshot no force row level security",
    "alter table ocean.snapshot disable row level security",
    "create policy open on ocean.snapshot using (true)",
    "drop policy own_site on ocean.snapshot",
    "create table ocean.mine ()",
    "create table public.mine ()",
    "create temporary table mine ()",
    "create schema mine",
    "create function ocean.mine() returns int language sql as 'select 1'",
    "create or replace function ocean.current_site() returns text language sql as 'select 1'",
    "create extension dblink schema ocean",
    "copy ocean.snapshot to '/tmp/leak'",
    "copy ocean.snapshot from program 'id'",
    "select pg_read_file('/etc/passwd')",
    "select pg_ls_dir('.')",
    "select lo_from_bytea(0, 'x')",
    "select lo_create(0)",
    "alter system set fsync = off",
    "set session_replication_role = replica",
    "alter database ocean set synchronous_commit = off",
    "select pg_terminate_backend(pid) from pg_stat_activity where usename <> session_user",
]


def _attempt(connection: psycopg.Connection, statement: str, other: Site) -> None:
    words = {"other": other.group_role, "site": other.id, "namespace": other.namespace, "name": other.name}
    connection.execute(statement.format(me=f'"{connection.info.user}"', **words))


@pytest.mark.parametrize("table", ROWS)
def test_site_sees_and_changes_its_own_rows_only(table: str, site_a: Site, site_b: Site, logins: Logins) -> None:
    with logins.connect(site_a.vault_role) as a, logins.connect(site_b.vault_role) as b:
        a.execute(ROWS[table], {"site": site_a.id})
        b.execute(ROWS[table], {"site": site_b.id})

        assert a.execute(f"select site from ocean.{table}").fetchall() == [(site_a.id,)]
        assert b.execute(f"select site from ocean.{table}").fetchall() == [(site_b.id,)]
        with pytest.raises(InsufficientPrivilege):
            a.execute(ROWS[table].replace("'p0001'", "'p0002'"), {"site": site_b.id})
        if table in CHANGES:
            assert a.execute(CHANGES[table], {"site": site_b.id}).rowcount == 0
            assert a.execute(CHANGES[table], {"site": site_a.id}).rowcount == 1
            with pytest.raises(InsufficientPrivilege):
                a.execute(f"update ocean.{table} set site = %s", [site_b.id])


@pytest.mark.usefixtures("site_b")
def test_site_sees_only_itself_in_the_registry(site_a: Site, logins: Logins) -> None:
    with logins.connect(site_a.vault_role) as a:
        seen = a.execute("select site from ocean.site").fetchall()

        assert seen == [(site_a.id,)]


def test_site_deletes_only_its_own_snapshot(site_a: Site, site_b: Site, logins: Logins) -> None:
    with logins.connect(site_a.vault_role) as a, logins.connect(site_b.vault_role) as b:
        b.execute(ROWS["snapshot"], {"site": site_b.id})

        assert a.execute("delete from ocean.snapshot").rowcount == 0
        assert b.execute("delete from ocean.snapshot").rowcount == 1


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_site_is_refused(statement: str, site_a: Site, site_b: Site, logins: Logins) -> None:
    with logins.connect(site_a.vault_role) as a, pytest.raises((InsufficientPrivilege, psycopg.errors.WrongObjectType)):
        _attempt(a, statement, site_b)


def test_site_gains_nothing_by_becoming_its_group(site_a: Site, site_b: Site, logins: Logins) -> None:
    with logins.connect(site_a.vault_role) as a, logins.connect(site_b.vault_role) as b:
        b.execute(ROWS["snapshot"], {"site": site_b.id})
        a.execute(f"set role {site_a.group_role}")
        assert a.execute("select count(*) from ocean.snapshot").fetchone() == (0,)
        # The common group may be joined, and shows no more: rows go by the login.
        a.execute("set role ocean_site")

        assert a.execute("select count(*) from ocean.snapshot").fetchone() == (0,)


@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_logins_reach_no_other_database(database: str, site_a: Site, logins: Logins, server: Postgres) -> None:
    login = logins.new(site_a.vault_role)

    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(server.conninfo(login.user, login.password, database))


def test_ten_thousand_attempts_across_sites_bring_nothing(site_a: Site, site_b: Site, logins: Logins) -> None:
    """Statements in random order within one session, so that none opens a door for the next."""
    chance = random.Random(20_261_124)  # noqa: S311 - the order of attempts
    with logins.connect(site_b.vault_role) as b, logins.connect(site_a.vault_role) as a:
        for statement in ROWS.values():
            b.execute(statement, {"site": site_b.id})
        before = {table: b.execute(f"select * from ocean.{table}").fetchall() for table in ROWS}
        succeeded = []
        for _ in range(10_000):
            table = chance.choice(list(ROWS))
            statement = chance.choice(
                [
                    f"select * from ocean.{table} where site = '{site_b.id}'",
                    f"select * from ocean.{table} where site <> '{site_a.id}' limit 1",
                    f"select * from ocean.{table} where site = '{site_b.id}' for update",
                    CHANGES.get(table, CHANGES["message"]).replace("%(site)s", f"'{site_b.id}'"),
                    f"update ocean.{table} set site = site where site = '{site_b.id}'",
                    f"delete from ocean.{table} where site = '{site_b.id}'",
                    ROWS[table].replace("%(site)s", f"'{site_b.id}'"),
                    f"select ocean.append_audit('{site_b.id}', 'p0001', 'message.dismiss', '{{}}', 'done')",
                    f"select ocean.retry_held('{site_b.namespace}', '{site_b.name}')",
                    f"set role {site_b.group_role}",
                    "set role ocean_site",
                    "reset role",
                ]
            )
            try:
                cursor = a.execute(statement)
            except InsufficientPrivilege:
                continue
            if cursor.rowcount > 0:
                succeeded.append(statement)

        assert not succeeded
        assert {table: b.execute(f"select * from ocean.{table}").fetchall() for table in ROWS} == before


@pytest.mark.usefixtures("site_a")
def test_gateway_keeps_events_and_reads_nothing(site_b: Site, logins: Logins) -> None:
    with logins.connect(site_b.vault_role) as b:
        for statement in ROWS.values():
            b.execute(statement, {"site": site_b.id})
    with logins.connect("ocean-gateway") as gateway:
        gateway.execute("select * from ocean.accept_event(%s, 'x', 'y', 'z', '')", [site_b.number])
        gateway.execute("select * from ocean.webhook_verifier(%s)", [site_b.number])
        for statement in (
            *(f"select * from ocean.{table}" for table in (*ROWS, "site", "audit", "audit_head")),
            *(statement.replace("%(site)s", f"'{site_b.id}'") for statement in ROWS.values()),
            "update ocean.message set state = 'done'",
            "delete from ocean.message",
            "select ocean.queues()",
            f"select ocean.retry_held('{site_b.namespace}', '{site_b.name}')",
            f"select ocean.append_audit('{site_b.id}', 'p0001', 'x', '{{}}', 'done')",
            "select ocean.ensure_site('x', 'y', 'uid', '99999')",
            "select ocean.states_since(0)",
            "select ocean_login.create_login('x', 'y', now())",
            f"set role {site_b.group_role}",
            "set role ocean_owner",
            "create table ocean.mine ()",
            "create temporary table mine ()",
        ):
            with pytest.raises(InsufficientPrivilege):
                gateway.execute(statement)


def test_dropping_one_site_leaves_the_others_working(
    site_a: Site, site_b: Site, logins: Logins, operator: psycopg.Connection
) -> None:
    """A policy that named the dropped role would fail for everybody from then on."""
    with logins.connect(site_a.vault_role) as a:
        a.execute(ROWS["snapshot"], {"site": site_a.id})
        site_b.retire(operator, forget=True)

        assert a.execute("select count(*) from ocean.snapshot").fetchone() == (1,)


def test_operator_reads_registry_and_states_and_nothing_else(
    site_a: Site, logins: Logins, operator: psycopg.Connection
) -> None:
    with logins.connect(site_a.vault_role) as a:
        for statement in ROWS.values():
            a.execute(statement, {"site": site_a.id})

    seen = operator.execute("select site from ocean.site_state where site = %s", [site_a.id]).fetchall()
    assert seen == [(site_a.id,)]
    unread = ("snapshot", "data_key", "sync_lease", "message", "webhook", "chart_link", "worker_lease")
    for table in (*unread, "audit", "audit_head", "alembic_version"):
        with pytest.raises(InsufficientPrivilege):
            operator.execute(f"select * from ocean.{table}")
    for statement in (
        "update ocean.site_state set state = '{}'",
        "select ocean.accept_event('1', 'x', 'y', 'z', '')",
        "select * from ocean.webhook_verifier('1')",
        "insert into ocean.site select * from ocean.site",
        "delete from ocean.site",
        f"set role {site_a.group_role}",
        f"grant {site_a.group_role} to ocean_operator",
        "select ocean_login.open_account('00000000000000000000', 'site_00000000000000000000')",
        "create role intruder",
        "set role ocean_owner",
    ):
        with pytest.raises(InsufficientPrivilege):
            operator.execute(statement)


def test_vault_may_make_and_drop_logins_and_nothing_else(site_a: Site, logins: Logins) -> None:
    with logins.vault() as vault:
        for statement in (
            "select * from ocean.site",
            "select * from ocean_login.account",
            "select ocean_login.open_account('00000000000000000000', 'site_00000000000000000000')",
            f"select ocean_login.close_account('{site_a.group_role}', true)",
            "create role intruder",
            f"set role {site_a.group_role}",
            f"grant {site_a.group_role} to ocean_vault",
            "alter role ocean_vault createrole",
            "select ocean.ensure_site('x', 'y', 'uid', '99999')",
        ):
            with pytest.raises(InsufficientPrivilege):
                vault.execute(statement)


@pytest.mark.parametrize(
    ("name", "secret", "until"),
    [
        pytest.param("{unknown}", "{verifier}", "now()", id="no account"),
        pytest.param("ocean_owner", "{verifier}", "now()", id="no name of Vault's"),
        pytest.param("{known}", "plain-text", "now()", id="a password in clear"),
        pytest.param("{known}", "", "now()", id="no password"),
        pytest.param("{known}", "{verifier}", "now() + interval '2 days'", id="for days"),
        pytest.param("{known}", "{verifier}", "'infinity'", id="for ever"),
        pytest.param("{known}", "{verifier}", "null", id="without an end"),
        pytest.param("{known}; drop", "{verifier}", "now()", id="injection"),
    ],
)
def test_login_that_should_not_be_is_not_made(name: str, secret: str, until: str, site_a: Site, logins: Logins) -> None:
    with logins.vault() as vault:
        verifier = vault.pgconn.encrypt_password(b"p", b"u", b"scram-sha-256").decode()
        login = name.format(unknown=login_name("clinic-0.ocean-site-none"), known=login_name(site_a.vault_role))
        with pytest.raises(psycopg.Error) as refused:
            vault.execute(
                f"select ocean_login.create_login(%s, %s, {until})", [login, secret.format(verifier=verifier)]
            )

        assert refused.value.sqlstate in {"42501", "28P01", "22023"}


@pytest.mark.parametrize("victim", ["postgres", "ocean_owner", "ocean_vault", "ocean_login_maker"])
def test_vault_cannot_drop_what_it_did_not_make(victim: str, logins: Logins) -> None:
    with logins.vault() as vault, pytest.raises(InsufficientPrivilege):
        vault.execute("select ocean_login.drop_login(%s)", [victim])


def test_dropping_a_login_ends_its_sessions(site_a: Site, logins: Logins) -> None:
    """PostgreSQL by itself would leave them open, failing with errors that name no cause."""
    login = logins.new(site_a.vault_role)
    with logins.connect_as(login) as connection:
        logins.drop(login)

        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("select 1")
    logins.drop(login)


def test_retired_site_is_out_at_once_and_keeps_its_rows(
    site_a: Site, logins: Logins, operator: psycopg.Connection, admin: psycopg.Connection
) -> None:
    with logins.connect(site_a.vault_role) as connection:
        connection.execute(ROWS["snapshot"], {"site": site_a.id})
        site_a.retire(operator, forget=False)

        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("select 1")
    with pytest.raises(InsufficientPrivilege):
        logins.new(site_a.vault_role)
    count = admin.execute("select count(*) from ocean.snapshot where site = %s", [site_a.id]).fetchone()
    assert count == (1,)


def test_site_that_comes_back_finds_what_it_left(site_a: Site, logins: Logins, operator: psycopg.Connection) -> None:
    with logins.connect(site_a.vault_role) as connection:
        connection.execute(ROWS["snapshot"], {"site": site_a.id})
    site_a.retire(operator, forget=False)
    site_a.register(operator, uid="uid-2")

    with logins.connect(site_a.vault_role) as connection:
        assert connection.execute("select count(*) from ocean.snapshot").fetchone() == (1,)


def test_forgotten_site_leaves_its_audit_and_nothing_else(
    site_a: Site, logins: Logins, operator: psycopg.Connection, admin: psycopg.Connection
) -> None:
    with logins.connect(site_a.vault_role) as connection:
        for statement in ROWS.values():
            connection.execute(statement, {"site": site_a.id})
    operator.execute("select ocean.append_audit(%s, 'p0001', 'site.delete', '{}', 'done')", [site_a.id])
    site_a.retire(operator, forget=True)

    left = {
        table: admin.execute(f"select count(*) from ocean.{table} where site = %s", [site_a.id]).fetchone()
        for table in (*ROWS, "site", "audit")
    }
    assert left == dict.fromkeys((*ROWS, "site"), (0,)) | {"audit": (1,)}
    assert admin.execute("select to_regrole(%s)", [site_a.group_role]).fetchone() == (None,)


def test_site_number_has_one_living_owner(site_a: Site, operator: psycopg.Connection) -> None:
    other = Site("clinic-other", "other", site_a.number)
    with pytest.raises(psycopg.errors.UniqueViolation) as taken:
        other.register(operator)
    assert taken.value.diag.constraint_name == "site_number_taken"

    site_a.retire(operator, forget=False)
    other.register(operator)
    with pytest.raises(psycopg.errors.UniqueViolation):
        site_a.register(operator)
    other.retire(operator, forget=True)


def test_registering_again_writes_nothing(
    site_a: Site, operator: psycopg.Connection, admin: psycopg.Connection
) -> None:
    def versions() -> list[object]:
        row = admin.execute("select xmin, ctid from ocean.site where site = %s", [site_a.id]).fetchone()
        roles = admin.execute("select count(*) from pg_roles").fetchone()
        return [row, roles]

    before = versions()
    site_a.register(operator)

    assert versions() == before


def test_roles_are_named_as_the_shared_names_say(site_a: Site, operator: psycopg.Connection) -> None:
    """SQL computes them itself, so that nobody can have one site's login join another's role."""
    row = operator.execute(
        "select ocean.ensure_site(%s, %s, 'uid-1', %s)", [site_a.namespace, site_a.name, site_a.number]
    ).fetchone()

    assert row == (site_a.group_role,)
