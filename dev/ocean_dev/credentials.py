"""All keys, certificates and kubeconfigs of one cluster that we run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ocean_dev.certificates import Authority, KeyPair, signing_key
from ocean_dev.components import API_SERVER_NAMES, Layout
from ocean_dev.kubeconfig import write_kubeconfig

ADMIN = "admin"

_SERVERS_USERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    ADMIN: ("local-admin", ("system:masters",)),
    "controllers": ("system:kube-controller-manager", ()),
    "scheduler": ("system:kube-scheduler", ()),
}


def write_credentials(layout: Layout) -> None:
    """Make the authority, the API server's certificate and the kubeconfigs of both sizes' components."""
    layout.certificates.mkdir(parents=True, exist_ok=True)
    authority = Authority.create()
    authority.pair.write(layout.certificates, "ca")
    signing_key().write(layout.certificates, "service-accounts")
    names = (*API_SERVER_NAMES, layout.api_address)
    authority.issue("kube-apiserver", addresses=names).write(layout.certificates, "apiserver")
    for name, (user, groups) in _SERVERS_USERS.items():
        write_user(layout, name, user, groups)


def write_user(layout: Layout, name: str, user: str, groups: Sequence[str] = ()) -> KeyPair:
    """Write the certificate and the kubeconfig `name` of `user`."""
    authority = authority_of(layout)
    pair = authority.issue(user, groups)
    pair.write(layout.certificates, name)
    write_kubeconfig(layout.kubeconfig(name), server=layout.server, authority=authority.pair.certificate, user=pair)
    return pair


def write_person(layout: Layout, path: Path, name: str, groups: Sequence[str]) -> Path:
    """Write to `path` a kubeconfig for a user whose certificate is kept nowhere else."""
    authority = authority_of(layout)
    certificate = authority.pair.certificate
    return write_kubeconfig(path, server=layout.server, authority=certificate, user=authority.issue(name, groups))


def authority_of(layout: Layout) -> Authority:
    """The authority that `write_credentials` made."""
    return Authority(KeyPair.read(layout.certificates, "ca"))
