"""The queue in PostgreSQL: what the gateway and a site's worker do with it, under real logins."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg
import psycopg.rows
import pytest

from integration.logins import Logins
from integration.queue_desk import (
    MINUTE,
    NOTE_ADDED,
    NOW,
    ROW_OF_WEBHOOK,
    VERIFIER,
    Desk,
    accept,
    audit_of,
    deliver,
    lease_of,
    row_of,
)
from integration.sites import Site
from ocean_api import names
from ocean_api.reasons import Reason
from ocean_emr.store import chart_links, steps
from ocean_emr.store.errors import LeaseLostError, MessageMovedError
from ocean_emr.store.messages import NewDelivery, Sealed, Side, State, own_lane_of


async def test_event_is_kept_for_the_living_site_with_that_number(
    gateway: psycopg.Connection, desk: Desk, site_b: Site
) -> None:
    channel = names.message_channel(desk.site.namespace, desk.site.name)
    assert accept(gateway, desk.site) == ("stored", channel)
    accept(gateway, site_b, "ref-of-b")

    event = await desk.head(Side.OCEAN)
    assert event.detail == {"type": NOTE_ADDED, "ref": "ref-1", "session": "s-1", "source": "TABLET"}
    assert (event.kind, event.state, event.event, event.step) == ("event", State.ACCEPTED, event.id, 0)


def test_event_for_nobody_is_not_kept(
    gateway: psycopg.Connection, operator: psycopg.Connection, admin: psycopg.Connection, site_a: Site
) -> None:
    site_a.retire(operator, forget=False)

    assert accept(gateway, site_a) == ("unknown-site", None)
    assert accept(gateway, Site("no", "body", "9999999")) == ("unknown-site", None)
    assert admin.execute("select count(*) from ocean.message where site = %s", [site_a.id]).fetchone() == (0,)


async def test_event_that_waits_already_is_a_replay(gateway: psycopg.Connection, desk: Desk) -> None:
    outcomes = [
        accept(gateway, desk.site, *event)[0]
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
    accept(gateway, desk.site)
    assert await desk(steps.expand, await desk.head(Side.OCEAN), (), sitting=None)

    assert accept(gateway, desk.site)[0] == "stored"


async def test_event_told_again_while_it_is_fetched_is_fetched_again(gateway: psycopg.Connection, desk: Desk) -> None:
    accept(gateway, desk.site)
    event = await desk.head(Side.OCEAN)
    assert accept(gateway, desk.site)[0] == "replay"

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
                outcomes.append(accept(connection, site_a, session=f"s-{number}")[0])

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
        accept(gateway, site_a, session=f"s-{n}")

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
    await deliver(gateway, desk, desk.delivery("note/1"))
    first = await desk.head()
    await desk(steps.finish, first, emr_ref="77")
    await deliver(gateway, desk, desk.delivery("note/1"), desk.delivery("note/1", version=1))

    second = await desk.head()
    assert (second.source_id, second.version) == ("note/1", 1)
    assert admin.execute(
        "select count(*) from ocean.message where site = %s and source_id = 'note/1'", [desk.site.id]
    ).fetchone() == (2,)


async def test_lane_goes_in_order_and_lanes_go_beside_each_other(gateway: psycopg.Connection, desk: Desk) -> None:
    for n in range(3):
        accept(gateway, desk.site, session=f"s-{n}")
    accept(gateway, desk.site, "ref-2")
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
    await deliver(gateway, desk, desk.delivery("a/1", "ref-1"), desk.delivery("a/2", "ref-1"))
    await deliver(gateway, desk, desk.delivery("b/1", "ref-2"), ref="ref-2")
    first, _ = await desk.heads()

    assert [row.source_id for row in await desk.heads(busy=(first.lane,))] == ["b/1"]
    assert [row.source_id for row in await desk.heads(most=1)] == ["a/1"]


async def test_arrival_does_not_wait_for_what_is_before_it(gateway: psycopg.Connection, desk: Desk) -> None:
    arrival = NewDelivery(
        "checked-in/1", 0, "arrived", own_lane_of(desk.site.id, "ref-1", "arrived"), Sealed(b"x", "key/1")
    )
    await deliver(gateway, desk, desk.delivery("note/1"), arrival)

    assert [row.source_id for row in await desk.heads()] == ["note/1", "checked-in/1"]


async def test_event_is_fetched_whatever_waits_before_it(gateway: psycopg.Connection, desk: Desk) -> None:
    await deliver(gateway, desk, desk.delivery("note/1", delay=MINUTE))
    accept(gateway, desk.site, session="later")

    assert (await desk.head(Side.OCEAN)).kind == "event"


async def test_postponed_message_keeps_its_lane_waiting_until_it_is_due(
    gateway: psycopg.Connection, desk: Desk
) -> None:
    await deliver(gateway, desk, desk.delivery("note/1"), desk.delivery("note/2"))
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
    await deliver(gateway, desk, desk.delivery("note/1"), desk.delivery("note/2"))
    await desk(steps.hold, await desk.head(), reason=Reason.PATIENT_NOT_FOUND, note="no chart")

    assert (await desk.head()).source_id == "note/2"
    assert audit_of(admin, desk.site) == [("message.hold", "PatientNotFound")]


async def test_what_was_sent_says_what_and_under_which_lease(gateway: psycopg.Connection, desk: Desk) -> None:
    await deliver(gateway, desk, desk.delivery("note/1"))
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
    await deliver(gateway, desk, desk.delivery("note/1"))
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
    await deliver(gateway, desk, desk.delivery("note/1"))
    row = await desk.head()
    await desk(steps.intend, row, Sealed(b"plan", "key/1"), b"digest")
    await desk(steps.finish, row, emr_ref="77")

    kept = row_of(admin, row.id)
    assert (kept["state"], kept["emr_ref"]) == ("done", "77")
    assert [kept[name] for name in ("body", "body_key", "plan", "plan_key", "plan_digest")] == [None] * 5
    assert audit_of(admin, desk.site) == [("message.deliver", "done")]
    for step, named in [
        (steps.finish, {"emr_ref": ""}),
        (steps.hold, {"reason": "x", "note": ""}),
        (steps.go_on, {"written": 1, "emr_ref": ""}),
    ]:
        with pytest.raises(MessageMovedError):
            await desk(step, row, **named)
    assert len(audit_of(admin, desk.site)) == 1
    # Not by a statement of our own making either, nor by a superuser's slip.
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        admin.execute("update ocean.message set state = 'accepted' where id = %s", [row.id])


async def test_worker_that_was_overtaken_changes_nothing(
    gateway: psycopg.Connection, desk: Desk, admin: psycopg.Connection
) -> None:
    await deliver(gateway, desk, desk.delivery("note/1"))
    accept(gateway, desk.site, session="another")
    row, event = await desk.head(), await desk.head(Side.OCEAN)
    admin.execute("update ocean.worker_lease set expires_at = clock_timestamp() where site = %s", [desk.site.id])
    after = await lease_of(desk.database, desk.site)
    before = [row_of(admin, it.id) for it in (row, event)]
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

    assert [row_of(admin, it.id) for it in (row, event)] == before
    assert audit_of(admin, desk.site) == []
    assert after.epoch == desk.lease.epoch + 1
    desk.lease = after
    await desk(steps.finish, row, emr_ref="")
