"""The contract as checks: what every adapter must do, whoever wrote it and whichever EMR it speaks to.

An adapter passes by way of a `Rig`, which stands for the EMR. Run every check of `CHECKS` over it:

    async with MyRig() as rig:
        await check(rig)

A check raises `AssertionError` when the contract is broken, and `NotApplicableError` when the adapter does not claim
the operation. docs/emr/writing-an-adapter.md shows how to write a rig.
"""

from __future__ import annotations

from typing import Final

from ocean_emr.testing.conformance import changes, failures, records, schedule, search, writes
from ocean_emr.testing.conformance.clinic import Clinic
from ocean_emr.testing.conformance.rig import Check, NotApplicableError, Rig, Trouble

CHECKS: Final[tuple[Check, ...]] = (
    *records.CHECKS,
    *schedule.CHECKS,
    *search.CHECKS,
    *writes.CHECKS,
    *changes.CHECKS,
    *failures.CHECKS,
)

__all__ = ["CHECKS", "Check", "Clinic", "NotApplicableError", "Rig", "Trouble"]
