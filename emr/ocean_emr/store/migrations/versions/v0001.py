"""The first schema: registry, state, leases, data keys, snapshots, audit."""

from __future__ import annotations

from ocean_emr.store.migrations.versions import run_parts

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything, as `ocean_owner`."""
    run_parts(revision)
