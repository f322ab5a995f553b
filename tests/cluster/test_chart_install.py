"""The chart in a real API server: everything in it is taken, upgrades keep what must be kept, and so does its end."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.chart import CHART, COMBINATIONS, EMBEDDED, NAMESPACE, RELEASE, Manifest, Values, of_kind, render
from ocean_api import names
from ocean_dev.api_client import wait_until
from ocean_dev.commands import run
from ocean_dev.control_plane import ControlPlane
from ocean_dev.errors import CommandError

SPACE = f"--namespace={NAMESPACE}"
WARN = "pod-security.kubernetes.io/warn=restricted"
WEBHOOK = ("validatingwebhookconfiguration", "ocean-operator")
KEPT = ("ocean-openbao-seal", "ocean-openbao-tls", "ocean-postgresql", "ocean-postgresql-tls")


def _site(name: str, number: str) -> str:
    spec = {
        "siteNumber": number,
        "displayName": "p0001's clinic",
        "timeZone": "America/Toronto",
        "contacts": {"siteCreator": "p0001@clinic.example"},
        "ocean": {"credentialsSecret": "ocean"},
        "emr": {"type": "None"},
        "enabled": True,
        "key": {"source": "Generate"},
    }
    return yaml.safe_dump(
        {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": name}, "spec": spec}
    )


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster of this file's own: the chart's objects belong to all namespaces."""
    extra = ("--enable-admission-plugins=OwnerReferencesPermissionEnforcement",)
    with ControlPlane.start(tmp_path_factory.mktemp("chart"), extra_apiserver_args=extra) as running:
        running.kubectl("create", "namespace", NAMESPACE)
        running.kubectl("label", "namespace", NAMESPACE, WARN)
        yield running


@pytest.fixture
def installed(plane: ControlPlane) -> Iterator[ControlPlane]:
    """The chart with embedded servers, gone with all that stays after the test."""
    _helm(plane, "install", EMBEDDED)
    yield plane
    _remove(plane)


@pytest.fixture
def plain(plane: ControlPlane) -> Iterator[ControlPlane]:
    """The chart without stores and webhook, with one clinic, gone with it after the test."""
    _helm(plane, "install", {"webhook": {"enabled": False}})
    plane.kubectl("wait", "--for=condition=Established", "customresourcedefinition", "--all", "--timeout=30s")
    plane.kubectl("apply", SPACE, "--filename=-", input=_site("north", "1001"))
    yield plane
    _remove(plane)


def _remove(plane: ControlPlane) -> None:
    plane.helm("uninstall", RELEASE, SPACE, "--ignore-not-found")
    plane.kubectl("delete", "customresourcedefinition", "--all")
    plane.kubectl("delete", "secrets", "--all", SPACE)


def _helm(plane: ControlPlane, verb: str, values: Values) -> None:
    given = yaml.safe_dump(dict(values))
    plane.helm(verb, RELEASE, str(CHART), SPACE, "--values=-", input=given)


def _get(plane: ControlPlane, *what: str) -> Manifest:
    found: Manifest = json.loads(plane.kubectl("get", *what, SPACE, "--output=json"))
    return found


def _secrets(plane: ControlPlane) -> dict[str, dict[str, str]]:
    return {name: _get(plane, "secret", name)["data"] for name in KEPT}


@pytest.mark.parametrize("values", COMBINATIONS.values(), ids=COMBINATIONS)
def test_the_api_server_takes_everything_and_warns_of_nothing(plane: ControlPlane, values: Values) -> None:
    """Unknown fields would be warned of, and so would pods that the restricted Pod Security Standard refuses."""
    objects = yaml.safe_dump_all(render(values))
    flags = ("--server-side", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "--filename=-")
    said = plane.kubectl("apply", *flags, input=objects)

    assert len(said.splitlines()) == len(render(values))


def test_a_pod_beyond_the_standard_would_have_been_noticed(plane: ControlPlane) -> None:
    """The test above can fail."""
    (deployment,) = of_kind(render(), "Deployment")
    del deployment["spec"]["template"]["spec"]["securityContext"]["seccompProfile"]
    flags = ("--server-side", "--dry-run=server", "--warnings-as-errors", "--filename=-")

    with pytest.raises(CommandError, match="seccompProfile"):
        plane.kubectl("apply", *flags, input=yaml.safe_dump(deployment))


def test_an_upgrade_keeps_passwords_certificates_and_the_operators_ca(installed: ControlPlane) -> None:
    before = _secrets(installed)
    (job,) = _get(installed, "jobs")["items"]
    bundle = base64.b64encode(b"what the operator put there").decode()
    hooks = _get(installed, *WEBHOOK)["webhooks"]
    hooks[0]["clientConfig"]["caBundle"] = bundle
    patch = json.dumps({"webhooks": hooks})
    installed.kubectl("patch", *WEBHOOK, "--type=merge", f"--patch={patch}", "--field-manager=ocean-operator")

    _helm(installed, "upgrade", {**EMBEDDED, "operator": {"workers": 10}})

    assert _secrets(installed) == before
    assert _get(installed, *WEBHOOK)["webhooks"][0]["clientConfig"]["caBundle"] == bundle
    assert [j["metadata"]["uid"] for j in _get(installed, "jobs")["items"]] == [job["metadata"]["uid"]]


def test_an_upgrade_without_server_side_apply_keeps_the_operators_ca_too(plane: ControlPlane) -> None:
    """Helm 3 and Argo CD compare three states on the client; what none of theirs has is not theirs."""
    flags = (RELEASE, str(CHART), SPACE, "--server-side=false")
    plane.helm("install", *flags)
    try:
        hooks = _get(plane, *WEBHOOK)["webhooks"]
        hooks[0]["clientConfig"]["caBundle"] = base64.b64encode(b"authority").decode()
        plane.kubectl("patch", *WEBHOOK, "--type=merge", f"--patch={json.dumps({'webhooks': hooks})}")
        plane.helm("upgrade", *flags, "--set=operator.workers=10")

        assert _get(plane, *WEBHOOK)["webhooks"] == hooks
    finally:
        plane.helm("uninstall", RELEASE, SPACE)
        plane.kubectl("delete", "customresourcedefinition", "--all")


def test_a_new_version_migrates_again(installed: ControlPlane) -> None:
    (before,) = _get(installed, "jobs")["items"]
    _helm(installed, "upgrade", {**EMBEDDED, "image": {"tag": "0.2.0"}})
    live = [j for j in _get(installed, "jobs")["items"] if "deletionTimestamp" not in j["metadata"]]

    assert len(live) == 1
    assert live[0]["metadata"]["name"] != before["metadata"]["name"]


@pytest.mark.parametrize("server", ["ocean-openbao", "ocean-postgresql"])
def test_certificates_stand_up_to_strict_examination(installed: ControlPlane, server: str, tmp_path: Path) -> None:
    data = {name: base64.b64decode(text) for name, text in _secrets(installed)[f"{server}-tls"].items()}
    for name in ("ca.crt", "tls.crt"):
        (tmp_path / name).write_bytes(data[name])
    verify = ("openssl", "verify", "-x509_strict", "-CAfile", tmp_path / "ca.crt", "-verify_hostname")

    assert "OK" in run([*verify, f"{server}.{NAMESPACE}.svc", tmp_path / "tls.crt"])
    with pytest.raises(CommandError, match="mismatch"):
        run([*verify, "vault.example.org", tmp_path / "tls.crt"])


def test_the_seal_key_is_32_random_bytes(installed: ControlPlane) -> None:
    """OpenBao takes no other length."""
    assert len(base64.b64decode(_secrets(installed)["ocean-openbao-seal"]["seal.key"])) == 32


def test_clinics_can_leave_although_no_operator_answers(plain: ControlPlane) -> None:
    """New and changed clinics are refused then: nobody has examined them."""
    # An upgrade without any value would take the last one's.
    _helm(plain, "upgrade", {"webhook": {"enabled": True}})
    sooner = '[{"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 1}]'
    plain.kubectl("patch", *WEBHOOK, "--type=json", f"--patch={sooner}")
    changed = _site("north", "1001").replace("p0001's", "p0002's")
    for text in (changed, _site("south", "1002")):
        with pytest.raises(CommandError, match="failed calling webhook"):
            _eventually_refused(plain, text)
    plain.kubectl("annotate", SPACE, "oceansite", "north", f"{names.SYNC_FULL_REQUEST}=now")
    _finalizers(plain, [names.FINALIZER])
    plain.kubectl("delete", SPACE, "oceansite", "north", "--wait=false")
    _finalizers(plain, [])

    assert not _get(plain, "oceansites")["items"]


def _eventually_refused(plane: ControlPlane, text: str) -> None:
    """The API server learns of a new webhook by a watch: ask, without effect, until it has."""

    def asked() -> bool:
        plane.kubectl("apply", SPACE, "--dry-run=server", "--filename=-", input=text)
        return False

    wait_until(asked, what="the webhook", seconds=30)


def _finalizers(plane: ControlPlane, wanted: list[str]) -> None:
    patch: dict[str, Any] = {"metadata": {"finalizers": wanted}}
    where = (SPACE, "oceansite", "north")
    plane.kubectl("patch", *where, "--type=merge", f"--patch={json.dumps(patch)}")


def test_clinics_keys_and_passwords_outlive_the_release(installed: ControlPlane) -> None:
    """And the same release finds them again: volumes stay as well, and could not be opened without them."""
    before = _secrets(installed)
    uid = _get(installed, "customresourcedefinition", f"{names.PLURAL}.{names.GROUP}")["metadata"]["uid"]
    installed.helm("uninstall", RELEASE, SPACE)
    left = {o["metadata"]["name"] for o in _get(installed, "secrets,deployments,statefulsets,services")["items"]}
    _helm(installed, "install", EMBEDDED)

    assert left == set(KEPT)
    assert _secrets(installed) == before
    assert _get(installed, "customresourcedefinition", f"{names.PLURAL}.{names.GROUP}")["metadata"]["uid"] == uid


def test_children_may_hold_their_owner_where_the_cluster_examines_that(plain: ControlPlane) -> None:
    """OwnerReferencesPermissionEnforcement, which some distributions turn on: the right is there, and is needed."""
    uid = _get(plain, "oceansite", "north")["metadata"]["uid"]
    owner = {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": "north", "uid": uid}
    meta = {"name": "child", "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}]}
    child = yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    flags = ("--server-side", "--dry-run=server", f"--as=system:serviceaccount:{NAMESPACE}:ocean-operator")

    def refused() -> bool:
        try:
            plain.kubectl("apply", SPACE, *flags, "--filename=-", input=child)
        except CommandError as refusal:
            return "blockOwnerDeletion" in str(refusal)
        return False

    assert not refused()
    role = json.loads(plain.kubectl("get", "clusterrole", "ocean-operator", "--output=json"))
    role["rules"] = [rule for rule in role["rules"] if rule["resources"] != ["oceansites/finalizers"]]
    plain.kubectl("replace", "--filename=-", input=json.dumps(role))
    wait_until(refused, what="the lesser role", seconds=30)


def test_view_and_edit_cover_clinics(installed: ControlPlane) -> None:
    for role, group in (("view", "viewers"), ("edit", "editors")):
        binding = (f"--clusterrole={role}", f"--group={group}", SPACE)
        installed.kubectl("create", "rolebinding", group, *binding)

    def may(group: str, verb: str, *more: str) -> bool:
        person = ("--as=p0001", f"--as-group={group}", SPACE)
        try:
            return installed.kubectl("auth", "can-i", verb, names.PLURAL, *more, *person).strip() == "yes"
        except CommandError:
            return False

    wait_until(lambda: may("viewers", "list") and may("editors", "create"), what="the aggregation of roles", seconds=30)

    assert not may("viewers", "patch")
    assert may("editors", "delete")
    assert not may("editors", "patch", "--subresource=status")
