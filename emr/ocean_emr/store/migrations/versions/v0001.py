"""The first schema: registry, state, leases, data keys, snapshots, audit."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything, as `ocean_owner`."""
    # The driver's own connection: SQLAlchemy would have it look for parameters, and find `%` in the SQL.
    driver = op.get_bind().connection.driver_connection
    if driver is None:
        raise AssertionError("a migration runs on an open connection")
    for part in ("tables", "functions", "rights"):
        driver.execute(Path(__file__).with_name(f"v0001_{part}.sql").read_text())
