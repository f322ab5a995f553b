# ruff: noqa: S608 - the SQL is of the tests' own making
"""What PostgreSQL's own catalogue says of rights: every table, every function, every role."""

from __future__ import annotations

import psycopg

from integration.logins import Logins
from integration.sites import Site
from ocean_dev.paths import REPOSITORY
from ocean_dev.servers.postgres import Postgres

OUR_SCHEMAS = "n.nspname in ('ocean', 'ocean_login')"
OF_SITES = {
    *("site", "site_state", "sync_lease", "data_key", "snapshot", "audit", "audit_head"),
    *("message", "webhook", "chart_link", "worker_lease"),
}


def test_every_table_has_forced_policies(admin: psycopg.Connection) -> None:
    rows = admin.execute(
        f"""
        select c.relname, c.relrowsecurity and c.relforcerowsecurity
               and exists (select from pg_policy p where p.polrelid = c.oid)
          from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where {OUR_SCHEMAS} and c.relkind in ('r', 'p')
        """
    ).fetchall()

    assert {name for name, _ in rows} >= {*OF_SITES, "alembic_version", "account"}
    assert [name for name, protected in rows if not protected] == []


def test_public_has_no_rights(admin: psycopg.Connection) -> None:
    open_to_all = admin.execute(
        f"""
        select 'schema ' || n.nspname from pg_namespace n, aclexplode(n.nspacl) a
         where {OUR_SCHEMAS.replace("'ocean'", "'ocean', 'public'")} and a.grantee = 0
        union all
        select 'table ' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace,
               aclexplode(c.relacl) a where {OUR_SCHEMAS} and a.grantee = 0
        union all
        select 'function ' || p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace,
               aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where {OUR_SCHEMAS} and a.grantee = 0
        union all
        select 'database ' || d.datname from pg_database d,
               aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
         where d.datname in ('ocean', 'postgres', 'template1') and a.grantee = 0
        """
    ).fetchall()

    assert open_to_all == []


def test_functions_run_with_the_least(admin: psycopg.Connection) -> None:
    """Those that run as their owner: a fixed search path, and an owner that is no superuser and cannot log in."""
    rows = admin.execute(
        f"""
        select p.proname, r.rolname, r.rolsuper or r.rolcanlogin or r.rolbypassrls or r.rolcreatedb, r.rolcreaterole,
               coalesce(p.proconfig, '{{}}') @> array['search_path=pg_catalog, pg_temp']
          from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_roles r on r.oid = p.proowner
         where {OUR_SCHEMAS}
        """
    ).fetchall()

    assert rows
    assert [name for name, _, too_mighty, _, fixed in rows if too_mighty or not fixed] == []
    role_makers = {name for name, _, _, makes_roles, _ in rows if makes_roles}
    assert role_makers == {"create_login", "drop_login", "open_account", "close_account"}


def test_no_password_is_in_the_servers_log(server: Postgres, site_a: Site, logins: Logins) -> None:
    login = logins.new(site_a.vault_role)
    text = (server.folder / "log").read_text()

    assert server.vault_password not in text
    assert login.password not in text
    assert "SCRAM-SHA-256$" not in text


def test_reference_page_names_everything_there_is(admin: psycopg.Connection) -> None:
    page = (REPOSITORY / "docs/reference/database.md").read_text()
    objects = admin.execute(
        f"""
        select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where {OUR_SCHEMAS} and c.relkind = 'r'
        union
        select n.nspname || '.' || p.proname || '(' from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where {OUR_SCHEMAS} and p.prorettype <> 'trigger'::regtype and p.proname not in ('framed', 'audit_hash')
        """
    ).fetchall()

    assert len(objects) > 15
    assert [name for (name,) in objects if f"`{name}" not in page] == []
