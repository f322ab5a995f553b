"""What the pods report shows in status, and starts what follows from it, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cluster.clinics import Clinic, Landscape, argument
from cluster.kubernetes_api import Manifest
from cluster.operators import until
from ocean_api import names
from ocean_api.reasons import Reason
from ocean_api.report import Counts, Problem, Process, Run, Running, SyncKind, SyncReport, Trigger


@pytest.fixture
def maple(running: Landscape, clinic: Clinic) -> Clinic:
    """A clinic whose key is in Vault, before its first check."""
    running.apply(clinic)
    running.await_summary(clinic, "KeyPending")
    return clinic


def problem(reason: Reason) -> Problem:
    """A problem that a pod met just now."""
    return Problem(reason=reason, message=f"said about {reason}", at=datetime.now(UTC))


def test_a_check_shows_at_once_and_starts_the_first_synchronisation(running: Landscape, maple: Clinic) -> None:
    assert running.jobs(maple, "full") == []
    running.check(maple)
    until(lambda: bool(running.jobs(maple, "full")), "the first full synchronisation is started")
    running.await_summary(maple, "SyncPending")
    until(lambda: running.suspended(maple) == {False}, "its work is scheduled")
    (job,) = running.jobs(maple, "full")
    shown = running.status(maple)

    assert argument(job, "--trigger") == Trigger.INITIAL
    assert [p["id"] for p in shown["providers"].get("unselected", [])] == []
    assert shown["providers"]["known"] == shown["providers"]["selected"] == 1
    assert running.condition(maple, "KeyStored")["reason"] == "KeyAccepted"
    assert "nextFull" in shown["sync"]


def test_a_synchronisation_shows_while_it_runs_and_when_it_is_done(running: Landscape, maple: Clinic) -> None:
    running.check(maple)
    until(lambda: bool(running.jobs(maple, "full")), "the first full synchronisation is started")
    now = datetime.now(UTC)
    running.report(maple, Process.SYNC, SyncReport(running=Running(kind=SyncKind.FULL, since=now)))
    until(lambda: running.status(maple)["sync"].get("running") == "Full", "it shows as running")
    (job,) = running.jobs(maple, "full")
    done = Run(started_at=now, finished_at=now, trigger=Trigger.INITIAL, counts=Counts(appointments=7, sent=7))
    running.sync(maple, job, last_full=done)
    running.await_summary(maple, "SiteReady")
    shown = running.status(maple)["sync"]
    # It is posted after the status is written.
    until(lambda: bool(running.events(maple)), "an event tells of it")

    assert shown["banner"] == "Green"
    assert shown["counts"]["appointments"] == 7
    assert shown["running"] == ""
    assert running.condition(maple, "Ready")["status"] == "True"
    assert [e["reason"] for e in running.events(maple)] == ["SiteReady"]


@pytest.mark.parametrize(
    ("annotation", "part"), [(names.SYNC_FULL_REQUEST, "full"), (names.SYNC_RECENT_REQUEST, "recent")]
)
def test_a_request_starts_exactly_one_job(running: Landscape, maple: Clinic, annotation: str, part: str) -> None:
    """Also when the operator ends between the Job and the answer, and for a second request a second one."""
    running.serve(maple)
    before = {job["metadata"]["name"] for job in running.jobs(maple, part)}

    def requested() -> list[Manifest]:
        return [job for job in running.jobs(maple, part) if job["metadata"]["name"] not in before]

    def answered() -> str:
        field = {names.SYNC_FULL_REQUEST: "syncFull", names.SYNC_RECENT_REQUEST: "syncRecent"}[annotation]
        return str(running.status(maple)["actions"].get(field, ""))

    def ask(token: str) -> None:
        running.api.edit(names.KIND, maple.namespace, maple.name, {"metadata": {"annotations": {annotation: token}}})

    ask("one")
    until(lambda: bool(requested()), "a Job is started")
    running.leader.kill()
    running.lead()
    until(lambda: answered() == "one", "the request is answered")
    running.restart()
    running.apply(maple, displayName="Edited")
    running.await_complete(maple)
    assert [argument(job, "--trigger") for job in requested()] == [Trigger.REQUESTED]
    ask("two")
    until(lambda: answered() == "two", "the second request is answered")

    assert len(requested()) == 2


def test_a_request_waits_until_the_clinic_may_work(running: Landscape, maple: Clinic) -> None:
    """Nothing calls an EMR whose credentials nobody has tried."""
    annotations = {names.SYNC_RECENT_REQUEST: "early"}
    running.api.edit(names.KIND, maple.namespace, maple.name, {"metadata": {"annotations": annotations}})
    running.apply(maple, displayName="Edited")
    running.await_complete(maple)
    assert running.jobs(maple, "recent") == []
    running.check(maple)

    until(lambda: len(running.jobs(maple, "recent")) == 1, "the request is carried out")


def test_refused_credentials_stop_the_work_until_a_check_accepts_them(running: Landscape, maple: Clinic) -> None:
    """No account is locked by calls that go on; and work resumes by itself, in order."""
    running.serve(maple)
    until(lambda: running.suspended(maple) == {False}, "its work is scheduled")
    (full,) = running.jobs(maple, "full")
    refusal = problem(Reason.EMR_AUTH_REFUSED)
    running.sync(maple, full, problem=refusal)
    until(lambda: running.suspended(maple) == {True}, "its work is suspended")
    running.await_summary(maple, "EmrAuthRefused")
    until(lambda: len(running.jobs(maple, "check")) == 2, "the credentials are tried anew, by a check")
    assert running.jobs(maple, "recent") == []
    running.check(maple, access=problem(Reason.EMR_AUTH_REFUSED))
    running.apply(maple, displayName="Edited")
    running.await_complete(maple)
    assert running.suspended(maple) == {True}
    running.check(maple, at=datetime.now(UTC) + timedelta(seconds=5))
    until(lambda: running.suspended(maple) == {False}, "its work is scheduled again")
    until(lambda: len(running.jobs(maple, "recent")) == 1, "what was missed is fetched")
    running.sync(maple, full)
    running.await_summary(maple, "SiteReady")

    assert argument(running.jobs(maple, "recent")[0], "--trigger") == Trigger.CHANGED
    assert len(running.jobs(maple, "full")) == 1


def test_other_settings_bring_another_check_and_another_full_run(running: Landscape, maple: Clinic) -> None:
    running.serve(maple)
    running.apply(maple, schedule={"providers": ["101"], "days": 3})
    until(lambda: len(running.jobs(maple, "full")) == 2, "another window is synchronised at once")
    changed = max(running.jobs(maple, "full"), key=lambda j: int(j["metadata"]["resourceVersion"]))
    assert argument(changed, "--trigger") == Trigger.CHANGED
    assert len(running.jobs(maple, "check")) == 1
    emr = {"type": "OscarPro", "oscarPro": {"url": "https://new.clinic.example/oscar", "credentialsSecret": "emr"}}
    running.apply(maple, emr=emr)

    until(lambda: len(running.jobs(maple, "check")) == 2, "another EMR address is checked")
    until(lambda: running.suspended(maple) == {True}, "until then nothing calls it")


def test_a_report_that_cannot_be_read_harms_nobody(running: Landscape, maple: Clinic) -> None:
    """A pod of another version wrote it."""
    with running.as_pod(maple) as pod:
        pod.execute(
            "insert into ocean.site_state (site, process, state) values (%s, 'check', '{\"token\": 1}')", [maple.id]
        )
    until(lambda: "report not readable" in running.log.read_text(), "it is logged")
    running.check(maple)
    running.await_summary(maple, "SyncPending")
