"""No EMR, for the conformance checks: there is nothing to fill, to break or to count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from ocean_emr.adapters.none import NoEmrAdapter
from ocean_emr.contract import EmrAdapter
from ocean_emr.records import Appointment, Operation, PatientId
from ocean_emr.testing.conformance import Clinic, Trouble


class NoneRig:
    """Nobody to ask."""

    forbidden: Sequence[str] = ()
    searchable: frozenset[Operation] = frozenset()
    lacking: frozenset[Operation] = frozenset()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Nothing was started."""

    def adapter(self) -> EmrAdapter:
        """A fresh adapter."""
        return NoEmrAdapter()

    def hold(self, clinic: Clinic) -> None:
        """Nowhere to put it."""

    def suffer(self, trouble: Trouble | None) -> None:
        """Nobody to suffer."""

    def requests(self) -> int:
        """Nobody receives any."""
        return 0

    def writes(self) -> int:
        """Nor to be written to."""
        return 0

    def charts(self) -> Mapping[PatientId, Mapping[str, object]]:
        """None."""
        return {}

    def notes(self, patient: PatientId) -> Sequence[str]:  # noqa: ARG002 - the protocol's
        """None."""
        return ()

    def edit_note(self, patient: PatientId, text: str) -> None:
        """Nobody is there to."""

    def documents(self, patient: PatientId) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002 - the protocol's
        """None."""
        return ()

    def bookings(self, patient: PatientId) -> Sequence[Appointment]:  # noqa: ARG002 - the protocol's
        """None."""
        return ()
