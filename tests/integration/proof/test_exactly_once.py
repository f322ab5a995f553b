"""Whatever is killed, whenever: what a gateway accepted stands exactly once in the right chart, or is held."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.installation import Installation
from integration.proof.checker import findings
from integration.proof.landscape import PATIENTS, Landscape, ProofClinic, end, make_landscape
from integration.sync.clinic import Tls
from ocean_emr.testing.ocean_sim import OceanSim
from ocean_emr.testing.oscar_sim import Fault, FaultKind

SEED = 20_261_124
MESSAGES = 90
CLINICS = 3


@pytest.fixture
def landscape(installation: Installation, tmp_path: Path, tls: Tls, running_ocean: OceanSim) -> Iterator[Landscape]:
    made = make_landscape(installation, tmp_path, running_ocean, tls, clinics=CLINICS)
    yield made
    end(made)


def test_messages_reach_their_charts(landscape: Landscape) -> None:
    """Nothing is broken: each note once, in order, and nothing of another clinic."""
    _work(landscape)
    for turn in range(8):
        for clinic in landscape.clinics:
            landscape.complete(clinic, PATIENTS[turn % 2])
    landscape.until(landscape.drained, "everything is delivered")
    found = findings(landscape.accepted(), landscape.seen(), {})

    assert found.wrong == {}
    assert found.delivered == 8 * CLINICS


def test_a_worker_ends_in_order_when_it_is_told_to(landscape: Landscape) -> None:
    _work(landscape)
    clinic = landscape.clinics[0]
    for _ in range(10):
        landscape.complete(clinic, PATIENTS[0])
    landscape.until(lambda: bool(clinic.seen()), "the first note is there")
    status = clinic.worker.stop()
    clinic.worker.start()
    landscape.until(landscape.drained, "everything is delivered")

    assert status == 0
    assert findings(landscape.accepted(), landscape.seen(), {}).wrong == {}


def test_exactly_once_whatever_is_killed(landscape: Landscape, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(SEED)  # noqa: S311 - for moments and victims
    _work(landscape)
    harms = _harms(landscape, chance)
    counts = dict.fromkeys(harms, 0)
    for turn in range(MESSAGES):
        clinic = chance.choice(landscape.clinics)
        landscape.complete(clinic, chance.choice(PATIENTS), copies=chance.choice((1, 1, 1, 2, 3)))
        if turn % 5 == 0:
            name = chance.choice(list(harms))
            harms[name]()
            counts[name] += 1
        # Not to wait for something, but to spread the harm over what is under way.
        time.sleep(chance.uniform(0.0, 0.2))
    _heal(landscape)
    landscape.until(landscape.drained, "everything is delivered or held", seconds=600)
    held = landscape.rows("held")
    accepted = landscape.accepted()
    found = findings(accepted, landscape.seen(), {})
    said = f"{len(accepted)} accepted, {found.delivered} delivered, {len(held)} held; harm done: {counts}"
    with capsys.disabled():
        sys.stdout.write(f"\n{said}\n")

    assert len(accepted) == MESSAGES
    assert (found.doubled, found.misplaced, found.out_of_order) == ([], [], []), said
    # Which text a held row carries is sealed; how many there are is not.
    assert len(found.lost) == len(held), said
    assert all(reason for _, _, _, reason, _ in held)


def _work(landscape: Landscape) -> None:
    for clinic in landscape.clinics:
        clinic.worker.start()


def _heal(landscape: Landscape) -> None:
    for clinic in landscape.clinics:
        clinic.oscar.faults.clear()
        clinic.worker.kill()
        clinic.worker.start()


def _harms(landscape: Landscape, chance: random.Random) -> dict[str, Callable[[], None]]:
    """What can happen, each to somebody whom chance chooses."""

    def clinic() -> ProofClinic:
        return chance.choice(landscape.clinics)

    def worker_dies() -> None:
        victim = clinic().worker
        victim.kill()
        victim.start()

    def gateway_dies() -> None:
        victim = chance.choice(landscape.gateways)
        victim.kill()
        victim.start()

    def database_dies() -> None:
        landscape.installation.server.kill()
        landscape.installation.server.start()

    def emr(kind: FaultKind) -> Callable[[], None]:
        return lambda: clinic().oscar.faults.add(Fault(kind, times=chance.randint(1, 3), writes_only=True))

    return {
        "worker killed": worker_dies,
        "gateway killed": gateway_dies,
        "database killed": database_dies,
        "answer lost after commit": emr(FaultKind.SILENCE_AFTER),
        "connection reset after commit": emr(FaultKind.RESET_AFTER),
        "500 after commit": emr(FaultKind.FAILED_AFTER),
        "EMR away": emr(FaultKind.UNAVAILABLE),
        "silence before commit": emr(FaultKind.SILENCE),
    }
