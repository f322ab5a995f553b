"""A clinic's messages, seen from outside: its worker comes and goes with its access, and status tells of the queue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cluster.clinics import NO_EMR, Clinic, Landscape
from cluster.kubernetes_api import Manifest
from cluster.operators import until
from cluster.queue import Queue
from ocean_api import names
from ocean_api.reasons import Reason
from ocean_api.report import Problem, Process, WorkerReport

LATER = datetime.now(UTC) + timedelta(hours=1)
"""Long after the check: what was refused then may be tried again at once."""


@pytest.fixture
def maple(running: Landscape, clinic: Clinic) -> Clinic:
    """A clinic that is served."""
    running.apply(clinic)
    running.await_summary(clinic, "KeyPending")
    running.serve(clinic)
    return clinic


@pytest.fixture
def queue(landscape: Landscape) -> Queue:
    """Everybody's messages."""
    return Queue(landscape.installation.server)


def pod_of(deployment: Manifest | None) -> Manifest:
    """The pod that a Deployment makes."""
    assert deployment is not None
    pod: Manifest = deployment["spec"]["template"]["spec"]
    return pod


def request(landscape: Landscape, clinic: Clinic, token: str) -> None:
    """Ask that held messages be tried again."""
    annotations = {names.RETRY_HELD_REQUEST: token}
    landscape.api.edit(names.KIND, clinic.namespace, clinic.name, {"metadata": {"annotations": annotations}})


def answered(landscape: Landscape, clinic: Clinic) -> str:
    """The token that was answered last."""
    return str(landscape.status(clinic)["actions"].get("retryHeld", ""))


# The worker


def test_the_worker_comes_when_key_and_access_are_accepted(running: Landscape, clinic: Clinic) -> None:
    """Nobody writes to an EMR that was never tried; providers need not be chosen."""
    running.apply(clinic, schedule={})
    running.await_summary(clinic, "NoProviderSelected")
    assert running.worker(clinic) is None
    running.check(clinic)
    until(lambda: running.worker(clinic) is not None, "the clinic has a worker")
    pod = pod_of(running.worker(clinic))

    assert pod["containers"][0]["args"] == ["ocean-worker"]
    assert pod["serviceAccountName"] == names.service_account(clinic.name)


def test_a_worker_is_written_once(running: Landscape, maple: Clinic) -> None:
    """The Deployments' controller numbers it, its status changes all the time, and a restart finds it as it was."""
    running.run_worker(maple, ready=False)
    running.run_worker(maple)
    running.restart()
    running.apply(maple, displayName="Edited")
    running.await_complete(maple)
    writes = [w for w in running.audit.writes() if w.namespace == maple.namespace and w.resource == "deployments"]
    deployment = running.worker(maple)

    assert [(w.verb, w.code) for w in writes] == [("patch", 201)]
    assert deployment is not None
    assert "deployment.kubernetes.io/revision" in deployment["metadata"]["annotations"]
    assert deployment["metadata"]["generation"] == 1


def test_other_settings_make_the_worker_anew(running: Landscape, maple: Clinic) -> None:
    running.apply(maple, messages={"combineNotes": True})
    until(lambda: (running.worker(maple) or {})["metadata"]["generation"] == 2, "the worker is made anew")


@pytest.mark.parametrize("off", [{"suspend": True}, {"enabled": False}], ids=["suspended", "not enabled"])
def test_a_clinic_that_is_switched_off_has_no_worker_until_it_is_on_again(
    running: Landscape, maple: Clinic, queue: Queue, off: dict[str, bool]
) -> None:
    """Its messages wait, and say so."""
    held = queue.add(maple, "held")
    running.apply(maple, **off)
    until(lambda: running.worker(maple) is None, "the worker is gone")
    running.restart()
    running.apply(maple, displayName="Edited", **off)
    running.await_complete(maple)
    assert running.worker(maple) is None
    running.apply(maple)
    until(lambda: running.worker(maple) is not None, "the worker is back")

    assert queue.state(held) == "held"


def test_a_clinic_without_an_emr_has_no_worker(running: Landscape, clinic: Clinic) -> None:
    running.apply(clinic, emr=NO_EMR, enabled=True)
    running.check(clinic)
    running.await_summary(clinic, "SiteReady")

    assert running.worker(clinic) is None
    assert running.condition(clinic, "QueueHealthy")["reason"] == "NotApplicable"


def test_a_worker_that_somebody_scaled_away_comes_back(running: Landscape, maple: Clinic) -> None:
    running.api.edit("Deployment", maple.namespace, "ocean-maple-worker", {"spec": {"replicas": 0}})
    until(lambda: (running.worker(maple) or {})["spec"]["replicas"] == 1, "it is scaled back")
    running.api.delete("Deployment", maple.namespace, "ocean-maple-worker")
    until(lambda: running.worker(maple) is not None, "it is made again")


def test_the_workers_refusal_stops_everything_until_a_check_accepts(running: Landscape, maple: Clinic) -> None:
    """As a synchronisation's does: the site says so, nobody is called, and it resumes by itself."""
    refusal = Problem(reason=Reason.EMR_AUTH_REFUSED, message="said about the login", at=LATER)
    running.report(maple, Process.WORKER, WorkerReport(problem=refusal, refused="x", refusal=refusal))
    running.await_summary(maple, "EmrAuthRefused")
    until(lambda: running.worker(maple) is None, "the worker is gone")
    until(lambda: running.suspended(maple) == {True}, "nothing is synchronised")
    until(lambda: len(running.jobs(maple, "check")) == 2, "the credentials are tried anew, by a check")
    running.restart()
    running.apply(maple, displayName="Edited")
    running.await_complete(maple)
    assert running.worker(maple) is None
    assert len(running.jobs(maple, "check")) == 2
    running.check(maple)
    until(lambda: running.worker(maple) is not None, "the worker is back")
    running.run_worker(maple)
    running.report(maple, Process.WORKER, WorkerReport())
    running.await_summary(maple, "SiteReady")

    assert len(running.jobs(maple, "check")) == 2


def test_what_a_check_just_accepted_is_not_tried_at_once(running: Landscape, maple: Clinic) -> None:
    """The EMR says yes to the check and no to the worker: a round of both every few seconds would lock the account."""
    refusal = Problem(reason=Reason.EMR_PERMISSION_DENIED, message="said about a right", at=datetime.now(UTC))
    running.report(maple, Process.WORKER, WorkerReport(problem=refusal))
    running.await_summary(maple, "EmrPermissionDenied")
    running.apply(maple, displayName="Edited")
    running.await_complete(maple)

    assert len(running.jobs(maple, "check")) == 1
    assert running.worker(maple) is None


def test_a_worker_that_does_not_run_is_told(running: Landscape, maple: Clinic) -> None:
    said = '{"reason": "VaultUnavailable", "message": "Vault does not answer.", "at": "2026-03-10T15:00:00Z"}'
    running.run_worker(
        maple,
        ready=False,
        restartCount=3,
        state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        lastState={"terminated": {"exitCode": 1, "message": said}},
    )
    running.await_summary(maple, "WorkerUnavailable")
    assert running.condition(maple, "QueueHealthy")["message"] == "VaultUnavailable: Vault does not answer."
    assert running.condition(maple, "Ready")["status"] == "False"
    running.run_worker(maple)

    running.await_summary(maple, "SiteReady")


# The queue


def test_held_messages_show_and_the_clinic_stays_served(running: Landscape, maple: Clinic, queue: Queue) -> None:
    """`kubectl get` tells; Argo CD and `kubectl wait` go on."""
    held = [queue.add(maple, "held") for _ in range(3)]
    running.await_summary(maple, "MessagesHeld")
    condition = running.condition(maple, "QueueHealthy")
    shown = running.plane.kubectl("get", names.PLURAL, maple.name, f"--namespace={maple.namespace}").splitlines()
    columns = dict(zip(shown[0].split(), shown[1].split(), strict=False))

    assert (condition["status"], condition["reason"]) == ("False", "MessagesHeld")
    assert "oceanctl messages list maple" in condition["message"]
    assert running.condition(maple, "Ready")["status"] == "True"
    assert running.condition(maple, "Stalled")["status"] == "False"
    assert running.status(maple)["queue"]["held"] == len(held)
    assert (columns["READY"], columns["REASON"]) == ("True", "MessagesHeld")
    assert shown[0].split().index("HELD") > shown[0].split().index("REASON")
    assert sorted(e["reason"] for e in running.events(maple)) == ["MessagesHeld", "SiteReady"]
    for number in held:
        queue.dismiss(number)
    running.await_summary(maple, "SiteReady")

    assert running.condition(maple, "QueueHealthy")["reason"] == "QueueEmpty"


def test_messages_are_counted_for_each_clinic(running: Landscape, maple: Clinic, queue: Queue) -> None:
    """Exactly, as metrics; a status is not written for a message that just came."""
    clinic = f'namespace="{maple.namespace}"'
    mark = running.audit.mark()
    for _ in range(12):
        queue.add(maple, "accepted")
    queue.add(maple, "gathering")
    until(lambda: running.leader.metric("ocean_messages_waiting", clinic) == 12, "the queue is counted")
    told = [
        w for w in running.audit.writes(mark) if (w.namespace, w.resource) == (maple.namespace, "oceansites/status")
    ]

    assert running.leader.metric("ocean_messages_oldest_seconds", clinic) > 0
    assert running.leader.metric("ocean_messages_held", clinic) == 0
    assert told == []


def test_a_request_tries_held_messages_again_exactly_once(running: Landscape, maple: Clinic, queue: Queue) -> None:
    """Whatever happens to the operator meanwhile; and for a second request a second time."""
    number, unsure = queue.add(maple, "held"), queue.add(maple, "held", reason="EmrOutcomeUnknown")
    request(running, maple, "one")
    until(lambda: answered(running, maple) == "one", "the request is answered")
    assert queue.state(number) == "accepted"
    assert queue.state(unsure) == "held"
    queue.hold(number)
    running.leader.kill()
    running.lead()
    running.apply(maple, displayName="Edited")
    running.await_complete(maple)
    running.restart()
    until(lambda: running.status(maple)["queue"]["held"] == 2, "it is counted again")
    assert queue.state(number) == "held"
    request(running, maple, "two")
    until(lambda: answered(running, maple) == "two", "the second request is answered")

    assert queue.state(number) == "accepted"
    assert queue.retries(maple) == [1, 1]


def test_a_request_that_was_not_answered_yet_is_carried_out_after_a_crash(
    running: Landscape, maple: Clinic, queue: Queue
) -> None:
    number = queue.add(maple, "held")
    running.leader.kill()
    request(running, maple, "one")
    running.lead()
    until(lambda: answered(running, maple) == "one", "the request is answered")

    assert queue.state(number) == "accepted"


def test_a_clinic_that_comes_back_still_tells_of_what_was_held(running: Landscape, maple: Clinic, queue: Queue) -> None:
    queue.add(maple, "held")
    running.await_summary(maple, "MessagesHeld")
    number = running.site(maple)["spec"]["siteNumber"]
    running.api.delete(names.KIND, maple.namespace, maple.name)
    running.await_gone(maple)
    running.apply(maple, siteNumber=number)
    until(lambda: running.status(maple).get("queue", {}).get("held") == 1, "it is told again")


def test_the_end_of_a_clinic_ends_its_worker_first(running: Landscape, maple: Clinic) -> None:
    """Before its rights are taken away, so that nothing under way is cut off."""
    mark = running.audit.mark()
    running.api.delete(names.KIND, maple.namespace, maple.name)
    running.await_gone(maple)
    ours = [w for w in running.audit.writes(mark) if w.namespace == maple.namespace]
    order = [w.resource for w in ours if w.resource in {"deployments", "oceansites"}]

    assert order == ["deployments", "oceansites"]
