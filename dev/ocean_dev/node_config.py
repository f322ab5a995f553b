"""What the node's servers read: their configuration files and the objects that every cluster has. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ocean_dev.components import DEFAULT_ACCOUNT_PATH, Command, Layout, api_server_command

NODE_NAME = "local"
NODE_ADDRESS = "198.51.100.10"
"""The node's own address, put on the loopback device. From a range for documentation, so it is nobody else's.

Every server that others have to reach listens here, with its usual port: nothing listens on the machine's real
addresses, and no port of the machine's own can be in the way.
"""

ETCD_ADDRESS = "127.83.67.1"
"""A loopback address that is ours alone. Pods do not reach it: etcd asks nobody for a name."""

POD_ADDRESSES = "10.244.0.0/24"
DNS_ADDRESS = "10.96.0.10"
DOMAIN = "cluster.local"
PAUSE_IMAGE = "localhost/pause:local"
NETWORK = "ocean-dev"
"""Name of the pod network, and of our packet filter table."""

STORAGE_CLASS = "local"
VOLUMES = 20
VOLUME_PREFIX = "local-"

PROBES: Mapping[str, str] = {
    "kube-controller-manager": DEFAULT_ACCOUNT_PATH,
    "kube-proxy": f"http://{NODE_ADDRESS}:10256/healthz",
    "coredns": f"http://{NODE_ADDRESS}:8181/ready",
    "kubelet": f"http://{NODE_ADDRESS}:10248/healthz",
}
"""What answers 200 when a server works: a path of the API server, or an address of its own."""


def containerd_config(run: Path, plugins: Path) -> str:
    """Containerd's TOML. Its root, state, namespaces and runc's state all lie below `run`.

    Args:
        run: The cluster's folder.
        plugins: The folder of the network plugins.
    """
    cri = '[plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
root = "{run}/containerd/root"
state = "{run}/containerd/state"

[grpc]
address = "{socket_path(run)}"

[plugins."io.containerd.internal.v1.opt"]
path = "{run}/containerd/opt"

{cri}]
sandbox_image = "{PAUSE_IMAGE}"
netns_mounts_under_state_dir = true
# Inside some virtual machines and containers nobody may lower a score, and every pod would fail.
restrict_oom_score_adj = true

{cri}.cni]
bin_dir = "{plugins}"
conf_dir = "{run}/cni"

{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

{cri}.containerd.runtimes.runc.options]
Root = "{run}/runc"
"""


def socket_path(run: Path) -> Path:
    """Containerd's socket."""
    return run / "containerd.sock"


def network_config(run: Path) -> str:
    """The pod network: a pair of devices for each pod, routed by the host.

    Not a bridge: between two pods of one bridge the answers of a Service pass by the host, which then
    cannot put the Service's address back, unless the kernel has a module that not every kernel has.
    """
    addresses = {
        "type": "host-local",
        "dataDir": str(run / "addresses"),
        "ranges": [[{"subnet": POD_ADDRESSES}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugin = {"type": "ptp", "ipMasq": False, "ipam": addresses}
    return json.dumps({"cniVersion": "0.4.0", "name": NETWORK, "plugins": [plugin]}, indent=2)


def packet_filter() -> str:
    """Our own table: what pods send out of the cluster leaves with the host's address."""
    return f"""\
table ip {NETWORK} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    ip saddr {POD_ADDRESSES} ip daddr != {POD_ADDRESSES} masquerade
  }}
}}
"""


def kubelet_config(layout: Layout) -> str:
    """The kubelet's configuration file."""
    run, certificates = layout.folder, layout.certificates
    return yaml.safe_dump(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": NODE_ADDRESS,
            "healthzBindAddress": NODE_ADDRESS,
            "tlsCertFile": str(certificates / "kubelet-server.crt"),
            "tlsPrivateKeyFile": str(certificates / "kubelet-server.key"),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(layout.authority)},
            },
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": f"unix://{socket_path(run)}",
            "podLogsDir": str(run / "pod-logs"),
            "volumePluginDir": str(run / "volume-plugins"),
            "clusterDNS": [DNS_ADDRESS],
            "clusterDomain": DOMAIN,
            "resolvConf": str(run / "resolv.conf"),
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": [],
            "localStorageCapacityIsolation": False,
            "makeIPTablesUtilChains": False,
            "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%"},
            # Images are brought in by hand: one that was cleaned away could not be pulled again.
            "imageGCHighThresholdPercent": 100,
        }
    )


def proxy_config(layout: Layout) -> str:
    """kube-proxy's configuration file. The zeros leave the kernel's connection tracking as it is."""
    return yaml.safe_dump(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            # The default of a second is for clusters with thousands of Services.
            "nftables": {"minSyncPeriod": "100ms"},
            "clientConnection": {"kubeconfig": str(layout.kubeconfig("proxy"))},
            "clusterCIDR": POD_ADDRESSES,
            "hostnameOverride": NODE_NAME,
            "bindAddress": NODE_ADDRESS,
            "metricsBindAddress": f"{NODE_ADDRESS}:10249",
            "healthzBindAddress": f"{NODE_ADDRESS}:10256",
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }
    )


def dns_config(layout: Layout) -> str:
    """CoreDNS's Corefile. Names outside the cluster do not exist: nothing here needs them."""
    return f"""\
.:53 {{
    bind {NODE_ADDRESS}
    ready {NODE_ADDRESS}:8181
    errors
    cache 5
    kubernetes {DOMAIN} {{
        kubeconfig {layout.kubeconfig("dns")} local
    }}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def node_api_server_command(layout: Layout) -> Command:
    """The API server of a cluster with a node: pods reach it, and it reaches the kubelet."""
    certificates = layout.certificates
    return (
        *api_server_command(layout),
        f"--advertise-address={NODE_ADDRESS}",
        "--enable-admission-plugins=NodeRestriction",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={layout.authority}",
        f"--kubelet-client-certificate={certificates / 'kubelet-client.crt'}",
        f"--kubelet-client-key={certificates / 'kubelet-client.key'}",
    )


def kubelet_command(layout: Layout) -> Command:
    """The kubelet."""
    return (
        layout.binaries["kubelet"],
        f"--config={layout.folder / 'kubelet.yaml'}",
        f"--kubeconfig={layout.kubeconfig('kubelet')}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE_ADDRESS}",
        f"--root-dir={layout.folder / 'kubelet'}",
    )


def standard_objects(run: Path) -> str:
    """The DNS Service, what the DNS server may read, and the storage class with its volumes."""
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    dns = {"name": "kube-dns", "namespace": "kube-system"}
    objects = [
        _object("v1", "Service", dns, spec={"clusterIP": DNS_ADDRESS, "ports": ports}),
        _object(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            {**dns, "name": "kube-dns-node", "labels": {"kubernetes.io/service-name": "kube-dns"}},
            addressType="IPv4",
            ports=ports,
            endpoints=[{"addresses": [NODE_ADDRESS]}],
        ),
        *_dns_rights(),
        _object(
            "storage.k8s.io/v1",
            "StorageClass",
            {"name": STORAGE_CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            provisioner="kubernetes.io/no-provisioner",
            volumeBindingMode="WaitForFirstConsumer",
        ),
        *(volume(run, number) for number in range(VOLUMES)),
    ]
    return yaml.safe_dump_all(objects)


def volume_folder(run: Path, number: int) -> Path:
    """Where the data of volume `number` lies."""
    return run / "volumes" / str(number)


def volume(run: Path, number: int) -> dict[str, Any]:
    """A volume made in advance: there is no provisioner, so this is all a claim can get."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
    return _object(
        "v1",
        "PersistentVolume",
        {"name": f"{VOLUME_PREFIX}{number}"},
        spec={
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": STORAGE_CLASS,
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": str(volume_folder(run, number))},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    )


def _dns_rights() -> list[dict[str, Any]]:
    name = {"name": "local-dns"}
    reads = ["list", "watch"]
    core = {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": reads}
    slices = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": reads}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "local-dns"}
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "local-dns"}
    version = "rbac.authorization.k8s.io/v1"
    return [
        _object(version, "ClusterRole", name, rules=[core, slices]),
        _object(version, "ClusterRoleBinding", name, roleRef=role, subjects=[user]),
    ]


def _object(version: str, kind: str, metadata: dict[str, Any], **content: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}
