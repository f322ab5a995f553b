from __future__ import annotations

from typing import Any

import pytest

from ocean_api import names
from ocean_api.v1alpha1.status import ChildStatus, OceanSiteStatus, QueueStatus
from ocean_operator.core.plan import ChildId, live_digest
from ocean_operator.core.site import Manifest, SiteKey
from ocean_operator.observed import Observed, owner_key
from unit.operator.sites import KEY, NOW, UID, body, site

CHILD = ChildId("ConfigMap", "ocean-north-site")
OTHER = SiteKey("clinic-b", "south")
THIRD = SiteKey("clinic-c", "east")


def child(*, uid: str = "child-1", version: int = 5, kind: str = "ConfigMap", **changes: Any) -> Manifest:
    """A child of the clinic as a watch shows it."""
    return {
        "kind": kind,
        "metadata": {
            "name": "ocean-north-site",
            "namespace": "clinic-a",
            "uid": uid,
            "resourceVersion": str(version),
            "labels": {names.SITE_LABEL: "north"},
            "annotations": {names.HASH_ANNOTATION: "h1"},
            "ownerReferences": [{"kind": "OceanSite", "name": "north", "uid": UID}],
            **changes.pop("meta", {}),
        },
        "data": {"a": "b"},
        **changes,
    }


@pytest.fixture
def seen() -> Observed:
    """The clinic and one child, both known."""
    made = Observed()
    made.saw_site(body(version=10))
    made.saw_child(child(), KEY)
    return made


# Sites


def test_a_new_clinic_is_news(seen: Observed) -> None:
    assert seen.saw_site(body(called=OTHER))
    assert set(seen.site_keys()) == {KEY, OTHER}


@pytest.mark.parametrize("version", [9, 10])
def test_older_news_never_overwrites_newer(seen: Observed, version: int) -> None:
    assert not seen.saw_site(body(version=version, displayName="Old"))
    assert seen.site(KEY) == site(version=10)


def test_versions_are_numbers_and_not_words(seen: Observed) -> None:
    assert seen.saw_site(body(version=100, generation=2))


def test_our_own_status_is_no_news_and_is_taken_in(seen: Observed) -> None:
    status = OceanSiteStatus(observed_generation=1, summary="SiteReady")

    assert not seen.saw_site(body(version=11, status=status))
    found = seen.site(KEY)
    assert found is not None
    assert found.status == status


@pytest.mark.parametrize(
    "change",
    [
        {"generation": 2, "displayName": "Other"},
        {"annotations": {names.SYNC_FULL_REQUEST: "t1"}},
        {"deleting": True},
        {"uid": "uid-2"},
    ],
    ids=["spec", "request", "deletion", "made anew"],
)
def test_what_asks_for_work_is_news(seen: Observed, change: dict[str, Any]) -> None:
    assert seen.saw_site(body(version=11, **change))


def test_a_finalizer_is_news(seen: Observed) -> None:
    with_finalizer = body(version=11)
    with_finalizer["metadata"]["finalizers"] = [names.FINALIZER]

    assert seen.saw_site(with_finalizer)


def test_anothers_annotation_is_no_news(seen: Observed) -> None:
    assert not seen.saw_site(body(version=11, annotations={"example.org/x": "y"}))


def test_a_clinic_made_anew_takes_its_predecessors_place(seen: Observed) -> None:
    remembered = OceanSiteStatus(children=(ChildStatus(kind="ConfigMap", name="x", hash="h"),))
    first = seen.site(KEY)
    assert first is not None
    seen.recorded(first)
    seen.saw_site(body(uid="uid-2", version=20, status=remembered))
    new = seen.site(KEY)

    assert new is not None
    assert new.uid == "uid-2"
    assert seen.recorded(new) == {ChildId("ConfigMap", "x"): "h"}


def test_late_news_of_a_predecessor_changes_nothing(seen: Observed) -> None:
    """The answer to a write to the old site may arrive after the watch has shown the new one."""
    seen.saw_site(body(uid="uid-2", version=20))

    assert not seen.saw_site(body(uid=UID, version=19, deleting=True))
    assert seen.lost_site(KEY, UID, 99) == ()
    found = seen.site(KEY)
    assert found is not None
    assert (found.uid, found.deleting) == ("uid-2", False)


def test_a_lost_clinic_is_forgotten(seen: Observed) -> None:
    seen.lost_site(KEY, UID, 99)

    assert seen.site(KEY) is None
    assert seen.site_keys() == ()


def test_losing_an_unknown_clinic_means_nothing(seen: Observed) -> None:
    assert seen.lost_site(OTHER, "x", 99) == ()


def test_late_news_of_what_is_gone_brings_nothing_back(seen: Observed) -> None:
    """Only the audit finds such a ghost, minutes later, and ends the operator for it."""
    seen.lost_site(KEY, UID, 99)
    seen.saw_site(body(version=9))
    seen.lost_child(CHILD, "child-1", KEY, 99)
    seen.wrote_child(child(version=4), KEY)

    assert seen.site(KEY) is None
    assert CHILD not in seen.children(KEY)


def test_newer_news_of_what_was_lost_brings_it_back(seen: Observed) -> None:
    """An object whose labels somebody took away is lost to a watch too, until they are put back."""
    seen.lost_child(CHILD, "child-1", KEY, 6)

    assert not seen.saw_child(child(version=6), KEY)
    assert seen.saw_child(child(version=7), KEY)
    assert CHILD in seen.children(KEY)


# Site numbers


def test_the_oldest_holder_of_a_number_comes_first(seen: Observed) -> None:
    seen.saw_site(body(called=OTHER, uid="u2", creation="2026-01-01T00:00:00Z"))
    seen.saw_site(body(called=THIRD, uid="u3", creation="2026-05-01T00:00:00Z"))

    assert seen.neighbours("1001").site_numbers == {"1001": (OTHER, KEY, THIRD)}


def test_of_one_second_the_names_decide(seen: Observed) -> None:
    """So that all replicas, and the same one after a restart, call the same clinic the first."""
    seen.saw_site(body(called=SiteKey("clinic-a", "a-north"), uid="u2"))

    assert seen.neighbours("1001").site_numbers["1001"] == (SiteKey("clinic-a", "a-north"), KEY)


def test_nobody_has_an_unknown_number(seen: Observed) -> None:
    assert seen.neighbours("7").site_numbers == {"7": ()}


def test_losing_a_clinic_names_those_that_wait_for_its_number(seen: Observed) -> None:
    seen.saw_site(body(called=OTHER, uid="u2"))
    seen.saw_site(body(called=THIRD, uid="u3", siteNumber="2002"))

    assert seen.lost_site(KEY, UID, 99) == (OTHER,)
    assert seen.neighbours("1001").site_numbers["1001"] == (OTHER,)


def test_a_clinic_made_anew_with_another_number_lets_the_old_one_go(seen: Observed) -> None:
    seen.saw_site(body(uid="uid-2", version=20, siteNumber="2002"))

    assert seen.neighbours("1001").site_numbers["1001"] == ()
    assert seen.neighbours("2002").site_numbers["2002"] == (KEY,)


def test_a_clinic_that_cannot_be_read_keeps_its_number_all_the_same() -> None:
    """Its messages still arrive under that number, so no other clinic may have it."""
    seen = Observed()
    seen.saw_site(body(timeZone="Nowhere"))

    assert seen.neighbours("1001").site_numbers["1001"] == (KEY,)


# Children


def test_a_child_is_known_by_what_decisions_need(seen: Observed) -> None:
    known = seen.children(KEY)[CHILD]

    assert (known.uid, known.owner, known.resource_version, known.hash) == ("child-1", UID, 5, "h1")
    assert known.digest == live_digest(child())
    assert not known.deleting


def test_a_clinic_without_children_has_none(seen: Observed) -> None:
    assert seen.children(OTHER) == {}


@pytest.mark.parametrize("version", [4, 5])
def test_older_news_of_a_child_never_overwrites_newer(seen: Observed, version: int) -> None:
    assert not seen.saw_child(child(version=version, data={"a": "old"}), KEY)
    assert seen.children(KEY)[CHILD].digest == live_digest(child())


def test_late_news_of_a_childs_predecessor_changes_nothing(seen: Observed) -> None:
    seen.saw_child(child(uid="child-2", version=9), KEY)

    assert not seen.saw_child(child(uid="child-1", version=8, meta={"deletionTimestamp": "x"}), KEY)
    assert not seen.lost_child(CHILD, "child-1", KEY, 99)
    assert seen.children(KEY)[CHILD].uid == "child-2"


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"a": "edited"}},
        {"meta": {"annotations": {}}},
        {"meta": {"ownerReferences": []}},
        {"meta": {"deletionTimestamp": "2026-03-10T00:00:00Z"}},
        {"uid": "child-2"},
    ],
    ids=["edited", "hash gone", "owner gone", "deletion", "made anew"],
)
def test_a_childs_change_is_news(seen: Observed, change: dict[str, Any]) -> None:
    assert seen.saw_child(child(version=6, **change), KEY)


def test_a_childs_status_is_no_news_but_its_version_is_kept(seen: Observed) -> None:
    """The audit compares versions with a LIST."""
    assert not seen.saw_child(child(version=6, status={"active": 1}), KEY)
    assert seen.versions("ConfigMap") == {("clinic-a", "ocean-north-site"): 6}


def test_the_event_of_our_own_write_is_no_news(seen: Observed) -> None:
    written = child(version=7, data={"a": "new"})
    seen.wrote_child(written, KEY)

    assert not seen.saw_child(written, KEY)


def test_what_we_wrote_is_what_later_edits_are_compared_with(seen: Observed) -> None:
    clinic = seen.site(KEY)
    assert clinic is not None
    written = child(version=7, data={"a": "new"})
    seen.recorded(clinic)
    seen.wrote_child(written, KEY)
    seen.saw_child(child(version=8, data={"a": "edited"}), KEY)

    assert seen.recorded(clinic)[CHILD] == live_digest(written)
    assert seen.children(KEY)[CHILD].digest != live_digest(written)


def test_what_we_wrote_is_remembered_over_news_of_the_clinic(seen: Observed) -> None:
    clinic = seen.site(KEY)
    assert clinic is not None
    seen.recorded(clinic)
    seen.wrote_child(child(version=7), KEY)
    seen.saw_site(body(version=11, generation=2))

    assert seen.recorded(site(version=11)) == {CHILD: live_digest(child())}


def test_after_a_restart_the_status_is_the_memory() -> None:
    status = OceanSiteStatus(children=(ChildStatus(kind="ConfigMap", name="ocean-north-site", hash="d1"),))

    assert Observed().recorded(site(status=status)) == {CHILD: "d1"}


def test_a_job_is_known_without_a_digest(seen: Observed) -> None:
    """Its spec is never compared, and its status moves all the time."""
    seen.saw_child(child(kind="Job", uid="job-1"), KEY)

    assert seen.children(KEY)[ChildId("Job", "ocean-north-site")].digest == ""
    assert not seen.saw_child(child(kind="Job", uid="job-1", version=6, status={"active": 1}), KEY)


def test_a_lost_child_is_forgotten(seen: Observed) -> None:
    assert seen.lost_child(CHILD, "child-1", KEY, 99)
    assert seen.children(KEY) == {}
    assert not seen.lost_child(CHILD, "child-1", KEY, 99)


# Pods


def test_a_pods_problem_is_remembered_until_it_is_gone(seen: Observed) -> None:
    assert seen.saw_pod(KEY, "p1", "cannot start")
    assert not seen.saw_pod(KEY, "p1", "cannot start")
    assert seen.pod_problem(KEY) == "cannot start"
    assert seen.saw_pod(KEY, "p1", "")
    assert seen.pod_problem(KEY) == ""


def test_of_several_pods_one_problem_is_told(seen: Observed) -> None:
    seen.saw_pod(KEY, "p1", "first")
    seen.saw_pod(KEY, "p2", "second")
    seen.saw_pod(KEY, "p1", "")

    assert seen.pod_problem(KEY) == "second"
    assert seen.pod_problem(OTHER) == ""


def test_a_pod_on_its_way_is_no_news(seen: Observed) -> None:
    assert not seen.saw_pod(KEY, "p1", "")


def test_the_workers_pod_is_told_apart(seen: Observed) -> None:
    """A check that waits is not explained by a worker that cannot start, nor the other way round."""
    seen.saw_pod(KEY, "p1", "of the worker", component="worker")
    seen.saw_pod(KEY, "p2", "of a check", component="check")

    assert seen.pod_problem(KEY, worker=True) == "of the worker"
    assert seen.pod_problem(KEY) == "of a check"


def test_a_worker_that_goes_and_comes_back_is_news(seen: Observed) -> None:
    """Its Deployment's status alone says so."""
    gone = {"conditions": [{"type": "Available", "status": "False", "lastTransitionTime": "2026-03-10T15:20:30Z"}]}
    ident = ChildId("Deployment", "ocean-north-site")

    assert seen.saw_child(child(kind="Deployment", uid="d1", version=6), KEY) == (KEY,)
    assert seen.saw_child({**child(kind="Deployment", uid="d1", version=7), "status": gone}, KEY) == (KEY,)
    assert seen.children(KEY)[ident].away is not None
    assert seen.saw_child({**child(kind="Deployment", uid="d1", version=8), "status": gone}, KEY) == ()
    assert seen.saw_child(child(kind="Deployment", uid="d1", version=9), KEY) == (KEY,)


def test_what_the_status_says_of_messages_is_read_by_itself(seen: Observed) -> None:
    said = QueueStatus(waiting=5, oldest_at=NOW, held=2, held_since=NOW)
    seen.saw_site(body(version=11, status=OceanSiteStatus(queue=said)))

    assert seen.queue_in_status(KEY) == said
    assert seen.queue_in_status(OTHER) == QueueStatus()


# For the audit


def test_versions_are_told_by_kind(seen: Observed) -> None:
    seen.saw_child(child(kind="Job", uid="job-1", version=6), KEY)

    assert seen.versions("OceanSite") == {("clinic-a", "north"): 10}
    assert seen.versions("ConfigMap") == {("clinic-a", "ocean-north-site"): 5}
    assert seen.versions("Job") == {("clinic-a", "ocean-north-site"): 6}
    assert seen.versions("CronJob") == {}


# Whose object

FOREIGN = [{"kind": "Deployment", "name": "web", "uid": "d1"}]


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"labels": {}},
        {"labels": {names.SITE_LABEL: "edited-by-hand"}},
        {"ownerReferences": []},
        {"ownerReferences": FOREIGN},
        {"ownerReferences": [*FOREIGN, {"kind": "OceanSite", "name": "north", "uid": UID}], "labels": None},
    ],
    ids=["both", "label taken away", "label edited", "owner taken away", "another's", "two owners"],
)
def test_an_object_belongs_to_the_clinic_that_owns_it_or_else_that_its_label_names(meta: dict[str, Any]) -> None:
    assert owner_key(child(meta=meta)) == KEY


@pytest.mark.parametrize("labels", [{}, None], ids=str)
def test_an_object_with_neither_belongs_to_nobody(labels: dict[str, str] | None) -> None:
    assert owner_key(child(meta={"ownerReferences": [], "labels": labels})) is None


def test_an_object_with_an_empty_label_is_known_all_the_same() -> None:
    """The audit's LIST shows it, so it must be in the picture; no clinic has an empty name."""
    assert owner_key(child(meta={"ownerReferences": [], "labels": {names.SITE_LABEL: ""}})) == SiteKey("clinic-a", "")


def test_a_child_that_was_made_anothers_is_news_to_both(seen: Observed) -> None:
    """The one has lost it and makes it anew; the other removes it, or takes it over."""
    assert set(seen.saw_child(child(version=6), OTHER)) == {KEY, OTHER}
    assert seen.children(KEY) == {}
    assert CHILD in seen.children(OTHER)


def test_a_child_is_lost_where_it_was_last_at_home(seen: Observed) -> None:
    """Its last event may carry the label of either."""
    seen.saw_child(child(version=6), OTHER)

    assert seen.lost_child(CHILD, "child-1", KEY, 99)
    assert seen.children(OTHER) == {}
