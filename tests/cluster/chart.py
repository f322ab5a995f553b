"""The chart as Helm renders it, for tests."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from ocean_dev.build import program
from ocean_dev.commands import run
from ocean_dev.paths import REPOSITORY

CHART = REPOSITORY / "charts/ocean-operator"
NAMESPACE = "ocean-system"
RELEASE = "ocean"

Values = Mapping[str, Any]
Manifest = dict[str, Any]

EMBEDDED: Values = {"openbao": {"embedded": {"enabled": True}}, "postgresql": {"embedded": {"enabled": True}}}
EXTERNAL: Values = {"vault": {"address": "https://vault.example.org"}, "database": {"host": "db.example.org"}}
GATEWAY: Values = {"gateway": {"enabled": True, "tls": {"secretName": "gateway-tls"}}}
IN_FRONT: Values = {
    "gateway": {
        "enabled": True,
        "host": "ocean.example.org",
        "tls": {"endsAtIngress": True},
        "peers": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
        "ingress": {"enabled": True, "className": "nginx", "tlsSecretName": "ingress-tls"},
        "trustedProxies": ["10.0.0.0/8", "2001:db8::1"],
        "limits": {"siteBurst": 1_000_000},
    }
}
COMBINATIONS: Mapping[str, Values] = {
    "defaults": {},
    "embedded": EMBEDDED,
    "embedded-in-memory": {
        name: {"embedded": {"enabled": True, "persistence": {"enabled": False}}} for name in ("openbao", "postgresql")
    },
    "external": EXTERNAL,
    "external-private": {
        "vault": {
            "address": "https://vault.example.org:8200/",
            "caBundle": {"configMapName": "vault-ca", "key": "ca.pem"},
            "peers": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
        },
        "database": {
            "host": "db.example.org",
            "port": 6432,
            "caBundle": {"secretName": "db-ca"},
            "peers": [{"podSelector": {"matchLabels": {"app": "db"}}}],
        },
        "network": {"allowedAddressRanges": ["10.8.0.0/16"], "allowedHostSuffixes": [".emr.svc"]},
    },
    "openbao-with-own-database": {
        "openbao": {"embedded": {"enabled": True}},
        "database": {"host": "db.example.org", "vaultPasswordSecret": "ocean-vault"},
    },
    "own-vault-with-postgresql": {
        "vault": {"address": "https://vault.example.org:8200", "peers": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]},
        "postgresql": {"embedded": {"enabled": True}},
    },
    "gateway": {**EMBEDDED, **GATEWAY},
    "gateway-behind-an-ingress": {**EXTERNAL, **IN_FRONT},
    "little": {
        "operator": {"replicas": 1},
        "webhook": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "userRoles": {"create": False},
        "crds": {"install": False},
    },
    "much": {
        **EMBEDDED,
        "image": {"registry": "registry.example.org/ocean", "digest": "sha256:" + "a" * 64},
        "imagePullSecrets": ["pull"],
        "sites": {"imagePullSecrets": ["site-pull", "other-pull"], "fullWindowMinutes": 60},
        "podAnnotations": {"example.org/reason": "tried"},
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"example.org/pool": "apps"},
        "tolerations": [{"key": "example.org/pool", "operator": "Exists", "effect": "NoSchedule"}],
        "operator": {"affinity": {"nodeAffinity": {}}},
        "gateway": {
            "enabled": True,
            "replicas": 1,
            "affinity": {"nodeAffinity": {}},
            "tls": {"secretName": "gateway-tls"},
            "service": {"type": "LoadBalancer", "port": 8443, "annotations": {"example.org/zone": "a"}},
        },
        "keyIntake": {"allNamespaces": True},
    },
}


def helm(*args: str, values: Values | None = None) -> str:
    """What Helm prints for `args` about the chart. Raises CommandError with Helm's own words."""
    chosen = [] if values is None else ["--values=-"]
    return run([program("helm"), *args, *chosen], stdin=yaml.safe_dump(dict(values or {})))


def render(values: Values | None = None) -> list[Manifest]:
    """Everything an installation with `values` consists of."""
    return copy.deepcopy(list(_rendered(json.dumps(dict(values or {}), sort_keys=True))))


def pick(objects: Sequence[Manifest], kind: str, name: str) -> Manifest:
    """The one object of that kind and name."""
    found = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{kind} {name}: {len(found)}"
    return found[0]


def of_kind(objects: Sequence[Manifest], *kinds: str) -> list[Manifest]:
    """All objects of those kinds."""
    return [o for o in objects if o["kind"] in kinds]


def pod_specs(objects: Sequence[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Name and pod of each object that makes pods."""
    for made in of_kind(objects, "Deployment", "StatefulSet", "Job"):
        yield made["metadata"]["name"], made["spec"]["template"]["spec"]


def pod_of(objects: Sequence[Manifest], name: str) -> Manifest:
    """The pod that a Deployment makes."""
    pod: Manifest = pick(objects, "Deployment", name)["spec"]["template"]["spec"]
    return pod


def environment(pod: Manifest) -> dict[str, str]:
    """The plain values among the first container's environment variables."""
    return {e["name"]: e["value"] for e in pod["containers"][0]["env"] if "value" in e}


def rules(objects: Sequence[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Name of the role and rule, of all roles."""
    for role in of_kind(objects, "Role", "ClusterRole"):
        for rule in role["rules"]:
            yield role["metadata"]["name"], rule


@functools.cache
def _rendered(values: str) -> tuple[Manifest, ...]:
    text = helm("template", RELEASE, str(CHART), f"--namespace={NAMESPACE}", values=json.loads(values))
    return tuple(made for made in yaml.load_all(text, Loader=yaml.CSafeLoader) if made)
