"""Messages: the queue, webhooks, charts, the worker's lease. Adds only; pods of version 1 go on."""

from __future__ import annotations

from ocean_emr.store.migrations.versions import run_parts

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make everything, as `ocean_owner`."""
    run_parts(revision)
