"""The queue in PostgreSQL: sittings, and what people and the operator do with it, under real logins."""

from __future__ import annotations

import hashlib

import psycopg
import psycopg.rows
import pytest

from integration.logins import Logins, LoginSource, where
from integration.queue_desk import (
    MINUTE,
    NOW,
    ROW_OF_WEBHOOK,
    VERIFIER,
    Desk,
    accept,
    audit_of,
    deliver,
    row_of,
)
from integration.sites import Site
from ocean_api import names
from ocean_api.reasons import Reason
from ocean_dev.servers.postgres import Postgres
from ocean_emr.store import chart_links, held, messages, steps
from ocean_emr.store.database import Database
from ocean_emr.store.errors import MessageMovedError
from ocean_emr.store.messages import Sealed, Side, Sitting, State, lane_of


async def test_notes_of_a_sitting_wait_for_its_end_and_then_go_as_one(
    gateway: psycopg.Connection, desk: Desk, admin: psycopg.Connection
) -> None:
    lane = lane_of(desk.site.id, "ref-1")
    for n in range(3):
        accept(gateway, desk.site, session=f"s-{n}")
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

    accept(gateway, desk.site, session="end")
    await desk(steps.expand, await desk.head(Side.OCEAN), (), sitting=Sitting(lane, NOW))
    first = await desk.head()
    assert (first.source_id, first.state) == ("note/0", State.GATHERING)
    async with desk.database.transaction() as transaction:
        rows = await messages.gathered(transaction, site=desk.site.id, lane=lane)
    assert [row.source_id for row in rows] == ["note/0", "note/1", "note/2"]
    await desk(steps.merge, rows[0], rows[1:], Sealed(b"all", "key/2"))

    whole = await desk.head()
    assert (whole.source_id, whole.state, whole.body) == ("note/0", State.ACCEPTED, Sealed(b"all", "key/2"))
    merged = [row_of(admin, row.id) for row in rows[1:]]
    assert [(it["state"], it["merged_into"], it["body"]) for it in merged] == [("done", rows[0].id, None)] * 2


async def test_sitting_that_has_changed_is_not_merged(gateway: psycopg.Connection, desk: Desk) -> None:
    lane = lane_of(desk.site.id, "ref-1")
    accept(gateway, desk.site)
    notes = [desk.delivery("note/1", gathering=True), desk.delivery("note/2", gathering=True)]
    await desk(steps.expand, await desk.head(Side.OCEAN), notes, sitting=Sitting(lane, NOW))
    async with desk.database.transaction() as transaction:
        rows = await messages.gathered(transaction, site=desk.site.id, lane=lane)
    await desk(steps.hold, rows[1], reason="x", note="")

    with pytest.raises(MessageMovedError):
        await desk(steps.merge, rows[0], rows[1:], Sealed(b"all", "key/2"))
    assert (await desk.head()).state is State.GATHERING


async def test_people_see_what_is_held_and_what_waits(gateway: psycopg.Connection, desk: Desk) -> None:
    await deliver(gateway, desk, *(desk.delivery(f"note/{n}") for n in range(3)))
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
    await deliver(gateway, desk, desk.delivery("note/1"), desk.delivery("note/2"))
    row = await desk.head()
    await desk(steps.intend, row, Sealed(b"plan", "key/1"), b"digest")
    with pytest.raises(MessageMovedError):
        await desk.ask(held.retry, number=row.id, actor="p0001")
    await desk(steps.hold, row, reason=Reason.EMR_OUTCOME_UNKNOWN, note="no answer")
    await desk.ask(held.retry, number=row.id, actor="p0001")

    back = await desk.head()
    assert (back.source_id, back.state, back.plan, back.attempts) == ("note/1", State.ACCEPTED, None, 0)
    assert audit_of(admin, desk.site) == [("message.hold", "EmrOutcomeUnknown"), ("message.retry", "done")]


async def test_person_dismisses_a_held_message_with_a_reason(
    gateway: psycopg.Connection, desk: Desk, admin: psycopg.Connection
) -> None:
    await deliver(gateway, desk, desk.delivery("note/1"))
    row = await desk.head()
    with pytest.raises(MessageMovedError):
        await desk.ask(held.dismiss, number=row.id, actor="p0001", why="not held")
    await desk(steps.hold, row, reason=Reason.EMR_CONFLICT, note="changed")
    for why in ("", "  ", "x" * 501):
        with pytest.raises(ValueError, match="reason"):
            await desk.ask(held.dismiss, number=row.id, actor="p0001", why=why)
    await desk.ask(held.dismiss, number=row.id, actor="p0001", why="written by hand")

    kept = row_of(admin, row.id)
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
    await deliver(gateway, desk, *(desk.delivery(f"note/{n}") for n in range(4)), *gathering)
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
    assert audit_of(admin, desk.site)[-1] == ("messages.retry", "done")


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
    _, channel = accept(gateway, desk.site)
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
