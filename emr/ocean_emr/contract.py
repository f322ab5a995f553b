"""What every EMR adapter does, and how it says what it can do.

An adapter translates one EMR into our records. It decides nothing about them: what to send, keep or remove is the
caller's. It repeats nothing either: `transport.py` repeats reads. The checks of `ocean_emr.testing.conformance` are
this contract's other half; where words leave a doubt, they decide. docs/emr/writing-an-adapter.md is the guide.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from ocean_emr.records import Appointment, AppointmentPage, Operation, Patient, PatientId, Provider, ProviderId
from ocean_emr.writes import PatientQuery, ProbeResult, Write, WriteOutcome


class Basis(StrEnum):
    """What an operation of an adapter rests on. Shown in status and docs."""

    VERIFIED = "verified"
    """On what the vendor or the EMR's own source publishes."""
    PROFILE = "profile"
    """On a form of our own choosing, since nothing is published: it proves nothing about the real EMR."""


@dataclass(frozen=True, slots=True)
class Capability:
    """That an adapter can do something, and why we believe that it does it right."""

    basis: Basis
    source: str
    """The page, guide or source file to read again when the vendor changes something."""
    probe_lag_seconds: float | None = None
    """Of a write: how long after it was sent a search may still miss it. None: the EMR cannot be searched for it, so an
    unknown outcome is for a person."""
    most_bytes: int | None = None
    """Of a write with content: how much the EMR takes. None: no bound is known."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an adapter can do. An operation that is not listed raises `EmrNotSupportedError`."""

    operations: Mapping[Operation, Capability]

    def supports(self, operation: Operation) -> bool:
        """Whether `operation` can be asked for."""
        return operation in self.operations

    @property
    def verified(self) -> bool:
        """Whether nothing rests on a profile of our own."""
        return all(part.basis is Basis.VERIFIED for part in self.operations.values())


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What a successful check found. A check that fails raises."""

    interface: str
    """How the EMR's interface presented itself, for instance "OSCAR (details by id)"."""
    principal: str | None = None
    """The EMR's id of the user we are logged in as."""
    roles: tuple[str, ...] = ()
    clock_skew_seconds: float | None = None
    """The EMR's clock less ours; None when it does not tell."""
    encrypted: bool = True
    """Whether the connection is TLS."""
    warnings: tuple[str, ...] = ()
    """What works today and deserves a look, as sentences that are safe to show."""


class EmrAdapter(Protocol):
    """One clinic's EMR. Every method raises `EmrError` as errors.py says, and no other error of its own.

    Use it as an async context manager: it holds connections. One task uses it at a time.
    """

    def capabilities(self) -> Capabilities:
        """What can be asked of this EMR. Asks nobody; the same for the adapter's life."""
        ...

    async def check_connection(self) -> ConnectionReport:
        """Prove that address, TLS, clock, credential and the rights to read are in order.

        An answer of 200 proves nothing by itself: the report is returned only when the EMR named the login and showed
        what a sync needs, as far as the EMR offers a way to see it; what could not be proven is a warning.
        """
        ...

    async def list_providers(self) -> tuple[Provider, ...]:
        """Everybody who can be chosen, in the EMR's order, each once; without the EMR's technical accounts."""
        ...

    def list_appointments(
        self, provider_ids: Sequence[ProviderId], start: date, end_exclusive: date, zone: ZoneInfo
    ) -> AsyncGenerator[AppointmentPage, None]:
        """The providers' appointments from `start` up to but not including `end_exclusive`, page by page.

        At least one page comes, and exactly one has `last`: the final one. Until then nothing may be concluded from
        what is missing; after it, only if `complete`. Each appointment comes once. Memory is bounded by the page, and
        the EMR is asked for the next one when the caller takes it, so the caller sets the pace. A caller that may stop
        early uses `contextlib.aclosing`.

        Args:
            provider_ids: Whose. Somebody whom the EMR does not show is reported as hidden, never passed over.
                Empty: one empty, complete page, and nobody is asked.
            start: First day, as the clinic's calendar has it.
            end_exclusive: The day after the last; not after `start` means an empty window.
            zone: Where the clinic is; its days begin at its own midnight.
        """
        ...

    async def get_patient(self, patient_id: PatientId) -> Patient:
        """The patient's demographics.

        Raises:
            EmrNotFoundError: The EMR has no such patient, or shows none to this login.
            EmrRecordError: This one chart cannot be read; the next may be.
        """
        ...

    async def list_patient_appointments(
        self, patient_id: PatientId, start: datetime, end: datetime, zone: ZoneInfo
    ) -> tuple[Appointment, ...]:
        """The patient's appointments that begin from `start` up to and including `end`, whoever the provider is.

        By time of beginning, cancelled ones included. The answer is whole, or an error is raised.

        Args:
            patient_id: Whose.
            start: Aware.
            end: Aware; inclusive.
            zone: Where the clinic is.
        """
        ...

    async def find_patients(self, query: PatientQuery) -> tuple[Patient, ...]:
        """Every chart that fits all that `query` says, active or not; empty when there is none.

        What the EMR's search matches loosely is filtered exactly: health numbers by their digits and, where both sides
        have one, the province; surnames without regard to case and accents. The answer is whole, or an error is raised.
        """
        ...

    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        """Carry out `write` once, and prove it by reading back where the EMR can be read back.

        It is never repeated in here. Before an EMR that keeps what comes twice, it looks for `key` first.

        Args:
            write: What to write. Its operation must be among the capabilities.
            key: Names this write for ever; the same on every attempt.

        Raises:
            EmrUnavailableError: Nothing was written; try again later.
            EmrOutcomeUnknownError: It may have been written: `probe` after the lag, before any other attempt.
            EmrWriteRefusedError: The EMR takes everything else, and not this.
            EmrConflictError: What the write rests on has changed at the EMR.
            EmrAccessError: As for reads.
        """
        ...

    async def probe(self, write: Write, key: UUID) -> ProbeResult:
        """Whether an earlier `write` with this `key` is in the EMR. Changes nothing."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_exc: object) -> None:
        """Close the connections."""
        ...
