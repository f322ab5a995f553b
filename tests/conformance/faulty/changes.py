"""Adapters that change what they should leave, or leave what they should change."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import UUID

from conformance.faulty.good import Good
from ocean_emr.errors import EmrConflictError, EmrWriteRefusedError
from ocean_emr.testing.conformance import Check, changes
from ocean_emr.updating import FIELDS, demographics_of
from ocean_emr.writes import (
    PROTECTED_FIELDS,
    Demographics,
    DemographicsUpdate,
    Write,
    WriteOutcome,
    WriteStatus,
)


class TakesConflictForDone(Good):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        try:
            return await self.inner.write(write, key)
        except EmrConflictError:
            return WriteOutcome(WriteStatus.NOT_NEEDED, "")


class CallsEveryChangeNew(Good):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        return replace(await self.inner.write(write, key), status=WriteStatus.CREATED)


class LosesTheAccentsOfCities(Good):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        if isinstance(write, DemographicsUpdate) and (address := write.changes.address):
            plain = replace(address, city=(address.city or "").encode("ascii", "replace").decode())
            write = replace(write, changes=replace(write.changes, address=plain))
        return await self.inner.write(write, key)


class ChangesMoreThanAsked(Good):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        outcome = await self.inner.write(write, key)
        if isinstance(write, DemographicsUpdate):
            base = demographics_of(await self.inner.get_patient(write.patient_id))
            more = DemographicsUpdate(write.patient_id, Demographics(preferred_name="More"), base)
            await self.inner.write(more, key)
        return outcome


class FillsNothingOfTheIdentity(Good):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        if isinstance(write, DemographicsUpdate) and any(getattr(write.changes, name) for name in PROTECTED_FIELDS):
            return WriteOutcome(WriteStatus.NOT_NEEDED, write.patient_id)
        return await self.inner.write(write, key)


class PassesRefusalsOver(Good):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        try:
            return await self.inner.write(write, key)
        except EmrWriteRefusedError:
            return WriteOutcome(WriteStatus.NOT_NEEDED, "")


class LooksAgainAndOverwrites(Good):
    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        if isinstance(write, DemographicsUpdate):
            now = demographics_of(await self.inner.get_patient(write.patient_id))
            base = {name: getattr(now, name) for name in FIELDS if getattr(write.changes, name) is not None}
            write = replace(write, base=Demographics(**base))
        return await self.inner.write(write, key)


FAULTS: Final[tuple[tuple[type[Good], Check], ...]] = (
    (TakesConflictForDone, changes.only_who_is_expected_arrives),
    (CallsEveryChangeNew, changes.only_who_is_expected_arrives),
    (LosesTheAccentsOfCities, changes.an_update_changes_what_it_names),
    (ChangesMoreThanAsked, changes.an_update_changes_what_it_names),
    (ChangesMoreThanAsked, changes.an_update_keeps_what_nobody_reads),
    (FillsNothingOfTheIdentity, changes.what_is_blank_may_be_filled),
    (PassesRefusalsOver, changes.who_somebody_is_is_never_changed),
    (LooksAgainAndOverwrites, changes.a_chart_that_moved_on_is_left_alone),
    (CallsEveryChangeNew, changes.an_update_that_stands_is_not_made_again),
)
