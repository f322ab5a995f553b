"""The worker's steps through the queue, each in a transaction of its own, under its lease, and sealed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import structlog

from ocean_api.reasons import Reason
from ocean_emr.envelope import Place
from ocean_emr.messages.decide import Hold, Postpone
from ocean_emr.messages.deliveries import Delivery, Kind
from ocean_emr.messages.keyring import Keyring
from ocean_emr.messages.plan import Plan, PlanUnreadableError, digest
from ocean_emr.records import PatientId
from ocean_emr.store import chart_links, messages, steps
from ocean_emr.store.database import Database, Transaction
from ocean_emr.store.errors import DatabaseUnavailableError
from ocean_emr.store.holding import Keeping
from ocean_emr.store.leases import Lease
from ocean_emr.store.messages import NewDelivery, Queued, Sealed, Side, Sitting

_AGAIN_SECONDS: Final = 1.0
_SEVERAL: Final = 2
_T = TypeVar("_T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a worker does in the database. Every step raises LeaseLostError or MessageMovedError as `steps` says.

    A step that PostgreSQL does not answer is asked for again until the lease ends: what happened at the EMR must be
    written down by whoever knows it. Each may be repeated, since it depends on the state it finds.
    """

    database: Database
    kept: Keeping
    keys: Keyring

    @property
    def site(self) -> str:
        """The clinic, as `namespace/name`."""
        return self.kept.lease.site

    @property
    def lease(self) -> Lease:
        """The worker's."""
        return self.kept.lease

    async def heads(self, side: Side, *, busy: Collection[bytes], most: int) -> tuple[Queued, ...]:
        """See `messages.heads`."""
        async with self.database.statements() as transaction:
            return await messages.heads(transaction, site=self.site, side=side, busy=busy, most=most)

    async def next_due(self, side: Side) -> timedelta | None:
        """See `messages.next_due`."""
        async with self.database.statements() as transaction:
            return await messages.next_due(transaction, site=self.site, side=side)

    async def gathered(self, lane: bytes) -> tuple[Queued, ...]:
        """See `messages.gathered`."""
        async with self.database.statements() as transaction:
            return await messages.gathered(transaction, site=self.site, lane=lane)

    async def open(self, row: Queued) -> Delivery:
        """The delivery that is kept in `row`.

        Raises:
            StoredDataUnreadableError: Its key is not to be had any more, or it was altered.
            MessageHeldError: It is in a form that this version does not know.
        """
        if row.body is None:
            raise AssertionError("what waits has a body")
        body = await self.keys.open(row.body, place_of(self.site, row.source_id, row.version))
        return Delivery.of(row.source_id, row.version, Kind(row.kind), body)

    async def seal(self, delivery: Delivery) -> Sealed:
        """The content of `delivery`, for its row."""
        return await self.keys.seal(delivery.body(), place_of(self.site, delivery.source_id, delivery.version))

    async def plan(self, row: Queued) -> Plan | None:
        """The writes that were begun; None when none were.

        Raises:
            StoredDataUnreadableError: Its key is not to be had any more, or it was altered.
            PlanUnreadableError: It is in a form that this version does not know.
        """
        if row.plan is None:
            return None
        dumped = await self.keys.open(row.plan, place_of(self.site, row.source_id, row.version, "message-plan"))
        if digest(dumped) != row.plan_digest:
            raise PlanUnreadableError("the kept plan is not the one that was begun")
        return Plan.load(dumped)

    async def expand(self, event: Queued, deliveries: Sequence[NewDelivery], sitting: Sitting | None) -> bool:
        """See `steps.expand`."""

        async def write(transaction: Transaction) -> bool:
            return await steps.expand(transaction, self.lease, event, deliveries, sitting=sitting)

        return await self.surely(write, statements=_SEVERAL)

    async def merge(self, first: Queued, others: Sequence[Queued], body: Sealed) -> None:
        """See `steps.merge`."""
        await self.surely(
            lambda transaction: steps.merge(transaction, self.lease, first, others, body), statements=_SEVERAL
        )

    async def intend(self, row: Queued, plan: Plan) -> None:
        """See `steps.intend`."""
        dumped = plan.dump()
        sealed = await self.keys.seal(dumped, place_of(self.site, row.source_id, row.version, "message-plan"))
        await self.surely(lambda transaction: steps.intend(transaction, self.lease, row, sealed, digest(dumped)))

    async def go_on(self, row: Queued, *, written: int, emr_ref: str) -> None:
        """See `steps.go_on`."""
        await self.surely(
            lambda transaction: steps.go_on(transaction, self.lease, row, written=written, emr_ref=emr_ref)
        )

    async def finish(self, row: Queued, *, emr_ref: str) -> None:
        """See `steps.finish`."""
        await self.surely(lambda transaction: steps.finish(transaction, self.lease, row, emr_ref=emr_ref))

    async def put_off(self, row: Queued, what: Hold | Postpone) -> None:
        """See `steps.hold` and `steps.postpone`."""
        if isinstance(what, Hold):
            await self.surely(
                lambda transaction: steps.hold(transaction, self.lease, row, reason=what.reason, note=what.note)
            )
            return
        await self.surely(
            lambda transaction: steps.postpone(
                transaction,
                self.lease,
                row,
                delay=timedelta(seconds=what.seconds),
                reason=what.reason,
                note=what.note,
                tried=what.tried,
                settled=what.settled,
            )
        )

    async def hurry(self, reasons: Sequence[Reason]) -> None:
        """See `steps.hurry`."""
        await self.surely(
            lambda transaction: steps.hurry(transaction, self.lease, reasons=reasons), statements=_SEVERAL
        )

    async def surely(self, step: Callable[[Transaction], Awaitable[_T]], *, statements: int = 1) -> _T:
        """Take `step`, a transaction of so many statements, again and again until PostgreSQL has answered."""
        while True:
            try:
                async with (
                    self.database.statements() if statements == 1 else self.database.transaction() as transaction
                ):
                    return await step(transaction)
            except DatabaseUnavailableError as error:
                log.warning("not written down yet", site=self.site, reason=error.reason.value, message=str(error))
            await asyncio.sleep(_AGAIN_SECONDS)


@dataclass(frozen=True, slots=True)
class Charts:
    """Which chart is whose, kept sealed: `deliveries.ChartLinks`."""

    desk: Desk

    async def get(self, ref: str) -> PatientId | None:
        """The chart of Ocean's patient `ref`, if it is known."""
        async with self.desk.database.statements() as transaction:
            sealed = await chart_links.read(transaction, site=self.desk.site, ref=ref)
        if sealed is None:
            return None
        return PatientId((await self.desk.keys.open(sealed, self._place(ref))).decode())

    async def put(self, ref: str, patient_id: PatientId) -> None:
        """Keep it, in the place of what was known."""
        sealed = await self.desk.keys.seal(patient_id.encode(), self._place(ref))
        await self.desk.surely(
            lambda transaction: chart_links.put(transaction, self.desk.lease, ref=ref, chart=sealed),
            statements=_SEVERAL,
        )

    def _place(self, ref: str) -> Place:
        return Place(self.desk.site, "chart-link", ref)


def place_of(site: str, source_id: str, version: int, kind: str = "message") -> Place:
    """Where a delivery's content is at home, or what else of it `kind` names."""
    return Place(site, kind, f"{source_id}/{version}")
