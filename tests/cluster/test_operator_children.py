"""A clinic's objects are what its spec says, whoever does what to them."""

from __future__ import annotations

import json

import pytest

from cluster.clinics import NO_EMR, OSCAR, Clinic, Landscape
from cluster.kubernetes_api import Manifest
from cluster.operators import until
from ocean_api import names

ALL = {
    ("ServiceAccount", names.service_account("maple")),
    ("NetworkPolicy", "ocean-maple-pods"),
    ("ConfigMap", "ocean-maple-site"),
    ("CronJob", "ocean-maple-recent"),
    ("CronJob", "ocean-maple-full"),
}
CRON_JOB = ("CronJob", "ocean-maple-recent")
CONFIG_MAP = ("ConfigMap", "ocean-maple-site")
ACCOUNT = ("ServiceAccount", names.service_account("maple"))


@pytest.fixture
def maple(running: Landscape, clinic: Clinic) -> Clinic:
    """A clinic that has everything it gets before its first check."""
    running.apply(clinic)
    running.await_complete(clinic)
    running.await_summary(clinic, "KeyPending")
    return clinic


def content(child: Manifest) -> Manifest:
    """What a person would look at: without bookkeeping."""
    meta = child["metadata"]
    kept = {k: meta[k] for k in ("labels", "annotations", "ownerReferences") if k in meta}
    return {
        **{k: v for k, v in child.items() if k not in {"metadata", "status", "apiVersion", "kind"}},
        "metadata": kept,
    }


def test_children_appear(running: Landscape, maple: Clinic) -> None:
    children = running.children(maple)
    settings = json.loads(children[CONFIG_MAP]["data"][names.SITE_SETTINGS_FILE])

    assert set(children) == ALL
    assert running.suspended(maple) == {True}
    assert settings["spec"]["emr"]["oscarPro"]["url"] == OSCAR["oscarPro"]["url"]
    assert {c["metadata"]["ownerReferences"][0]["name"] for c in children.values()} == {"maple"}


EDITS: dict[str, tuple[tuple[str, str], Manifest]] = {
    "schedule": (CRON_JOB, {"spec": {"schedule": "* * * * *"}}),
    "suspension": (CRON_JOB, {"spec": {"suspend": False}}),
    "deadline of the pod": (
        CRON_JOB,
        {"spec": {"jobTemplate": {"spec": {"template": {"spec": {"activeDeadlineSeconds": 1}}}}}},
    ),
    "another container": (
        CRON_JOB,
        {"spec": {"jobTemplate": {"spec": {"template": {"spec": {"initContainers": [{"name": "x", "image": "x"}]}}}}}},
    ),
    "settings": (CONFIG_MAP, {"data": {names.SITE_SETTINGS_FILE: "{}"}}),
    "another entry": (CONFIG_MAP, {"data": {"more": "of it"}}),
    "API token": (ACCOUNT, {"automountServiceAccountToken": True}),
    "hash": (CONFIG_MAP, {"metadata": {"annotations": {names.HASH_ANNOTATION: "0"}}}),
    "no labels": (CONFIG_MAP, {"metadata": {"labels": None}}),
    "no site label": (CRON_JOB, {"metadata": {"labels": {names.SITE_LABEL: None}}}),
    "no manager label": (ACCOUNT, {"metadata": {"labels": {names.MANAGED_BY_LABEL: None}}}),
    "another's site label": (CRON_JOB, {"metadata": {"labels": {names.SITE_LABEL: "oak"}}}),
    "no owner": (CONFIG_MAP, {"metadata": {"ownerReferences": None}}),
    "no owner, another's site label": (
        CONFIG_MAP,
        {"metadata": {"ownerReferences": None, "labels": {names.SITE_LABEL: "oak"}}},
    ),
}


@pytest.mark.parametrize(("ident", "patch"), EDITS.values(), ids=EDITS)
def test_an_edited_child_is_restored(
    running: Landscape, maple: Clinic, ident: tuple[str, str], patch: Manifest
) -> None:
    before = content(running.children(maple)[ident])

    def restored() -> bool:
        now = running.api.get(ident[0], maple.namespace, ident[1])
        return now is not None and content(now) == before

    for _ in ("once", "and again, since a child that lost its labels had left the watch's sight"):
        running.api.edit(ident[0], maple.namespace, ident[1], patch)
        until(restored, f"{ident} is as before")


@pytest.mark.parametrize("ident", sorted(ALL))
def test_a_deleted_child_comes_back(running: Landscape, maple: Clinic, ident: tuple[str, str]) -> None:
    before = running.children(maple)[ident]
    running.api.delete(ident[0], maple.namespace, ident[1])

    def back() -> bool:
        now = running.children(maple).get(ident)
        return (
            now is not None and now["metadata"]["uid"] != before["metadata"]["uid"] and content(now) == content(before)
        )

    until(back, f"{ident} is back")


@pytest.mark.parametrize("kind", ["ConfigMap", "ServiceAccount"])
def test_what_is_not_desired_is_pruned(running: Landscape, maple: Clinic, kind: str) -> None:
    """A copy of a child, as people make them to try something."""
    (ident,) = [i for i in ALL if i[0] == kind]
    copy = running.children(maple)[ident]
    meta = {k: copy["metadata"][k] for k in ("labels", "annotations", "ownerReferences", "namespace")}
    running.api.create({**content(copy), "apiVersion": "v1", "kind": kind, "metadata": {**meta, "name": "copy"}})

    until(lambda: running.api.get(kind, maple.namespace, "copy") is None, "the copy is gone")
    assert set(running.children(maple)) == ALL


def test_what_is_not_ours_is_left_alone(running: Landscape, maple: Clinic) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ocean-maple-notes"}, "data": {"a": "b"}}
    body["metadata"]["namespace"] = maple.namespace
    running.api.create(body)
    running.apply(maple, displayName="Renamed")
    running.await_complete(maple)

    assert running.api.get("ConfigMap", maple.namespace, "ocean-maple-notes") is not None


def test_an_edit_reaches_the_pods_settings(running: Landscape, maple: Clinic) -> None:
    emr = {"type": "OscarPro", "oscarPro": {"url": "https://new.clinic.example/oscar", "credentialsSecret": "emr"}}
    running.apply(maple, emr=emr)

    def arrived() -> bool:
        settings = running.children(maple)[CONFIG_MAP]["data"][names.SITE_SETTINGS_FILE]
        return str(json.loads(settings)["spec"]["emr"]["oscarPro"]["url"]) == emr["oscarPro"]["url"]

    until(arrived, "the new address is in the ConfigMap")
    running.await_complete(maple)


def test_what_is_no_longer_asked_for_goes(running: Landscape, clinic: Clinic) -> None:
    """Fields that only the old spec had leave the children, also after somebody's edit was undone."""
    port = {
        "type": "OscarPro",
        "oscarPro": {"url": "https://emr.clinic.example:8443/oscar", "credentialsSecret": "emr"},
    }
    running.apply(clinic, emr=port, timeZone="America/Halifax")
    running.await_complete(clinic)
    running.api.edit("ConfigMap", clinic.namespace, CONFIG_MAP[1], {"data": {"more": "of it"}})
    running.apply(clinic)
    running.await_complete(clinic)

    def settled() -> bool:
        children = running.children(clinic)
        policy = json.dumps(children["NetworkPolicy", "ocean-maple-pods"]["spec"])
        return "8443" not in policy and list(children[CONFIG_MAP]["data"]) == [names.SITE_SETTINGS_FILE]

    until(settled, "nothing is left of the old spec")


@pytest.mark.parametrize("change", [{"suspend": True}, {"enabled": False}, {"schedule": {"providers": []}}])
def test_work_stops_and_goes_on_with_the_spec(running: Landscape, maple: Clinic, change: Manifest) -> None:
    running.serve(maple)
    until(lambda: running.suspended(maple) == {False}, "its work is scheduled")
    running.apply(maple, **change)
    until(lambda: running.suspended(maple) == {True}, "its work is suspended")
    running.apply(maple)
    until(lambda: running.suspended(maple) == {False}, "its work is scheduled again")


def test_a_clinic_without_emr_has_nothing_to_synchronise(running: Landscape, clinic: Clinic) -> None:
    running.apply(clinic, emr=NO_EMR, enabled=True, schedule={})
    running.await_complete(clinic, children=3)
    running.check(clinic)
    running.await_summary(clinic, "SiteReady")

    assert {kind for kind, _ in running.children(clinic)} == {"ServiceAccount", "NetworkPolicy", "ConfigMap"}
    assert running.condition(clinic, "Ready")["status"] == "True"


FOREIGN = {
    "argocd.argoproj.io/tracking-id": "clinics:ocean.cloudconnect.dev/OceanSite:test/maple",
    "kubectl.kubernetes.io/last-applied-configuration": "{}",
    "example.org/team": "north",
}


def test_the_parents_marks_stay_its_own(running: Landscape, clinic: Clinic) -> None:
    """Copied marks would make Argo CD think that the children are its own, and prune them."""
    running.apply(clinic)
    labels = {"app.kubernetes.io/instance": "clinics", "argocd.argoproj.io/instance": "clinics", "team": "north"}
    running.api.edit(
        names.KIND, clinic.namespace, clinic.name, {"metadata": {"labels": labels, "annotations": FOREIGN}}
    )
    running.await_complete(clinic)
    running.await_summary(clinic, "KeyPending")
    made = [*running.children(clinic).values(), *running.jobs(clinic, "check")]
    marks = {k for m in made for field in ("labels", "annotations") for k in m["metadata"].get(field, {})}

    assert marks.isdisjoint({*labels, *FOREIGN})
    assert marks <= {
        names.MANAGED_BY_LABEL,
        names.PART_OF_LABEL,
        names.COMPONENT_LABEL,
        names.SITE_LABEL,
        names.HASH_ANNOTATION,
        names.RUN_ANNOTATION,
        "argocd.argoproj.io/ignore-resource-updates",
    } | {m for m in marks if m.startswith("batch.kubernetes.io/") or m in {"controller-uid", "job-name"}}


def test_an_operators_own_label_on_a_site_does_no_harm(running: Landscape, clinic: Clinic) -> None:
    """Labels that select the operator's own objects, on a site and on a stranger's object."""
    running.apply(clinic)
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.SITE_LABEL: "oak"}
    running.api.edit(names.KIND, clinic.namespace, clinic.name, {"metadata": {"labels": labels}})
    running.await_complete(clinic)

    assert set(running.children(clinic)) == ALL


def test_the_spec_is_never_written(running: Landscape, maple: Clinic) -> None:
    """Only status and finalizer are the operator's; the generation moves with people's edits alone."""
    site = running.site(maple)
    managers = {
        m["manager"]: set(m["fieldsV1"]) | set(m["fieldsV1"].get("f:metadata", {}))
        for m in site["metadata"]["managedFields"]
        if m["manager"] != "tests"
    }

    assert site["metadata"]["generation"] == 1
    assert set().union(*managers.values()) <= {"f:status", "f:metadata", "f:finalizers"}
