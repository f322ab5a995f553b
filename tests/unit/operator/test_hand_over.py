"""What a person is told of a Secret that lies in the cluster with a key in the clear."""

from __future__ import annotations

from typing import Any

import pytest

from ocean_api.conditions import ConditionType
from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.v1alpha1.status import HandOver, OceanSiteStatus
from ocean_operator.core.facts import Facts
from ocean_operator.core.intake import not_taken
from ocean_operator.core.report import news
from ocean_operator.core.site import Site
from ocean_operator.core.status import Observation, is_settled, key_was_well, next_status
from unit.operator.sites import NOW, PLATFORM, Known, problem, site

BY_SECRET = {"key": {"source": "Secret", "secretName": "hand-over"}}
CLINIC = site(**BY_SECRET)
LATE = not_taken("hand-over")


def status_of(clinic: Site, facts: Facts) -> OceanSiteStatus:
    """The status that a pass would write now."""
    return next_status(clinic, PLATFORM, Observation(facts=facts), now=NOW)


def condition(status: OceanSiteStatus, kind: ConditionType) -> tuple[str, Reason, str]:
    """A condition's answer, reason and message."""
    found = next(c for c in status.conditions if c.type == kind)
    return found.status, found.reason, found.message


def served_with(hand_over: HandOver, clinic: Site = CLINIC, **check: Any) -> Facts:
    """A clinic that is well but for the Secret and what `check` says."""
    return Known(clinic).key(hand_over=hand_over).check(**check).sync().facts


# A Secret that came after a key was accepted


def test_it_is_told_and_the_clinic_goes_on() -> None:
    status = status_of(CLINIC, served_with(HandOver.NOT_TAKEN))

    assert condition(status, ConditionType.KEY_STORED) == ("True", Reason.KEY_ALREADY_STORED, LATE)
    assert condition(status, ConditionType.READY)[:2] == ("True", Reason.SITE_READY)
    assert condition(status, ConditionType.STALLED)[0] == "False"
    assert status.key.hand_over is HandOver.NOT_TAKEN


def test_it_does_not_hide_what_is_wrong_with_the_stored_key() -> None:
    """The person who hands another key over because of a mismatch must learn that it was not taken."""
    facts = served_with(HandOver.NOT_TAKEN, key=problem(Reason.SEK_MISMATCH))
    status = status_of(CLINIC, facts)

    assert condition(status, ConditionType.KEY_STORED) == (
        "False",
        Reason.SEK_MISMATCH,
        f"said about SekMismatch {LATE}",
    )


def test_it_is_told_as_an_event_once() -> None:
    well, late = status_of(CLINIC, served_with(HandOver.NONE)), status_of(CLINIC, served_with(HandOver.NOT_TAKEN))

    def told(before: OceanSiteStatus, after: OceanSiteStatus) -> list[tuple[str, str, str]]:
        events = news(site(status=before, **BY_SECRET), after, NOW)
        return [(e["type"], e["reason"], e["note"]) for e in events]

    assert told(well, late) == [("Warning", Reason.KEY_ALREADY_STORED, LATE)]
    assert told(late, late) == []
    assert told(late, well) == []


# A Secret whose key is in Vault, and that waits for the read-back


def test_it_is_told_until_it_is_deleted() -> None:
    status = status_of(CLINIC, Known(CLINIC).key(hand_over=HandOver.TAKEN).facts)
    truth, reason, said = condition(status, ConditionType.KEY_STORED)

    assert (truth, reason) == ("Unknown", Reason.KEY_PENDING)
    assert said.startswith(EXPLANATIONS[Reason.KEY_PENDING].meaning)
    assert "Secret hand-over holds the key in the clear" in said


@pytest.mark.parametrize(
    ("off", "until"),
    [({"suspend": True}, "spec.suspend is false"), ({"enabled": False}, "spec.enabled is true")],
    ids=["suspended", "not enabled"],
)
def test_a_clinic_that_is_switched_off_says_that_it_waits_and_what_to_do(off: dict[str, Any], until: str) -> None:
    """Nothing reads the key back meanwhile, and the key would lie there unnoticed."""
    clinic = site(**BY_SECRET, **off)
    status = status_of(clinic, Known(clinic).key(hand_over=HandOver.TAKEN).facts)
    said = condition(status, ConditionType.KEY_STORED)[2]

    assert said.startswith(f"No check reads the key back until {until}.")
    assert f"Go on so that {until}, or delete it yourself" in said
    assert "see KeyStored" in condition(status, ConditionType.READY)[2]


def test_without_such_a_secret_nothing_of_it_is_said() -> None:
    off = site(suspend=True, **BY_SECRET)

    assert condition(status_of(CLINIC, served_with(HandOver.NONE)), ConditionType.KEY_STORED)[2] == ""
    for kind in (ConditionType.READY, ConditionType.KEY_STORED):
        assert "Secret" not in condition(status_of(off, Known(off).key().facts), kind)[2]


# After a restart


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (served_with(HandOver.NOT_TAKEN), True),
        (Known(CLINIC).key(hand_over=HandOver.TAKEN).facts, True),
        (Known(CLINIC).key().but(key_problem=problem(Reason.KEY_WEAK)), False),
        (served_with(HandOver.NONE, key=problem(Reason.SEK_MISMATCH)), False),
        (Known(CLINIC).key(version=0).facts, False),
        (Facts(), False),
    ],
    ids=["not taken", "taken", "a weak second one", "mismatch", "none", "unknown"],
)
def test_a_status_is_the_memory_of_a_key_that_nothing_was_wrong_with(
    facts: Facts,
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert key_was_well(status_of(CLINIC, facts)) is expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (served_with(HandOver.NONE), True),
        (served_with(HandOver.NONE, key_compared=False), True),
        (served_with(HandOver.NOT_TAKEN), False),
        (served_with(HandOver.TAKEN), False),
        (Known(CLINIC).key().facts, False),
        (served_with(HandOver.NONE, key=problem(Reason.SEK_MISMATCH)), False),
        (Facts(), False),
    ],
    ids=["well", "nothing to compare", "not taken", "taken", "not checked", "mismatch", "unknown"],
)
def test_only_a_clinic_with_nothing_left_to_do_in_vault_can_wait_for_its_turn(
    facts: Facts,
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert is_settled(status_of(CLINIC, facts), CLINIC.generation) is expected


def test_a_clinic_whose_spec_was_changed_meanwhile_cannot_wait() -> None:
    assert not is_settled(status_of(CLINIC, served_with(HandOver.NONE)), CLINIC.generation + 1)
