"""How `kubectl wait`, Flux and Argo CD read a clinic: by kstatus' rules for any object.

Source: sigs.k8s.io/cli-utils, pkg/kstatus/README.md and status/generic.go.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ocean_api.reasons import Reason
from ocean_api.v1alpha1.status import OceanSiteStatus, QueueStatus
from ocean_operator.core.facts import Facts
from ocean_operator.core.status import Observation, next_status
from ocean_operator.core.validate import Finding
from unit.operator.sites import NO_EMR, NOW, PLATFORM, Known, accepted, problem, served, site


def kstatus(generation: int, status: OceanSiteStatus) -> str:
    """The word of kstatus for an object with these parts."""
    if status.observed_generation != generation:
        return "InProgress"
    said = {c.type.value: c.status for c in status.conditions}
    if said.get("Reconciling") == "True":
        return "InProgress"
    if said.get("Stalled") == "True":
        return "Failed"
    return "Current" if said.get("Ready") == "True" else "InProgress"


def word_for(facts: Facts, findings: tuple[Finding, ...] = (), **spec: Any) -> str:
    """The word of kstatus for a clinic of which this is known."""
    clinic = site(**spec)
    seen = Observation(facts=facts, findings=findings)
    return kstatus(clinic.generation, next_status(clinic, PLATFORM, seen, now=NOW))


def test_a_served_clinic_is_current() -> None:
    clinic = site()

    assert word_for(served(clinic).facts) == "Current"


def test_a_clinic_without_an_emr_is_current_with_its_key() -> None:
    spec: dict[str, Any] = {"emr": NO_EMR, "enabled": True}

    assert word_for(accepted(site(**spec)).facts, **spec) == "Current"


def test_a_status_of_an_earlier_generation_is_in_progress() -> None:
    clinic = site(generation=1)
    status = next_status(clinic, PLATFORM, Observation(served(clinic).facts), now=NOW)

    assert kstatus(2, status) == "InProgress"


@pytest.mark.parametrize(
    "facts", [Facts(), Known(site()).key().facts, accepted(site()).facts], ids=["new", "stored", "accepted"]
)
def test_what_passes_by_itself_is_in_progress_and_never_failed(facts: Facts) -> None:
    """Argo CD gives up a sync at the first Degraded (cert-manager met it: argo-cd issue 1826)."""
    clinic = site()
    status = next_status(clinic, PLATFORM, Observation(facts), now=NOW)

    assert kstatus(1, status) == "InProgress"
    assert {c.type.value: c.status for c in status.conditions}["Reconciling"] == "True"


@pytest.mark.parametrize("reason", [Reason.KEY_WEAK, Reason.KEY_SECRET_EXPOSED, Reason.KEY_SECRET_INVALID])
def test_a_key_that_a_person_must_change_is_failed(reason: Reason) -> None:
    assert word_for(Known(site()).but(key_problem=problem(reason))) == "Failed"


@pytest.mark.parametrize("reason", [Reason.EMR_AUTH_REFUSED, Reason.EMR_PERMISSION_DENIED, Reason.OCEAN_ACCESS_REFUSED])
def test_a_refused_login_is_failed(reason: Reason) -> None:
    assert word_for(accepted(site()).check(access=problem(reason)).facts) == "Failed"


def test_a_finding_is_failed() -> None:
    facts = served(site()).facts

    assert word_for(facts, (Finding(Reason.SITE_NUMBER_TAKEN, "taken"),)) == "Failed"


def test_an_unreadable_spec_is_failed() -> None:
    assert word_for(Facts(), timeZone="Nowhere") == "Failed"


def test_no_provider_selected_is_failed_with_the_same_reason() -> None:
    spec: dict[str, Any] = {"schedule": {"providers": []}}

    assert word_for(accepted(site(**spec)).facts, **spec) == "Failed"


@pytest.mark.parametrize("reason", [Reason.EMR_UNAVAILABLE, Reason.OCEAN_RATE_LIMITED, Reason.SYNC_INTERRUPTED])
def test_a_disturbance_that_may_pass_is_not_failed(reason: Reason) -> None:
    assert word_for(served(site()).sync(problem=problem(reason)).facts) == "InProgress"


@pytest.mark.parametrize("reason", [Reason.VAULT_UNAVAILABLE, Reason.DATABASE_UNAVAILABLE, Reason.KEY_SECRET_MISSING])
def test_a_key_that_is_only_awaited_is_not_failed(reason: Reason) -> None:
    assert word_for(Known(site()).but(key_problem=problem(reason))) == "InProgress"


def test_held_messages_do_not_fail_a_clinic() -> None:
    """Argo CD would call the whole application degraded, and stop before whatever comes in the next wave."""
    assert word_for(served(site()).but(queue=QueueStatus(held=1, held_since=NOW))) == "Current"


def test_messages_that_wait_for_the_emr_are_not_failed() -> None:
    waiting = QueueStatus(waiting=1, oldest_at=NOW - timedelta(hours=1))

    assert word_for(served(site()).but(queue=waiting)) == "InProgress"
    assert word_for(served(site()).but(worker_problem="Pod w cannot start")) == "InProgress"
