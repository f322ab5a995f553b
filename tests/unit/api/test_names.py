from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api import names
from ocean_api.v1alpha1.oceansite import MAX_NAME

NAMESPACES = st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
SITES = st.from_regex(rf"\A[a-z0-9]([-a-z0-9.]{{0,{MAX_NAME - 2}}}[a-z0-9])?\Z")
BOTH = st.tuples(NAMESPACES, SITES)


@given(BOTH, BOTH)
def test_two_clinics_share_no_name_outside_their_namespace(one: tuple[str, str], other: tuple[str, str]) -> None:
    """A shared path or role would open one clinic's key or rows to the other."""
    for name in (names.site_id, names.sek_path, names.vault_database_role, names.postgres_role):
        assert (name(*one) == name(*other)) is (one == other), name


def test_names_that_look_alike_stay_apart() -> None:
    """Where the parts meet: `a` + `b-c` and `a-b` + `c`, with each joint that is used."""
    pairs = [
        ("a", "b-c"),
        ("a-b", "c"),
        ("a", "b.c"),
        ("a", "ocean-site-b"),
        ("a-ocean-site", "b"),
        ("ocean", "a"),
        ("a", "ocean"),
    ]
    for name in (names.site_id, names.sek_path, names.vault_database_role, names.postgres_role):
        assert len({name(*pair) for pair in pairs}) == len(pairs), name


@given(NAMESPACES, SITES)
def test_a_role_is_an_identifier_that_postgresql_takes_unquoted(namespace: str, name: str) -> None:
    role = names.postgres_role(namespace, name)

    assert len(role) == 25
    assert set(role) <= set(string.ascii_lowercase + string.digits + "_")
    assert not role[0].isdigit()


def test_the_names_of_one_clinic() -> None:
    """They are in Vault and PostgreSQL for good: another form would orphan every clinic's key and rows."""
    assert names.site_id("clinic-a", "north") == "clinic-a/north"
    assert names.service_account("north") == "ocean-site-north"
    assert names.child("north", "full") == "ocean-north-full"
    assert names.sek_path("clinic-a", "north") == "sites/clinic-a/ocean-site-north/sek"
    assert names.vault_database_role("clinic-a", "north") == "clinic-a.ocean-site-north"
    assert names.postgres_role("clinic-a", "north") == "site_b726d764763a8602eb9f"


@pytest.mark.parametrize("called", ["default", "operator", "migrate", "gateway", "notifier"])
def test_no_clinics_account_is_one_that_others_have(called: str) -> None:
    """Vault knows an account by its name: a site called `operator` must not be taken for the operator."""
    assert names.service_account(called) not in {"default", f"ocean-{called}", called}
