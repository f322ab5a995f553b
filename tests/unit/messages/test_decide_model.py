"""Whatever breaks off, wherever: each message is in the EMR exactly once and in order, or a person is told.

`carry.py` as it is runs against a database and an EMR that are a few lines each, so that every step can be broken off
and time can pass at will. The same with real ones, and real kills, is in tests/integration/messages.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, cast
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ocean_api.reasons import Reason
from ocean_api.v1alpha1.spec import MessagesSpec
from ocean_emr.contract import Basis, Capabilities, Capability, EmrAdapter
from ocean_emr.errors import EmrAuthRefusedError, EmrOutcomeUnknownError, EmrUnavailableError, EmrWriteRefusedError
from ocean_emr.messages.carry import Carrier, Doubts
from ocean_emr.messages.decide import SETTLE_SECONDS, Bearing, Hold, Postpone
from ocean_emr.messages.deliveries import Delivery, Kind, NoteContent, NotePart, Person, write_key
from ocean_emr.messages.desk import Desk
from ocean_emr.messages.plan import Plan
from ocean_emr.messages.resolve import Context
from ocean_emr.records import AppointmentId, Operation, PatientId
from ocean_emr.store.messages import Queued, Sealed, State
from ocean_emr.writes import (
    Arrival,
    NewDocument,
    NewNote,
    NoteKind,
    Probe,
    ProbeResult,
    Write,
    WriteOutcome,
    WriteStatus,
)

SITE = "clinic/one"
LAG = 3.0
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
WAITING = (State.ACCEPTED, State.SENT)
ENDED = (State.DONE, State.DISMISSED)
RUNS = int(os.environ.get("OCEAN_MODEL_RUNS", "60"))
"""How many histories are made up; `make soak` makes thousands."""


class KilledError(BaseException):
    """The process is gone: nothing of it runs any more."""


class Fate(Enum):
    """What becomes of one call of the EMR."""

    WELL = "well"
    APPLIED_UNANSWERED = "applied, and the answer is lost"
    LATE_UNANSWERED = "on its way when nobody listens any more"
    LOST_UNANSWERED = "lost, and nobody says so"
    APPLIED_KILLED = "applied, and we are killed"
    LATE_KILLED = "on its way when we are killed"
    NOT_SENT_KILLED = "we are killed before it is sent"
    AWAY = "away"
    REJECTED = "not taken"


@dataclass
class Row:
    """A row as the database has it."""

    id: int
    lane: int
    writes: tuple[Write, ...]
    state: State = State.ACCEPTED
    due_at: float = 0.0
    attempts: int = 0
    plan: Plan | None = None
    written: int = 0
    reason: str = ""

    @property
    def source(self) -> str:
        """What it is a delivery of."""
        return f"note/{self.id}"

    def queued(self) -> Queued:
        """As the worker reads it."""
        sealed = Sealed(b"", "")
        return Queued(
            id=self.id,
            event=self.id,
            step=1,
            lane=bytes([self.lane]),
            kind=Kind.NOTE,
            state=self.state,
            attempts=self.attempts,
            received_at=NOW,
            due_at=NOW,
            sent_at=None,
            epoch=None,
            detail=None,
            repeats=0,
            source_id=self.source,
            version=0,
            body=sealed,
            plan=None if self.plan is None else sealed,
            plan_digest=None,
            written=self.written,
            emr_ref="",
        )

    def key(self, place: int) -> UUID:
        """What names one of its writes."""
        return write_key(SITE, self.source, 0, place)


@dataclass
class World:
    """Database, EMR, clock, and what will happen next."""

    now: float = 0.0
    rows: dict[int, Row] = field(default_factory=dict)
    applied: dict[UUID, list[float]] = field(default_factory=dict)
    """When each write reached the EMR, as often as it did."""
    on_its_way: list[tuple[float, Row, UUID]] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    steps_left: int | None = None
    """How many more steps in the database are made before a kill; None: no kill."""
    refused: bool = False
    calls: int = 0
    inversions: list[tuple[int, int]] = field(default_factory=list)

    def pass_by(self, seconds: float) -> None:
        """Let time pass; what is on its way arrives."""
        self.now += seconds
        arrived = [it for it in self.on_its_way if it[0] <= self.now]
        self.on_its_way = [it for it in self.on_its_way if it[0] > self.now]
        for at, row, key in arrived:
            self.apply(row, key, at)

    def apply(self, row: Row, key: UUID, at: float) -> None:
        """The EMR has it from then on."""
        self.applied.setdefault(key, []).append(at)
        earlier = [it for it in self.rows.values() if it.lane == row.lane and it.id < row.id]
        self.inversions += [(it.id, row.id) for it in earlier if it.state in WAITING]

    def step(self, change: Callable[[], None]) -> None:
        """One transaction, unless the kill comes first; or right after it."""
        if self.steps_left is not None:
            if self.steps_left <= 0:
                raise KilledError
            self.steps_left -= 1
        change()
        if self.steps_left == 0:
            raise KilledError

    def heads(self) -> list[Row]:
        """What can be worked on, by lane."""
        first: dict[int, Row] = {}
        for row in self.rows.values():
            if row.state in WAITING:
                first.setdefault(row.lane, row)
        return [row for row in first.values() if row.due_at <= self.now]


class Kept:
    async def until_it_lasts(self, seconds: float) -> None:
        """It lasts."""


@dataclass
class ModelDesk:
    """`desk.Desk`, without a database."""

    world: World
    site: str = SITE
    kept: Kept = field(default_factory=Kept)

    async def open(self, row: Queued) -> Delivery:
        person = Person(ref="p0001")
        content = NoteContent(person=person, parts=(NotePart(title="", text="x"),), observed_at=NOW)
        return Delivery(row.source_id, row.version, Kind.NOTE, content)

    async def plan(self, row: Queued) -> Plan | None:
        return self.world.rows[row.id].plan

    async def intend(self, row: Queued, plan: Plan) -> None:
        self._change(row, state=State.SENT, plan=plan)

    async def go_on(self, row: Queued, *, written: int, emr_ref: str) -> None:  # noqa: ARG002 - as the desk has it
        self._change(row, state=State.SENT, written=written)

    async def finish(self, row: Queued, *, emr_ref: str) -> None:  # noqa: ARG002 - as the desk has it
        kept = self.world.rows[row.id]
        self._change(row, state=State.DONE, plan=None, written=len(kept.plan.writes) if kept.plan else 0)

    async def put_off(self, row: Queued, what: Hold | Postpone) -> None:
        kept = self.world.rows[row.id]
        if isinstance(what, Hold):
            self._change(row, state=State.HELD, reason=what.reason)
            return
        state = State.ACCEPTED if what.settled else kept.state
        plan = None if what.settled and kept.written == 0 else kept.plan
        due, attempts = self.world.now + what.seconds, kept.attempts + what.tried
        self._change(row, state=state, plan=plan, due_at=due, attempts=attempts)

    def _change(self, row: Queued, **changes: Any) -> None:
        kept = self.world.rows[row.id]
        assert kept.state in WAITING
        self.world.step(lambda: self.world.rows.update({row.id: replace(kept, **changes)}))


@dataclass
class ModelEmr:
    """An EMR that takes everything as often as it comes, and whose search is behind by up to `LAG`."""

    world: World
    row: Row

    def capabilities(self) -> Capabilities:
        able = {
            Operation.WRITE_NOTE: Capability(Basis.PROFILE, "", probe_lag_seconds=LAG),
            Operation.UPLOAD_DOCUMENT: Capability(Basis.PROFILE, ""),
            Operation.MARK_ARRIVED: Capability(Basis.PROFILE, ""),
        }
        return Capabilities(able)

    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        op = write.operation
        match self._fate():
            case Fate.AWAY:
                raise EmrUnavailableError("away", op=op)
            case Fate.REJECTED:
                raise EmrWriteRefusedError("not taken", op=op)
            case Fate.NOT_SENT_KILLED:
                raise KilledError
            case Fate.LOST_UNANSWERED:
                raise EmrOutcomeUnknownError("no answer", op=op)
            case Fate.LATE_UNANSWERED:
                self._send_off(key)
                raise EmrOutcomeUnknownError("no answer", op=op)
            case Fate.LATE_KILLED:
                self._send_off(key)
                raise KilledError
            case Fate.APPLIED_UNANSWERED:
                self.world.apply(self.row, key, self.world.now)
                raise EmrOutcomeUnknownError("no answer", op=op)
            case Fate.APPLIED_KILLED:
                self.world.apply(self.row, key, self.world.now)
                raise KilledError
        self.world.apply(self.row, key, self.world.now)
        return WriteOutcome(WriteStatus.CREATED, str(key))

    async def probe(self, write: Write, key: UUID) -> ProbeResult:
        fate = self._fate()
        if fate is Fate.AWAY:
            raise EmrUnavailableError("away", op=write.operation)
        if fate in {Fate.APPLIED_KILLED, Fate.NOT_SENT_KILLED, Fate.LATE_KILLED}:
            raise KilledError
        visible = [at for at in self.world.applied.get(key, []) if at + LAG <= self.world.now]
        return ProbeResult(Probe.APPLIED if visible else Probe.NOT_APPLIED)

    def _fate(self) -> Fate:
        self.world.calls += 1
        if self.world.refused:
            raise EmrAuthRefusedError("refused", op=Operation.CHECK_CONNECTION)
        return self.world.fates.pop(0) if self.world.fates else Fate.WELL

    def _send_off(self, key: UUID) -> None:
        self.world.on_its_way.append((self.world.now + SETTLE_SECONDS - 0.1, self.row, key))


NOTE = NewNote(PatientId("1"), NoteKind.PROGRESS_NOTE, "title", "text", NOW)
DOCUMENT = NewDocument(PatientId("1"), "title", b"%PDF", NOW)
ARRIVAL = Arrival(AppointmentId("1"))


class Messages(RuleBasedStateMachine):
    """Messages come, are tried, broken off, held, retried and dismissed, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.held_once: set[int] = set()

    def teardown(self) -> None:
        """Once everything is well again, everything comes to its end within a bounded time."""
        try:
            self.world.refused = False
            for _ in range(40 + 40 * len(self.world.rows)):
                if not [row for row in self.world.rows.values() if row.state in WAITING]:
                    break
                self.world.pass_by(400.0)
                for row in self.world.heads():
                    self._work(row, [], None)
            assert [row for row in self.world.rows.values() if row.state in WAITING] == []
            self.exactly_once_or_held()
        finally:
            self.loop.close()

    @initialize()
    def begin(self) -> None:
        """The worker's process starts."""
        self._start()

    def _start(self) -> None:
        desk = cast("Desk", ModelDesk(self.world))
        context = Context(MessagesSpec(), cast("Any", None), "en", cast("Any", None), lambda: NOW)
        self.carrier = Carrier(desk, context, lambda: 0.5, Doubts(lambda: self.world.now), resolve=self._resolve)

    async def _resolve(self, delivery: Delivery, _adapter: EmrAdapter, _context: Context) -> tuple[Write, ...]:
        return next(row.writes for row in self.world.rows.values() if row.source == delivery.source_id)

    @rule(lane=st.integers(0, 2), writes=st.lists(st.sampled_from([NOTE, DOCUMENT, ARRIVAL]), min_size=1, max_size=2))
    def come(self, lane: int, writes: list[Write]) -> None:
        """A delivery comes into the queue."""
        number = len(self.world.rows) + 1
        self.world.rows[number] = Row(number, lane, tuple(writes))

    @precondition(lambda self: self.world.heads())
    @rule(data=st.data(), fates=st.lists(st.sampled_from(Fate), max_size=4), kill_after=st.none() | st.integers(0, 4))
    def work(self, data: st.DataObject, fates: list[Fate], kill_after: int | None) -> None:
        """The worker tries something."""
        self._work(data.draw(st.sampled_from(self.world.heads())), fates, kill_after)

    @rule(seconds=st.sampled_from([0.5, LAG, LAG + SETTLE_SECONDS, 60.0, 3600.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.world.pass_by(seconds)

    @rule()
    def refuse_or_accept(self) -> None:
        """The credentials are withdrawn, or there are new ones."""
        self.world.refused = not self.world.refused

    @precondition(lambda self: any(row.state is State.HELD for row in self.world.rows.values()))
    @rule(data=st.data(), gives_up=st.booleans())
    def a_person_decides(self, data: st.DataObject, gives_up: bool) -> None:  # noqa: FBT001 - drawn
        """Somebody looks into the chart, and dismisses what is there, or what is not to be, and retries the rest."""
        row = data.draw(st.sampled_from([row for row in self.world.rows.values() if row.state is State.HELD]))
        self.world.pass_by(SETTLE_SECONDS)
        there = row.reason == Reason.EMR_OUTCOME_UNKNOWN and self.world.applied.get(row.key(row.written))
        if there or gives_up:
            self.world.rows[row.id] = replace(row, state=State.DISMISSED, plan=None)
            return
        plan = row.plan if row.written else None
        self.world.rows[row.id] = replace(
            row, state=State.ACCEPTED, plan=plan, attempts=0, due_at=self.world.now, reason=""
        )

    @invariant()
    def exactly_once_or_held(self) -> None:
        """What is done is there once; what is held is not there, unless nobody knows; nothing is there twice."""
        for row in self.world.rows.values():
            there = [len(self.world.applied.get(row.key(n), ())) for n in range(len(row.writes))]
            for write, count in zip(row.writes, there, strict=True):
                assert count <= 1 or isinstance(write, Arrival), f"{write.operation} is there {count} times"
            if row.state is State.DONE:
                assert all(there), "done, and not there"
            if row.state is State.HELD and row.reason != Reason.EMR_OUTCOME_UNKNOWN:
                assert not there[row.written] or isinstance(row.writes[row.written], Arrival), "held, and there"
            assert all(there[: row.written]), "counted as written, and not there"

    @invariant()
    def in_order(self) -> None:
        """Nothing reaches the EMR while something before it, of the same patient, still waits."""
        assert self.world.inversions == []

    def _work(self, row: Row, fates: list[Fate], kill_after: int | None) -> None:
        self.world.fates, self.world.steps_left = list(fates), kill_after
        emr = cast("EmrAdapter", ModelEmr(self.world, row))
        calls = self.world.calls
        try:
            met = self.loop.run_until_complete(self.carrier.deliver(row.queued(), emr))
        except KilledError:
            self._start()
        else:
            if self.world.refused:
                assert self.world.calls <= calls + 1, "refused credentials were shown again"
                assert met.bearing is Bearing.REFUSED or self.world.calls == calls
        finally:
            self.world.fates, self.world.steps_left = [], None


TestMessages = Messages.TestCase
TestMessages.settings = settings(
    max_examples=RUNS, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
