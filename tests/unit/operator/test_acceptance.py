"""When a key counts as read back, and when as accepted: from then on no hand-over replaces it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ocean_api.reasons import Reason
from ocean_operator.core.facts import Facts
from ocean_operator.core.intake import StoredKey
from ocean_operator.passes.stores import _read_back, _remember_acceptance
from ocean_operator.runtime import Stores
from unit.operator.sites import Known, accepted, problem, site

STORED = StoredKey(version=1, fingerprint="f1", source="Secret", intake="uid-1/5")
REPLACED = StoredKey(version=1, fingerprint="f2", source="Secret", intake="uid-2/9")
"""Vault counts from 1 again: `Step.REPLACE` deletes the key with its metadata."""


class Vault:
    """A Vault that keeps what is said of a key."""

    def __init__(self) -> None:
        self.said: list[dict[str, str]] = []

    async def amend_key(self, _site: object, **changes: str) -> None:
        """Note it."""
        self.said.append(changes)

    async def key(self, _site: object) -> StoredKey:
        """The same key, accepted."""
        return StoredKey(version=1, fingerprint="f1", accepted=True)


async def remembered(facts: Facts, stored: StoredKey = STORED) -> list[dict[str, str]]:
    """What is written down in Vault."""
    vault = Vault()
    await _remember_acceptance(site(), stored, facts, cast("Stores", SimpleNamespace(vault=vault)))
    return vault.said


def test_a_key_is_read_back_when_a_check_has_tried_that_version() -> None:
    assert not _read_back(site(), Known(site()).key().facts, STORED)
    assert not _read_back(site(), accepted(site()).check(key_version=2).facts, STORED)
    assert not _read_back(site(), accepted(site()).check(key_version=None).facts, STORED)
    assert _read_back(site(), accepted(site()).facts, STORED)


def test_a_replaced_key_is_not_read_back_by_the_check_of_the_old_one() -> None:
    facts = accepted(site()).check(key=problem(Reason.SEK_MISMATCH)).facts

    assert not _read_back(site(), facts, REPLACED)


async def test_a_key_that_ocean_confirmed_is_accepted_for_good() -> None:
    assert await remembered(accepted(site()).facts) == [{"accepted": "true"}]


@pytest.mark.parametrize(
    "report",
    [
        {"key": problem(Reason.SEK_MISMATCH)},
        {"key_version": 2},
        {"key_version": None},
    ],
    ids=["mismatch", "another version", "not tried"],
)
async def test_another_is_not(report: dict[str, Any]) -> None:
    assert await remembered(accepted(site()).check(**report).facts) == []


@pytest.mark.parametrize(
    "report",
    [
        {"key_compared": False},
        {"key_compared": False, "access": problem(Reason.OCEAN_ACCESS_REFUSED)},
    ],
    ids=["Ocean has none to compare", "Ocean was not reached"],
)
async def test_a_key_that_nobody_compared_is_not_accepted(report: dict[str, Any]) -> None:
    assert await remembered(accepted(site()).check(**report).facts) == []
