"""The worker is killed at every boundary, the first and the second time it gets there: each note once, in order."""

from __future__ import annotations

import pytest

from integration.messages.failing_worker import POINTS
from integration.messages.rig import Rig
from ocean_api.v1alpha1.spec import DemographicsPolicy, MessagesSpec
from ocean_emr.testing.ocean_sim.mailbox import Upload
from ocean_emr.testing.oscar_sim import Fault, FaultKind

IN_DOUBT = ("before put_off", "after put_off", "before probe", "after probe")
"""Nobody gets there unless an answer is lost."""
IN_A_SITTING = ("before merge", "after merge")
WITH_TWO_WRITES = ("before go_on", "after go_on")
ALWAYS = [point for point in POINTS if point not in {*IN_DOUBT, *IN_A_SITTING, *WITH_TWO_WRITES}]


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", ALWAYS)
async def test_killed_worker_loses_and_doubles_nothing(rig: Rig, point: str, nth: int) -> None:
    markers = {chart: [rig.complete(chart) for _ in range(3)] for chart in (1001, 1002)}
    await _killed(rig, point, nth)
    markers[1001].append(rig.complete(1001))
    rig.start()
    await rig.drained()

    _each_once_in_order(rig, markers)


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", IN_DOUBT)
async def test_killed_in_doubt(rig: Rig, point: str, nth: int) -> None:
    rig.oscar.faults.add(Fault(FaultKind.RESET_AFTER, writes_only=True, times=1))
    rig.oscar.faults.add(Fault(FaultKind.RESET_AFTER, writes_only=True, skip=1, times=1))
    markers = {chart: [rig.complete(chart) for _ in range(2)] for chart in (1001, 1002)}
    await _killed(rig, point, nth)
    rig.start()
    await rig.drained()

    _each_once_in_order(rig, markers)


@pytest.mark.parametrize("point", IN_A_SITTING)
async def test_killed_at_the_end_of_a_sitting(rig: Rig, point: str) -> None:
    rig.clinic.messages = MessagesSpec(combine_notes=True)
    rig.clinic.write_settings()
    markers = [rig.complete() for _ in range(2)]
    markers.append(rig.complete(last=True))
    await _killed(rig, point, 1)
    rig.start()
    await rig.drained()

    assert rig.places(*markers) == [0, 0, 0]
    assert len(rig.notes()) == 1


@pytest.mark.parametrize("point", WITH_TWO_WRITES)
async def test_killed_between_two_writes_of_one_message(rig: Rig, point: str) -> None:
    """New demographics, and a note about those that may not be changed."""
    rig.clinic.messages = MessagesSpec(demographics=DemographicsPolicy.UPDATE)
    rig.clinic.write_settings()
    marker = rig.complete(updates={"address.email": "p0001@example.org", "surname": "Anders-p0001"})
    await _killed(rig, point, 1)
    rig.start()
    await rig.drained()

    assert rig.rows("held") == []
    assert rig.places(marker) == [0]
    assert rig.places("Anders-p0001") == [1]
    assert rig.oscar.clinic.patients[1001].email == "p0001@example.org"


async def test_killed_whenever_a_write_cannot_be_looked_for(rig: Rig) -> None:
    """A document is there, or it is not: the worker cannot see, so a person is asked, and it is not sent again."""
    rig.clinic.messages = MessagesSpec(import_attachments=True)
    rig.clinic.write_settings()
    rig.complete(files=[Upload("p0001.txt", "text/plain", b"Ligne p0001")])
    await _killed(rig, "after write", 2)
    rig.start()
    await rig.drained()

    assert len(rig.oscar.clinic.documents) == 1
    assert [(kind, reason) for kind, _, reason in rig.rows("held")] == [("document", "EmrOutcomeUnknown")]


async def test_clock_that_jumps_while_a_worker_is_dead_proves_nothing(rig: Rig) -> None:
    """By the database's clock the lag is long over, or far from over: only what the new worker waits itself counts."""
    markers = []
    for hours in (1, -1):
        markers.append(rig.complete())
        await _killed(rig, "after write", 1)
        rig.clinic.query(
            "update ocean.message set sent_at = sent_at + %s, due_at = least(due_at + %s, clock_timestamp()),"
            " received_at = received_at + %s where site = %s and state in ('sent', 'accepted')".replace(
                "%s", f"interval '{hours} hours'", 3
            )
        )
        worker = rig.start()
        await rig.drained()
        worker.kill()

    assert rig.places(*markers) == [0, 1]
    assert rig.rows("held") == []


async def _killed(rig: Rig, point: str, nth: int) -> None:
    worker = rig.start(point, str(nth))
    status = await worker.status()

    assert status == -9, f"it never got to {point} for the {nth}. time; it said:\n{worker.said}"


def _each_once_in_order(rig: Rig, markers: dict[int, list[str]]) -> None:
    assert rig.rows("held") == []
    for chart, found in markers.items():
        assert rig.places(*found, chart=chart) == list(range(len(found)))
        assert len(rig.notes(chart)) == len(found)
