"""The row `sync` of `site_state` as one run reads and writes it, and the audit of what the run did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from pydantic import ValidationError

from ocean_api.report import CheckReport, Counts, Problem, Process, SyncKind, SyncReport, Trigger
from ocean_emr.store import audit, snapshots, states
from ocean_emr.store.database import Database, Transaction
from ocean_emr.store.leases import Lease, confirm
from ocean_emr.sync import progress

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Journal:
    """Only the holder of the lease writes, so that a run that was overtaken changes nothing any more."""

    site: str
    database: Database
    lease: Lease

    async def read(self) -> SyncReport:
        """Where synchronisation stands."""
        async with self.database.transaction() as transaction:
            return await _report(transaction, self.site)

    async def last_check(self) -> CheckReport | None:
        """What `ocean-check` said last."""
        async with self.database.transaction() as transaction:
            state = await states.read(transaction, site=self.site, process=Process.CHECK)
        try:
            return CheckReport.model_validate(state) if state else None
        except ValidationError:
            return None

    async def note(self, change: Callable[[SyncReport], SyncReport]) -> None:
        """Write `change` of what is there.

        Raises:
            LeaseLostError: The lease is not ours any more; nothing was written.
        """
        async with self.database.transaction() as transaction:
            await self._change(transaction, change)

    async def open_under(self, key: str) -> None:
        """Begin to remember under the clinic's key of that name; what was sealed under another one is forgotten.

        Ocean is then told everything once more, under the new key. What left the schedule just before the key changed
        stays at Ocean until its day is over.
        """
        async with self.database.transaction() as transaction:
            before = (await _report(transaction, self.site)).key
            if before == key:
                return
            await self._change(transaction, lambda report: progress.sealed_with(report, key))
            if before:
                log.info("the key has changed: everything is sent again", site=self.site)
                await snapshots.forget_all(transaction, site=self.site)

    async def close(
        self,
        change: Callable[[SyncReport], SyncReport],
        *,
        kind: SyncKind,
        trigger: Trigger,
        counts: Counts,
        failure: Problem | None = None,
    ) -> SyncReport:
        """Write `change` and the run's audit record in one transaction.

        Args:
            change: Of the report.
            kind: Of the run.
            trigger: Of the run.
            counts: What it did.
            failure: Why it failed, if it did.

        Raises:
            LeaseLostError: The lease is not ours any more; nothing was written.
        """
        async with self.database.transaction() as transaction:
            report = await self._change(transaction, change)
            outcome = failure or report.problem
            await audit.append(
                transaction,
                site=self.site,
                actor="ocean-sync",
                action=f"sync.{kind.lower()}",
                what={"trigger": trigger.value, "counts": counts.model_dump(by_alias=True)},
                outcome=outcome.reason.value if outcome else "done",
            )
        return report

    async def _change(self, transaction: Transaction, change: Callable[[SyncReport], SyncReport]) -> SyncReport:
        await confirm(transaction, self.lease)
        report = change(await _report(transaction, self.site))
        document = report.model_dump(mode="json", by_alias=True)
        await states.write(transaction, site=self.site, process=Process.SYNC, state=document)
        return report


async def _report(transaction: Transaction, site: str) -> SyncReport:
    state = await states.read(transaction, site=site, process=Process.SYNC)
    try:
        return SyncReport.model_validate(state) if state else SyncReport()
    except ValidationError:
        # Written by another version, whose words are not known here. A fresh report costs one full run.
        log.warning("the stored report cannot be read; beginning a new one", site=site)
        return SyncReport()
