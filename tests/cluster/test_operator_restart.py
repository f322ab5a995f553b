"""An operator may end at any time, in any way: it comes back to the same picture, and finishes what it began."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest

from cluster.clinics import NO_EMR, Clinic, Landscape, key_secret, site_body
from cluster.kubernetes_api import KubernetesApi, Manifest, owned
from cluster.operators import OperatorProcess, until
from ocean_api import names
from ocean_api.reasons import Reason
from ocean_api.report import Problem
from ocean_operator.core.schedule import next_recent, slots
from ocean_operator.core.site import SiteKey

SEED = 20_261_123
KINDS = ["ConfigMap", "CronJob", "CronJob", "Job", "NetworkPolicy", "ServiceAccount"]
BY_SECRET = {"key": {"source": "Secret", "secretName": "hand-over"}}
FORBIDDEN = {"type": "OscarPro", "oscarPro": {"url": "https://10.0.0.1/oscar", "credentialsSecret": "emr"}}
EVERY_STATE: dict[str, dict[str, Any]] = {
    "SiteReady": {},
    "KeyPending": {},
    "SyncPending": {},
    "SekMismatch": {},
    "EmrAuthRefused": {},
    "NoProviderSelected": {"schedule": {}},
    "Suspended": {"suspend": True},
    "NotEnabled": {"emr": NO_EMR, "schedule": {}},
    "AddressForbidden": {"emr": FORBIDDEN},
    "KeySecretMissing": {"key": {"source": "Secret", "secretName": "nowhere"}},
    "KeyWeak": BY_SECRET,
}
"""Specs that lead to a state that lasts, by the reason it shows."""


def problem(reason: Reason) -> Problem:
    """What a check says when it is not content."""
    return Problem(reason=reason, message=f"said about {reason}", at=datetime.now(UTC))


def far_from_its_time(namespace: str, reason: str) -> Clinic:
    """A clinic whose next synchronisation is not due for a while: when its time has passed, status names the next."""
    now = datetime.now(UTC)
    for number in itertools.count():
        clinic = Clinic(namespace, f"{reason.lower()}-{number}")
        slot = slots(SiteKey(namespace, clinic.name), full_window_minutes=1)
        if next_recent(slot, now) - now > timedelta(minutes=20):
            return clinic
    raise AssertionError("every minute is somebody's")


@pytest.fixture
def every_state(running: Landscape, namespace: str) -> dict[str, Clinic]:
    """Clinics in every state that lasts, by the reason they show."""
    made = {reason: far_from_its_time(namespace, reason) for reason in EVERY_STATE}
    made["SiteNumberTaken"] = Clinic(namespace, "zz")  # the last one where two are of the same second
    running.api.create(key_secret(made["KeyWeak"], "short"))
    for reason, spec in EVERY_STATE.items():
        running.apply(made[reason], **spec)
    taken = running.site(made["SiteReady"])["spec"]["siteNumber"]
    running.api.create(site_body(made["SiteNumberTaken"], taken))
    running.serve(made["SiteReady"])
    running.check(made["SyncPending"])
    running.check(made["NoProviderSelected"])
    running.check(made["SekMismatch"], key=problem(Reason.SEK_MISMATCH))
    running.check(made["EmrAuthRefused"], access=problem(Reason.EMR_AUTH_REFUSED))
    for reason, clinic in made.items():
        running.await_summary(clinic, reason)
    return made


def await_quiet(operator: OperatorProcess) -> None:
    """Wait until nothing is queued, and no pass has run for longer than it takes to look for a Secret again."""
    passes = -1.0

    def quiet() -> bool:
        nonlocal passes
        before, passes = passes, operator.metric("ocean_workqueue_work_seconds_count", 'queue="sites"')
        return passes == before > 0 and operator.metric("ocean_workqueue_depth") == 0

    while not quiet():
        time.sleep(1.5)


def test_a_restart_with_nothing_changed_writes_nothing(
    running: Landscape, namespace: str, every_state: dict[str, Clinic]
) -> None:
    """With Vault and database declared, and clinics that work, that wait, and that fail."""
    await_quiet(running.leader)
    running.rest()
    mark = running.audit.mark()
    operator = running.lead()
    await_quiet(operator)
    # What an earlier test deleted may still be on its way out.
    written = [write for write in running.audit.writes(mark) if write.namespace == namespace]

    assert operator.metric("ocean_workqueue_work_seconds_count", 'queue="sites"') >= len(every_state)
    assert written == []
    assert {running.summary(clinic) for clinic in every_state.values()} == set(every_state)


def test_what_only_vault_and_the_secret_tell_is_not_forgotten(running: Landscape, namespace: str) -> None:
    """The status is the memory of it until both were looked at again: nothing is written, and no event told twice."""
    late, off, weak = (Clinic(namespace, name) for name in ("late", "off", "weak"))

    def handed(clinic: Clinic, **spec: Any) -> None:
        running.api.create(key_secret(clinic, name=clinic.name))
        running.apply(clinic, key={"source": "Secret", "secretName": clinic.name}, **spec)
        until(lambda: running.status(clinic).get("key", {}).get("handOver") == "Taken", f"{clinic.id} has its key")

    def gone(clinic: Clinic) -> bool:
        return running.api.get("Secret", namespace, clinic.name) is None

    handed(off, suspend=True)
    handed(late)
    running.serve(late)
    until(lambda: gone(late), "its Secret is deleted")
    running.api.create(key_secret(late, name=late.name))
    running.apply(late, key={"source": "Secret", "secretName": late.name}, displayName="Edited")
    until(lambda: running.status(late)["key"]["handOver"] == "NotTaken", "the second Secret is told")
    handed(weak)
    running.check(weak, key_compared=False)
    until(lambda: gone(weak), "its Secret is deleted")
    running.api.create(key_secret(weak, "short", name=weak.name))
    running.await_summary(weak, "KeyWeak")
    await_quiet(running.leader)
    running.rest()
    mark = running.audit.mark()
    await_quiet(running.lead())

    assert running.audit.writes(mark) == []
    assert running.status(late)["key"]["handOver"] == "NotTaken"
    assert running.status(off)["key"]["handOver"] == "Taken"
    assert running.summary(weak) == "KeyWeak"


def test_what_was_changed_meanwhile_is_put_right(running: Landscape, clinic: Clinic) -> None:
    """Exactly that: the rest is not written."""
    running.apply(clinic)
    running.await_summary(clinic, "KeyPending")
    await_quiet(running.leader)
    before = {ident: body["metadata"]["uid"] for ident, body in running.children(clinic).items()}
    running.rest()
    running.api.edit("CronJob", clinic.namespace, "ocean-maple-full", {"spec": {"schedule": "* * * * *"}})
    running.api.delete("ConfigMap", clinic.namespace, "ocean-maple-site")
    mark = running.audit.mark()
    operator = running.lead()
    await_quiet(operator)

    changed = {(w.resource, w.name) for w in running.audit.writes(mark)}
    assert changed == {("cronjobs", "ocean-maple-full"), ("configmaps", "ocean-maple-site")}
    assert set(running.children(clinic)) == set(before)


def not_as_desired(landscape: Landscape, namespace: str, wanted: dict[Clinic, int]) -> set[str]:
    """Clinics that lack something they should have, once, as their newest spec (here: its days) says."""
    sites = {site["metadata"]["name"]: site for site in landscape.api.list(names.KIND, namespace)}
    objects: dict[str, dict[tuple[str, str], Manifest]] = {}
    for ident, body in owned(namespace, landscape.api).items():
        objects.setdefault(body["metadata"]["labels"][names.SITE_LABEL], {})[ident] = body
    return {
        clinic.name
        for clinic, days in wanted.items()
        if not is_as_desired(clinic.name, sites.get(clinic.name, {}), objects.get(clinic.name, {}), days)
    }


def is_as_desired(name: str, site: Manifest, objects: dict[tuple[str, str], Manifest], days: int) -> bool:
    """Five children and one check, of this very OceanSite, and a status of its generation."""
    status = site.get("status") or {}
    settings = objects.get(("ConfigMap", names.child(name, "site")), {}).get("data", {})
    return (
        status.get("observedGeneration") == site["metadata"]["generation"]
        and status["summary"] == "KeyPending"
        and sorted(kind for kind, _ in objects) == KINDS
        and f'"days":{days}' in settings[names.SITE_SETTINGS_FILE]
        and {owner(body) for body in objects.values()} == {site["metadata"]["uid"]}
    )


def owner(body: Manifest) -> str:
    """The uid of the only owner."""
    (found,) = body["metadata"]["ownerReferences"]
    return str(found["uid"])


def orphans(landscape: Landscape, namespace: str, living: set[str]) -> list[tuple[str, str]]:
    """What is left of clinics that are no more."""
    found = owned(namespace, landscape.api)
    return [ident for ident, body in found.items() if body["metadata"]["labels"][names.SITE_LABEL] not in living]


def test_killed_at_any_point_it_finishes_what_it_began(landscape: Landscape, namespace: str) -> None:
    """Thirty clinics are applied, edited and deleted while the operator is killed again and again."""
    chance = random.Random(SEED)  # noqa: S311 - for places to kill at, the same ones each time
    wanted: dict[Clinic, int] = {}
    landscape.lead()
    for step in range(120):
        clinic = Clinic(namespace, f"c{chance.randrange(30)}")
        if clinic in wanted and chance.random() < 0.3:
            landscape.api.delete(names.KIND, clinic.namespace, clinic.name)
            del wanted[clinic]
        elif clinic in wanted or landscape.api.get(names.KIND, clinic.namespace, clinic.name) is None:
            wanted[clinic] = 1 + step % 14
            landscape.apply(clinic, schedule={"days": wanted[clinic], "providers": ["101"]})
        if step % 15 == 14:
            landscape.leader.kill()
            landscape.leader.start()
    landscape.lead()
    until(lambda: not not_as_desired(landscape, namespace, wanted), "all are as desired")
    living = {clinic.name for clinic in wanted}

    assert len(living) > 10
    until(lambda: len(landscape.api.list(names.KIND, namespace)) == len(living), "the deleted ones are gone")
    until(lambda: not orphans(landscape, namespace, living), "nothing is left of the deleted ones")


def test_all_deleted_and_made_again_at_once_have_everything(running: Landscape, namespace: str) -> None:
    """While the old children are still being collected."""
    clinics = dict.fromkeys([Clinic(namespace, f"c{n}") for n in range(30)], 1)
    for clinic in clinics:
        running.apply(clinic)
    until(lambda: not not_as_desired(running, namespace, clinics), "all are as desired")
    bodies = [running.site(clinic) for clinic in clinics]
    running.api.delete_all(names.KIND, namespace)
    for clinic, body in zip(clinics, bodies, strict=True):
        running.await_gone(clinic)
        running.api.create(site_body(clinic, body["spec"]["siteNumber"]))

    until(lambda: not not_as_desired(running, namespace, clinics), "all are as desired again")


def test_it_begins_although_people_never_stop_editing(landscape: Landscape, namespace: str) -> None:
    """What exists has to be known first; what changes meanwhile must not put that off for ever."""
    landscape.rest()
    busy, new = Clinic(namespace, "busy"), Clinic(namespace, "new")
    landscape.apply(busy)
    landscape.apply(new)
    done = Event()

    def edit() -> None:
        with contextlib.closing(KubernetesApi(landscape.plane)) as api:
            for turn in itertools.count():
                if done.is_set():
                    return
                annotations = {"example.org/turn": str(turn)}
                api.edit(names.KIND, busy.namespace, busy.name, {"metadata": {"annotations": annotations}})

    editor = Thread(target=edit)
    editor.start()
    try:
        landscape.lead()
        landscape.await_complete(new)
    finally:
        done.set()
        editor.join()
