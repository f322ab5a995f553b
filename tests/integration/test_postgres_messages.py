"""The queue in PostgreSQL: what the gateway, a site's worker, people and the operator do with it, under real logins."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from integration.logins import Logins, LoginSource, where
from integration.sites import Site
from ocean_api import names
from ocean_api.reasons import Reason
from ocean_dev.servers.postgres import Postgres
from ocean_emr.store import chart_links, held, leases, messages, steps
from ocean_emr.store.database import Database
from ocean_emr.store.errors import LeaseLostError, MessageMovedError
from ocean_emr.store.leases import Lease, Writer
from ocean_emr.store.messages import NewDelivery, Queued, Sealed, Side, Sitting, State, lane_of, own_lane_of

NOTE_ADDED = "notify-patient-note-added"
MINUTE = timedelta(minutes=1)
NOW = timedelta(0)
VERIFIER = "select salt, digest, is_full from ocean.webhook_verifier(%s)"
ROW_OF_WEBHOOK = "insert into ocean.webhook (site, salt, digest) values (%s, %s, %s)"
ACCEPT = "select outcome, channel from ocean.accept_event(%s, %s, %s, %s, %s)"


@pytest.fixture
def gateway(logins: Logins) -> Iterator[psycopg.Connection]:
    """The gateway's connection."""
    with logins.connect(names.VAULT_GATEWAY_DATABASE_ROLE) as connection:
        yield connection


@pytest.fixture
async def database(server: Postgres, logins: Logins, site_a: Site) -> AsyncIterator[Database]:
    """A database as the clinic's worker has it."""
    async with Database(where(server), LoginSource(logins, site_a.vault_role), application="test") as opened:
        yield opened


@pytest.fixture
async def desk(database: Database, site_a: Site) -> Desk:
    """A worker with a lease."""
    return Desk(database, site_a, await _lease(database, site_a))


async def _lease(database: Database, site: Site, lifetime: timedelta = MINUTE) -> Lease:
    async with database.transaction() as transaction:
        return await leases.acquire(transaction, site=site.id, holder="pod-1", lifetime=lifetime, writer=Writer.WORKER)


class Desk:
    """The worker's steps, each in a transaction of its own."""

    def __init__(self, database: Database, site: Site, lease: Lease) -> None:
        self.database, self.site, self.lease = database, site, lease

    async def __call__(self, step: Any, *arguments: Any, **named: Any) -> Any:
        """Take a step under the lease."""
        async with self.database.transaction() as transaction:
            return await step(transaction, self.lease, *arguments, **named)

    async def heads(
        self, side: Side = Side.EMR, *, busy: tuple[bytes, ...] = (), most: int = 100
    ) -> tuple[Queued, ...]:
        """What can be worked on."""
        async with self.database.transaction() as transaction:
            return await messages.heads(transaction, site=self.site.id, side=side, busy=busy, most=most)

    async def head(self, side: Side = Side.EMR) -> Queued:
        """The only thing that can be worked on."""
        (row,) = await self.heads(side)
        return row

    async def next_due(self, side: Side = Side.EMR) -> timedelta | None:
        """When something will be."""
        async with self.database.transaction() as transaction:
            return await messages.next_due(transaction, site=self.site.id, side=side)

    async def ask(self, question: Any, **named: Any) -> Any:
        """What people ask."""
        async with self.database.transaction() as transaction:
            return await question(transaction, site=self.site.id, **named)

    def delivery(self, source: str, ref: str = "ref-1", *, version: int = 0, **more: Any) -> NewDelivery:
        """A note for a patient."""
        return NewDelivery(source, version, "note", lane_of(self.site.id, ref), Sealed(b"sealed", "key/1"), **more)


def _accept(
    gateway: psycopg.Connection, site: Site, ref: str = "ref-1", session: str = "s-1", kind: str = NOTE_ADDED
) -> tuple[str, str]:
    row = gateway.execute(ACCEPT, [site.number, kind, ref, session, "TABLET"]).fetchone()
    assert row is not None
    return row


async def _deliver(gateway: psycopg.Connection, desk: Desk, *deliveries: NewDelivery, ref: str = "ref-1") -> None:
    """Have an event become these deliveries."""
    _accept(gateway, desk.site, ref, session=deliveries[0].source_id)
    assert await desk(steps.expand, await desk.head(Side.OCEAN), deliveries, sitting=None)


def _row(admin: psycopg.Connection, number: int) -> dict[str, Any]:
    with admin.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        row = cursor.execute("select * from ocean.message where id = %s", [number]).fetchone()
    assert row is not None
    return row


def _audit(admin: psycopg.Connection, site: Site) -> list[tuple[str, str]]:
    rows = admin.execute("select action, outcome from ocean.audit where site = %s order by seq", [site.id])
    return rows.fetchall()


async def test_event_is_kept_for_the_living_site_with_that_number(
    gateway: psycopg.Connection, desk: Desk, site_b: Site
) -> None:
    channel = names.message_channel(desk.site.namespace, desk.site.name)
    assert _accept(gateway, desk.site) == ("stored", channel)
    _accept(gateway, site_b, "ref-of-b")

    event = await desk.head(Side.OCEAN)
    assert event.detail == {"type": NOTE_ADDED, "ref": "ref-1", "session": "s-1", "source": "TABLET"}
    assert (event.kind, event.state, event.event, event.step) == ("event", State.ACCEPTED, event.id, 0)


def test_event_for_nobody_is_not_kept(
    gateway: psycopg.Connection, operator: psycopg.Connection, admin: psycopg.Connection, site_a: Site
) -> None:
    site_a.retire(operator, forget=False)

    assert _accept(gateway, site_a) == ("unknown-site", None)
    assert _accept(gateway, Site("no", "body", "9999999")) == ("unknown-site", None)
    assert admin.execute("select count(*) from ocean.message where site = %s", [site_a.id]).fetchone() == (0,)


async def test_event_that_waits_already_is_a_replay(gateway: psycopg.Connection, desk: Desk) -> None:
    outcomes = [
        _accept(gateway, desk.site, *event)[0]
        for event in [
            ("ref-1", "s-1"),
            ("ref-1", "s-1"),
            ("ref-1", "s-2"),
            ("ref-2", "s-1"),
            ("ref-1", "s-1", "another"),
            ("ref-1", ""),
            ("ref-1", "s-1"),
        ]
    ]

    assert outcomes == ["stored", "replay", "stored", "stored", "stored", "stored", "replay"]


async def test_event_that_was_fetched_is_kept_anew(gateway: psycopg.Connection, desk: Desk) -> None:
    """What it tells of may have grown since."""
    _accept(gateway, desk.site)
    assert await desk(steps.expand, await desk.head(Side.OCEAN), (), sitting=None)

    assert _accept(gateway, desk.site)[0] == "stored"


async def test_event_told_again_while_it_is_fetched_is_fetched_again(gateway: psycopg.Connection, desk: Desk) -> None:
    _accept(gateway, desk.site)
    event = await desk.head(Side.OCEAN)
    assert _accept(gateway, desk.site)[0] == "replay"

    assert not await desk(steps.expand, event, [desk.delivery("note/1")], sitting=None)
    again = await desk.head(Side.OCEAN)
    assert (again.id, again.repeats) == (event.id, 1)
    assert await desk(steps.expand, again, [desk.delivery("note/1"), desk.delivery("note/2")], sitting=None)
    assert await desk.heads(Side.OCEAN) == ()
    assert (await desk.head()).source_id == "note/1"


def test_same_event_at_many_gateways_at_once_is_kept_once(
    site_a: Site, logins: Logins, admin: psycopg.Connection
) -> None:
    together = threading.Barrier(8)
    outcomes: list[str] = []

    def tell() -> None:
        with logins.connect(names.VAULT_GATEWAY_DATABASE_ROLE) as connection:
            for number in range(25):
                together.wait()
                outcomes.append(_accept(connection, site_a, session=f"s-{number}")[0])

    gateways = [threading.Thread(target=tell) for _ in range(8)]
    for each in gateways:
        each.start()
    for each in gateways:
        each.join()

    assert sorted(outcomes) == ["replay"] * 7 * 25 + ["stored"] * 25
    assert admin.execute(
        "select count(*), sum(repeats) from ocean.message where site = %s", [site_a.id]
    ).fetchone() == (25, 175)


def test_flood_of_one_site_shows_and_others_go_on(
    gateway: psycopg.Connection, site_a: Site, site_b: Site, logins: Logins
) -> None:
    gateway.execute("set ocean.most_waiting_events = 3")
    for site in (site_a, site_b):
        with logins.connect(site.vault_role) as own:
            own.execute(ROW_OF_WEBHOOK, [site.id, b"s" * 16, b"d" * 32])
    full = []
    for n in range(5):
        full.append(gateway.execute(VERIFIER, [site_a.number]).fetchall()[0][2])
        _accept(gateway, site_a, session=f"s-{n}")

    assert full == [False, False, False, False, True]
    assert gateway.execute(VERIFIER, [site_b.number]).fetchall()[0][2] is False


def test_hundred_thousand_events_may_wait(gateway: psycopg.Connection, admin: psycopg.Connection) -> None:
    assert admin.execute("select ocean.most_waiting_events()").fetchone() == (100_000,)
    # Nobody but the database's owner says so for others.
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        gateway.execute("alter database ocean set ocean.most_waiting_events = 1")


async def test_deliveries_come_once_for_ever(
    gateway: psycopg.Connection, desk: Desk, admin: psycopg.Connection
) -> None:
    await _deliver(gateway, desk, desk.delivery("note/1"))
    first = await desk.head()
    await desk(steps.finish, first, emr_ref="77")
    await _deliver(gateway, desk, desk.delivery("note/1"), desk.delivery("note/1", version=1))

    second = await desk.head()
    assert (second.source_id, second.version) == ("note/1", 1)
    assert admin.execute(
        "select count(*) from ocean.message where site = %s and source_id = 'note/1'", [desk.site.id]
    ).fetchone() == (2,)


async def test_lane_goes_in_order_and_lanes_go_beside_each_other(gateway: psycopg.Connection, desk: Desk) -> None:
    for n in range(3):
        _accept(gateway, desk.site, session=f"s-{n}")
    _accept(gateway, desk.site, "ref-2")
    events = []
    while found := await desk.heads(Side.OCEAN):
        assert len({row.lane for row in found}) == len(found)
        event = found[-1]
        events.append(event.id)
        ref = event.detail["ref"] if event.detail else ""
        names_ = [f"{ref}/{event.id}/{n}" for n in range(2)]
        await desk(steps.expand, event, [desk.delivery(name, ref) for name in names_], sitting=None)
    order: dict[bytes, list[tuple[int, int]]] = {}
    while found := await desk.heads():
        row = found[-1]
        order.setdefault(row.lane, []).append((row.event, row.step))
        await desk(steps.finish, row, emr_ref="")

    assert [len(places) for places in order.values()] in ([6, 2], [2, 6])
    assert all(places == sorted(places) for places in order.values())


async def test_lane_of_which_something_is_under_way_is_left_alone(gateway: psycopg.Connection, desk: Desk) -> None:
    await _deliver(gateway, desk, desk.delivery("a/1", "ref-1"), desk.delivery("a/2", "ref-1"))
    await _deliver(gateway, desk, desk.delivery("b/1", "ref-2"), ref="ref-2")
    first, _ = await desk.heads()

    assert [row.source_id for row in await desk.heads(busy=(first.lane,))] == ["b/1"]
    assert [row.source_id for row in await desk.heads(most=1)] == ["a/1"]


async def test_arrival_does_not_wait_for_what_is_before_it(gateway: psycopg.Connection, desk: Desk) -> None:
    arrival = NewDelivery(
        "checked-in/1", 0, "arrived", own_lane_of(desk.site.id, "ref-1", "arrived"), Sealed(b"x", "key/1")
    )
    await _deliver(gateway, desk, desk.delivery("note/1"), arrival)

    assert [row.source_id for row in await desk.heads()] == ["note/1", "checked-in/1"]


async def test_event_is_fetched_whatever_waits_before_it(gateway: psycopg.Connection, desk: Desk) -> None:
    await _deliver(gateway, desk, desk.delivery("note/1", delay=MINUTE))
    _accept(gateway, desk.site, session="later")

    assert (await desk.head(Side.OCEAN)).kind == "event"


async def test_postponed_message_keeps_its_lane_waiting_until_it_is_due(
    gateway: psycopg.Connection, desk: Desk
) -> None:
    await _deliver(gateway, desk, desk.delivery("note/1"), desk.delivery("note/2"))
    postpone = {"reason": Reason.EMR_UNAVAILABLE, "note": "away", "tried": True, "settled": True}
    await desk(steps.postpone, await desk.head(), delay=MINUTE, **postpone)

    assert await desk.heads() == ()
    due = await desk.next_due()
    assert due is not None
    assert timedelta(seconds=50) < due <= MINUTE
    await desk(steps.hurry, reasons=[Reason.EMR_UNAVAILABLE])
    row = await desk.head()
    assert (row.source_id, row.attempts, await desk.next_due()) == ("note/1", 0, None)


async def test_held_message_is_in_nobodys_way(
    gateway: psycopg.Connection, desk: Desk, admin: psycopg.Connection
) -> None:
    await _deliver(gateway, desk, desk.delivery("note/1"), desk.delivery("note/2"))
    await desk(steps.hold, await desk.head(), reason=Reason.PATIENT_NOT_FOUND, note="no chart")

    assert (await desk.head()).source_id == "note/2"
    assert _audit(admin, desk.site) == [("message.hold", "PatientNotFound")]


async def test_what_was_sent_says_what_and_under_which_lease(gateway: psycopg.Connection, desk: Desk) -> None:
    await _deliver(gateway, desk, desk.delivery("note/1"))
    await desk(steps.intend, await desk.head(), Sealed(b"plan", "key/2"), b"digest")
    sent = await desk.head()
    await desk(steps.go_on, sent, written=1, emr_ref="77")
    further = await desk.head()

    assert (sent.state, sent.plan, sent.plan_digest) == (State.SENT, Sealed(b"plan", "key/2"), b"digest")
    assert (sent.epoch, sent.written) == (desk.lease.epoch, 0)
    assert sent.sent_at is not None
    assert (further.state, further.written, further.emr_ref, further.plan) == (State.SENT, 1, "77", sent.plan)


@pytest.mark.parametrize(
    ("written", "settled", "expected"),
    [
        (0, True, (State.ACCEPTED, None)),
        (0, False, (State.SENT, b"plan")),
        (1, True, (State.ACCEPTED, b"plan")),
        (1, False, (State.SENT, b"plan")),
    ],
)
async def test_plan_is_kept_as_long_as_something_of_it_may_be_there(
    gateway: psycopg.Connection,
    desk: Desk,
    written: int,
    settled: bool,  # noqa: FBT001 - a parameter of the test
    expected: tuple[State, bytes | None],
) -> None:
    await _deliver(gateway, desk, desk.delivery("note/1"))
    row = await desk.head()
    await desk(steps.intend, row, Sealed(b"plan", "key/1"), b"digest")
    if written:
        await desk(steps.go_on, row, written=written, emr_ref="77")
    await desk(steps.postpone, row, delay=NOW, reason=Reason.EMR_UNAVAILABLE, note="away", tried=True, settled=settled)

    after = await desk.head()
    assert (after.state, after.plan.data if after.plan else None) == expected
    assert (after.attempts, after.written) == (1, written)


async def test_ended_message_is_empty_and_stays_ended(
    gateway: psycopg.Connection, desk: Desk, admin: psycopg.Connection
) -> None:
    await _deliver(gateway, desk, desk.delivery("note/1"))
    row = await desk.head()
    await desk(steps.intend, row, Sealed(b"plan", "key/1"), b"digest")
    await desk(steps.finish, row, emr_ref="77")

    kept = _row(admin, row.id)
    assert (kept["state"], kept["emr_ref"]) == ("done", "77")
    assert [kept[name] for name in ("body", "body_key", "plan", "plan_key", "plan_digest")] == [None] * 5
    assert _audit(admin, desk.site) == [("message.deliver", "done")]
    for step, named in [
        (steps.finish, {"emr_ref": ""}),
        (steps.hold, {"reason": "x", "note": ""}),
        (steps.go_on, {"written": 1, "emr_ref": ""}),
    ]:
        with pytest.raises(MessageMovedError):
            await desk(step, row, **named)
    assert len(_audit(admin, desk.site)) == 1
    # Not by a statement of our own making either, nor by a superuser's slip.
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        admin.execute("update ocean.message set state = 'accepted' where id = %s", [row.id])


async def test_worker_that_was_overtaken_changes_nothing(
    gateway: psycopg.Connection, desk: Desk, admin: psycopg.Connection
) -> None:
    await _deliver(gateway, desk, desk.delivery("note/1"))
    _accept(gateway, desk.site, session="another")
    row, event = await desk.head(), await desk.head(Side.OCEAN)
    admin.execute("update ocean.worker_lease set expires_at = clock_timestamp() where site = %s", [desk.site.id])
    after = await _lease(desk.database, desk.site)
    before = [_row(admin, it.id) for it in (row, event)]
    plan = Sealed(b"plan", "key/1")
    for step, arguments, named in [
        (steps.intend, (row, plan, b"digest"), {}),
        (steps.go_on, (row,), {"written": 1, "emr_ref": ""}),
        (steps.finish, (row,), {"emr_ref": ""}),
        (steps.hold, (row,), {"reason": "x", "note": ""}),
        (
            steps.postpone,
            (row,),
            {"delay": NOW, "reason": "x", "note": "", "tried": True, "settled": True},
        ),
        (steps.expand, (event, [desk.delivery("note/2")]), {"sitting": None}),
        (steps.merge, (row, [], plan), {}),
        (steps.hurry, (), {"reasons": ["x"]}),
        (chart_links.put, (), {"ref": "ref-1", "chart": plan}),
    ]:
        with pytest.raises(LeaseLostError):
            await desk(step, *arguments, **named)

    assert [_row(admin, it.id) for it in (row, event)] == before
    assert _audit(admin, desk.site) == []
    assert after.epoch == desk.lease.epoch + 1
    desk.lease = after
    await desk(steps.finish, row, emr_ref="")


async def test_notes_of_a_sitting_wait_for_its_end_and_then_go_as_one(
    gateway: psycopg.Connection, desk: Desk, admin: psycopg.Connection
) -> None:
    lane = lane_of(desk.site.id, "ref-1")
    for n in range(3):
        _accept(gateway, desk.site, session=f"s-{n}")
        event = await desk.head(Side.OCEAN)
        notes = [desk.delivery(f"form/{n}"), desk.delivery(f"note/{n}", gathering=True)]
        await desk(steps.expand, event, notes, sitting=Sitting(lane, MINUTE))
    for n in range(3):
        row = await desk.head()
        assert row.source_id == f"form/{n}", "the sitting is in nobody's way"
        await desk(steps.finish, row, emr_ref="")
    assert await desk.heads() == ()
    dues = admin.execute(
        "select distinct due_at from ocean.message where site = %s and state = 'gathering'", [desk.site.id]
    ).fetchall()
    assert len(dues) == 1, "the last note's arrival counts for all"

    _accept(gateway, desk.site, session="end")
    await desk(steps.expand, await desk.head(Side.OCEAN), (), sitting=Sitting(lane, NOW))
    first = await desk.head()
    assert (first.source_id, first.state) == ("note/0", State.GATHERING)
    async with desk.database.transaction() as transaction:
        rows = await messages.gathered(transaction, site=desk.site.id, lane=lane)
    assert [row.source_id for row in rows] == ["note/0", "note/1", "note/2"]
    await desk(steps.merge, rows[0], rows[1:], Sealed(b"all", "key/2"))

    whole = await desk.head()
    assert (whole.source_id, whole.state, whole.body) == ("note/0", State.ACCEPTED, Sealed(b"all", "key/2"))
    merged = [_row(admin, row.id) for row in rows[1:]]
    assert [(it["state"], it["merged_into"], it["body"]) for it in merged] == [("done", rows[0].id, None)] * 2


async def test_sitting_that_has_changed_is_not_merged(gateway: psycopg.Connection, desk: Desk) -> None:
    lane = lane_of(desk.site.id, "ref-1")
    _accept(gateway, desk.site)
    notes = [desk.delivery("note/1", gathering=True), desk.delivery("note/2", gathering=True)]
    await desk(steps.expand, await desk.head(Side.OCEAN), notes, sitting=Sitting(lane, NOW))
    async with desk.database.transaction() as transaction:
        rows = await messages.gathered(transaction, site=desk.site.id, lane=lane)
    await desk(steps.hold, rows[1], reason="x", note="")

    with pytest.raises(MessageMovedError):
        await desk(steps.merge, rows[0], rows[1:], Sealed(b"all", "key/2"))
    assert (await desk.head()).state is State.GATHERING


async def test_people_see_what_is_held_and_what_waits(gateway: psycopg.Connection, desk: Desk) -> None:
    await _deliver(gateway, desk, *(desk.delivery(f"note/{n}") for n in range(3)))
    await desk(steps.hold, await desk.head(), reason=Reason.EMR_CONFLICT, note="changed meanwhile")
    on_hold = await desk.ask(held.held)
    waiting = await desk.ask(held.waiting)

    assert [(row.source_id, row.reason, row.note) for row in on_hold] == [
        ("note/0", "EmrConflict", "changed meanwhile")
    ]
    assert [row.source_id for row in waiting] == ["note/1", "note/2"]
    assert [row.source_id for row in await desk.ask(held.waiting, after=waiting[0].place)] == ["note/2"]
    row, body = await desk.ask(held.shown, number=on_hold[0].id)
    assert (row, body) == (on_hold[0], Sealed(b"sealed", "key/1"))
    assert await desk.ask(held.shown, number=0) is None


async def test_person_has_a_held_message_tried_again(
    gateway: psycopg.Connection, desk: Desk, admin: psycopg.Connection
) -> None:
    await _deliver(gateway, desk, desk.delivery("note/1"), desk.delivery("note/2"))
    row = await desk.head()
    await desk(steps.intend, row, Sealed(b"plan", "key/1"), b"digest")
    with pytest.raises(MessageMovedError):
        await desk.ask(held.retry, number=row.id, actor="p0001")
    await desk(steps.hold, row, reason=Reason.EMR_OUTCOME_UNKNOWN, note="no answer")
    await desk.ask(held.retry, number=row.id, actor="p0001")

    back = await desk.head()
    assert (back.source_id, back.state, back.plan, back.attempts) == ("note/1", State.ACCEPTED, None, 0)
    assert _audit(admin, desk.site) == [("message.hold", "EmrOutcomeUnknown"), ("message.retry", "done")]


async def test_person_dismisses_a_held_message_with_a_reason(
    gateway: psycopg.Connection, desk: Desk, admin: psycopg.Connection
) -> None:
    await _deliver(gateway, desk, desk.delivery("note/1"))
    row = await desk.head()
    with pytest.raises(MessageMovedError):
        await desk.ask(held.dismiss, number=row.id, actor="p0001", why="not held")
    await desk(steps.hold, row, reason=Reason.EMR_CONFLICT, note="changed")
    for why in ("", "  ", "x" * 501):
        with pytest.raises(ValueError, match="reason"):
            await desk.ask(held.dismiss, number=row.id, actor="p0001", why=why)
    await desk.ask(held.dismiss, number=row.id, actor="p0001", why="written by hand")

    kept = _row(admin, row.id)
    assert (kept["state"], kept["reason"], kept["body"]) == ("dismissed", "MessageDismissed", None)
    what = admin.execute(
        "select actor, what from ocean.audit where site = %s and action = 'message.dismiss'", [desk.site.id]
    ).fetchall()
    assert what == [("p0001", {"message": row.id, "why": "written by hand"})]
    with pytest.raises(MessageMovedError):
        await desk.ask(held.retry, number=row.id, actor="p0001")


async def test_operator_counts_and_retries(
    gateway: psycopg.Connection, desk: Desk, operator: psycopg.Connection, admin: psycopg.Connection, logins: Logins
) -> None:
    gathering = [desk.delivery("g/1", gathering=True, delay=MINUTE)]
    await _deliver(gateway, desk, *(desk.delivery(f"note/{n}") for n in range(4)), *gathering)
    for reason in (Reason.EMR_CONFLICT, Reason.EMR_OUTCOME_UNKNOWN, Reason.PATIENT_NOT_FOUND):
        await desk(steps.hold, await desk.head(), reason=reason, note="")
    count = "select waiting, held, oldest, oldest_held from ocean.queues() where site = %s"
    ages = admin.execute("select min(received_at) from ocean.message where site = %s", [desk.site.id]).fetchone()
    assert ages is not None

    assert operator.execute(count, [desk.site.id]).fetchone() == (1, 3, ages[0], ages[0])
    with logins.connect(desk.site.vault_role) as listening:
        listening.execute(f"listen {names.message_channel(desk.site.namespace, desk.site.name)}")
        arguments = [desk.site.namespace, desk.site.name]
        assert operator.execute("select ocean.retry_held(%s, %s)", arguments).fetchone() == (2,)
        assert [it.payload for it in listening.notifies(timeout=5, stop_after=1)] == [""]
    # Nobody has looked whether the EMR has it.
    assert [row.reason for row in await desk.ask(held.held)] == ["EmrOutcomeUnknown"]
    assert operator.execute(count, [desk.site.id]).fetchone() == (3, 1, ages[0], ages[0])
    assert _audit(admin, desk.site)[-1] == ("messages.retry", "done")


def test_idle_site_is_not_counted(operator: psycopg.Connection, site_a: Site) -> None:
    assert operator.execute("select count(*) from ocean.queues() where site = %s", [site_a.id]).fetchone() == (0,)


async def test_chart_is_found_by_the_patients_reference(desk: Desk) -> None:
    async with desk.database.transaction() as transaction:
        assert await chart_links.read(transaction, site=desk.site.id, ref="ref-1") is None
        await chart_links.put(transaction, desk.lease, ref="ref-1", chart=Sealed(b"one", "key/1"))
        await chart_links.put(transaction, desk.lease, ref="ref-1", chart=Sealed(b"two", "key/2"))
        await chart_links.put(transaction, desk.lease, ref="ref-2", chart=Sealed(b"other", "key/2"))
        await chart_links.forget(transaction, desk.lease, ref="ref-2")

        assert await chart_links.read(transaction, site=desk.site.id, ref="ref-1") == Sealed(b"two", "key/2")
        assert await chart_links.read(transaction, site=desk.site.id, ref="ref-2") is None


def test_webhook_is_known_to_the_gateway_for_living_sites(
    gateway: psycopg.Connection, operator: psycopg.Connection, site_a: Site, logins: Logins
) -> None:
    assert gateway.execute(VERIFIER, [site_a.number]).fetchall() == []
    salt, digest = b"s" * 16, hashlib.sha256(b"key").digest()
    with logins.connect(site_a.vault_role) as own:
        own.execute(ROW_OF_WEBHOOK, [site_a.id, salt, digest])

    assert gateway.execute(VERIFIER, [site_a.number]).fetchall() == [(salt, digest, False)]
    site_a.retire(operator, forget=False)
    assert gateway.execute(VERIFIER, [site_a.number]).fetchall() == []


async def test_notice_wakes_who_listens(gateway: psycopg.Connection, desk: Desk) -> None:
    _, channel = _accept(gateway, desk.site)
    async with desk.database.notices(channel) as notices:
        gateway.execute("select pg_notify(%s, '')", [channel])

        assert await notices.wait()


async def test_listening_ends_before_its_login(server: Postgres, logins: Logins, site_a: Site) -> None:
    source = LoginSource(logins, site_a.vault_role, lifetime=1)
    async with (
        Database(where(server), source, application="test") as database,
        database.notices(names.message_channel(site_a.namespace, site_a.name)) as notices,
    ):
        assert not await notices.wait()
