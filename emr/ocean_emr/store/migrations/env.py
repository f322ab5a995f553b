"""What alembic runs: all missing steps in one transaction, as the role that owns the schema."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table_schema="ocean", transaction_per_migration=False)
with context.begin_transaction():
    # Whatever a step makes then belongs to the owner, not to a login that is dropped in an hour.
    connection.exec_driver_sql("set local role ocean_owner")
    # A step may take its time; it may not wait long for others, since everybody else then waits behind it.
    connection.exec_driver_sql("set local statement_timeout = 0")
    context.run_migrations()
