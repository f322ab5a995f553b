"""The main job on a real cluster, as `make demo` shows it, and what people do to clinics afterwards."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable

import pytest

from ocean_api import names
from ocean_dev import demo
from ocean_dev.cluster import PodCluster
from ocean_dev.errors import CommandError

_PATIENCE_SECONDS = 240


def test_the_demo_ends_with_clinics_in_sync_and_one_refused(shown: str) -> None:
    """One line of `kubectl get oceansites` tells whether a clinic is fine."""
    states = {
        line.split()[0]: line.split()[1:3] for line in shown.splitlines() if line.startswith(tuple(demo.EXPECTED))
    }

    assert states == {
        "birch-counselling": ["True", "SiteReady"],
        "cedar-health": ["True", "SiteReady"],
        "maple-family": ["True", "SiteReady"],
        "willow-walk-in": ["False", "EmrAuthRefused"],
    }
    # Who has an appointment depends on the day of the week.
    assert len(re.findall(r"^p\d{4}, .+, born \d{4}-\d\d-\d\d$", shown, re.MULTILINE | re.IGNORECASE)) > 8


@pytest.mark.usefixtures("shown")
def test_a_key_is_found_nowhere_that_people_and_tools_look(node_cluster: PodCluster) -> None:
    """Logs of every pod, events, ConfigMaps, statuses: searched for the keys that were handed over."""
    sites = json.loads(demo.secret(node_cluster, demo.SIMULATORS, "ocean-sites")["sites.json"])["sites"]
    keys = [site["sharedEncryptionKey"] for site in sites if site["sharedEncryptionKey"]]
    pods = node_cluster.kubectl("get", "pods", "--all-namespaces", "--output", _NAMES).split()
    places = [_log(node_cluster, *pod.split("/")) for pod in pods]
    kinds = f"events,configmaps,cronjobs,jobs,pods,{names.PLURAL}"
    places.append(node_cluster.kubectl("get", kinds, "--all-namespaces", "--output=json"))

    assert len(keys) == 3
    assert not [place[:80] for place in places if any(key in place for key in keys)]


@pytest.mark.usefixtures("shown")
def test_the_secret_that_handed_a_key_over_is_gone(node_cluster: PodCluster) -> None:
    left = node_cluster.kubectl("get", "secrets", "-n", demo.CLINICS, "-l", names.KEY_INTAKE_LABEL, "--output=name")

    assert left == ""


@pytest.mark.usefixtures("shown")
def test_a_requested_sync_runs_once(node_cluster: PodCluster) -> None:
    token = secrets.token_hex(4)
    annotation = f"{names.SYNC_FULL_REQUEST}={token}"
    node_cluster.kubectl("annotate", "oceansite", "maple-family", "-n", demo.CLINICS, "--overwrite", annotation)
    _until(lambda: _status(node_cluster, "maple-family")["actions"].get("syncFull") == token, "the request is handled")
    _until(lambda: _finished(node_cluster, token) == [1], "its Job is done")

    assert _status(node_cluster, "maple-family")["sync"]["banner"] == "Green"


@pytest.mark.usefixtures("shown")
def test_a_repaired_credential_brings_the_clinic_in_sync_by_itself(node_cluster: PodCluster) -> None:
    """Nobody restarts anything: the next check finds other credentials and tries them."""
    good = demo.secret(node_cluster, demo.CLINICS, "maple-family-emr")
    bad = demo.secret(node_cluster, demo.CLINICS, "willow-walk-in-emr")
    try:
        _replace(node_cluster, "willow-walk-in-emr", good)
        _until(lambda: demo.reasons(node_cluster)["willow-walk-in"] == "SiteReady", "the clinic is in sync")
        patients = demo.at_ocean(node_cluster, "1004", "patients")
    finally:
        _replace(node_cluster, "willow-walk-in-emr", bad)

    assert patients


@pytest.mark.usefixtures("shown")
def test_a_clinic_that_comes_back_gets_its_key_back(node_cluster: PodCluster) -> None:
    """`Retain`: deleting the OceanSite keeps the key in Vault, and the same clinic finds it again."""
    before = _status(node_cluster, "birch-counselling")["key"]
    body = node_cluster.kubectl("get", "oceansite", "birch-counselling", "-n", demo.CLINICS, "--output=json")
    node_cluster.kubectl("delete", "oceansite", "birch-counselling", "-n", demo.CLINICS, "--timeout=60s")
    kept = {key: value for key, value in json.loads(body).items() if key != "status"}
    kept["metadata"] = {"name": "birch-counselling", "namespace": demo.CLINICS}
    node_cluster.kubectl("apply", "--server-side", "--field-manager=demo", "-f", "-", input=json.dumps(kept))
    _until(lambda: demo.reasons(node_cluster).get("birch-counselling") == "SiteReady", "the clinic is back")

    assert _status(node_cluster, "birch-counselling")["key"]["fingerprint"] == before["fingerprint"]


_NAMES = 'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}'


def _log(cluster: PodCluster, namespace: str, pod: str) -> str:
    """What a pod has written; nothing when it has gone meanwhile."""
    try:
        return cluster.kubectl("logs", "--all-containers", "-n", namespace, pod)
    except CommandError as error:
        if "NotFound" in str(error):
            return ""
        raise


def _status(cluster: PodCluster, name: str) -> dict[str, dict[str, str]]:
    text = cluster.kubectl("get", "oceansite", name, "-n", demo.CLINICS, "--output=json")
    status: dict[str, dict[str, str]] = json.loads(text)["status"]
    return status


def _finished(cluster: PodCluster, token: str) -> list[int]:
    """How often each Job that answers the request has succeeded."""
    jobs = json.loads(cluster.kubectl("get", "jobs", "-n", demo.CLINICS, "--output=json"))["items"]
    asked = f"request:{token}"
    mine = [j for j in jobs if j["metadata"].get("annotations", {}).get(names.RUN_ANNOTATION) == asked]
    return [job["status"].get("succeeded", 0) for job in mine]


def _replace(cluster: PodCluster, name: str, fields: dict[str, str]) -> None:
    patch = json.dumps({"stringData": fields})
    cluster.kubectl("patch", "secret", name, "-n", demo.CLINICS, "--type=merge", "-p", patch)


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.5)
