"""What a check needs to know about an EMR: a rig starts one, fills it, troubles it, and counts its calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from enum import StrEnum, auto
from typing import Final, Protocol, Self

from ocean_emr.contract import EmrAdapter
from ocean_emr.records import Appointment, AppointmentPage, Operation, PatientId, ProviderId
from ocean_emr.testing.conformance.clinic import ZONE, Clinic
from ocean_emr.transport import Limits

FAST: Final = Limits(
    connect_seconds=5,
    silence_seconds=2,
    attempt_seconds=5,
    attempts=3,
    total_seconds=10,
    pause_seconds=0.001,
    pause_max_seconds=0.002,
    wait_max_seconds=0.05,
)
"""The usual behaviour with pauses that nobody notices; rigs make their adapters with it."""


class Trouble(StrEnum):
    """What befalls the EMR. It lasts until told otherwise, except the two that say "once"."""

    LOGIN_REFUSED = auto()
    """The credential is not accepted any more."""
    RIGHT_MISSING = auto()
    """The login is accepted and may read no schedule and no chart."""
    WEB_PAGE = auto()
    """Status 200 and HTML, quoting a patient."""
    CUT_JSON = auto()
    """Half of the right answer, as if it were whole."""
    UNAVAILABLE = auto()
    """Status 503."""
    UNAVAILABLE_ONCE = auto()
    """Status 503 for one request."""
    RATE_LIMITED = auto()
    """Status 429, asking for an hour."""
    RATE_LIMITED_ONCE = auto()
    """Status 429 for one request, asking for no wait at all."""
    FAILS_HALFWAY = auto()
    """Schedule reads work for the clinic's first days and fail for the later ones, with status 503."""

    # Of writes alone; everything can be read meanwhile.
    WRITE_RIGHT_MISSING = auto()
    """The login is accepted and may write nothing."""
    WRITES_REFUSED = auto()
    """Writes are refused for their content, and nothing is written."""
    SILENT_BEFORE = auto()
    """A write is received, not carried out, and never answered."""
    SILENT_AFTER = auto()
    """A write is carried out, and never answered."""
    RESET_AFTER = auto()
    """A write is carried out, and the connection breaks off."""
    FAILED_AFTER = auto()
    """A write is carried out, and answered by status 500."""


OF_WRITES: Final = frozenset(
    {
        Trouble.WRITE_RIGHT_MISSING,
        Trouble.WRITES_REFUSED,
        Trouble.SILENT_BEFORE,
        Trouble.SILENT_AFTER,
        Trouble.RESET_AFTER,
        Trouble.FAILED_AFTER,
    }
)


class Rig(Protocol):
    """One EMR, to be checked through its adapter."""

    forbidden: Sequence[str]
    """Texts that may never be shown: the credentials in use."""
    searchable: frozenset[Operation]
    """Writes for which this EMR can be searched, so that a probe must tell whether they were carried out."""
    lacking: frozenset[Operation]
    """Writes that the adapter claims, and that this EMR, unlike others of its kind, does not take."""

    async def __aenter__(self) -> Self:
        """Start the EMR, with nobody in it."""
        ...

    async def __aexit__(self, *_exc: object) -> None:
        """Stop it."""
        ...

    def adapter(self) -> EmrAdapter:
        """A fresh adapter to the EMR, made with `FAST`."""
        ...

    def hold(self, clinic: Clinic) -> None:
        """Make this the clinic that the EMR holds."""
        ...

    def suffer(self, trouble: Trouble | None) -> None:
        """Let `trouble` begin; None ends all trouble."""
        ...

    def requests(self) -> int:
        """How many requests the EMR has received so far, its token endpoint's included."""
        ...

    # What a person at the clinic sees; never asked through the adapter. An EMR that cannot be written to may answer
    # with nothing.

    def writes(self) -> int:
        """How many requests that would change something the EMR has received so far, whatever became of them."""
        ...

    def charts(self) -> Mapping[PatientId, Mapping[str, object]]:
        """Every chart, as the EMR's own fields, without those that change with every save. Compared, never read."""
        ...

    def notes(self, patient: PatientId) -> Sequence[str]:
        """The texts of the notes in a chart, as they are shown: of one that was edited, the latest."""
        ...

    def edit_note(self, patient: PatientId, text: str) -> None:
        """Let a clinician replace the text of the only note in a chart."""
        ...

    def documents(self, patient: PatientId) -> Sequence[tuple[str, bytes]]:
        """Titles and contents of the documents in a chart, without the notes."""
        ...

    def bookings(self, patient: PatientId) -> Sequence[Appointment]:
        """The patient's appointments."""
        ...


Check = Callable[[Rig], Awaitable[None]]


class NotApplicableError(Exception):
    """The adapter does not claim the operation that the check is about."""


@asynccontextmanager
async def asking(rig: Rig, *operations: Operation) -> AsyncGenerator[EmrAdapter, None]:
    """An adapter to `rig` that claims `operations`.

    Raises:
        NotApplicableError: It does not.
    """
    async with rig.adapter() as adapter:
        for operation in operations:
            if not adapter.capabilities().supports(operation):
                raise NotApplicableError(operation)
        yield adapter


async def pages_of(
    adapter: EmrAdapter, providers: Sequence[ProviderId], first: date, end: date
) -> list[AppointmentPage]:
    """Every page of one answer."""
    return [page async for page in adapter.list_appointments(providers, first, end, ZONE)]


async def items_of(adapter: EmrAdapter, providers: Sequence[ProviderId], first: date, end: date) -> list[Appointment]:
    """Every appointment of one answer."""
    return [item for page in await pages_of(adapter, providers, first, end) for item in page.items]
