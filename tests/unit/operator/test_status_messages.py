"""Whoever reads a condition that is not True reads what is awaited, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from ocean_api.conditions import Condition, ConditionType
from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.report import Running, SyncKind
from ocean_api.v1alpha1.status import ChildStatus, HandOver, OceanSiteStatus
from ocean_operator.core.facts import Facts
from ocean_operator.core.platform import Platform
from ocean_operator.core.site import Site
from ocean_operator.core.status import Observation, next_status
from ocean_operator.core.validate import Finding
from unit.operator.sites import NO_EMR, NO_STORES, NOW, PLATFORM, Known, problem, run, site

SPECS: dict[str, dict[str, Any]] = {
    "a clinic": {},
    "suspended": {"suspend": True},
    "not enabled": {"enabled": False},
    "without EMR": {"emr": NO_EMR, "enabled": True, "schedule": {}},
    "without EMR, not enabled": {"emr": NO_EMR, "schedule": {}},
    "without provider": {"schedule": {}},
    "unreadable": {"timeZone": "Nowhere"},
}
FOUND: dict[str, dict[str, Any]] = {
    "nothing wrong": {},
    "a finding": {"findings": [Finding(Reason.ADDRESS_FORBIDDEN, "spec.ocean.url: no; use another")]},
    "a refused child": {"children": [ChildStatus(kind="CronJob", name="x", healthy=False, reason="Forbidden")]},
}
PENDING = {Reason.NOT_CHECKED, Reason.KEY_PENDING, Reason.SYNC_PENDING, Reason.SYNC_RUNNING}


def stages(clinic: Site) -> dict[str, Facts]:
    """What may be known of a clinic, from the first moment on."""
    stored, checked = Known(clinic).key(), Known(clinic).key().check()
    running = Running(kind=SyncKind.FULL, since=NOW)
    return {
        "nothing known": Facts(),
        "no key": Known(clinic).key(version=0).facts,
        "key refused": Known(clinic).but(key_problem=problem(Reason.KEY_WEAK)),
        "key stored": stored.facts,
        "Secret not gone": Known(clinic).key(hand_over=HandOver.TAKEN).facts,
        "pod does not start": stored.but(pod_problem="Pod x cannot be scheduled: no node"),
        "key wrong": stored.check(key=problem(Reason.SEK_MISMATCH)).facts,
        "key not tried": stored.check(key_tried=False, access=problem(Reason.OCEAN_UNAVAILABLE)).facts,
        "other settings checked": stored.check(token="old").facts,
        "refused": stored.check(access=problem(Reason.EMR_AUTH_REFUSED)).facts,
        "accepted": checked.facts,
        "a second Secret": Known(clinic).key(hand_over=HandOver.NOT_TAKEN).check().facts,
        "first run": checked.sync(last_full=None, running=running).facts,
        "failed": checked.sync(problem=problem(Reason.EMR_UNAVAILABLE)).facts,
        "stale": checked.sync(last_full=run(at=NOW - timedelta(days=2))).facts,
        "well": checked.sync().facts,
    }


def every_status() -> Iterator[tuple[str, OceanSiteStatus]]:
    """A status for each combination, with its name."""
    platforms: dict[str, Platform] = {"": PLATFORM, "no stores": NO_STORES}
    for (name, spec), (found, seen), (where, platform) in product(SPECS.items(), FOUND.items(), platforms.items()):
        clinic = site(**spec)
        for stage, facts in stages(clinic).items():
            status = next_status(clinic, platform, Observation(facts=facts, **seen), now=NOW)
            yield f"{name}, {found}, {stage} {where}", status


def test_every_condition_that_is_not_true_says_something() -> None:
    silent = [(name, c.type, c.reason) for name, s in every_status() for c in s.conditions if not is_said(c)]

    assert silent == []


def is_said(condition: Condition) -> bool:
    """Whether its message is a sentence."""
    return condition.status == "True" or len(condition.message) > 10


def test_every_reason_that_passes_by_itself_is_among_them() -> None:
    """Else the test above would prove less than it says."""
    seen = {c.reason for _, s in every_status() for c in s.conditions if c.status == "Unknown"}
    awaited = {c.status for _, s in every_status() for c in s.conditions if c.type == ConditionType.RECONCILING}

    assert seen == PENDING
    assert awaited == {"True", "False"}


def message(clinic: Site, facts: Facts, kind: ConditionType, **seen: Any) -> str:
    """A condition's message."""
    status = next_status(clinic, PLATFORM, Observation(facts=facts, **seen), now=NOW)
    return next(c.message for c in status.conditions if c.type == kind)


KEY, ACCESS, SYNCED = ConditionType.KEY_STORED, ConditionType.AUTHORIZED, ConditionType.SYNCED


@pytest.mark.parametrize(
    ("spec", "stage", "kind", "expected"),
    [
        ({}, "nothing known", KEY, "Vault was not asked yet. It takes seconds."),
        ({}, "nothing known", ACCESS, "Credentials are tried once the key is right: see KeyStored."),
        ({}, "nothing known", SYNCED, "It begins once KeyStored and Authorized are True."),
        ({}, "key refused", ACCESS, "Credentials are tried once the key is right: see KeyStored."),
        ({}, "key wrong", ACCESS, "Credentials are tried once the key is right: see KeyStored."),
        ({}, "refused", SYNCED, "It begins once KeyStored and Authorized are True."),
        ({"suspend": True}, "key stored", KEY, "No check reads the key back until spec.suspend is false."),
        ({"suspend": True}, "key stored", ACCESS, "The credentials are not tried until spec.suspend is false."),
        ({"suspend": True}, "key stored", SYNCED, "Nothing is synchronised until spec.suspend is false."),
        ({"enabled": False}, "accepted", SYNCED, "Nothing is synchronised until spec.enabled is true."),
    ],
)
def test_what_is_awaited_is_named(spec: dict[str, Any], stage: str, kind: ConditionType, expected: str) -> None:
    clinic = site(**spec)

    assert message(clinic, stages(clinic)[stage], kind) == expected


@pytest.mark.parametrize(
    ("stage", "kind", "reason"),
    [
        ("key stored", KEY, Reason.KEY_PENDING),
        ("key stored", ACCESS, Reason.NOT_CHECKED),
        ("accepted", SYNCED, Reason.SYNC_PENDING),
        ("first run", SYNCED, Reason.SYNC_RUNNING),
        ("no key", KEY, Reason.KEY_MISSING),
    ],
)
def test_what_comes_next_is_said_in_the_words_of_the_reason(stage: str, kind: ConditionType, reason: Reason) -> None:
    explained = EXPLANATIONS[reason]

    assert message(site(), stages(site())[stage], kind) == f"{explained.meaning} {explained.remedy}"


@pytest.mark.parametrize("clinic", [site(timeZone="Nowhere"), site()], ids=["unreadable", "forbidden address"])
def test_a_spec_that_cannot_be_carried_out_is_what_the_key_waits_for(clinic: Site) -> None:
    seen = {} if clinic.spec is None else FOUND["a finding"]

    assert message(clinic, Facts(), KEY, **seen) == "Vault is asked once ConfigValid is True."


def test_what_is_waited_for_is_said_where_tools_look() -> None:
    said = message(site(), stages(site())["key stored"], ConditionType.RECONCILING)

    assert said == f"KeyStored: {message(site(), stages(site())['key stored'], KEY)}"
