"""Command lines of the control plane's servers, the same for both sizes of the cluster. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SERVICE_ADDRESSES = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
"""The address of the `kubernetes` Service: always the first of the range."""

API_SERVER_NAMES = (
    "localhost",
    "127.0.0.1",
    API_SERVICE_ADDRESS,
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
"""What the API server is called by those who connect to it, in its certificate."""

DEFAULT_ACCOUNT_PATH = "/api/v1/namespaces/default/serviceaccounts/default"
"""Made by one of the controllers: once it is there, they work, and pods can be created."""

AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
"""

Command = tuple[str | Path, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one cluster's files are and where its servers listen."""

    folder: Path
    binaries: Mapping[str, Path]
    api_address: str
    """Where the API server and, on other ports, the controllers listen."""
    api_port: int
    etcd_client: str
    """URL for etcd's clients."""
    etcd_peer: str
    """URL for etcd's peers, of which there are none."""

    @property
    def certificates(self) -> Path:
        """Folder of keys and certificates."""
        return self.folder / "certs"

    @property
    def authority(self) -> Path:
        """The certificate that everybody trusts."""
        return self.certificates / "ca.crt"

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.api_address}:{self.api_port}"

    def kubeconfig(self, name: str) -> Path:
        """The kubeconfig of the component or person `name`."""
        return self.folder / f"{name}.kubeconfig"


def etcd_command(layout: Layout, *, durable: bool) -> Command:
    """Etcd with one member.

    Args:
        layout: The cluster.
        durable: Whether what was written survives a power cut. Without it writes are much faster, and
            what was written still survives the end of the process.
    """
    return (
        layout.binaries["etcd"],
        *("--name=local", f"--data-dir={layout.folder / 'etcd'}", "--log-level=warn"),
        *(f"--listen-client-urls={layout.etcd_client}", f"--advertise-client-urls={layout.etcd_client}"),
        *(f"--listen-peer-urls={layout.etcd_peer}", f"--initial-advertise-peer-urls={layout.etcd_peer}"),
        f"--initial-cluster=local={layout.etcd_peer}",
        *(() if durable else ("--unsafe-no-fsync",)),
    )


def api_server_command(layout: Layout) -> Command:
    """The API server with role-based access control."""
    certificates = layout.certificates
    return (
        layout.binaries["kube-apiserver"],
        f"--etcd-servers={layout.etcd_client}",
        *(f"--bind-address={layout.api_address}", f"--secure-port={layout.api_port}"),
        f"--service-cluster-ip-range={SERVICE_ADDRESSES}",
        f"--tls-cert-file={certificates / 'apiserver.crt'}",
        f"--tls-private-key-file={certificates / 'apiserver.key'}",
        f"--client-ca-file={layout.authority}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={certificates / 'service-accounts.crt'}",
        f"--service-account-signing-key-file={certificates / 'service-accounts.key'}",
        "--authorization-mode=Node,RBAC",
    )


def controllers_command(layout: Layout) -> Command:
    """The controller manager, without what needs a cloud."""
    return (
        layout.binaries["kube-controller-manager"],
        f"--kubeconfig={layout.kubeconfig('controllers')}",
        f"--service-account-private-key-file={layout.certificates / 'service-accounts.key'}",
        f"--root-ca-file={layout.authority}",
        *("--use-service-account-credentials", "--leader-elect=false", "--secure-port=0"),
        "--controllers=*,-node-ipam-controller,-service-lb-controller",
        # With the defaults (20, 30) the controllers take seconds just to get their own tokens.
        *("--kube-api-qps=200", "--kube-api-burst=400"),
    )


def scheduler_command(layout: Layout) -> Command:
    """The scheduler."""
    return (
        layout.binaries["kube-scheduler"],
        f"--kubeconfig={layout.kubeconfig('scheduler')}",
        *("--leader-elect=false", "--secure-port=0"),
    )
