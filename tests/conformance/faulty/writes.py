"""Adapters that write too often, too little, in the wrong words, or say something else about it."""

# ruff: noqa: ARG002 - the contract's arguments, which some of these do not look at

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from conformance.faulty.good import Good
from ocean_emr.contract import Capabilities
from ocean_emr.errors import (
    EmrAccessError,
    EmrError,
    EmrNotFoundError,
    EmrNotSupportedError,
    EmrOutcomeUnknownError,
    EmrUnavailableError,
)
from ocean_emr.records import Operation
from ocean_emr.testing.conformance import Check, writes
from ocean_emr.testing.conformance.written import TEXT
from ocean_emr.testing.oscar_sim import Profile
from ocean_emr.writes import (
    NewAppointment,
    NewDocument,
    NewNote,
    NewPatient,
    Probe,
    ProbeResult,
    Write,
    WriteOutcome,
    WriteStatus,
)


class Writer(Good):
    """Speaks to the EMR that takes everything."""

    profile = Profile.OPEN_O_2026


class WritesTwice(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        await self.inner.write(write, uuid4())
        return await self.inner.write(write, key)


class WritesNothing(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        return WriteOutcome(WriteStatus.CREATED, "1")


class CallsEverythingOld(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        return replace(await self.inner.write(write, key), status=WriteStatus.ALREADY_PRESENT)


class LosesTheAccentsOfNotes(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        if isinstance(write, NewNote):
            write = replace(write, text=write.text.encode("ascii", "replace").decode())
        return await self.inner.write(write, key)


class CutsDocuments(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        return await self.inner.write(
            replace(write, pdf=write.pdf[:-1]) if isinstance(write, NewDocument) else write, key
        )


class BooksAnHourLater(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        if isinstance(write, NewAppointment):
            write = replace(write, start=write.start + timedelta(hours=1))
        return await self.inner.write(write, key)


class ForgetsTheMobilePhone(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        return await self.inner.write(
            replace(write, mobile_phone=None) if isinstance(write, NewPatient) else write, key
        )


class MakesUpKeys(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        return await self.inner.write(write, uuid4())


class HasOneKeyForAll(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        return await self.inner.write(write, UUID(int=5))


class NeverFinds(Writer):
    async def probe(self, write: Write, key: UUID) -> ProbeResult:
        return ProbeResult(Probe.NOT_APPLIED)


class AlwaysFinds(Writer):
    async def probe(self, write: Write, key: UUID) -> ProbeResult:
        return ProbeResult(Probe.APPLIED, "1")


class NeverKnows(Writer):
    async def probe(self, write: Write, key: UUID) -> ProbeResult:
        return ProbeResult(Probe.CANNOT_TELL)


class WritesToProbe(Writer):
    async def probe(self, write: Write, key: UUID) -> ProbeResult:
        result = await self.inner.probe(write, key)
        await self.inner.write(write, key)
        return result


class ClaimsNoLag(Writer):
    def capabilities(self) -> Capabilities:
        claims = self.inner.capabilities().operations
        return Capabilities({op: replace(claim, probe_lag_seconds=None) for op, claim in claims.items()})


class TakesDoubtForFailure(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        try:
            return await self.inner.write(write, key)
        except EmrOutcomeUnknownError as error:
            raise EmrUnavailableError("wrongly", op=error.op) from None


class SendsAgainInDoubt(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        try:
            return await self.inner.write(write, key)
        except EmrOutcomeUnknownError:
            return await self.inner.write(write, uuid4())


class TakesRefusalForDoubt(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        try:
            return await self.inner.write(write, key)
        except EmrAccessError as error:
            raise EmrOutcomeUnknownError("wrongly", op=error.op) from None


class TriesARefusedLoginAgain(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        try:
            return await self.inner.write(write, key)
        except EmrAccessError:
            async with self.renew() as another:
                return await another.write(write, key)


class CoversEdits(Writer):
    """Sends a note without looking for it."""

    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        async def blind(*_: object) -> ProbeResult:
            return ProbeResult(Probe.CANNOT_TELL)

        self.inner._notes.find = blind  # type: ignore[attr-defined]
        return await self.inner.write(write, key)


class TakesNobodyForDone(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        try:
            return await self.inner.write(write, key)
        except EmrNotFoundError:
            return WriteOutcome(WriteStatus.CREATED, "")


class TakesLackForDone(Good):
    """Speaks to the EMR that lacks something."""

    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        try:
            return await self.inner.write(write, key)
        except EmrNotSupportedError:
            return WriteOutcome(WriteStatus.CREATED, "")


class ClaimsABound(Writer):
    def capabilities(self) -> Capabilities:
        claims = dict(self.inner.capabilities().operations)
        claims[Operation.UPLOAD_DOCUMENT] = replace(claims[Operation.UPLOAD_DOCUMENT], most_bytes=10)
        return Capabilities(claims)


class QuotesTheNote(Writer):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        try:
            return await self.inner.write(write, key)
        except EmrError as error:
            raise error from ValueError(f"could not send {TEXT}")


FAULTS: Final[tuple[tuple[type[Good], Check], ...]] = (
    (WritesTwice, writes.a_write_is_there_once_and_nowhere_else),
    (WritesNothing, writes.a_write_is_there_once_and_nowhere_else),
    (CallsEverythingOld, writes.a_write_is_there_once_and_nowhere_else),
    (LosesTheAccentsOfNotes, writes.a_note_is_shown_whole),
    (CutsDocuments, writes.a_document_is_kept_as_it_is),
    (BooksAnHourLater, writes.a_walk_in_is_booked_as_asked),
    (ForgetsTheMobilePhone, writes.a_new_chart_says_what_was_given),
    (MakesUpKeys, writes.the_same_key_writes_nothing_more),
    (HasOneKeyForAll, writes.another_key_is_another_write),
    (NeverFinds, writes.a_probe_tells_the_truth),
    (AlwaysFinds, writes.a_probe_tells_the_truth),
    (NeverKnows, writes.a_probe_tells_the_truth),
    (WritesToProbe, writes.a_probe_tells_the_truth),
    (ClaimsNoLag, writes.what_can_be_searched_for_is_claimed),
    (TakesDoubtForFailure, writes.what_may_have_been_written_is_unknown),
    (SendsAgainInDoubt, writes.what_may_have_been_written_is_unknown),
    (NeverFinds, writes.what_may_have_been_written_is_unknown),
    (TakesDoubtForFailure, writes.an_answer_that_never_comes_is_unknown),
    (AlwaysFinds, writes.what_was_not_written_is_found_missing),
    (TakesRefusalForDoubt, writes.what_is_refused_is_not_written),
    (TriesARefusedLoginAgain, writes.what_is_refused_is_not_written),
    (CoversEdits, writes.a_clinicians_edit_is_kept),
    (TakesNobodyForDone, writes.nobody_takes_what_is_for_nobody),
    (TakesLackForDone, writes.what_this_emr_lacks_is_said),
    (ClaimsABound, writes.what_is_too_large_is_refused_unsent),
    (QuotesTheNote, writes.errors_of_writes_show_nothing),
)
