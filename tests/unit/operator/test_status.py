from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ocean_api.conditions import ConditionType
from ocean_api.reasons import Reason
from ocean_api.report import ProviderName, Running, SyncKind
from ocean_api.v1alpha1.status import ChildStatus, OceanSiteStatus
from ocean_operator.core.facts import Facts
from ocean_operator.core.platform import Platform
from ocean_operator.core.site import Site
from ocean_operator.core.status import Observation, next_status
from ocean_operator.core.validate import Finding
from unit.operator.sites import (
    NO_EMR,
    NO_STORES,
    NOW,
    PLATFORM,
    PROVIDERS,
    Known,
    accepted,
    problem,
    run,
    served,
    site,
)

READY = ConditionType.READY
RECONCILING = ConditionType.RECONCILING
STALLED = ConditionType.STALLED
CONFIG = ConditionType.CONFIG_VALID
KEY = ConditionType.KEY_STORED
ACCESS = ConditionType.AUTHORIZED
SYNCED = ConditionType.SYNCED
QUEUE = ConditionType.QUEUE_HEALTHY

LONG_AGO = NOW - timedelta(days=2)


def status_of(clinic: Site, facts: Facts, *, platform: Platform = PLATFORM, **seen: Any) -> OceanSiteStatus:
    """The status that a pass would write now."""
    return next_status(clinic, platform, Observation(facts=facts, **seen), now=NOW)


def verdict(status: OceanSiteStatus, kind: ConditionType) -> tuple[str, Reason]:
    """A condition's answer and reason."""
    found = next(c for c in status.conditions if c.type == kind)
    return found.status, found.reason


def message(status: OceanSiteStatus, kind: ConditionType) -> str:
    """A condition's message."""
    return next(c.message for c in status.conditions if c.type == kind)


# A clinic that is well, and the order of things


def test_a_served_clinic_is_ready_and_every_question_is_answered() -> None:
    clinic = site()
    status = status_of(clinic, served(clinic).facts)

    assert {c.type: (c.status, c.reason) for c in status.conditions} == {
        READY: ("True", Reason.SITE_READY),
        RECONCILING: ("False", Reason.UP_TO_DATE),
        STALLED: ("False", Reason.AS_EXPECTED),
        CONFIG: ("True", Reason.SPEC_VALID),
        KEY: ("True", Reason.KEY_ACCEPTED),
        ACCESS: ("True", Reason.ACCESS_ACCEPTED),
        SYNCED: ("True", Reason.SYNC_SUCCEEDED),
        QUEUE: ("True", Reason.QUEUE_EMPTY),
    }
    assert status.summary == Reason.SITE_READY


def test_conditions_stand_in_the_order_in_which_a_person_reads_them() -> None:
    clinic = site()

    assert [c.type for c in status_of(clinic, Facts()).conditions] == list(ConditionType)


def test_the_first_thing_wrong_is_the_one_that_is_told() -> None:
    """The checks build on each other: without a key nobody can say what is wrong with the credentials."""
    clinic = site()
    finding = Finding(Reason.ADDRESS_FORBIDDEN, "spec.ocean.url: no; use another")
    known = served(clinic)
    key_wrong = known.but(key_problem=problem(Reason.KEY_WEAK))
    both = status_of(clinic, key_wrong, findings=[finding])
    key_alone = status_of(clinic, key_wrong)

    assert both.summary == Reason.ADDRESS_FORBIDDEN
    assert verdict(both, STALLED) == ("True", Reason.ADDRESS_FORBIDDEN)
    assert key_alone.summary == Reason.KEY_WEAK


def test_what_is_known_to_be_wrong_is_told_before_what_waits_for_it() -> None:
    """A key that could not be tried because a Secret is missing: `KeyPending` would have a person wait for ever."""
    clinic = site()
    untried = Known(clinic).key().check(key_tried=False, access=problem(Reason.CREDENTIALS_SECRET_MISSING)).facts
    status = status_of(clinic, untried)

    assert verdict(status, KEY) == ("Unknown", Reason.KEY_PENDING)
    assert status.summary == Reason.CREDENTIALS_SECRET_MISSING
    assert verdict(status, RECONCILING) == ("False", Reason.UP_TO_DATE)


def test_ready_says_which_condition_to_read_and_why() -> None:
    clinic = site()
    status = status_of(clinic, served(clinic).but(key_problem=problem(Reason.KEY_WEAK)))

    assert verdict(status, READY) == ("False", Reason.SITE_NOT_READY)
    assert message(status, READY) == "KeyStored is False, KeyWeak: said about KeyWeak"


def test_a_message_too_long_for_the_crd_is_cut_rather_than_refused() -> None:
    clinic = site()
    findings = [Finding(Reason.ADDRESS_FORBIDDEN, "x" * 2000)]
    status = status_of(clinic, served(clinic).facts, findings=findings)

    assert {len(message(status, kind)) for kind in (READY, STALLED, CONFIG)} == {1024}


# ConfigValid


def test_an_unreadable_spec_is_told_with_its_field() -> None:
    clinic = site(timeZone="America/Toronnto")
    status = status_of(clinic, Facts())

    assert verdict(status, CONFIG) == ("False", Reason.SPEC_INVALID)
    assert "spec.timeZone" in message(status, CONFIG)
    assert verdict(status, SYNCED) == ("Unknown", Reason.NOT_CHECKED)
    assert verdict(status, STALLED)[0] == "True"
    assert status.sync.next_full is None


def test_every_finding_is_told_and_the_first_gives_the_reason() -> None:
    clinic = site()
    findings = [Finding(Reason.ADDRESS_FORBIDDEN, "first"), Finding(Reason.SITE_NUMBER_TAKEN, "second")]
    status = status_of(clinic, served(clinic).facts, findings=findings)

    assert verdict(status, CONFIG) == ("False", Reason.ADDRESS_FORBIDDEN)
    assert message(status, CONFIG) == "first; second"


def test_a_refused_child_is_told_with_the_api_servers_words() -> None:
    clinic = site()
    children = [
        ChildStatus(kind="ConfigMap", name="ocean-north-site"),
        ChildStatus(kind="CronJob", name="ocean-north-full", healthy=False, reason="Forbidden: exceeded quota"),
    ]
    status = status_of(clinic, served(clinic).facts, children=children)

    assert verdict(status, CONFIG) == ("False", Reason.CHILD_REFUSED)
    assert message(status, CONFIG) == "CronJob ocean-north-full: Forbidden: exceeded quota"
    assert status.children == tuple(children)


def test_a_warning_is_shown_and_harms_nothing() -> None:
    clinic = site(schedule={"days": 20, "providers": "All"})
    status = status_of(clinic, served(clinic).facts)

    assert verdict(status, CONFIG) == ("True", Reason.SPEC_VALID)
    assert "more than 14" in message(status, CONFIG)
    assert verdict(status, READY)[0] == "True"


# KeyStored


def key_cases() -> list[tuple[str, Platform, Facts, tuple[str, Reason]]]:
    """(name, platform, facts, expected KeyStored)."""
    clinic = site()
    stored, checked = Known(clinic).key(), accepted(clinic)
    pod = "Pod x cannot start (ImagePullBackOff)"
    return [
        ("no stores", NO_STORES, checked.facts, ("False", Reason.VAULT_NOT_CONFIGURED)),
        (
            "problem",
            PLATFORM,
            checked.but(key_problem=problem(Reason.VAULT_UNAVAILABLE)),
            ("False", Reason.VAULT_UNAVAILABLE),
        ),
        ("never asked", PLATFORM, Facts(), ("Unknown", Reason.NOT_CHECKED)),
        ("none", PLATFORM, Known(clinic).key(version=0).facts, ("False", Reason.KEY_MISSING)),
        ("not checked", PLATFORM, stored.facts, ("Unknown", Reason.KEY_PENDING)),
        ("pod does not start", PLATFORM, stored.but(pod_problem=pod), ("False", Reason.POD_NOT_STARTING)),
        ("an earlier version checked", PLATFORM, stored.check(key_version=7).facts, ("Unknown", Reason.KEY_PENDING)),
        (
            "wrong",
            PLATFORM,
            stored.check(key=problem(Reason.SEK_MISMATCH)).facts,
            ("False", Reason.SEK_MISMATCH),
        ),
        (
            "nothing to compare",
            PLATFORM,
            stored.check(key_compared=False).facts,
            ("True", Reason.KEY_NOT_KNOWN_TO_OCEAN),
        ),
        ("accepted", PLATFORM, checked.facts, ("True", Reason.KEY_ACCEPTED)),
    ]


@pytest.mark.parametrize(
    ("platform", "facts", "expected"), [pytest.param(*case, id=name) for name, *case in key_cases()]
)
def test_key_stored(platform: Platform, facts: Facts, expected: tuple[str, Reason]) -> None:
    assert verdict(status_of(site(), facts, platform=platform), KEY) == expected


def test_a_replaced_key_is_not_judged_by_the_check_of_the_old_one() -> None:
    clinic = site()
    old = Known(clinic).key(fingerprint="f1").check(key=problem(Reason.SEK_MISMATCH))

    assert verdict(status_of(clinic, old.key(fingerprint="f2").facts), KEY) == ("Unknown", Reason.KEY_PENDING)


def test_status_shows_the_keys_fingerprint_and_version() -> None:
    clinic = site()
    status = status_of(clinic, accepted(clinic).facts)

    assert (status.key.fingerprint, status.key.version, status.key.source) == ("f1", 1, "Generate")


# Authorized


def test_credentials_are_accepted_once_a_check_of_these_settings_says_so() -> None:
    clinic = site()

    assert verdict(status_of(clinic, Known(clinic).key().facts), ACCESS) == ("Unknown", Reason.NOT_CHECKED)
    assert verdict(status_of(clinic, accepted(clinic).facts), ACCESS) == ("True", Reason.ACCESS_ACCEPTED)


def test_a_check_of_other_settings_says_nothing() -> None:
    """Otherwise a new EMR address would be called with the old address's permission."""
    before, after = site(), site(ocean={"credentialsSecret": "renamed"})
    status = status_of(after, accepted(before).facts)

    assert verdict(status, ACCESS) == ("Unknown", Reason.NOT_CHECKED)


def test_a_refusal_is_told_with_the_processs_words() -> None:
    clinic = site()
    by_check = accepted(clinic).check(access=problem(Reason.EMR_AUTH_REFUSED)).facts
    by_sync = served(clinic).sync(problem=problem(Reason.OCEAN_ACCESS_REFUSED)).facts

    assert verdict(status_of(clinic, by_check), ACCESS) == ("False", Reason.EMR_AUTH_REFUSED)
    assert message(status_of(clinic, by_check), ACCESS) == "said about EmrAuthRefused"
    assert verdict(status_of(clinic, by_sync), ACCESS) == ("False", Reason.OCEAN_ACCESS_REFUSED)


def test_a_check_that_cannot_start_says_why() -> None:
    clinic = site()
    status = status_of(clinic, Known(clinic).key().but(pod_problem="Pod x cannot be scheduled: no node"))

    assert verdict(status, ACCESS) == ("False", Reason.POD_NOT_STARTING)
    assert message(status, ACCESS) == "Pod x cannot be scheduled: no node"


# Synced


def sync_cases() -> list[tuple[str, Facts, tuple[str, Reason]]]:
    """(name, facts, expected Synced)."""
    clinic = site()
    known = accepted(clinic)
    running = Running(kind=SyncKind.FULL, since=NOW)
    return [
        ("nothing reported", known.facts, ("Unknown", Reason.SYNC_PENDING)),
        ("first under way", known.sync(last_full=None, running=running).facts, ("Unknown", Reason.SYNC_RUNNING)),
        ("first failed", known.sync(last_full=None).facts, ("Unknown", Reason.SYNC_PENDING)),
        ("pod does not start", known.but(pod_problem="Pod x cannot start"), ("False", Reason.POD_NOT_STARTING)),
        ("problem", known.sync(problem=problem(Reason.EMR_UNAVAILABLE)).facts, ("False", Reason.EMR_UNAVAILABLE)),
        ("succeeded", known.sync().facts, ("True", Reason.SYNC_SUCCEEDED)),
        (
            "stale",
            known.sync(last_full=run(at=NOW - timedelta(minutes=71, seconds=1))).facts,
            ("False", Reason.SYNC_STALE),
        ),
        (
            "just not stale",
            known.sync(last_full=run(at=NOW - timedelta(minutes=71))).facts,
            ("True", Reason.SYNC_SUCCEEDED),
        ),
        (
            "recent ones succeed",
            known.sync(last_full=run(at=LONG_AGO), last_recent=run()).facts,
            ("True", Reason.SYNC_SUCCEEDED),
        ),
        (
            "stopped on purpose",
            known.sync(last_full=run(at=LONG_AGO)).check(access=problem(Reason.EMR_AUTH_REFUSED)).facts,
            ("True", Reason.SYNC_SUCCEEDED),
        ),
    ]


@pytest.mark.parametrize(("facts", "expected"), [pytest.param(*case, id=name) for name, *case in sync_cases()])
def test_synced(facts: Facts, expected: tuple[str, Reason]) -> None:
    assert verdict(status_of(site(), facts), SYNCED) == expected


def test_without_a_provider_nothing_is_synced_and_the_known_ones_are_listed() -> None:
    clinic = site(schedule={"providers": []})
    status = status_of(clinic, accepted(clinic).facts)

    assert verdict(status, SYNCED) == ("False", Reason.NO_PROVIDER_SELECTED)
    assert message(status, SYNCED).endswith("The EMR knows: 101 (Dr. One), 102 (Dr. Two).")
    assert status.providers.unselected == PROVIDERS


def test_a_long_list_of_providers_is_cut_and_says_so() -> None:
    clinic = site(schedule={"providers": []})
    many = tuple(ProviderName(id=f"{n}", name=f"Dr. {n}") for n in range(60))
    status = status_of(clinic, accepted(clinic).check(providers=many).facts)

    assert message(status, SYNCED).endswith("9 (Dr. 9), ….")
    assert "10 (Dr. 10)" not in message(status, SYNCED)
    assert (status.providers.known, len(status.providers.unselected)) == (60, 50)


def test_a_list_that_is_not_cut_does_not_say_so() -> None:
    clinic = site(schedule={"providers": []})
    ten = tuple(ProviderName(id=f"{n}", name=f"Dr. {n}") for n in range(10))

    assert message(status_of(clinic, accepted(clinic).check(providers=ten).facts), SYNCED).endswith("9 (Dr. 9).")


def test_a_clinic_without_an_emr_is_ready_once_its_key_is_stored() -> None:
    clinic = site(emr=NO_EMR, enabled=True, schedule={})
    status = status_of(clinic, accepted(clinic).facts)

    assert verdict(status, SYNCED) == ("True", Reason.NOT_APPLICABLE)
    assert verdict(status, READY) == ("True", Reason.SITE_READY)


# Suspended, not enabled


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"suspend": True}, Reason.SUSPENDED),
        ({"enabled": False}, Reason.NOT_ENABLED),
        ({"enabled": False, "suspend": True}, Reason.NOT_ENABLED),
        ({"emr": NO_EMR}, Reason.NOT_ENABLED),
    ],
)
def test_a_clinic_that_is_switched_off_is_not_ready_and_shows_why(spec: dict[str, Any], reason: Reason) -> None:
    """`kubectl get` has one column for the reason: `SyncSucceeded` beside `False` would be a riddle."""
    clinic = site(**spec)
    status = status_of(clinic, served(clinic).facts)

    assert verdict(status, READY) == ("False", reason)
    assert status.summary == reason
    assert "spec." in message(status, READY)


@pytest.mark.parametrize("spec", [{"suspend": True}, {"enabled": False}, {"emr": NO_EMR}], ids=str)
def test_a_clinic_that_is_switched_off_does_not_wait_for_a_check_that_will_not_run(spec: dict[str, Any]) -> None:
    clinic = site(**spec)
    status = status_of(clinic, Known(clinic).key().facts)

    assert verdict(status, RECONCILING) == ("False", Reason.UP_TO_DATE)
