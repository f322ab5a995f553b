"""How the worker says where it stands, and why it calls nobody: the row `worker` of `site_state`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog
from pydantic import ValidationError

from ocean_api.base import ApiModel
from ocean_api.report import CheckReport, Problem, Process, SyncReport, WorkerReport
from ocean_emr.store import audit, states
from ocean_emr.store.database import Database, Transaction
from ocean_emr.store.leases import Lease, confirm
from ocean_emr.store.steps import ACTOR
from ocean_emr.sync import progress

_Report = TypeVar("_Report", bound=ApiModel)
_PAUSED: Final = "messages.pause"
_RESUMED: Final = "messages.resume"

log = structlog.get_logger(__name__)


def refusal(own: WorkerReport, check: CheckReport | None, sync: SyncReport | None, digest: str) -> Problem | None:
    """Why the credentials of that digest are shown to nobody; None if they may be.

    Whoever was refused with them, they stay refused until the Secret holds something else, or until a check that was
    made after the refusal finds that they are accepted. Which check came after is known by its name, not by clocks.
    """
    if check is not None and check.access is not None and check.refused == digest:
        return check.access
    if sync is not None:
        told = progress.refused_before(sync, check, digest)
        if told is not None:
            return told
    if own.refused != digest or own.refusal is None:
        return None
    accepted = check is not None and check.access is None and check.key is None and check.token != own.refused_after
    return None if accepted else own.refusal


def refused(own: WorkerReport, check: CheckReport | None, digest: str, trouble: Problem) -> WorkerReport:
    """The credentials of that digest were refused."""
    return own.model_copy(
        update={
            "problem": trouble,
            "refused": digest,
            "refusal": trouble,
            "refused_after": "" if check is None else check.token,
        }
    )


def accepted(own: WorkerReport) -> WorkerReport:
    """The credentials are accepted (again)."""
    return own.model_copy(update={"refused": "", "refusal": None, "refused_after": ""})


def troubled(own: WorkerReport, trouble: Problem | None) -> WorkerReport:
    """Deliveries are paused because of `trouble`; None: they go on. The same trouble keeps its first time."""
    if own.problem is not None and trouble is not None and own.problem.reason is trouble.reason:
        return own
    return own.model_copy(update={"problem": trouble})


@dataclass(frozen=True, slots=True)
class Standing:
    """The row, as the worker of that lease reads and writes it. Everything raises StoreError."""

    database: Database
    lease: Lease

    async def refusal(self, digest: str) -> Problem | None:
        """See `refusal`."""
        async with self.database.transaction() as transaction:
            own = await self._own(transaction)
            check = await self._read(transaction, Process.CHECK, CheckReport)
            sync = await self._read(transaction, Process.SYNC, SyncReport)
        return refusal(own, check, sync, digest)

    async def refused(self, digest: str, trouble: Problem) -> None:
        """See `refused`. The audit tells of it."""
        async with self.database.transaction() as transaction:
            check = await self._read(transaction, Process.CHECK, CheckReport)
            await self._change(transaction, lambda own: refused(own, check, digest, trouble))
            await self._record(transaction, _PAUSED, trouble.reason.value)
        log.warning("refused", site=self.lease.site, reason=trouble.reason.value, message=trouble.message)

    async def accepted(self) -> None:
        """See `accepted`. The audit tells of it where they were refused before."""
        async with self.database.transaction() as transaction:
            before = await self._change(transaction, accepted)
            if before.refusal is not None:
                await self._record(transaction, _RESUMED, "done")

    async def say(self, trouble: Problem | None) -> None:
        """See `troubled`."""
        async with self.database.transaction() as transaction:
            await self._change(transaction, lambda own: troubled(own, trouble))

    async def _change(self, transaction: Transaction, change: Callable[[WorkerReport], WorkerReport]) -> WorkerReport:
        """Write `change` of what is there. Returns what was."""
        await confirm(transaction, self.lease)
        before = await self._own(transaction)
        after = change(before)
        if after != before:
            document = after.model_dump(mode="json", by_alias=True)
            await states.write(transaction, site=self.lease.site, process=Process.WORKER, state=document)
        return before

    async def _own(self, transaction: Transaction) -> WorkerReport:
        return await self._read(transaction, Process.WORKER, WorkerReport) or WorkerReport()

    async def _read(self, transaction: Transaction, process: Process, form: type[_Report]) -> _Report | None:
        state = await states.read(transaction, site=self.lease.site, process=process)
        try:
            return form.model_validate(state) if state else None
        except ValidationError:
            # Written by another version, whose words are not known here.
            return None

    async def _record(self, transaction: Transaction, action: str, outcome: str) -> None:
        await audit.append(transaction, site=self.lease.site, actor=ACTOR, action=action, what={}, outcome=outcome)
