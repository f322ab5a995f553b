"""Whatever a run dies of and wherever it stands: run again, Ocean shows the EMR's schedule, each record once."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import time, timedelta

import psycopg
import pytest

from integration.sync.clinic import ZONE, Clinic, Process, Tls, appointment, patient, small_clinic, until
from ocean_api.reasons import Reason
from ocean_emr.store import holding
from ocean_emr.store.leases import Lease
from ocean_emr.sync import run
from ocean_emr.testing.ocean_sim import Fault as OceanFault
from ocean_emr.testing.ocean_sim import FaultKind as OceanFaultKind
from ocean_emr.testing.oscar_sim import Fault, FaultKind, OscarSim, Profile

PATIENTS, APPOINTMENTS, REMOVALS = "/v0/patients", "/v0/appointments", "/v0/appointments/removals"
REMEMBERED = "select ref_digest, content_digest from ocean.snapshot where site = %s order by 1"
FULL = ("sync", "full", "--trigger", "Requested")


@pytest.fixture
def oscar(tls: Tls) -> Iterator[OscarSim]:
    """Of the kind that lists a day in one answer, since these schedules are long."""
    with OscarSim(small_clinic(), profile=Profile.CLASSIC, zone=ZONE, tls=tls.files) as running:
        yield running


def schedule(oscar: OscarSim) -> dict[str, str]:
    """What Ocean should show after a full run: the bookings of somebody that are not cancelled."""
    rows = oscar.clinic.appointments.values()
    return {
        str(row.no): f"{row.provider_no} {row.day}T{row.clock:%H:%M}"
        for row in rows
        if row.demographic_no and row.status != "C"
    }


def shown(clinic: Clinic) -> dict[str, str]:
    """What Ocean shows."""
    rows = ((row["ref"], row["content"]) for row in clinic.at_ocean.appointments())
    return {ref: f"{content['externalProviderRef']} {content['start'][:16]}" for ref, content in rows}


def busy(oscar: OscarSim, bookings: int = 110) -> None:
    """So many bookings that they do not fit into one request."""
    oscar.clinic.add(*(patient(2000 + n) for n in range(20)))
    oscar.clinic.add(*(appointment(500 + n, "101", patient_no=2000 + n % 20) for n in range(bookings)))


async def assert_next_run_makes_it_right(clinic: Clinic, oscar: OscarSim) -> None:
    """The lease of a killed run ends by itself; this is some minutes later."""
    clinic.end_lease()
    assert await clinic.sync("full") == 0
    assert shown(clinic) == schedule(oscar)
    met = {str(row.demographic_no) for row in oscar.clinic.appointments.values() if str(row.no) in schedule(oscar)}
    assert met <= set(clinic.patients_at_ocean())
    assert clinic.report().problem is None
    assert clinic.report().running is None
    # Nothing is left in doubt: there is nothing more to send, and nothing more to remove.
    upserts = [row["upserts"] for row in (*clinic.at_ocean.patients(), *clinic.at_ocean.appointments())]
    assert await clinic.sync("full") == 0
    assert upserts == [row["upserts"] for row in (*clinic.at_ocean.patients(), *clinic.at_ocean.appointments())]


@pytest.mark.parametrize(
    ("path", "after"),
    [(PATIENTS, 0), (APPOINTMENTS, 0), (APPOINTMENTS, 1)],
    ids=["before anything is sent", "after the patients", "between two batches"],
)
async def test_killed_while_sending(clinic: Clinic, oscar: OscarSim, path: str, after: int) -> None:
    busy(oscar)
    clinic.gate.close(path, after=after)
    process = clinic.start(*FULL)
    await clinic.gate.reached(process)
    process.kill()
    clinic.gate.open()

    await assert_next_run_makes_it_right(clinic, oscar)


async def _killed_when_ocean_has_it(clinic: Clinic, path: str, done: Callable[[], bool]) -> None:
    """Kill the process when Ocean has done what was asked and the process has not heard of it."""
    clinic.ocean.faults.add(OceanFault(OceanFaultKind.TIMEOUT_AFTER, path=f"/svc/ocean-operator{path}"))
    process = clinic.start(*FULL)
    await until(done)
    process.kill()


async def test_appointment_that_only_ocean_remembers_is_removed_all_the_same(clinic: Clinic, oscar: OscarSim) -> None:
    """Sent, killed, and taken off the EMR's schedule before the next run: it must not stay at Ocean."""
    await clinic.sync("full")
    oscar.clinic.add(appointment(9, "101"))
    await _killed_when_ocean_has_it(clinic, APPOINTMENTS, lambda: "9" in clinic.at_ocean.stored_appointments)
    del oscar.clinic.appointments[9]

    await assert_next_run_makes_it_right(clinic, oscar)


async def test_change_that_only_ocean_remembers_is_taken_back_with_the_emr(clinic: Clinic, oscar: OscarSim) -> None:
    """Changed, sent, killed, and changed back in the EMR before the next run: Ocean must not keep the change."""
    await clinic.sync("full")
    before = oscar.clinic.appointments[1]
    oscar.clinic.add(replace(before, clock=time(20, 30)))
    await _killed_when_ocean_has_it(clinic, APPOINTMENTS, lambda: clinic.at_ocean.stored_appointments["1"].upserts == 2)
    oscar.clinic.add(before)

    await assert_next_run_makes_it_right(clinic, oscar)


async def test_removal_that_only_ocean_remembers_is_taken_back_with_the_emr(clinic: Clinic, oscar: OscarSim) -> None:
    """Removed, killed, and on the schedule again before the next run: it must come back."""
    await clinic.sync("full")
    before = oscar.clinic.appointments.pop(1)
    await _killed_when_ocean_has_it(clinic, REMOVALS, lambda: "1" not in clinic.at_ocean.stored_appointments)
    oscar.clinic.add(before)

    await assert_next_run_makes_it_right(clinic, oscar)


async def _waits_for_the_report(clinic: Clinic) -> None:
    """Return when some `ocean-sync` waits for a row that somebody has locked."""

    def waiting() -> bool:
        rows = clinic.query(
            "select 1 from pg_stat_activity"
            " where application_name = 'ocean-sync' and wait_event_type = 'Lock' and %s::text is not null"
        )
        return bool(rows)

    await until(waiting)


async def test_killed_before_the_report_is_written(clinic: Clinic, oscar: OscarSim) -> None:
    await clinic.sync("full")
    oscar.clinic.add(appointment(9, "101"))
    before = clinic.report().last_full
    clinic.gate.close(APPOINTMENTS)
    process = clinic.start(*FULL)
    await clinic.gate.reached(process)
    with psycopg.connect(clinic.installation.server.admin) as holder:
        holder.execute("select 1 from ocean.site_state where site = %s for update", [clinic.site.id])
        clinic.gate.open()
        await _waits_for_the_report(clinic)
        process.kill()
    assert clinic.report().running is not None, "nobody was left to say that it is over"
    assert clinic.report().last_full == before
    assert shown(clinic) == schedule(oscar)

    await assert_next_run_makes_it_right(clinic, oscar)


@pytest.mark.parametrize("seed", range(2))
async def test_killed_anywhere_again_and_again(clinic: Clinic, oscar: OscarSim, seed: int) -> None:
    """The EMR's schedule changes between runs that are killed at random moments."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    busy(oscar)
    for turn in range(6):
        process = clinic.start(*FULL)
        for _ in range(chance.randrange(30)):
            await asyncio.sleep(0.05)
        process.kill()
        clinic.end_lease()
        _change(oscar, chance, turn)

    assert await clinic.sync("full") == 0
    if clinic.report().held:
        await clinic.sync("full")
    await assert_next_run_makes_it_right(clinic, oscar)


def _change(oscar: OscarSim, chance: random.Random, turn: int) -> None:
    numbers = sorted(oscar.clinic.appointments)
    for number in chance.sample(numbers, 8):
        del oscar.clinic.appointments[number]
    for number in chance.sample(sorted(oscar.clinic.appointments), 8):
        row = oscar.clinic.appointments[number]
        changes = [replace(row, clock=time(20, turn)), replace(row, status="C"), replace(row, provider_no="102")]
        oscar.clinic.add(chance.choice(changes))
    oscar.clinic.add(*(appointment(1000 + turn * 10 + n, "102", patient_no=1002) for n in range(5)))


async def test_told_to_stop_it_says_so_and_the_next_one_begins_at_once(clinic: Clinic, oscar: OscarSim) -> None:
    """As the kubelet does when a node is drained. Nobody waits for a lease to run out."""
    busy(oscar)
    clinic.gate.close(APPOINTMENTS, after=1)
    process = clinic.start(*FULL)
    await clinic.gate.reached(process)
    process.stop()
    assert await process.status() == 1
    clinic.gate.open()
    report = clinic.report()
    assert (report.problem and report.problem.reason, report.running) == (Reason.SYNC_INTERRUPTED, None)
    assert report.last_full is None
    assert clinic.query("select expires_at > clock_timestamp() from ocean.sync_lease where site = %s") == [(False,)]
    assert "Traceback" not in process.said

    assert await clinic.sync("full") == 0
    assert shown(clinic) == schedule(oscar)
    assert clinic.report().problem is None


async def test_told_to_stop_while_the_emr_is_silent(clinic: Clinic, oscar: OscarSim) -> None:
    oscar.faults.add(FaultKind.SILENCE)
    process = clinic.start(*FULL)
    await until(lambda: oscar.ledger.total > 0)
    process.stop()

    assert await process.status() == 1
    assert clinic.report().problem.reason is Reason.SYNC_INTERRUPTED  # type: ignore[union-attr]


@pytest.mark.parametrize("comes_back", [True, False], ids=["restarted", "gone"])
async def test_database_is_killed_midway(clinic: Clinic, oscar: OscarSim, *, comes_back: bool) -> None:
    busy(oscar)
    server = clinic.installation.server
    clinic.gate.close(APPOINTMENTS, after=1)
    process = clinic.start(*FULL)
    await clinic.gate.reached(process)
    server.kill()
    if comes_back:
        server.start()
    clinic.gate.open()
    status = await process.status()
    if not comes_back:
        server.start()
        assert status == 1
        # Whichever noticed it first: PostgreSQL's client, or Vault, which could make no login.
        assert "Unavailable" in json.loads((clinic.folder / "termination-log").read_text())["reason"]
    assert "Traceback" not in process.said

    await assert_next_run_makes_it_right(clinic, oscar)


@pytest.mark.usefixtures("no_pauses")
async def test_emr_goes_down_and_comes_up(clinic: Clinic, oscar: OscarSim) -> None:
    await clinic.sync("full")
    oscar.faults.add(Fault(FaultKind.UNAVAILABLE))
    for _ in range(3):
        assert await clinic.sync("recent") == 1
    assert clinic.report().problem.reason is Reason.EMR_UNAVAILABLE  # type: ignore[union-attr]
    oscar.clinic.add(appointment(9, "102"))
    oscar.faults.clear()

    assert await clinic.sync("recent") == 0
    assert shown(clinic) == schedule(oscar)
    assert clinic.report().problem is None


async def _take_over(clinic: Clinic) -> Lease:
    """Another run begins, since the lease has run out: its holder was stopped for too long."""
    clinic.end_lease()
    with psycopg.connect(clinic.installation.server.admin, autocommit=True) as admin:
        row = admin.execute(
            "update ocean.sync_lease set epoch = epoch + 1, holder = 'other', expires_at = clock_timestamp() + '1 hour'"
            " where site = %s returning epoch",
            [clinic.site.id],
        ).fetchone()
    assert row is not None
    return Lease(clinic.site.id, "other", row[0])


async def test_lost_lease_ends_all_writing(clinic: Clinic, oscar: OscarSim) -> None:
    busy(oscar)
    clinic.gate.close(APPOINTMENTS)
    process = clinic.start(*FULL)
    await clinic.gate.reached(process)
    await _take_over(clinic)
    before = clinic.query("select state, updated_at from ocean.site_state where site = %s")
    remembered = clinic.query(REMEMBERED)
    clinic.gate.open()

    assert await process.status() == 1
    assert clinic.requests(APPOINTMENTS) == 1, "the second batch was never sent"
    assert clinic.query("select state, updated_at from ocean.site_state where site = %s") == before
    assert clinic.query(REMEMBERED) == remembered
    assert clinic.audit() == []
    assert clinic.query("select holder, expires_at > clock_timestamp() from ocean.sync_lease where site = %s") == [
        ("other", True)
    ]

    await assert_next_run_makes_it_right(clinic, oscar)


async def test_run_that_cannot_renew_its_lease_stops_where_it_stands(
    clinic: Clinic, oscar: OscarSim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs in a call to the EMR that would last for minutes, and somebody else has taken over."""
    monkeypatch.setattr(holding, "SYNC", replace(holding.SYNC, renew_seconds=0.2))
    oscar.faults.add(FaultKind.SILENCE)
    running = asyncio.create_task(clinic.sync("full"))
    await until(lambda: oscar.ledger.total > 0)
    await _take_over(clinic)

    assert await running == 1
    assert clinic.report().problem is None
    assert clinic.report().running is not None, "that is for the other one to say"


async def test_lease_is_kept_for_as_long_as_a_run_takes(
    clinic: Clinic, oscar: OscarSim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "SYNC", replace(holding.SYNC, renew_seconds=0.1))
    clinic.gate.close(APPOINTMENTS)
    running = asyncio.create_task(clinic.sync("full"))
    await clinic.gate.reached()
    clinic.query("update ocean.sync_lease set expires_at = clock_timestamp() + '30 seconds' where site = %s")
    renewed = "select expires_at > clock_timestamp() + interval '1 minute' from ocean.sync_lease where site = %s"
    await until(lambda: clinic.query(renewed) == [(True,)])
    clinic.gate.open()

    assert await running == 0
    assert shown(clinic) == schedule(oscar)


async def test_next_run_waits_for_the_lease_of_a_killed_one(clinic: Clinic, oscar: OscarSim) -> None:
    clinic.gate.close(APPOINTMENTS)
    process = clinic.start(*FULL)
    await clinic.gate.reached(process)
    process.kill()
    clinic.gate.open()
    clinic.query("update ocean.sync_lease set expires_at = clock_timestamp() + '4 seconds' where site = %s")

    assert await clinic.sync("recent", "--trigger", "Scheduled") == 0
    assert shown(clinic) == schedule(oscar)


async def test_two_runs_never_overlap(clinic: Clinic, oscar: OscarSim, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduled recent run is left out when another one is at work; what was asked for comes later."""
    monkeypatch.setattr(run, "_OUTLIVE_A_DEAD_RUN", timedelta(0))
    clinic.gate.close(APPOINTMENTS)
    first = clinic.start(*FULL)
    await clinic.gate.reached(first)

    assert await clinic.sync("recent", "--trigger", "Scheduled") == 0
    assert clinic.report().last_recent is None
    with monkeypatch.context() as impatient:
        impatient.setattr(run, "_OUTLIVE_A_LIVE_RUN", timedelta(0))
        assert await clinic.sync("full", "--trigger", "Requested", "--token", "r-1") == 1
        assert "r-1" not in clinic.report().handled
    waiting = asyncio.create_task(clinic.sync("full", "--trigger", "Requested", "--token", "r-1"))
    clinic.gate.open()
    assert await first.status() == 0
    assert await waiting == 0
    assert clinic.report().handled == ("r-1",)
    assert shown(clinic) == schedule(oscar)


@pytest.mark.parametrize("pace", [holding.SYNC, holding.WORKER])
def test_lease_leaves_time_to_stop(pace: holding.Pace) -> None:
    """Several attempts to renew fit in before the work is stopped, and it is stopped before another can begin."""
    assert 3 * pace.renew_seconds + pace.margin_seconds <= pace.lifetime.total_seconds()
    assert pace.margin_seconds >= 10


async def test_vault_is_away(clinic: Clinic, oscar: OscarSim) -> None:
    clinic.installation.bao.stop()
    process: Process = clinic.start("sync", "recent")
    status = await process.status()
    clinic.installation.bao.start()

    assert status == 1
    assert '"reason":"VaultUnavailable"' in (clinic.folder / "termination-log").read_text()
    assert "Traceback" not in process.said
    await assert_next_run_makes_it_right(clinic, oscar)
