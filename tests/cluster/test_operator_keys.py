"""A key comes into Vault once, whole, and nowhere else."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from functools import partial

import pytest

from cluster.clinics import INTAKE, KEY, Clinic, Landscape, key_secret
from cluster.kubernetes_api import Manifest
from cluster.operators import until
from ocean_api import names
from ocean_api.reasons import Reason
from ocean_api.report import Problem
from ocean_operator.cluster import Cluster
from ocean_operator.core.intake import identity

BY_SECRET = {"key": {"source": "Secret", "secretName": "hand-over"}}
OTHER_KEY = "Other-Key-000002"


def secret_in(landscape: Landscape, clinic: Clinic) -> Manifest | None:
    """The Secret that hands the key over, if it is still there."""
    return landscape.api.get("Secret", clinic.namespace, "hand-over")


@pytest.fixture
def handed(running: Landscape, clinic: Clinic) -> Clinic:
    """A clinic whose key has come from a Secret, and was not read back yet."""
    running.api.create(key_secret(clinic))
    running.apply(clinic, **BY_SECRET)
    running.await_summary(clinic, "KeyPending")
    return clinic


def test_a_key_is_moved_and_its_secret_kept_until_it_was_read_back(running: Landscape, handed: Clinic) -> None:
    before = secret_in(running, handed)
    stored = running.stored(handed)
    key = running.key(handed)
    running.check(handed)
    until(lambda: secret_in(running, handed) is None, "the Secret is deleted")
    until(lambda: running.stored(handed)["custom_metadata"].get("accepted") == "true", "the key is accepted")
    until(lambda: "intake" not in running.stored(handed)["custom_metadata"], "the hand-over is settled")

    assert before is not None
    assert (key, stored["current_version"], stored["custom_metadata"]["source"]) == (KEY, 1, "Secret")
    assert [action for action, _ in running.records(handed)] == ["key.intake", "key.intake"]
    shown = running.status(handed)["key"]
    assert shown["fingerprint"] == stored["custom_metadata"]["fingerprint"]
    assert (shown["version"], shown["source"]) == (1, "Secret")


REFUSED: dict[str, tuple[Manifest, str]] = {
    "Argo CD's tracking id": ({"annotations": {"argocd.argoproj.io/tracking-id": "a:b"}}, "KeySecretExposed"),
    "Argo CD's label": ({"extra_labels": {"argocd.argoproj.io/instance": "a"}}, "KeySecretExposed"),
    "Argo CD's old label": ({"extra_labels": {"app.kubernetes.io/instance": "a"}}, "KeySecretExposed"),
    "kubectl apply": (
        {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
        "KeySecretExposed",
    ),
    "no label": ({"labels": {}}, "KeySecretInvalid"),
    "label of another value": ({"labels": {names.KEY_INTAKE_LABEL: "yes"}}, "KeySecretInvalid"),
    "another field": ({"data": {"sek": KEY, "more": "x"}}, "KeySecretInvalid"),
    "another field's name": ({"data": {"key": KEY}}, "KeySecretInvalid"),
    "no field": ({"data": {}}, "KeySecretInvalid"),
    "15 characters": ({"data": {"sek": KEY[:15]}}, "KeyWeak"),
    "no punctuation": ({"data": {"sek": KEY.replace("-", "x")}}, "KeyWeak"),
}


def secret_with(clinic: Clinic, change: Manifest) -> Manifest:
    """A Secret that differs from a good one in one thing."""
    body = key_secret(clinic)
    meta = body["metadata"]
    meta["labels"] = change.get("labels", {**meta["labels"], **change.get("extra_labels", {})})
    meta["annotations"] = change.get("annotations", {})
    if "data" in change:
        body["data"] = {k: base64.b64encode(v.encode()).decode() for k, v in change["data"].items()}
    return body


def test_a_secret_that_is_not_right_is_refused_and_says_why(running: Landscape, namespace: str) -> None:
    """Nothing is stored, the Secret stays, and the right one is taken as soon as it is there."""
    clinics = {what: Clinic(namespace, f"c{number}") for number, what in enumerate(REFUSED)}
    for what, (change, _) in REFUSED.items():
        body = secret_with(clinics[what], change)
        body["metadata"]["name"] = clinics[what].name
        running.api.create(body)
        running.apply(clinics[what], key={"source": "Secret", "secretName": clinics[what].name})
    for what, (_, reason) in REFUSED.items():
        running.await_summary(clinics[what], reason)
        said = running.condition(clinics[what], "KeyStored")

        assert said["status"] == "False"
        assert clinics[what].name in said["message"]
        assert KEY[:15] not in json.dumps(running.status(clinics[what]))
        assert running.stored(clinics[what]) == {}
        assert running.api.get("Secret", namespace, clinics[what].name) is not None
    corrected = clinics["15 characters"]
    running.api.delete("Secret", namespace, corrected.name)
    running.await_summary(corrected, "KeySecretMissing")
    running.api.create(key_secret(corrected, name=corrected.name))
    running.await_summary(corrected, "KeyPending")

    assert running.key(corrected) == KEY


def test_a_namespace_that_has_not_agreed_says_so(running: Landscape) -> None:
    """Who may get one Secret by name may get any of them, so the right is bound where it is wanted."""
    clinic = Clinic(running.namespace("no-intake", intake=False), "maple")
    running.api.create(key_secret(clinic))
    running.apply(clinic, **BY_SECRET)
    running.await_summary(clinic, "KeySecretForbidden")
    flags = ("--clusterrole=ocean-operator-key-intake", "--serviceaccount=ocean-system:ocean-operator")
    running.plane.kubectl("create", "rolebinding", "intake", "--namespace=no-intake", *flags)
    running.await_summary(clinic, "KeyPending")
    running.api.delete_all(names.KIND, "no-intake")

    assert running.key(clinic) == KEY


def test_a_wrong_key_makes_room_for_another_one(running: Landscape, handed: Clinic) -> None:
    """The new key is a key of its own: it has to be read back and tried before its Secret goes."""
    mismatch = Problem(reason=Reason.SEK_MISMATCH, message="said by the check", at=datetime.now(UTC))
    first = running.check(handed, key=mismatch)
    running.await_summary(handed, "SekMismatch")
    until(lambda: secret_in(running, handed) is None, "the first Secret is deleted")
    old = running.stored(handed)["custom_metadata"]["fingerprint"]
    running.api.create(key_secret(handed, OTHER_KEY))
    until(lambda: running.status(handed)["key"]["fingerprint"] != old, "another key is stored")
    until(lambda: len(running.jobs(handed, "check")) == 2, "it is checked at once")

    assert running.key(handed) == OTHER_KEY
    assert secret_in(running, handed) is not None
    assert running.summary(handed) == "KeyPending"
    second = running.check(handed)
    until(lambda: secret_in(running, handed) is None, "the second Secret is deleted")
    running.await_summary(handed, "SyncPending")
    assert second.token != first.token


def is_told(landscape: Landscape, clinic: Clinic) -> bool:
    """Whether its status says that a Secret was not taken."""
    said = landscape.condition(clinic, "KeyStored")
    return said["reason"] == "KeyAlreadyStored" and "Secret hand-over was not taken" in said["message"]


def test_an_accepted_key_is_never_replaced_and_the_second_secret_is_told(running: Landscape, handed: Clinic) -> None:
    """It holds a key in the clear, and somebody believes that it was handed over."""
    running.serve(handed)
    until(lambda: secret_in(running, handed) is None, "the Secret is deleted")
    running.api.create(key_secret(handed, OTHER_KEY))
    running.apply(handed, **BY_SECRET, displayName="Edited")
    until(lambda: is_told(running, handed), "it is told")

    def events() -> list[str]:
        return [e["type"] for e in running.events(handed) if e["reason"] == "KeyAlreadyStored"]

    until(lambda: events() == ["Warning"], "and there is an event")
    running.restart()
    running.apply(handed, **BY_SECRET, displayName="Edited again")
    running.await_complete(handed)

    assert is_told(running, handed)
    assert running.summary(handed) == "SiteReady"
    assert events() == ["Warning"]
    assert running.key(handed) == KEY
    assert secret_in(running, handed) is not None
    running.api.delete("Secret", handed.namespace, "hand-over")
    until(lambda: running.condition(handed, "KeyStored")["reason"] == "KeyAccepted", "it is no longer told")


async def test_a_secret_is_looked_for_without_its_key(
    landscape: Landscape, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(landscape.plane.kubeconfig))
    cluster = await Cluster.connect()
    before = await cluster.metadata("Secret", clinic.namespace, "hand-over")
    made = landscape.api.create(key_secret(clinic))
    seen = await cluster.metadata("Secret", clinic.namespace, "hand-over")
    await cluster.close()

    assert before is None
    assert seen is not None
    assert (seen["metadata"]["uid"], identity(seen)) == (made["metadata"]["uid"], identity(made))
    assert made["data"]["sek"] not in json.dumps(seen)


def test_no_late_secret_is_looked_for_where_the_namespace_takes_its_consent_back(
    running: Landscape, handed: Clinic
) -> None:
    """Nothing is wrong with that, once the key is accepted: no pass fails, and nobody is told anything."""
    running.serve(handed)
    until(lambda: "intake" not in running.stored(handed)["custom_metadata"], "the hand-over is settled")
    running.plane.kubectl("delete", "rolebinding", INTAKE, f"--namespace={handed.namespace}")
    running.api.create(key_secret(handed, OTHER_KEY))
    looks, failures = (
        partial(running.leader.metric, name, 'queue="stores"')
        for name in ("ocean_workqueue_work_seconds_count", "ocean_workqueue_retries_total")
    )
    before = looks(), failures()
    running.apply(handed, **BY_SECRET, displayName="Edited")
    until(lambda: looks() > before[0], "it has looked")
    running.await_complete(handed)

    assert running.condition(handed, "KeyStored")["reason"] == "KeyAccepted"
    assert failures() == before[1]


def test_a_secret_changed_on_the_way_is_not_deleted_unseen(running: Landscape, handed: Clinic) -> None:
    """Whoever changed it believes that the new key was handed over. It is taken only before the first is accepted."""
    other = base64.b64encode(OTHER_KEY.encode()).decode()
    changed = running.api.edit("Secret", handed.namespace, "hand-over", {"data": {"sek": other}})
    running.check(handed)
    until(lambda: running.key(handed) == OTHER_KEY or is_told(running, handed), "it is taken, or told")

    assert secret_in(running, handed) == changed


@pytest.mark.parametrize("off", [{"suspend": True}, {"enabled": False}], ids=["suspended", "not enabled"])
def test_a_clinic_that_is_off_says_that_its_secret_waits(
    running: Landscape, clinic: Clinic, off: dict[str, bool]
) -> None:
    running.api.create(key_secret(clinic))
    running.apply(clinic, **BY_SECRET, **off)
    until(lambda: running.status(clinic).get("key", {}).get("handOver") == "Taken", "the key is in Vault")
    said = running.condition(clinic, "KeyStored")
    assert "Secret hand-over holds the key in the clear" in said["message"]
    assert running.key(clinic) == KEY
    assert running.jobs(clinic, "check") == []
    running.apply(clinic, **BY_SECRET)
    running.check(clinic)
    until(lambda: secret_in(running, clinic) is None, "the Secret is deleted once the clinic goes on")
    until(lambda: running.status(clinic)["key"]["handOver"] == "", "and it is no longer told")


def test_a_waiting_clinic_does_not_fill_vaults_audit_log(running: Landscape, clinic: Clinic) -> None:
    """A Secret is awaited for days, and looked for every few seconds; Vault has nothing to do with that."""
    running.apply(clinic, **BY_SECRET)
    running.await_summary(clinic, "KeySecretMissing")
    looks = 'queue="stores"'
    before = running.leader.metric("ocean_workqueue_work_seconds_count", looks)
    log = running.installation.bao.audit_log
    mark = log.stat().st_size
    until(lambda: running.leader.metric("ocean_workqueue_work_seconds_count", looks) >= before + 2, "it has looked")

    assert clinic.name.encode() not in log.read_bytes()[mark:]
    running.api.create(key_secret(clinic))
    running.await_summary(clinic, "KeyPending")
