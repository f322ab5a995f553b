# ruff: noqa: S608 - the SQL is of the tests' own making
"""The audit's chain: added to by whoever may, and whole only as long as nobody touched it."""

from __future__ import annotations

import hashlib
import threading

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from integration.logins import Logins, LoginSource, where
from integration.sites import Site
from ocean_dev.servers.postgres import Postgres
from ocean_emr.store import audit
from ocean_emr.store.database import Database

RECORDS = 5


@pytest.fixture
def chain(site_a: Site, operator: psycopg.Connection) -> Site:
    """A site with five records."""
    for number in range(RECORDS):
        operator.execute(
            "select ocean.append_audit(%s, 'p0001@clinic.example', 'site.edit', %s, 'done')",
            [site_a.id, f'{{"number": {number}, "why": "é \\n \\""}}'],
        )
    return site_a


def _break(operator: psycopg.Connection, site: Site, *kept: object) -> int | None:
    row = operator.execute(f"select ocean.audit_break(%s{', %s, %s' if kept else ''})", [site.id, *kept]).fetchone()
    assert row is not None
    found: int | None = row[0]
    return found


def _tamper(admin: psycopg.Connection, statement: str, site: Site) -> None:
    """As somebody with all rights would, who has switched off what stands in the way."""
    with admin.transaction():
        admin.execute("set local session_replication_role = replica")
        changed = admin.execute(statement, {"site": site.id}).rowcount
    assert changed > 0


def _recomputed(row: tuple[object, ...]) -> bytes:
    """The hash of a record as docs/reference/database.md describes it, without PostgreSQL's help."""
    previous, *fields = row
    framed = b"".join(len(field := str(value).encode()).to_bytes(4) + field for value in fields)
    assert isinstance(previous, bytes)
    return hashlib.sha256(previous + framed).digest()


def test_whole_chain_is_found_whole(chain: Site, operator: psycopg.Connection) -> None:
    assert _break(operator, chain) is None


def test_hash_is_what_the_documentation_says(chain: Site, admin: psycopg.Connection) -> None:
    rows = admin.execute(
        """
        select hash, previous, site, seq, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), via, login,
               actor, action, what::text, outcome
          from ocean.audit where site = %s order by seq
        """,
        [chain.id],
    ).fetchall()

    assert rows[0][1] == bytes(32)
    assert [row[0] for row in rows] == [_recomputed(row[1:]) for row in rows]
    assert [row[1] for row in rows[1:]] == [row[0] for row in rows[:-1]]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param("update ocean.audit set actor = 'p0002' where site = %(site)s and seq = 3", 3, id="edited actor"),
        pytest.param("update ocean.audit set what = '{}' where site = %(site)s and seq = 3", 3, id="edited content"),
        pytest.param(
            "update ocean.audit set at = at + interval '1 us' where site = %(site)s and seq = 1", 1, id="edited time"
        ),
        pytest.param("update ocean.audit set login = 'v' where site = %(site)s and seq = 5", 5, id="edited login"),
        pytest.param("update ocean.audit set via = 'site' where site = %(site)s and seq = 2", 2, id="edited origin"),
        pytest.param("update ocean.audit set outcome = 'no' where site = %(site)s and seq = 2", 2, id="edited outcome"),
        pytest.param(
            "update ocean.audit set hash = sha256('x') where site = %(site)s and seq = 4", 4, id="edited hash"
        ),
        pytest.param("delete from ocean.audit where site = %(site)s and seq = 1", 1, id="first removed"),
        pytest.param("delete from ocean.audit where site = %(site)s and seq = 3", 3, id="removed"),
        pytest.param("delete from ocean.audit where site = %(site)s and seq = 5", 5, id="last removed"),
        pytest.param("delete from ocean.audit where site = %(site)s", 5, id="all removed"),
        pytest.param("delete from ocean.audit_head where site = %(site)s", 1, id="head removed"),
        pytest.param("update ocean.audit_head set seq = 4 where site = %(site)s", 4, id="head moved"),
        pytest.param(
            """
            update ocean.audit set seq = case seq when 2 then 3 else 2 end + 100
             where site = %(site)s and seq in (2, 3)
            """,
            2,
            id="taken out of order",
        ),
        pytest.param(
            """
            update ocean.audit as one set what = other.what, at = other.at from ocean.audit as other
             where one.site = %(site)s and other.site = one.site and one.seq in (2, 3) and other.seq = 5 - one.seq
            """,
            2,
            id="two exchanged",
        ),
        pytest.param(
            """
            insert into ocean.audit
            select site, 6, at, via, login, actor, action, what, outcome, previous, hash
              from ocean.audit where site = %(site)s and seq = 5
            """,
            6,
            id="one added",
        ),
    ],
)
def test_tampering_is_found(
    change: str, found: int, chain: Site, operator: psycopg.Connection, admin: psycopg.Connection
) -> None:
    _tamper(admin, change, chain)

    assert _break(operator, chain) == found


def test_every_single_changed_byte_is_found(
    chain: Site, operator: psycopg.Connection, admin: psycopg.Connection
) -> None:
    """Each byte of one record's text, one after the other."""
    row = admin.execute("select actor from ocean.audit where site = %s and seq = 2", [chain.id]).fetchone()
    assert row is not None
    actor: str = row[0]
    for position in range(len(actor)):
        other = "x" if actor[position] != "x" else "y"
        changed = actor[:position] + other + actor[position + 1 :]
        _tamper(admin, f"update ocean.audit set actor = '{changed}' where site = %(site)s and seq = 2", chain)
        assert _break(operator, chain) == 2
    _tamper(admin, f"update ocean.audit set actor = '{actor}' where site = %(site)s and seq = 2", chain)

    assert _break(operator, chain) is None


def test_chain_cut_together_with_its_head_is_found_by_a_kept_head(
    chain: Site, operator: psycopg.Connection, admin: psycopg.Connection
) -> None:
    kept = admin.execute("select seq, hash from ocean.audit_head where site = %s", [chain.id]).fetchone()
    assert kept is not None
    assert _break(operator, chain, *kept) is None
    _tamper(admin, "delete from ocean.audit where site = %(site)s and seq = 5", chain)
    _tamper(
        admin,
        """
        update ocean.audit_head as head set seq = 4, hash = entry.hash
          from ocean.audit as entry where head.site = %(site)s and entry.site = head.site and entry.seq = 4
        """,
        chain,
    )

    assert _break(operator, chain) is None
    assert _break(operator, chain, *kept) == 5


@pytest.mark.parametrize(
    "statement", ["update ocean.audit set actor = 'x'", "delete from ocean.audit", "truncate ocean.audit"]
)
@pytest.mark.usefixtures("chain")
def test_even_a_superuser_has_to_mean_it(statement: str, admin: psycopg.Connection) -> None:
    with pytest.raises(InsufficientPrivilege, match="only ever added to"):
        admin.execute(statement)


async def test_site_adds_to_its_own_chain_and_cannot_choose_who_it_is(
    server: Postgres, logins: Logins, site_a: Site, operator: psycopg.Connection, admin: psycopg.Connection
) -> None:
    source = LoginSource(logins, site_a.vault_role)
    async with Database(where(server), source, application="test") as database, database.transaction() as transaction:
        number = await audit.append(
            transaction, site=site_a.id, actor="ocean-sync", action="sync.full", what={"run": 1}, outcome="done"
        )

    row = admin.execute("select seq, via, login, actor from ocean.audit where site = %s", [site_a.id]).fetchone()
    assert row == (number, "site", source.given[0].user, "ocean-sync")
    assert _break(operator, site_a) is None


async def test_record_goes_with_the_transaction_it_tells_of(
    server: Postgres, logins: Logins, site_a: Site, admin: psycopg.Connection
) -> None:
    async with Database(where(server), LoginSource(logins, site_a.vault_role), application="test") as database:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is the transaction
            async with database.transaction() as transaction:
                await audit.append(transaction, site=site_a.id, actor="a", action="b", what={}, outcome="done")
                raise ZeroDivisionError

    assert admin.execute("select count(*) from ocean.audit where site = %s", [site_a.id]).fetchone() == (0,)


def test_writers_of_one_site_make_one_chain(site_a: Site, logins: Logins, operator: psycopg.Connection) -> None:
    """The second waits for the first one's commit, and then follows it."""
    append = "select ocean.append_audit(%s, 'p0001', 'site.edit', '{}', 'done')"
    with logins.connect("ocean-operator") as first, logins.connect("ocean-operator") as second:
        with first.transaction():
            first.execute(append, [site_a.id])
            second.execute("set lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                second.execute(append, [site_a.id])
            # Another site's chain is nobody's business here.
            second.execute(append, ["clinic-free/of-locks"])
        assert second.execute(append, [site_a.id]).fetchone() == (2,)

    assert _break(operator, site_a) is None


def test_thousand_records_of_many_writers_make_whole_chains(
    site_a: Site, site_b: Site, logins: Logins, operator: psycopg.Connection
) -> None:
    def write(site: Site) -> None:
        with logins.connect("ocean-operator") as connection:
            for _ in range(125):
                connection.execute("select ocean.append_audit(%s, 'p0001', 'a', '{}', 'done')", [site.id])

    threads = [threading.Thread(target=write, args=[site]) for site in (site_a, site_b) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    counted = [
        operator.execute("select ocean.append_audit(%s, 'p0001', 'a', '{}', 'done')", [site.id]).fetchone()
        for site in (site_a, site_b)
    ]
    assert counted == [(501,), (501,)]
    assert (_break(operator, site_a), _break(operator, site_b)) == (None, None)
