"""Two replicas, one leader: never none for long, and never two."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.audit_log import AuditLog
from cluster.clinics import Clinic, Landscape
from cluster.interposer import interposed
from cluster.operators import NAMESPACE, OperatorProcess, until
from ocean_operator.cluster import Cluster
from ocean_operator.lease import Leadership, LeadershipLostError

LEASE_SECONDS = "8"
OTHER = "second-operator"
Pair = tuple[OperatorProcess, OperatorProcess]


@contextmanager
def replicas(landscape: Landscape, lease_seconds: str) -> Iterator[Pair]:
    """A leader, and a replica that stands by and is another user to the API server."""
    landscape.rest()
    first = landscape.replica("first", OCEAN_LEASE_SECONDS=lease_seconds)
    second = landscape.replica("second", OCEAN_LEASE_SECONDS=lease_seconds)
    second.kubeconfig = landscape.plane.user_kubeconfig(OTHER, ["system:masters"])
    first.start()
    until(lambda: first.leads, "the first leads")
    second.start()
    until(lambda: second.answers, "the second stands by")
    try:
        yield first, second
    finally:
        for replica in (second, first):
            if replica.running.poll() is None:
                replica.stop()


@pytest.fixture
def pair(landscape: Landscape) -> Iterator[Pair]:
    """Two replicas of which one can follow soon."""
    with replicas(landscape, LEASE_SECONDS) as made:
        yield made


def holder(landscape: Landscape) -> str:
    """Who holds the Lease."""
    lease = landscape.api.get("Lease", NAMESPACE, "ocean-operator")
    return "" if lease is None else str(lease["spec"]["holderIdentity"])


def test_one_leads_and_the_other_does_not_write(landscape: Landscape, pair: Pair, clinic: Clinic) -> None:
    landscape.apply(clinic)
    landscape.await_complete(clinic)

    assert [replica.leads for replica in pair] == [True, False]
    assert holder(landscape) == "first"
    assert AuditLog(landscape.plane.audit_log, OTHER).all_writes() == []


def test_a_killed_leader_is_followed_when_its_lease_has_run_out(
    landscape: Landscape, pair: Pair, clinic: Clinic
) -> None:
    first, second = pair
    first.kill()
    landscape.apply(clinic)
    landscape.await_complete(clinic)

    assert second.leads
    assert holder(landscape) == "second"


def test_a_stopped_leader_hands_over_at_once(landscape: Landscape) -> None:
    """It empties the Lease: nobody waits until one of this length has run out."""
    with replicas(landscape, "120") as (first, second):
        assert first.stop() == 0

        assert holder(landscape) in {"", "second"}
        until(lambda: second.leads, "the second leads", 60)


def test_a_leader_that_slept_through_its_lease_writes_nothing_more(
    landscape: Landscape, pair: Pair, namespace: str
) -> None:
    """A frozen machine wakes up with much to do, when another one leads."""
    first, second = pair
    clinics = [Clinic(namespace, f"c{n}") for n in range(30)]
    for clinic in clinics:
        landscape.apply(clinic)
    for clinic in clinics:
        landscape.await_summary(clinic, "KeyPending")
    first.running.send_signal(signal.SIGSTOP)
    for clinic in clinics:
        landscape.apply(clinic, displayName="Edited while the first slept")
    until(lambda: second.leads, "the second leads")
    for clinic in clinics:
        landscape.await_complete(clinic)
    mark = landscape.audit.mark()
    first.running.send_signal(signal.SIGCONT)

    assert first.running.wait(30) == 1
    assert landscape.audit.all_writes(mark) == []


async def test_never_two_lead(
    landscape: Landscape, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever cannot renew knows that it leads no more before another one does, and then writes nothing."""
    landscape.rest()
    with interposed(landscape.plane.server, landscape.plane.ca_file, tmp_path) as between:
        replica = landscape.replica("cut-off", api=between)
        monkeypatch.setenv("KUBECONFIG", str(replica.kubeconfig))
        mine = await Cluster.connect()
        monkeypatch.setenv("KUBECONFIG", str(landscape.plane.kubeconfig))
        others = await Cluster.connect()
        first = Leadership(mine, NAMESPACE, "first", lease_seconds=3)
        second = Leadership(others, NAMESPACE, "second", lease_seconds=3)
        await first.acquire()
        keeping = asyncio.ensure_future(first.keep())
        candidate = asyncio.ensure_future(second.acquire())
        between.cut = True
        await candidate

        with pytest.raises(LeadershipLostError):
            first.check()
        with pytest.raises(LeadershipLostError):
            await keeping
        between.cut = False
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late", "namespace": namespace}}
        with pytest.raises(LeadershipLostError):
            await mine.guarded(first.check).create(body)
        assert landscape.api.get("ConfigMap", namespace, "late") is None
        second.check()
        await second.release()
        await mine.close()
        await others.close()


def test_a_leader_cut_off_from_the_api_server_ends(landscape: Landscape, tmp_path: Path) -> None:
    """Kubernetes starts it anew, and it stands by."""
    landscape.rest()
    with interposed(landscape.plane.server, landscape.plane.ca_file, tmp_path) as between:
        replica = landscape.replica("cut-off", api=between, OCEAN_LEASE_SECONDS=LEASE_SECONDS)
        replica.start()
        until(lambda: replica.leads, "it leads")
        between.cut = True

        assert replica.running.wait(30) == 1
    assert "leadership lost" in landscape.log.read_text()


def test_a_silent_watch_fails_the_liveness_probe(landscape: Landscape, clinic: Clinic, tmp_path: Path) -> None:
    """The connection stands, and nothing comes through it: only a comparison with a LIST can tell."""
    landscape.rest()
    with interposed(landscape.plane.server, landscape.plane.ca_file, tmp_path) as between:
        replica = landscape.replica("deaf", api=between, OCEAN_AUDIT_INDEX_SECONDS="5")
        replica.start()
        until(lambda: replica.leads, "it leads")
        landscape.apply(clinic)
        landscape.await_summary(clinic, "KeyPending")
        assert replica.probe("/livez") == 200
        between.silent_watches = True
        landscape.apply(clinic, displayName="Renamed unheard")

        until(lambda: replica.probe("/livez") == 500, "it knows that it is deaf", 90)
        replica.stop()
    landscape.lead()
    landscape.await_complete(clinic)
