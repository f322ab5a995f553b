"""The operator under the chart's roles: a whole life needs each of them, and nothing beyond them is possible."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cluster.chart import EMBEDDED, NAMESPACE, Manifest, pick, render, rules
from cluster.clinics import NO_EMR, OPERATOR, Clinic, Landscape, key_secret
from cluster.operators import until
from ocean_api import names
from ocean_dev.errors import CommandError
from ocean_dev.servers.ports import free_port
from ocean_operator.webhook_tls import SECRET

# OpenBao's account has a role of its own in the chart; the operator has these.
ROLES = ("ocean-operator", "ocean-operator-key-intake")
# Asked by an admission plugin on clusters that have it, never by a request of our own.
ASKED_BY_OTHERS = {("update", "oceansites/finalizers")}

BEYOND = [
    "list secrets --all-namespaces",
    "watch secrets",
    "get secrets --namespace=kube-system",
    "get secrets/ocean-openbao-seal",
    "get secrets/ocean-postgresql",
    "delete secrets/ocean-operator-webhook",
    "create secrets --namespace=kube-system",
    "get pods",
    "create pods",
    "create pods --subresource=exec",
    "create serviceaccounts --subresource=token",
    "update serviceaccounts",
    "get deployments.apps",
    "update deployments.apps",
    "patch deployments.apps --subresource=scale",
    "create statefulsets.apps",
    "patch jobs.batch",
    "create oceansites.ocean.cloudconnect.dev",
    "update oceansites.ocean.cloudconnect.dev",
    "delete oceansites.ocean.cloudconnect.dev",
    "deletecollection configmaps",
    "create rolebindings.rbac.authorization.k8s.io",
    "escalate clusterroles.rbac.authorization.k8s.io",
    "impersonate users",
    "patch customresourcedefinitions.apiextensions.k8s.io",
    "patch validatingwebhookconfigurations.admissionregistration.k8s.io/another",
    "create validatingwebhookconfigurations.admissionregistration.k8s.io",
    "update leases.coordination.k8s.io/another",
    "update leases.coordination.k8s.io/ocean-operator --namespace=kube-system",
    "list namespaces",
    "get nodes",
    "create tokenreviews.authentication.k8s.io",
]


@pytest.fixture
def webhook(running: Landscape) -> Iterator[str]:
    """A second replica that answers admission, and the chart's configuration that leads to it."""
    port = free_port()
    configuration = pick(render(), "ValidatingWebhookConfiguration", "ocean-operator")
    for hook in configuration["webhooks"]:
        # No Service leads out of a cluster without nodes.
        hook["clientConfig"] = {"url": f"https://127.0.0.1:{port}/validate"}
    running.plane.kubectl("apply", "--server-side", "--filename=-", input=json.dumps(configuration))
    settings = {"OCEAN_WEBHOOK_PORT": str(port), "OCEAN_WEBHOOK_CONFIGURATION": "ocean-operator"}
    replica = running.replica("ocean-operator-1", **settings)
    try:
        for _ in range(2):
            replica.start()
            until(lambda: _trusted(running), "the API server trusts the webhook")
            replica.stop()
            # What nobody can read is replaced, as a certificate is when its time comes.
            patch = {"metadata": {"annotations": {f"{names.GROUP}/expires": "never"}}}
            running.api.edit("Secret", NAMESPACE, SECRET, patch)
        replica.start()
        until(lambda: _answers(running), "the webhook answers")
        yield "ocean-operator"
    finally:
        running.api.delete("ValidatingWebhookConfiguration", "", "ocean-operator")
        replica.stop()


def _trusted(landscape: Landscape) -> bool:
    """Whether the authority in the shared Secret is among those in the configuration."""
    found = landscape.api.get("ValidatingWebhookConfiguration", "", "ocean-operator")
    secret = landscape.api.get("Secret", NAMESPACE, SECRET)
    if not found or not secret:
        return False
    bundle = base64.b64decode(found["webhooks"][0]["clientConfig"].get("caBundle", "")).decode()
    return base64.b64decode(secret["data"]["ca.crt"]).decode().strip() in bundle


def _answers(landscape: Landscape) -> bool:
    try:
        landscape.apply(Clinic(NAMESPACE, "asked"), ocean={"credentialsSecret": "ocean", "url": "https://10.0.0.1"})
    except httpx.HTTPStatusError as refusal:
        return "spec.ocean.url" in str(refusal)
    return False


def test_a_whole_life_uses_every_right_and_is_refused_nothing(running: Landscape, webhook: str, namespace: str) -> None:
    """A right that nothing uses is one too many; the audit log of the API server knows which are used."""
    log = running.plane.audit_log
    begin = log.stat().st_size
    handed, generated = Clinic(namespace, "handed"), Clinic(namespace, "generated")
    running.api.create(key_secret(handed))
    running.apply(handed, key={"source": "Secret", "secretName": "hand-over"})
    running.apply(generated, emr=NO_EMR, enabled=True)
    with pytest.raises(httpx.HTTPStatusError, match="siteNumber"):
        running.apply(Clinic(namespace, "double"), siteNumber=running.site(handed)["spec"]["siteNumber"])
    for clinic in (handed, generated):
        running.check(clinic)
    until(lambda: running.condition(generated, "Ready").get("status") == "True", "a clinic is served")
    until(lambda: bool(running.jobs(handed, "full")), "the first synchronisation has begun")
    until(lambda: running.api.get("Secret", namespace, "hand-over") is None, "the hand-over is gone")
    _leave_strays(running, handed)
    for clinic in (handed, generated):
        running.api.delete(names.KIND, namespace, clinic.name)
        running.await_gone(clinic)
    refused = {(verb, resource) for verb, resource, code in _requests(log, begin) if code == 403}
    requests = list(_requests(log))
    used = {(verb, resource) for verb, resource, code in requests if code < 400}
    used |= {("create", resource) for verb, resource, code in requests if (verb, code) == ("patch", 201)}

    assert webhook
    assert refused == set()
    assert used - _granted() == set()
    assert _granted() - used == ASKED_BY_OTHERS


def _leave_strays(landscape: Landscape, clinic: Clinic) -> None:
    """Objects that pass for children of `clinic`, as a version with other names would leave; wait for their end."""
    strays = []
    for (kind, _), child in landscape.children(clinic).items():
        meta = {k: child["metadata"][k] for k in ("namespace", "labels", "ownerReferences")}
        body: Manifest = {**child, "metadata": {**meta, "name": "ocean-of-before"}}
        body.pop("status", None)
        if (kind, "ocean-of-before") not in strays:
            landscape.api.create({"kind": kind, **body})
            strays.append((kind, "ocean-of-before"))

    assert len(strays) == 5
    until(lambda: not set(strays) & landscape.children(clinic).keys(), "the strays are gone")


def _requests(log: Path, begin: int = 0) -> Iterator[tuple[str, str, int]]:
    """Verb, resource and answer of each request of the operator for an object."""
    for line in log.read_bytes()[begin:].splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        entry = json.loads(line)
        what = entry.get("objectRef", {})
        if entry["user"]["username"] != OPERATOR or "resource" not in what:
            continue
        resource = "/".join(filter(None, (what["resource"], what.get("subresource", ""))))
        yield entry["verb"], resource, entry.get("responseStatus", {}).get("code", 0)


def _granted() -> set[tuple[str, str]]:
    return {
        (verb, resource)
        for name, rule in rules(render())
        if name in ROLES
        for verb in rule["verbs"]
        for resource in rule["resources"]
    }


@pytest.mark.parametrize("what", BEYOND)
def test_what_the_operator_need_not_do_it_cannot(running: Landscape, what: str) -> None:
    place = [] if "--namespace" in what or "--all-namespaces" in what else [f"--namespace={NAMESPACE}"]

    with pytest.raises(CommandError, match="no"):
        running.plane.kubectl_as(running.leader.kubeconfig, "auth", "can-i", *what.split(), *place)


def test_what_it_does_it_can(running: Landscape) -> None:
    """The test above can fail."""
    said = running.plane.kubectl_as(running.leader.kubeconfig, "auth", "can-i", "create", "jobs.batch")

    assert said.strip() == "yes"


def test_a_namespace_that_has_not_agreed_keeps_its_secrets(running: Landscape) -> None:
    namespace = running.namespace("not-agreed", intake=False)
    clinic = Clinic(namespace, "careful")
    running.api.create(key_secret(clinic))
    running.apply(clinic, key={"source": "Secret", "secretName": "hand-over"})
    running.await_complete(clinic)
    until(lambda: ("get", "secrets", 403) in _requests(running.plane.audit_log), "the operator has asked")
    running.api.delete(names.KIND, namespace, clinic.name)
    running.await_gone(clinic)

    assert running.api.get("Secret", namespace, "hand-over") is not None


def test_openbao_may_review_tokens_and_nothing_else() -> None:
    (rule,) = [rule for name, rule in rules(render(EMBEDDED)) if name == "ocean-openbao"]

    assert rule == {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
