"""An operator may end at any time, in any way: it comes back to the same picture, and finishes what it began."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from cluster.clinics import NO_EMR, Clinic, Landscape, key_secret, site_body
from cluster.kubernetes_api import Manifest, owned
from cluster.operators import OperatorProcess, until
from ocean_api import names
from ocean_api.reasons import Reason
from ocean_api.report import Problem

SEED = 20_261_123
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


@pytest.fixture
def every_state(running: Landscape, namespace: str) -> dict[str, Clinic]:
    """Clinics in every state that lasts, by the reason they show."""
    made = {reason: Clinic(namespace, reason.lower()) for reason in EVERY_STATE}
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


def test_a_restart_with_nothing_changed_writes_nothing(running: Landscape, every_state: dict[str, Clinic]) -> None:
    """With Vault and database declared, and clinics that work, that wait, and that fail."""
    await_quiet(running.leader)
    running.rest()
    mark = running.audit.mark()
    operator = running.lead()
    await_quiet(operator)

    assert operator.metric("ocean_workqueue_work_seconds_count", 'queue="sites"') >= len(every_state)
    assert running.audit.writes(mark) == []
    assert {running.summary(clinic) for clinic in every_state.values()} == set(every_state)


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
