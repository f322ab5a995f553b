"""Whom the clinic's pods may talk to: DNS, Vault, PostgreSQL, and the ports of Ocean and the EMR."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ocean_api import names
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_operator.core.parts.common import manifest
from ocean_operator.core.platform import Platform
from ocean_operator.core.site import Manifest, Site
from ocean_operator.core.validate import port_of, urls

_ANYWHERE: Final = [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]
_PUBLIC: Final = [
    {
        "ipBlock": {
            "cidr": "0.0.0.0/0",
            "except": [
                "10.0.0.0/8",
                "100.64.0.0/10",
                "127.0.0.0/8",
                "169.254.0.0/16",
                "172.16.0.0/12",
                "192.168.0.0/16",
            ],
        }
    },
    {"ipBlock": {"cidr": "::/0", "except": ["::1/128", "fc00::/7", "fe80::/10"]}},
]
_DNS: Final = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        }
    ],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}


def network_policy(site: Site, spec: OceanSiteSpec, platform: Platform) -> Manifest:
    """Nothing comes in; out go only the connections the clinic's pods need.

    Policies know no host names (Kubernetes, "Network Policies"), so Ocean and the EMR are allowed by port:
    public addresses, and the private ranges that the installation allows.
    """
    head = manifest("networking.k8s.io/v1", "NetworkPolicy", names.child(site.key.name, "pods"), site, "network")
    outside = [*_PUBLIC, *({"ipBlock": {"cidr": r}} for r in platform.allowed_address_ranges)]
    if platform.addresses.host_suffixes:
        outside.append({"namespaceSelector": {}})
    ports = sorted({port for _, url in urls(spec) if (port := port_of(url))})
    egress: list[dict[str, Any]] = [_DNS, _allow(outside, ports)]
    if platform.vault:
        egress.append(_allow(platform.vault_peers or _ANYWHERE, [port_of(platform.vault.address) or 0]))
    if platform.database:
        egress.append(_allow(platform.database_peers or _ANYWHERE, [platform.database.port]))
    return {
        **head,
        "spec": {
            "podSelector": {"matchLabels": {names.SITE_LABEL: site.key.name}},
            "policyTypes": ["Ingress", "Egress"],
            "egress": egress,
        },
    }


def _allow(peers: Iterable[Any], ports: Iterable[int]) -> dict[str, Any]:
    return {"to": list(peers), "ports": [{"port": p, "protocol": "TCP"} for p in ports]}
