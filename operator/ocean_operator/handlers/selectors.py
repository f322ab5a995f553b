"""What is ours among the cluster's objects."""

from __future__ import annotations

from typing import Final

from ocean_api import names
from ocean_operator.core.children import KINDS

OURS: Final = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.SITE_LABEL}"
"""Label selector of every child and pod of a clinic."""
WATCHED_CHILDREN: Final = (*KINDS, "Job")
"""Kinds whose events bring a pass."""
