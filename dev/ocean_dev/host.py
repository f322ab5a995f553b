"""What a node changes on the machine it runs on, and how every bit of it is taken back.

Each function may be called at any time and any number of times: after a crash nobody knows how far it got.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ocean_dev import daemons
from ocean_dev.commands import run, succeeds
from ocean_dev.node_config import NETWORK, NODE_ADDRESS, packet_filter

_SYSCTLS = Path("/proc/sys")

# Set by us (the first), by the kubelet and by kube-proxy when they start.
# Source: k8s.io/component-helpers/node/util/sysctl, and the values of `sysctl -a` before and after.
_CHANGED_SYSCTLS = (
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)

# Folders that Kubernetes and its network library make at fixed places whatever they are told. Only empty
# ones are removed, the inner one first.
_FIXED_FOLDERS = (
    "/var/log/containers",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet/plugins_registry",
    "/var/lib/kubelet",
    "/var/lib/cni/results",
    "/var/lib/cni",
    "/run/containerd/s",
    "/run/containerd",
)


def boot_id() -> str:
    """Another text after every start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def remember_sysctls(memory: Path) -> None:
    """Write down the kernel's settings that a node changes, unless it has changed them already."""
    if _remembered(memory):
        return
    paths = ((name, _SYSCTLS / name) for name in _CHANGED_SYSCTLS)
    values = {name: path.read_text().strip() for name, path in paths if path.exists()}
    memory.write_text(json.dumps({"boot": boot_id(), "values": values}))


def restore_sysctls(memory: Path) -> None:
    """Set them to what was written down, and forget it."""
    for name, value in _remembered(memory).items():
        path = _SYSCTLS / name
        if path.read_text().strip() != value:
            path.write_text(value)
    memory.unlink(missing_ok=True)


def _remembered(memory: Path) -> dict[str, str]:
    """What was written down since the machine started: before that, the settings were others."""
    try:
        content = json.loads(memory.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    values: dict[str, str] = content["values"]
    return values if content["boot"] == boot_id() else {}


def set_up_network() -> None:
    """Hide pods behind the machine, give it the node's address, and let it route for pods."""
    # Declared and deleted first, so that loading it again does not add its rules twice.
    run(["nft", "-f", "-"], stdin=f"table ip {NETWORK}\ndelete table ip {NETWORK}\n{packet_filter()}")
    run(["ip", "address", "replace", f"{NODE_ADDRESS}/32", "dev", "lo"])
    (_SYSCTLS / "net/ipv4/ip_forward").write_text("1")


def tear_down_network() -> None:
    """Take the packet filter tables and the address away, if they are ours.

    Our own table is there first and goes last: without it, kube-proxy's tables are somebody else's.
    """
    if not succeeds(["nft", "list", "table", "ip", NETWORK]):
        return
    succeeds(["nft", "delete", "table", "ip", "kube-proxy"])
    succeeds(["nft", "delete", "table", "ip6", "kube-proxy"])
    succeeds(["ip", "address", "del", f"{NODE_ADDRESS}/32", "dev", "lo"])
    run(["nft", "delete", "table", "ip", NETWORK])


def end_containers(run_dir: Path) -> None:
    """Kill all containers of the cluster in `run_dir`, once its servers are gone.

    The children of a container's shim are the first processes of namespaces: the kernel ends the others
    with them. The shims go last, so that nothing is left without its mark.
    """
    started = daemons.find(run_dir)
    shims = [daemon for daemon in started if daemon.program.name.startswith("containerd-shim")]
    daemons.stop(daemon for daemon in started if daemon not in shims)
    daemons.kill(child for shim in shims for child in _children(shim.pid))
    daemons.stop(shims)
    tasks = run_dir / "containerd/state/io.containerd.runtime.v2.task"
    for address in tasks.glob("*/*/address"):
        Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)


def unmount_below(folder: Path) -> None:
    """Unmount everything below `folder`: volumes, root file systems, network namespaces."""
    for mount in sorted(_mounts_below(folder), reverse=True):
        succeeds(["umount", "--lazy", mount])


def remove_traces(run_dir: Path) -> None:
    """Remove what was left outside `run_dir`: control groups, links to logs, the network's cache."""
    for group in _control_groups():
        with suppress(OSError):  # Not empty: another kubelet's.
            group.rmdir()
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(run_dir):
            link.unlink()
    for result in Path("/var/lib/cni/results").glob("*"):
        if str(run_dir) in result.read_text():  # Each names its pod's network namespace.
            result.unlink()
    _remove_dead_socket(Path("/var/lib/kubelet/device-plugins/kubelet.sock"))
    for folder in _FIXED_FOLDERS:
        with suppress(OSError):
            Path(folder).rmdir()


def remove_tree(folder: Path) -> None:
    """Remove `folder`, unless something is still mounted in it: that would be somebody's data."""
    left = list(_mounts_below(folder))
    if left:
        raise OSError(f"Still mounted, so nothing was removed: {', '.join(left)}")
    if folder.exists():
        shutil.rmtree(folder)


def _remove_dead_socket(path: Path) -> None:
    """Remove a socket that nobody answers on; another kubelet's would."""
    with socket.socket(socket.AF_UNIX) as probe, suppress(FileNotFoundError):
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()


def _children(pid: int) -> Iterator[int]:
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            yield from (int(child) for child in listing.read_text().split())


def _mounts_below(folder: Path) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # The kernel writes white space and backslashes in a path as three octal digits.
        path = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split(" ")[4])
        if Path(path).is_relative_to(folder):
            yield path


def _control_groups() -> Iterator[Path]:
    """The groups of pods in every hierarchy, the inner ones first."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split(" ")
        if kind in {"cgroup", "cgroup2"}:
            for folder, _, _ in os.walk(Path(mount) / "kubepods", topdown=False):
                yield Path(folder)
