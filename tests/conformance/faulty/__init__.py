"""Adapters broken on purpose, each in one way: what the conformance checks must notice.

They stand around a good adapter and spoil what passes through.
"""

from __future__ import annotations

from typing import Final

from conformance.faulty import changes, reads, refusals, search, writes
from conformance.faulty.good import FaultyRig, Good
from ocean_emr.testing.conformance import Check

FAULTS: Final[tuple[tuple[type[Good], Check], ...]] = (
    *reads.FAULTS,
    *search.FAULTS,
    *writes.FAULTS,
    *changes.FAULTS,
    *refusals.FAULTS,
)
"""Each fault and the check that is there for it."""

__all__ = ["FAULTS", "FaultyRig", "Good"]
