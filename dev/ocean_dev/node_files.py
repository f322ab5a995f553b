"""Writing the files that a new cluster with a node starts from."""

from __future__ import annotations

from pathlib import Path

from ocean_dev import node_config as config
from ocean_dev.components import Layout
from ocean_dev.containers import write_single_program_image
from ocean_dev.credentials import authority_of, write_credentials, write_user
from ocean_dev.errors import DevError
from ocean_dev.packages import find_program

PAUSE_ARCHIVE = "pause.tar"

# Which user id a pod will have is not known yet.
_EVERYBODYS = 0o777

_USERS = {
    "kubelet": (f"system:node:{config.NODE_NAME}", ("system:nodes",)),
    "kubelet-client": ("local-kubelet-client", ("system:masters",)),
    "proxy": ("system:kube-proxy", ()),
    "dns": ("local-dns", ()),
}


def write_node_files(layout: Layout) -> None:
    """Fill the cluster's empty folder: keys, configuration, the pause image, the volumes' folders."""
    run = layout.folder
    plugin = find_program("ptp")
    if plugin is None:
        raise DevError("The network plugin `ptp` is missing. Debian's package: containernetworking-plugins")
    _write_certificates(layout)
    (run / "cni").mkdir()
    for name, content in (
        ("containerd.toml", config.containerd_config(run, plugin.parent)),
        ("cni/10-pods.conflist", config.network_config(run)),
        ("kubelet.yaml", config.kubelet_config(layout)),
        ("proxy.yaml", config.proxy_config(layout)),
        ("Corefile", config.dns_config(layout)),
        ("resolv.conf", ""),
    ):
        (run / name).write_text(content)
    write_single_program_image(run / PAUSE_ARCHIVE, program=layout.binaries["pause"], name=config.PAUSE_IMAGE)
    for number in range(config.VOLUMES):
        make_volume_folder(run, number)


def make_volume_folder(run: Path, number: int) -> None:
    """Make the folder of a volume, empty and writable for any pod."""
    folder = config.volume_folder(run, number)
    folder.mkdir(parents=True)
    folder.chmod(_EVERYBODYS)


def _write_certificates(layout: Layout) -> None:
    write_credentials(layout)
    for name, (user, groups) in _USERS.items():
        write_user(layout, name, user, groups)
    addresses = (config.NODE_NAME, config.NODE_ADDRESS)
    node = authority_of(layout).issue(f"system:node:{config.NODE_NAME}", addresses=addresses)
    node.write(layout.certificates, "kubelet-server")
