"""The chart without a cluster: what it refuses, what it renders, and that it says what the code says."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import chart_reference
from cluster.chart import (
    CHART,
    COMBINATIONS,
    EMBEDDED,
    EXTERNAL,
    GATEWAY,
    IN_FRONT,
    NAMESPACE,
    Manifest,
    Values,
    environment,
    helm,
    of_kind,
    pick,
    pod_of,
    pod_specs,
    render,
    rules,
)
from ocean_api import names
from ocean_dev.errors import CommandError
from ocean_dev.paths import REPOSITORY
from ocean_emr.gateway.settings import GatewaySettings
from ocean_emr.store.migrate import MigrateSettings
from ocean_operator import lease, webhook_tls
from ocean_operator.settings import OperatorSettings

OPERATOR = "ocean-operator"
RECEIVER = "ocean-gateway"

REFUSED: list[tuple[Values, str]] = [
    ({"replicas": 3}, "replicas"),
    ({"operator": {"replica": 3}}, "replica"),
    ({"operator": {"replicas": 0}}, "replicas"),
    ({"operator": {"resources": {"limits": {"memory": "plenty"}}}}, "memory"),
    ({"vault": {"address": "http://vault.example.org"}}, "address"),
    ({"database": {"port": 70000}}, "port"),
    ({"network": {"allowedAddressRanges": ["10.0.0.1"]}}, "allowedAddressRanges"),
    ({"image": {"digest": "sha256:abc"}}, "digest"),
    ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    ({"keyIntake": {"namespaces": ["Clinic"]}}, "namespaces"),
    ({"vault": {"caBundle": {"configMapName": "a", "secretName": "b"}}}, "caBundle"),
    ({"vault": {"peers": [{"cidr": "10.0.0.0/8"}]}}, "cidr"),
    ({"vault": {"address": "https://vault.example.org"}}, "set database.host"),
    ({"database": {"host": "db.example.org"}}, "set vault.address"),
    ({"openbao": {"embedded": {"enabled": True}}}, "set database.host"),
    ({"postgresql": {"embedded": {"enabled": True}}}, "set vault.address"),
    ({**EXTERNAL, "openbao": {"embedded": {"enabled": True}}}, "vault.address and openbao.embedded.enabled"),
    ({**EXTERNAL, "postgresql": {"embedded": {"enabled": True}}}, "database.host and postgresql.embedded.enabled"),
    (
        {"openbao": {"embedded": {"enabled": True}}, "database": {"host": "db.example.org"}},
        "set database.vaultPasswordSecret",
    ),
    ({**EMBEDDED, "database": {"vaultPasswordSecret": "x"}}, "leave it empty"),
    ({"keyIntake": {"allNamespaces": True, "namespaces": ["clinic-a"]}}, "not both"),
    (GATEWAY, "messages are kept in PostgreSQL"),
    ({**EXTERNAL, "gateway": {"enabled": True}}, "exactly one of secretName"),
    (
        {**EXTERNAL, "gateway": {"enabled": True, "tls": {"secretName": "a", "endsAtIngress": True}}},
        "exactly one of secretName",
    ),
    ({**EXTERNAL, "gateway": {"enabled": True, "tls": {"endsAtIngress": True}}}, "set gateway.peers"),
    ({**EXTERNAL, "gateway": {"enabled": True, "tls": {"certManager": {"issuerName": "a"}}}}, "gateway.host"),
    ({**EXTERNAL, "gateway": {**GATEWAY["gateway"], "ingress": {"enabled": True}}}, "gateway.host"),
    ({**EXTERNAL, "gateway": {**GATEWAY["gateway"], "host": "https://ocean.example.org"}}, "host"),
    ({**EXTERNAL, "gateway": {**GATEWAY["gateway"], "trustedProxies": ["anybody"]}}, "trustedProxies"),
]


@pytest.fixture(params=list(COMBINATIONS.values()), ids=list(COMBINATIONS))
def values(request: pytest.FixtureRequest) -> Values:
    """Each way to install."""
    chosen: Values = request.param
    return chosen


@pytest.fixture
def objects(values: Values) -> list[Manifest]:
    """Everything it consists of."""
    return render(values)


def test_helm_has_nothing_to_complain_about(values: Values) -> None:
    report = helm("lint", str(CHART), "--strict", f"--namespace={NAMESPACE}", values=values)

    assert "0 chart(s) failed" in report


@pytest.mark.parametrize(("wrong", "word"), REFUSED, ids=[f"{i}-{word}" for i, (_, word) in enumerate(REFUSED)])
def test_wrong_values_are_refused_by_name(wrong: Values, word: str) -> None:
    with pytest.raises(CommandError, match=word):
        render(wrong)


def test_no_role_has_a_wildcard_or_may_browse_secrets(objects: list[Manifest]) -> None:
    for name, rule in rules(objects):
        everything = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]

        assert "*" not in everything, name
        assert not ("secrets" in rule["resources"] and {"list", "watch"} & set(rule["verbs"])), name
        assert not {"impersonate", "escalate", "bind"} & set(rule["verbs"]), name


def test_every_container_is_read_only_bounded_and_without_rights(objects: list[Manifest]) -> None:
    """What the restricted Pod Security Standard asks is tried against the API server; this is what we ask beyond."""
    pods = dict(pod_specs(objects))

    assert pods
    for name, pod in pods.items():
        (container,) = pod["containers"]
        assert "initContainers" not in pod, name
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
        assert "memory" in container["resources"]["limits"], name
        assert pod["automountServiceAccountToken"] is (name in {OPERATOR, "ocean-openbao"}), name


def test_every_pod_has_its_network_policy() -> None:
    for values in (EMBEDDED, EXTERNAL, {}, {**EXTERNAL, **GATEWAY}):
        objects = render(values)
        selected = [p["spec"]["podSelector"]["matchLabels"] for p in of_kind(objects, "NetworkPolicy")]

        for made in of_kind(objects, "Deployment", "StatefulSet", "Job"):
            labels = made["spec"]["template"]["metadata"]["labels"]
            assert any(s.items() <= labels.items() for s in selected), made["metadata"]["name"]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_operator_understands_its_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable is a setting, each value one that it takes, and what was asked for arrives."""
    objects = render(COMBINATIONS[name])
    pod = pick(objects, "Deployment", OPERATOR)["spec"]["template"]["spec"]
    given = environment(pod)
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    settings = OperatorSettings()

    assert {v.removeprefix("OCEAN_").lower() for v in given} <= OperatorSettings.model_fields.keys()
    assert settings.has_stores is bool(of_kind(objects, "Job"))
    assert settings.image == pod["containers"][0]["image"]
    assert bool(settings.webhook_configuration) is bool(of_kind(objects, "ValidatingWebhookConfiguration"))
    _check_stores(name, settings)


def _check_stores(name: str, settings: OperatorSettings) -> None:
    files = (settings.vault_ca_file, settings.database_ca_file)
    if name == "external":
        assert files == ("", "")
        assert (settings.vault_peers, settings.database_peers) == ((), ())
    if name == "external-private":
        assert files == ("/etc/ocean/vault-ca/ca.crt", "/etc/ocean/database-ca/ca.crt")
        assert settings.vault_address == "https://vault.example.org:8200"
        assert (settings.database_host, settings.database_port) == ("db.example.org", 6432)
        assert settings.vault_peers == ({"ipBlock": {"cidr": "192.0.2.0/24"}},)
        assert settings.allowed_address_ranges == ("10.8.0.0/16",)
        assert settings.allowed_host_suffixes == (".emr.svc",)
    if name == "much":
        assert settings.image_pull_secrets == ("site-pull", "other-pull")
        assert settings.full_window_minutes == 60
        assert settings.vault_address == f"https://ocean-openbao.{NAMESPACE}.svc:8200"
        assert settings.database_host == f"ocean-postgresql.{NAMESPACE}.svc"


@pytest.mark.parametrize("values", [EMBEDDED, EXTERNAL], ids=["embedded", "external"])
def test_the_migrate_job_understands_its_environment(values: Values, monkeypatch: pytest.MonkeyPatch) -> None:
    (job,) = of_kind(render(values), "Job")
    given = environment(job["spec"]["template"]["spec"])
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    settings = MigrateSettings()

    assert {v.removeprefix("OCEAN_").lower() for v in given} <= MigrateSettings.model_fields.keys()
    assert (settings.vault_ca_file is None) is (values is EXTERNAL)
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["ocean-migrate"]


@pytest.mark.parametrize("values", [EMBEDDED, EXTERNAL], ids=["embedded", "external"])
def test_vault_tokens_are_where_and_for_whom_the_programs_want_them(values: Values) -> None:
    ours = (OPERATOR, "ocean-migrate", RECEIVER)
    pods = {name: pod for name, pod in pod_specs(render({**values, **GATEWAY})) if name.startswith(ours)}

    assert len(pods) == 3
    for pod in pods.values():
        (volume,) = [v for v in pod["volumes"] if v["name"] == "vault-token"]
        (mount,) = [m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "vault-token"]
        token = volume["projected"]["sources"][0]["serviceAccountToken"]
        assert (token["audience"], token["path"]) == (names.VAULT_AUDIENCE, names.TOKEN_FILE)
        assert mount["mountPath"] == names.TOKEN_DIR


def test_names_are_those_the_code_uses() -> None:
    objects = render()
    by_name = {
        resource: rule["resourceNames"]
        for _, rule in rules(objects)
        if "resourceNames" in rule
        for resource in rule["resources"]
    }
    (webhook,) = pick(objects, "ValidatingWebhookConfiguration", OPERATOR)["webhooks"]
    defaults = OperatorSettings.model_fields

    assert by_name["leases"] == [lease.NAME]
    assert by_name["secrets"] == [webhook_tls.SECRET]
    assert webhook["clientConfig"]["service"]["name"] == defaults["webhook_service"].default
    assert webhook["clientConfig"]["service"]["path"] == "/validate"
    assert webhook["rules"][0]["apiGroups"] == [names.GROUP]
    assert webhook["rules"][0]["apiVersions"] == [names.VERSION]
    assert webhook["rules"][0]["resources"] == [names.PLURAL]
    assert "caBundle" not in webhook["clientConfig"]


def test_the_definition_is_the_generated_one_packaged_or_not(tmp_path: Path) -> None:
    """In the repository the chart has a link to it; a package has its content."""
    generated = (REPOSITORY / "crds/oceansites.yaml").read_text()
    helm("package", str(CHART), f"--destination={tmp_path}")
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as files:
        content = files.extractfile("ocean-operator/files/oceansites.yaml")
        packaged = content.read().decode() if content else ""

    assert packaged == generated
    assert of_kind(render(), "CustomResourceDefinition") == [yaml.safe_load(generated)]
    assert not of_kind(render({"crds": {"install": False}}), "CustomResourceDefinition")


def test_the_definition_stays_when_the_release_goes() -> None:
    (definition,) = of_kind(render(), "CustomResourceDefinition")

    assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_a_changed_image_migrates_again_and_nothing_else_does() -> None:
    def job(**image: Any) -> str:
        (made,) = of_kind(render({**EXTERNAL, "image": image, "operator": {"workers": 10}}), "Job")
        name: str = made["metadata"]["name"]
        return name

    (same,) = of_kind(render(EXTERNAL), "Job")

    assert job() == same["metadata"]["name"]
    assert len({job(), job(tag="0.2.0"), job(digest="sha256:" + "b" * 64)}) == 3
    assert len(job()) <= 63


def test_a_budget_for_disruptions_needs_two_replicas() -> None:
    """With one, it would keep a node from ever being drained."""
    alone: Values = {"operator": {"replicas": 1}, "gateway": {**GATEWAY["gateway"], "replicas": 1}}
    budgets = of_kind(render({**EXTERNAL, **GATEWAY}), "PodDisruptionBudget")

    assert {b["metadata"]["name"]: b["spec"]["minAvailable"] for b in budgets} == {OPERATOR: 1, RECEIVER: 1}
    assert not of_kind(render({**EXTERNAL, **alone}), "PodDisruptionBudget")


def test_embedded_servers_are_reached_by_clinics_pods_only() -> None:
    """The labels are those of every pod of ours; the operator lets its own pods out to the same peers."""
    objects = render(EMBEDDED)

    for name in ("ocean-openbao", "ocean-postgresql"):
        (rule,) = pick(objects, "NetworkPolicy", name)["spec"]["ingress"]
        (peer,) = rule["from"]
        assert peer["podSelector"] == {"matchLabels": {names.PART_OF_LABEL: "ocean-cloud-connect"}}
        labels = pick(objects, "StatefulSet", name)["spec"]["template"]["metadata"]["labels"]
        peers = environment(pick(objects, "Deployment", OPERATOR)["spec"]["template"]["spec"])
        assert f'"app.kubernetes.io/name":"{labels["app.kubernetes.io/name"]}"' in "".join(peers.values())


def test_no_object_of_the_chart_passes_for_a_clinics_child() -> None:
    for made in render(EMBEDDED):
        assert made["metadata"].get("labels", {}).get(names.MANAGED_BY_LABEL) != names.MANAGED_BY


def test_monitoring_is_asked_for() -> None:
    settings = {"metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}}
    objects = render({**EXTERNAL, **GATEWAY, **settings})
    for name in (OPERATOR, RECEIVER):
        monitor = pick(objects, "ServiceMonitor", name)
        selector = monitor["spec"]["selector"]["matchLabels"]
        (service,) = [s for s in of_kind(objects, "Service") if selector.items() <= s["metadata"]["labels"].items()]

        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        assert service["metadata"]["name"] == f"{name}-metrics"
    assert not of_kind(render(), "ServiceMonitor")


# The gateway


@pytest.mark.parametrize("name", ["gateway", "gateway-behind-an-ingress", "much"])
def test_the_gateway_understands_its_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable is a setting, each value one that it takes, and what was asked for arrives."""
    pod = pod_of(render(COMBINATIONS[name]), RECEIVER)
    given = environment(pod)
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    settings = GatewaySettings()  # type: ignore[call-arg]

    assert {v.removeprefix("OCEAN_").lower() for v in given} <= GatewaySettings.model_fields.keys()
    assert pod["containers"][0]["args"] == ["ocean-gateway"]
    assert settings.tls_in_front is (name == "gateway-behind-an-ingress")
    if settings.tls_in_front:
        assert [str(proxy) for proxy in settings.trusted_proxies] == ["10.0.0.0/8", "2001:db8::1/128"]
        assert settings.site_burst == 1_000_000
    else:
        mounts = {m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
        assert {str(path.parent) for path in settings.tls_files or ()} <= mounts


def test_what_the_gateway_does_not_say_is_what_it_would_do_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chart's defaults are the program's."""
    for variable, value in environment(pod_of(render({**EXTERNAL, **GATEWAY}), RECEIVER)).items():
        monkeypatch.setenv(variable, value)
    settings = GatewaySettings()  # type: ignore[call-arg]
    mine = {"vault_address", "database_host", "tls_cert_file", "tls_key_file"}

    for name, field in GatewaySettings.model_fields.items():
        assert name in mine or getattr(settings, name) == field.default, name


def test_the_gateways_pod_has_time_for_what_it_is_keeping() -> None:
    pod = pod_of(render({**EXTERNAL, **GATEWAY}), RECEIVER)
    pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = GatewaySettings.model_fields["grace_seconds"].default

    assert pod["terminationGracePeriodSeconds"] >= max(30, pause + grace + 7)


def test_the_gateway_is_received_under_the_account_that_vault_knows() -> None:
    objects = render({**EMBEDDED, **GATEWAY})
    account = pod_of(objects, RECEIVER)["serviceAccountName"]
    bao = pick(objects, "StatefulSet", "ocean-openbao")["spec"]["template"]["spec"]

    assert environment(bao)["OCEAN_GATEWAY_ACCOUNT"] == account
    assert pick(objects, "ServiceAccount", account)["automountServiceAccountToken"] is False


def test_nobody_but_the_ingress_reaches_the_gateway_in_the_clear() -> None:
    objects = render({**EXTERNAL, **IN_FRONT})
    webhooks, _ = pick(objects, "NetworkPolicy", RECEIVER)["spec"]["ingress"]
    (rule,) = pick(objects, "Ingress", RECEIVER)["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    service = pick(objects, "Service", RECEIVER)["spec"]

    assert webhooks["ports"] == [{"port": 8443, "protocol": "TCP"}]
    assert webhooks["from"] == IN_FRONT["gateway"]["peers"]
    assert (rule["host"], path["path"]) == ("ocean.example.org", "/webhooks")
    assert path["backend"]["service"] == {"name": RECEIVER, "port": {"number": service["ports"][0]["port"]}}
    assert "tls" not in {v["name"] for v in pod_of(objects, RECEIVER)["volumes"]}


def test_cert_manager_and_the_gateway_api_are_used_where_they_are_named() -> None:
    chosen = {
        "enabled": True,
        "host": "ocean.example.org",
        "tls": {"certManager": {"issuerName": "public"}},
        "httpRoute": {"parentRefs": [{"name": "edge", "namespace": "gateways"}]},
    }
    objects = render({**EXTERNAL, "gateway": chosen})
    certificate = pick(objects, "Certificate", RECEIVER)["spec"]
    route = pick(objects, "HTTPRoute", RECEIVER)["spec"]
    volumes = {v["name"]: v for v in pod_of(objects, RECEIVER)["volumes"]}

    assert certificate["secretName"] == volumes["tls"]["secret"]["secretName"]
    assert certificate["issuerRef"] == {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "public"}
    assert certificate["dnsNames"] == route["hostnames"] == ["ocean.example.org"]
    assert route["parentRefs"] == [{"name": "edge", "namespace": "gateways"}]
    assert not of_kind(render({**EXTERNAL, **GATEWAY}), "Certificate", "HTTPRoute", "Ingress")


def test_without_stores_the_notes_warn() -> None:
    def notes(values: Values) -> str:
        return helm("install", "ocean", str(CHART), "--dry-run=client", f"--namespace={NAMESPACE}", values=values)

    assert "NO CLINIC WILL BECOME READY" in notes({})
    assert "No messages are received" in notes(EXTERNAL)
    assert "https://ocean.example.org/webhooks/SITE-NUMBER?k=" in notes({**EXTERNAL, **IN_FRONT})
    assert "WARNING" not in notes(EXTERNAL)
    assert "FOR TRYING OUT ONLY" in notes(EMBEDDED)


def test_every_setting_is_explained_and_in_the_schema() -> None:
    explained = chart_reference.settings()

    assert [s.path for s in explained if not s.comment] == []
    assert {s.path for s in explained} == chart_reference.schema_paths()


def test_the_reference_is_made_from_the_values() -> None:
    page = (REPOSITORY / "docs/reference/chart-values.md").read_text()

    assert page == chart_reference.document(), "python -m cluster.chart_reference, in the folder tests"
