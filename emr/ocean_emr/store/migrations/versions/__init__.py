"""The steps: `v0001.py` and the SQL beside it, then whatever came after."""

from __future__ import annotations

from pathlib import Path

from alembic import op

_PARTS = ("tables", "functions", "rights")


def run_parts(revision: str) -> None:
    """Run the SQL files of the step, such as `v0002_tables.sql`, one after the other."""
    # The driver's own connection: SQLAlchemy would have it look for parameters, and find `%` in the SQL.
    driver = op.get_bind().connection.driver_connection
    if driver is None:
        raise AssertionError("a migration runs on an open connection")
    for part in _PARTS:
        driver.execute(Path(__file__).with_name(f"v{revision}_{part}.sql").read_text())
