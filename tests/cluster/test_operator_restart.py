"""An operator may end at any time, in any way: it comes back to the same picture, and finishes what it began."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread

import httpx
import pytest

from cluster.clinics import KEY, NO_EMR, OSCAR, Clinic, Landscape, key_secret
from cluster.kubernetes_api import owned
from cluster.operators import OperatorProcess, until
from ocean_api import names
from ocean_api.reasons import Reason
from ocean_api.report import Problem

SEED = 20_261_123


def settled(operator: OperatorProcess) -> bool:
    """Whether nothing is queued, and no pass has run for as long as two looks."""
    queues = operator.metric("ocean_workqueue_depth")
    before = operator.metric("ocean_workqueue_work_seconds_count")
    time.sleep(1.5)
    return before > 0 and queues == 0 and before == operator.metric("ocean_workqueue_work_seconds_count")


def problem(reason: Reason) -> Problem:
    return Problem(reason=reason, message=f"said about {reason}", at=datetime.now(UTC))


@pytest.fixture
def every_state(running: Landscape, namespace: str) -> dict[str, Clinic]:
    """Clinics in every state that lasts, by the reason it shows."""
    made = {reason: Clinic(namespace, reason.lower()) for reason in EVERY_STATE}
    for reason, spec in EVERY_STATE.items():
        running.apply(made[reason], **spec)
    taken = running.site(made["SiteReady"])["spec"]["siteNumber"]
    running.api.create(body_with_number(made["SiteNumberTaken"], taken))
    weak = made["KeyWeak"]
    running.api.create(key_secret(weak, "short", name="keyweak"))
    running.serve(made["SiteReady"])
    running.check(made["SekMismatch"], key=problem(Reason.SEK_MISMATCH))
    running.check(made["EmrAuthRefused"], access=problem(Reason.EMR_AUTH_REFUSED))
    running.check(made["NoProviderSelected"])
    running.check(made["NotEnabled"])
    for reason, clinic in made.items():
        running.await_summary(clinic, reason)
    return made
