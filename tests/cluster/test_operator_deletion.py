"""A clinic goes when its rights are gone, keeps or loses its key as its spec says, and leaves nothing half done."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from cluster.clinics import KEY, Clinic, Landscape, key_secret
from cluster.operators import until
from ocean_api import names
from ocean_api.v1alpha1.spec import DeletionPolicy

SEED = 20_261_123
BY_SECRET = {"key": {"source": "Secret", "secretName": "hand-over"}}
AWAY = ["openbao", "postgres"]


@pytest.fixture
def stored(running: Landscape, clinic: Clinic) -> Clinic:
    """A clinic whose key is in Vault."""
    running.apply(clinic)
    running.await_summary(clinic, "KeyPending")
    return clinic


@pytest.fixture(params=AWAY)
def away(request: pytest.FixtureRequest, landscape: Landscape) -> Iterator[str]:
    """A server that the test takes away; it is back afterwards, however the test ends."""
    yield request.param
    bring_back(landscape, request.param)


def take_away(landscape: Landscape, server: str) -> None:
    """As a crash would."""
    (landscape.installation.bao if server == "openbao" else landscape.installation.server).kill()


def bring_back(landscape: Landscape, server: str) -> None:
    """The same server with what it held."""
    landscape.revive(server)


def delete(landscape: Landscape, clinic: Clinic) -> None:
    """As `kubectl delete --wait=false`."""
    landscape.api.delete(names.KIND, clinic.namespace, clinic.name)


def finalizers(landscape: Landscape, clinic: Clinic) -> list[str]:
    """What its deletion waits for."""
    found: list[str] = landscape.site(clinic)["metadata"].get("finalizers", [])
    return found


def has_access(landscape: Landscape, clinic: Clinic) -> bool:
    """Whether anything is left by which its pods could get at its rows."""
    role = names.postgres_role(clinic.namespace, clinic.name)
    return landscape.vault_role(clinic) or landscape.database_role(role)


def test_a_retained_key_is_kept_and_taken_up_again(running: Landscape, stored: Clinic) -> None:
    key, before = running.key(stored), running.stored(stored)
    assert has_access(running, stored)
    delete(running, stored)
    running.await_gone(stored)
    kept = running.stored(stored)
    gone = has_access(running, stored)
    running.apply(stored)
    running.await_summary(stored, "KeyPending")
    back = running.stored(stored)

    assert "retainedAt" in kept["custom_metadata"]
    assert not gone
    assert "retainedAt" not in back["custom_metadata"]
    assert (running.key(stored), back["current_version"]) == (key, 1)
    assert running.status(stored)["key"]["fingerprint"] == before["custom_metadata"]["fingerprint"]
    assert has_access(running, stored)
    assert [action for action, _ in running.records(stored)] == ["key.generate", "site.delete", "key.return"]


def test_a_key_is_destroyed_where_the_spec_says_so(running: Landscape, clinic: Clinic) -> None:
    running.apply(clinic, deletionPolicy=DeletionPolicy.DELETE)
    running.await_summary(clinic, "KeyPending")
    first = running.key(clinic)
    delete(running, clinic)
    running.await_gone(clinic)

    assert running.stored(clinic) == {}
    assert not has_access(running, clinic)
    assert running.records(clinic)[-1][0] == "site.delete"
    assert "destroyed" in running.records(clinic)[-1][1]
    running.apply(clinic)
    running.await_summary(clinic, "KeyPending")
    assert running.key(clinic) != first


def test_a_clinic_made_again_is_checked_and_synchronised_again(running: Landscape, stored: Clinic) -> None:
    """What the pods of its earlier life reported is still in the database, and says nothing about this one."""
    running.serve(stored)
    delete(running, stored)
    running.await_gone(stored)
    running.restart()
    running.apply(stored)
    running.await_summary(stored, "KeyPending")
    running.await_complete(stored)
    shown = running.status(stored)["sync"]
    running.restart()
    running.serve(stored)

    assert "lastFull" not in shown
    assert shown["banner"] == "None"


def test_deletion_waits_for_a_server_that_is_away(running: Landscape, stored: Clinic, away: str) -> None:
    take_away(running, away)
    delete(running, stored)
    running.await_summary(stored, "ReleaseBlocked")
    said = running.condition(stored, "Stalled")
    bring_back(running, away)
    running.await_gone(stored, seconds=120)

    assert said["reason"] == "ReleaseBlocked"
    assert names.RELEASE_ANNOTATION in said["message"]
    assert "retainedAt" in running.stored(stored)["custom_metadata"]
    assert not has_access(running, stored)
    assert [action for action, _ in running.records(stored)].count("site.delete") == 1


def test_a_person_can_let_go_without_vault(running: Landscape, stored: Clinic) -> None:
    take_away(running, "openbao")
    try:
        delete(running, stored)
        running.await_summary(stored, "ReleaseBlocked")
        annotations = {names.RELEASE_ANNOTATION: "Vault was lost, ticket 4711"}
        running.api.edit(names.KIND, stored.namespace, stored.name, {"metadata": {"annotations": annotations}})
        running.await_gone(stored)
    finally:
        bring_back(running, "openbao")
    events = [e for e in running.events(stored) if e["reason"] == "ForceReleased"]

    assert [e["type"] for e in events] == ["Warning"]
    assert "ticket 4711" in events[0]["note"]
    (record,) = [text for action, text in running.records(stored) if action == "site.force-release"]
    assert "ticket 4711" in record


def test_a_clinic_that_never_reached_vault_can_go_at_once(running: Landscape, clinic: Clinic) -> None:
    take_away(running, "openbao")
    try:
        running.apply(clinic)
        running.await_summary(clinic, "VaultUnavailable")
        assert finalizers(running, clinic) == []
        delete(running, clinic)
        running.await_gone(clinic)
    finally:
        bring_back(running, "openbao")


def test_a_clinic_deleted_while_nobody_looked_is_let_go_later(running: Landscape, stored: Clinic) -> None:
    running.rest()
    delete(running, stored)
    assert finalizers(running, stored) == [names.FINALIZER]
    running.lead()
    running.await_gone(stored)

    assert not has_access(running, stored)


def test_a_finalizer_that_others_name_as_well_is_dropped(running: Landscape, stored: Clinic) -> None:
    """A backup was restored, or a manifest was made from `kubectl get -o yaml`."""
    body = running.site(stored)
    meta = {k: body["metadata"][k] for k in ("name", "namespace", "finalizers")}
    running.api.apply({**{k: body[k] for k in ("apiVersion", "kind", "spec")}, "metadata": meta})
    delete(running, stored)
    running.await_gone(stored)

    assert not has_access(running, stored)


@pytest.mark.parametrize("policy", DeletionPolicy)
def test_a_clinic_that_vanished_with_its_finalizer_on_is_let_go_all_the_same(
    running: Landscape, clinic: Clinic, policy: DeletionPolicy
) -> None:
    """A DELETE that began before the finalizer was set does not look for it again (k8s.io/apiserver, Store.Delete)."""
    running.apply(clinic, deletionPolicy=policy)
    running.await_summary(clinic, "KeyPending")
    running.api.lose(names.KIND, clinic.namespace, clinic.name)
    until(lambda: not has_access(running, clinic), "its access is taken away")
    until(lambda: running.records(clinic)[-1][0] == "site.delete", "it is recorded")
    kept = running.stored(clinic)
    running.apply(clinic)
    running.await_summary(clinic, "KeyPending")

    assert ("retainedAt" in kept.get("custom_metadata", {})) == (policy is DeletionPolicy.RETAIN)
    assert bool(kept) == (policy is DeletionPolicy.RETAIN)
    assert [action for action, _ in running.records(clinic)].count("site.delete") == 1


def test_nothing_stays_of_clinics_deleted_while_their_keys_come_in(running: Landscape, namespace: str) -> None:
    """Intake and release of one clinic must not run side by side: the key would be stored after it was destroyed."""
    chance = random.Random(SEED)  # noqa: S311 - for moments to delete at
    clinics = [Clinic(namespace, f"c{n}") for n in range(30)]
    for clinic in clinics:
        running.api.create(key_secret(clinic, name=clinic.name))
        key = {"source": "Secret", "secretName": clinic.name}
        running.apply(clinic, key=key, deletionPolicy=DeletionPolicy.DELETE)
        if chance.random() < 0.7:
            delete(running, clinics[chance.randrange(clinics.index(clinic) + 1)])
    for clinic in clinics:
        delete(running, clinic)
    for clinic in clinics:
        running.await_gone(clinic)

    assert {clinic.name for clinic in clinics if running.stored(clinic)} == set()
    assert {clinic.name for clinic in clinics if has_access(running, clinic)} == set()
    assert {s["metadata"]["name"] for s in running.api.list("Secret", namespace)} == {c.name for c in clinics}
    assert KEY not in running.log.read_text()
