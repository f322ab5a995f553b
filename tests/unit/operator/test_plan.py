from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api import names
from ocean_operator.core.children import KINDS, desired_children
from ocean_operator.core.parts.config_map import config_map
from ocean_operator.core.plan import (
    ChildId,
    ObservedChild,
    Removal,
    child_id,
    foreign_fields,
    live_digest,
    plan,
    with_hash,
)
from ocean_operator.core.site import Manifest
from unit.operator.sites import KEY, NO_EMR, PLATFORM, UID, site, spec_of

CLINIC = site()
DESIRED = desired_children(CLINIC, PLATFORM, may_work=True)
FIRST = child_id(DESIRED[0])


def observed(*children: Manifest) -> dict[ChildId, ObservedChild]:
    """The children as they stand after our own writes."""
    made = {}
    for child in map(with_hash, children):
        asked = child["metadata"]["annotations"][names.HASH_ANNOTATION]
        made[child_id(child)] = ObservedChild(
            uid=f"uid-{child['metadata']['name']}", owner=UID, resource_version=5, hash=asked, digest=live_digest(child)
        )
    return made


def recorded(seen: dict[ChildId, ObservedChild]) -> dict[ChildId, str]:
    """The digests remembered from those writes."""
    return {ident: child.digest for ident, child in seen.items()}


SEEN = observed(*DESIRED)
RECORDED = recorded(SEEN)


def applied(seen: dict[ChildId, ObservedChild], remembered: dict[ChildId, str]) -> list[ChildId]:
    """What would be applied."""
    return [child_id(child) for child in plan(CLINIC, DESIRED, seen, remembered).apply]


def test_nothing_is_written_when_nothing_differs() -> None:
    todo = plan(CLINIC, DESIRED, SEEN, RECORDED)

    assert (todo.apply, todo.remove) == ((), ())


def test_everything_is_made_in_order_when_nothing_is_there() -> None:
    assert applied({}, {}) == [child_id(child) for child in DESIRED]


def test_what_is_written_carries_the_hash_of_what_was_asked_for() -> None:
    for child in plan(CLINIC, DESIRED, {}, {}).apply:
        bare = copy.deepcopy(child)
        said = bare["metadata"].pop("annotations")

        assert with_hash(bare)["metadata"]["annotations"] == said


@pytest.mark.parametrize("missing", [child_id(c) for c in DESIRED], ids=str)
def test_a_missing_child_is_made_again_and_no_other(missing: ChildId) -> None:
    seen = {ident: child for ident, child in SEEN.items() if ident != missing}

    assert applied(seen, RECORDED) == [missing]


@pytest.mark.parametrize(
    "change",
    [{"digest": "edited by hand"}, {"hash": "of an earlier spec"}, {"hash": ""}, {"owner": "uid of an earlier site"}],
    ids=["edited", "drifted", "hash taken away", "earlier site's"],
)
def test_a_child_that_differs_is_applied_and_no_other(change: dict[str, Any]) -> None:
    seen = {**SEEN, FIRST: replace(SEEN[FIRST], **change)}

    assert applied(seen, RECORDED) == [FIRST]


def test_a_child_nobody_remembers_writing_is_applied_once() -> None:
    """After a status was lost: one write each brings the memory back."""
    assert applied(SEEN, {}) == [child_id(c) for c in DESIRED]


@pytest.mark.parametrize("change", [{}, {"owner": "uid of an earlier site"}, {"digest": "x"}])
def test_a_child_under_deletion_is_left_alone(change: dict[str, Any]) -> None:
    """Its end is an event, and brings the pass that makes it again."""
    seen = {**SEEN, FIRST: replace(SEEN[FIRST], deleting=True, **change)}

    assert applied(seen, RECORDED) == []
    assert plan(CLINIC, (), seen, RECORDED).remove == tuple(
        Removal(i, KEY.namespace, c.uid) for i, c in SEEN.items() if i != FIRST
    )


def test_what_is_no_longer_desired_is_removed_by_its_uid() -> None:
    without_emr = site(emr=NO_EMR, enabled=True)
    desired = desired_children(without_emr, PLATFORM, may_work=False)
    todo = plan(without_emr, desired, SEEN, RECORDED)

    assert todo.remove == tuple(
        Removal(ident, "clinic-a", child.uid) for ident, child in SEEN.items() if ident.kind == "CronJob"
    )
    assert len(todo.remove) == 2


@pytest.mark.parametrize("kind", ["Job", "Pod", "Secret", "StatefulSet"])
def test_only_own_kinds_are_ever_removed(kind: str) -> None:
    """Jobs come and go by their own rules; anything else is not ours whatever its labels say."""
    stray = ChildId(kind, "stray")
    seen = {**SEEN, stray: ObservedChild("uid", UID, 5, "", "")}

    assert plan(CLINIC, DESIRED, seen, RECORDED).remove == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_stray_object_of_an_own_kind_is_removed(kind: str) -> None:
    stray = ChildId(kind, "ocean-north-of-an-older-version")
    seen = {**SEEN, stray: ObservedChild("uid-stray", UID, 5, "", "")}

    assert plan(CLINIC, DESIRED, seen, RECORDED).remove == (Removal(stray, "clinic-a", "uid-stray"),)


def test_an_object_that_no_clinic_owns_is_not_removed() -> None:
    """`kubectl get cronjob -o yaml`, another name, `kubectl create`: a person's copy keeps our labels."""
    copied = ChildId("CronJob", "debug-copy")
    seen = {**SEEN, copied: ObservedChild("uid-copy", "", 5, "", "")}

    assert plan(CLINIC, DESIRED, seen, RECORDED).remove == ()


# Hash and digest


def test_the_hash_changes_with_everything_that_is_asked_for() -> None:
    other = desired_children(site(displayName="Other"), PLATFORM, may_work=True)
    changed = [
        child_id(a).kind
        for a, b in zip(map(with_hash, DESIRED), map(with_hash, other), strict=True)
        if a["metadata"]["annotations"] != b["metadata"]["annotations"]
    ]

    assert changed == ["ConfigMap"]


def test_the_hash_leaves_other_annotations_and_the_argument_as_they_are() -> None:
    bare = config_map(CLINIC, spec_of(CLINIC), PLATFORM)
    bare["metadata"]["annotations"] = {"example.org/note": "kept"}
    before = copy.deepcopy(bare)
    hashed = with_hash(bare)

    assert bare == before
    assert set(hashed["metadata"]["annotations"]) == {"example.org/note", names.HASH_ANNOTATION}


LIVE: Manifest = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {
        "name": "ocean-north-full",
        "namespace": "clinic-a",
        "uid": "u1",
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": "2026-03-01T00:00:00Z",
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
        "ownerReferences": [{"uid": UID}],
        "managedFields": [{"manager": "ocean-operator"}],
    },
    "spec": {"schedule": "0 0 * * *"},
    "status": {"lastScheduleTime": "2026-03-01T00:00:00Z"},
}


@pytest.mark.parametrize(
    "path",
    [
        ("spec", "schedule"),
        ("metadata", "labels"),
        ("metadata", "annotations"),
        ("metadata", "ownerReferences"),
        ("metadata", "finalizers"),
    ],
    ids=".".join,
)
def test_a_persons_edit_changes_the_digest(path: tuple[str, str]) -> None:
    edited = copy.deepcopy(LIVE)
    edited[path[0]][path[1]] = ["edited"]

    assert live_digest(edited) != live_digest(LIVE)


@pytest.mark.parametrize(
    "path",
    [
        ("status", "lastScheduleTime"),
        ("metadata", "resourceVersion"),
        ("metadata", "generation"),
        ("metadata", "managedFields"),
    ],
    ids=".".join,
)
def test_bookkeeping_and_status_do_not_change_the_digest(path: tuple[str, str]) -> None:
    """Or every run of a CronJob would look like somebody's edit."""
    moved = copy.deepcopy(LIVE)
    moved[path[0]][path[1]] = "moved"

    assert live_digest(moved) == live_digest(LIVE)


def test_the_digest_does_not_hang_on_the_order_of_fields() -> None:
    turned = {key: LIVE[key] for key in reversed(LIVE)}

    assert live_digest(turned) == live_digest(LIVE)


def test_an_empty_list_is_the_same_as_none() -> None:
    """A LIST leaves out what an answer shows empty."""
    with_empty = copy.deepcopy(LIVE)
    with_empty["metadata"]["finalizers"] = []

    assert live_digest(with_empty) == live_digest(LIVE)


# What others have put into a child

OURS = {"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:schedule": {}, "f:jobTemplate": {"f:spec": {"f:x": {}}}}}


def managed(fields: Manifest, *, manager: str = "kubectl-edit", operation: str = "Update", **more: str) -> Manifest:
    """A child that we applied, and that somebody else changed."""
    ours = {"manager": names.FIELD_MANAGER, "operation": "Apply", "fieldsV1": OURS}
    theirs = {"manager": manager, "operation": operation, "fieldsV1": fields, **more}
    return {"metadata": {"name": "x", "managedFields": [ours, theirs]}}


@pytest.mark.parametrize(
    ("fields", "foreign"),
    [
        ({"f:spec": {"f:jobTemplate": {"f:spec": {"f:y": {}}}}}, ("spec",)),
        ({"f:spec": {"f:suspend": {}}, "f:data": {"f:k": {}}}, ("spec", "data")),
        ({"f:spec": {"f:schedule": {}}}, ()),
        ({"f:spec": {"f:jobTemplate": {"f:spec": {"f:x": {"f:deeper": {}}}}}}, ()),
        ({"f:spec": {}}, ()),
        ({"f:metadata": {"f:annotations": {"f:z": {}}}}, ()),
        ({}, ()),
    ],
    ids=["deep inside", "two parts", "what is ours", "inside what is ours whole", "nothing in it", "marks", "nothing"],
)
def test_what_others_added_is_found(fields: Manifest, foreign: tuple[str, ...]) -> None:
    """Server-side apply leaves it standing: a container that somebody added would run with the clinic's credentials."""
    assert foreign_fields(managed(fields)) == foreign


def test_a_controllers_status_is_its_own() -> None:
    assert foreign_fields(managed({"f:status": {"f:active": {}}}, subresource="status")) == ()


def test_the_same_name_with_another_operation_is_another() -> None:
    """`kubectl edit --field-manager` may call itself anything."""
    assert foreign_fields(managed({"f:spec": {"f:y": {}}}, manager=names.FIELD_MANAGER)) == ("spec",)


def test_a_child_that_nobody_touched_has_nothing_foreign() -> None:
    assert foreign_fields({"metadata": {"name": "x"}}) == ()


# Whatever is found, the plan leads to what is desired


@given(
    states=st.lists(
        st.sampled_from(["as wanted", "missing", "edited", "old hash", "old owner", "deleting"]),
        min_size=len(DESIRED),
        max_size=len(DESIRED),
    ),
    strays=st.sets(st.sampled_from(KINDS)),
)
def test_after_the_plan_nothing_is_left_to_do(states: list[str], strays: set[str]) -> None:
    changes: dict[str, dict[str, Any]] = {
        "as wanted": {},
        "edited": {"digest": "x"},
        "old hash": {"hash": "x"},
        "old owner": {"owner": "x"},
        "deleting": {"deleting": True},
    }
    seen = {
        ident: replace(child, **changes[state])
        for (ident, child), state in zip(SEEN.items(), states, strict=True)
        if state != "missing"
    }
    seen |= {ChildId(kind, "stray"): ObservedChild("u", UID, 1, "", "") for kind in strays}
    todo = plan(CLINIC, DESIRED, seen, RECORDED)
    after = {ident: child for ident, child in seen.items() if ident not in {r.id for r in todo.remove}}
    after |= observed(*(c for c in DESIRED if child_id(c) in {child_id(a) for a in todo.apply}))
    again = plan(CLINIC, DESIRED, after, RECORDED)

    assert (again.apply, again.remove) == ((), ())
    assert len(todo.apply) == len([s for s in states if s not in {"as wanted", "deleting"}])
    assert len(todo.remove) == len(strays)


def test_what_openshift_writes_into_every_account_is_left_alone() -> None:
    """It would write it again, and so would we, for ever."""
    others = {"manager": "openshift-controller-manager", "operation": "Update", "fieldsV1": {"f:secrets": {"k": {}}}}

    assert foreign_fields({"kind": "ServiceAccount", "metadata": {"managedFields": [others]}}) == ()
    assert foreign_fields({"kind": "CronJob", "metadata": {"managedFields": [others]}}) == ("secrets",)


def test_what_the_deployments_controller_counts_is_no_edit() -> None:
    """It numbers each roll-out in an annotation, right after we have written."""
    made = desired_children(CLINIC, PLATFORM, may_work=True, may_deliver=True)
    (worker,) = [with_hash(child) for child in made if child["kind"] == "Deployment"]
    counted, edited = copy.deepcopy(worker), copy.deepcopy(worker)
    counted["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "2"
    edited["metadata"]["annotations"]["example.org/edited"] = "yes"

    assert live_digest(counted) == live_digest(worker)
    assert live_digest(edited) != live_digest(worker)
