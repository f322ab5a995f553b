"""How the database can fail, cut by what the caller does next.

StoreError
├── DatabaseUnavailableError     end this run, the next one tries again: not reachable, or restarted meanwhile
│   └── DatabaseOutdatedError      likewise; heals when the migrate Job has run
├── DatabaseAccessRefusedError   end this run until a person has acted: login or right is missing
│   └── DatabaseUnsafeError        likewise: the server could lose what it has promised to keep
├── LeaseTakenError              end this run quietly: another one is at work for the site
├── LeaseLostError               stop at once and write nothing more: another writer may have begun
├── MessageMovedError            leave this message and look at the queue again: a person or a replay was faster
└── StatementRefusedError        a fault of ours: report it
"""

from __future__ import annotations

from typing import ClassVar

from psycopg import Error, OperationalError
from psycopg import errors as sql

from ocean_api.reasons import Reason


class StoreError(Exception):
    """The database did not do what was asked. Its text holds codes and our own words, never a row's content."""

    reason: ClassVar[Reason] = Reason.DATABASE_UNAVAILABLE
    """The condition reason. Public: alerts match on it."""


class DatabaseUnavailableError(StoreError):
    """PostgreSQL cannot be reached or went away; what was not committed did not happen."""


class DatabaseOutdatedError(DatabaseUnavailableError):
    """The schema is older than this program needs, or is not there at all."""


class DatabaseAccessRefusedError(StoreError):
    """PostgreSQL knows who asks and says no, or does not know the login."""

    reason = Reason.DATABASE_ACCESS_REFUSED


class DatabaseUnsafeError(DatabaseAccessRefusedError):
    """The server runs with a setting, or is of a version, that this program does not entrust data to."""


class LeaseTakenError(StoreError):
    """Somebody else holds the site's lease."""

    reason = Reason.SYNC_RUNNING


class LeaseLostError(StoreError):
    """The lease has run out or has another holder."""

    reason = Reason.SYNC_INTERRUPTED


class MessageMovedError(StoreError):
    """The message is not (any more) in a state that allows this; nothing was changed."""

    reason = Reason.INTERNAL_ERROR


class StatementRefusedError(StoreError):
    """PostgreSQL refused a statement for a reason that no administrator can mend."""

    reason = Reason.INTERNAL_ERROR


def connect_error(error: Error) -> StoreError:
    """What it means that no connection came about. libpq's own first line is safe: it knows of no row yet."""
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    # libpq keeps no SQLSTATE here; but who was asked for a password and gave it has been refused as a person,
    # not missed as a server.
    if error.pgconn is not None and error.pgconn.used_password:
        return DatabaseAccessRefusedError(f"PostgreSQL refused the login: {said}")
    return DatabaseUnavailableError(f"PostgreSQL cannot be reached: {said}")


def store_error(error: Error) -> StoreError:
    """What it means that a statement, or a commit, failed.

    PostgreSQL's own text is left out: its DETAIL quotes rows.
    """
    if isinstance(error, sql.InsufficientPrivilege):
        return DatabaseAccessRefusedError(f"PostgreSQL refused a right (SQLSTATE {error.sqlstate}).")
    if isinstance(error, sql.UndefinedTable | sql.UndefinedFunction | sql.InvalidSchemaName | sql.UndefinedColumn):
        return DatabaseOutdatedError("The database's schema is not the one this program needs: run ocean-migrate.")
    if isinstance(error, sql.UndefinedObject):
        return DatabaseAccessRefusedError("A role that this version needs is missing: run bootstrap.sql again.")
    if isinstance(error, OperationalError):
        state = f" (SQLSTATE {error.sqlstate})" if error.sqlstate else ""
        return DatabaseUnavailableError(f"PostgreSQL broke off{state}.")
    where = " ".join(part for part in (error.diag.table_name, error.diag.constraint_name) if part)
    return StatementRefusedError(f"PostgreSQL refused a statement: SQLSTATE {error.sqlstate} {where}".rstrip() + ".")
