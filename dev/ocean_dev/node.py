"""The large cluster: the control plane and one node, on this machine, with real pods.

It goes on after the command that started it. `up` repairs whatever is missing, `down` removes every trace;
both can be run at any time, also after a crash of any part, of the command itself, or of the machine.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ocean_dev import api_client, daemons, host
from ocean_dev import node_config as config
from ocean_dev.build import NODE, programs
from ocean_dev.cluster import PodCluster
from ocean_dev.components import Command, Layout, controllers_command, etcd_command, scheduler_command
from ocean_dev.containers import ContainerStore
from ocean_dev.credentials import ADMIN, write_person
from ocean_dev.errors import CommandError, DevError
from ocean_dev.images import BuiltImage, tidy
from ocean_dev.node_files import PAUSE_ARCHIVE, make_volume_folder, write_node_files
from ocean_dev.packages import NODE as NODE_PACKAGES
from ocean_dev.packages import ensure_packages, require_root
from ocean_dev.paths import cache_dir, run_dir
from ocean_dev.processes import last_lines
from ocean_dev.progress import say, step

_STATE = "state.json"
_API_SERVER, _CONTAINERD = "kube-apiserver", "containerd"
_FIRST = ("etcd", _API_SERVER, _CONTAINERD)
"""The servers that the others need."""

SERVERS = (
    *_FIRST,
    *("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns"),
)
"""All servers, in the order in which they are started."""

# A unix socket's path may have 107 characters. Source: unix(7).
_LONGEST_SOCKET = 107


class NodeCluster(PodCluster):
    """The machine's one cluster with a node. Made by `up`, found again by `running`."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(
            kubectl=layout.binaries["kubectl"],
            kubeconfig=layout.kubeconfig(ADMIN),
            scratch=layout.folder / "scratch",
        )
        self._layout = layout
        self.server = layout.server
        self.ca_file = layout.authority
        self.etcd_data_dir = layout.folder / "etcd"
        self._images = ContainerStore(config.socket_path(layout.folder))

    @classmethod
    def up(cls, *, durable: bool = True) -> NodeCluster:
        """The cluster, started as far as it does not run, and ready for pods.

        Args:
            durable: Whether etcd survives a power cut; see `components.etcd_command`. Counts when etcd is
                started, so not for a cluster that already runs.

        Raises:
            DevError: Not root, or something is missing that cannot be installed.
            NotReadyError: A server did not start; the text names its log.
        """
        require_root("A cluster with a node")
        ensure_packages(NODE_PACKAGES)
        layout = _layout(programs(NODE))
        with _only_one():
            _require_no_other(layout.folder)
            if not _made_now_with(layout):
                if layout.folder.exists():
                    say("removing a cluster of before the machine's last start, of other programs, or half made")
                _remove(layout.folder)
                _create(layout)
            host.remember_sysctls(_sysctls())
            host.set_up_network()
            cluster = cls(layout)
            with step("starting the cluster"):
                cluster._start(durable=durable)
        return cluster

    @classmethod
    def running(cls) -> NodeCluster:
        """The cluster that `up` has started.

        Raises:
            DevError: There is none.
        """
        layout = _layout(programs(NODE)) if run_dir().exists() else None
        if layout is None or not _made_now_with(layout):
            raise DevError("No cluster with a node runs here. Start one: python -m ocean_dev up")
        return cls(layout)

    def user_kubeconfig(self, name: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig for the user `name`, who may do what RBAC grants to it and its groups."""
        return write_person(self._layout, self._user_file(name, groups), name, groups)

    def load_image(self, image: BuiltImage) -> None:
        """Make `image` available to pods under its tag, if it is not already there."""
        marker = self._layout.folder / "loaded" / image.archive.stem
        if marker.exists() and marker.read_text() == image.digest:
            return
        with step(f"loading {image.tag}"):
            self._images.load(image.archive)
        marker.parent.mkdir(exist_ok=True)
        marker.write_text(image.digest)

    def _start(self, *, durable: bool) -> None:
        commands = _commands(self._layout, durable=durable)
        self._start_missing({name: commands[name] for name in _FIRST})
        with api_client.as_admin(self._layout) as api:
            self._wait(_API_SERVER, partial(api_client.answers_ok, api, "/readyz"))
            self._wait(_CONTAINERD, self._images.ready)
            if config.PAUSE_IMAGE not in self._images.names():
                self._images.load(self._layout.folder / PAUSE_ARCHIVE)
            self._start_missing(commands)
            self._renew_volumes()
            self._apply(config.standard_objects(self._layout.folder))
            for name, probe in config.PROBES.items():
                self._wait(name, partial(api_client.answers_ok, api, probe))
        self._wait("kubelet", self._node_ready)

    def _start_missing(self, commands: Mapping[str, Command]) -> None:
        folder = self._layout.folder
        there = {daemon.name for daemon in daemons.find(folder) if daemon.is_server}
        for name, command in commands.items():
            if name not in there:
                daemons.start(name, command, run_dir=folder, log=_log(folder, name))

    def _wait(self, server: str, ready: Callable[[], bool]) -> None:
        folder = self._layout.folder
        log = _log(folder, server)

        def ended() -> str | None:
            if any(daemon.name == server for daemon in daemons.find(folder)):
                return None
            return f"it ended; the end of {log}:\n{last_lines(log)}"

        api_client.wait_until(ready, what=f"{server} (log: {log})", given_up=ended)

    def _apply(self, objects: str) -> None:
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=objects)

    def _renew_volumes(self) -> None:
        """Empty the volumes whose claims are gone, so that new claims can have them."""
        query = '{range .items[?(@.status.phase=="Released")]}{.metadata.name}{"\\n"}{end}'
        for name in self.kubectl("get", "persistentvolumes", "-o", f"jsonpath={query}").split():
            number = int(name.removeprefix(config.VOLUME_PREFIX))
            self.kubectl("delete", "persistentvolume", name)
            shutil.rmtree(config.volume_folder(self._layout.folder, number))
            make_volume_folder(self._layout.folder, number)

    def _node_ready(self) -> bool:
        query = '{.status.conditions[?(@.type=="Ready")].status}'
        try:
            return self.kubectl("get", "node", config.NODE_NAME, "-o", f"jsonpath={query}") == "True"
        except CommandError:  # Not registered yet.
            return False


@dataclass(frozen=True, slots=True)
class ServerState:
    """Whether one of the cluster's servers runs."""

    name: str
    pid: int | None
    log: Path


def status() -> tuple[ServerState, ...]:
    """Every server of the cluster with a node, in the order in which they start."""
    folder = run_dir()
    pids = {daemon.name: daemon.pid for daemon in daemons.find(folder) if daemon.is_server}
    return tuple(ServerState(name, pids.get(name), _log(folder, name)) for name in SERVERS)


def down() -> None:
    """End the cluster with a node and remove every trace of it. Nothing to do is fine."""
    require_root("Taking down a cluster with a node")
    with _only_one(), step("taking the cluster down"):
        _remove(run_dir())
        tidy()


def _remove(folder: Path) -> None:
    daemons.stop(daemon for daemon in daemons.find(folder) if daemon.is_server)
    host.end_containers(folder)
    host.unmount_below(folder)
    if not daemons.other_clusters(folder):
        host.tear_down_network()
    host.restore_sysctls(_sysctls())
    host.remove_traces(folder)
    host.remove_tree(folder)


def _require_no_other(folder: Path) -> None:
    for other in daemons.other_clusters(folder):
        raise DevError(
            f"The cluster in {other} has this machine's node address. End it first:"
            f" OCEAN_CACHE={Path(other).parent} python -m ocean_dev down"
        )


def _create(layout: Layout) -> None:
    if len(str(config.socket_path(layout.folder))) > _LONGEST_SOCKET:
        raise DevError(f"{layout.folder} is too long a path for a socket: set OCEAN_CACHE to a shorter one.")
    layout.folder.mkdir(parents=True, mode=0o711)
    write_node_files(layout)
    # Last: with it the folder is whole.
    (layout.folder / _STATE).write_text(json.dumps(_identity(layout), indent=2))


def _made_now_with(layout: Layout) -> bool:
    """Whether the folder holds a whole cluster, made since the machine started, by these programs."""
    try:
        state = json.loads((layout.folder / _STATE).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return bool(state == _identity(layout))


def _identity(layout: Layout) -> dict[str, Any]:
    return {"boot": host.boot_id(), "programs": {name: str(path) for name, path in layout.binaries.items()}}


def _layout(binaries: Mapping[str, Path]) -> Layout:
    return Layout(
        folder=run_dir(),
        binaries=binaries,
        api_address=config.NODE_ADDRESS,
        api_port=6443,
        etcd_client=f"http://{config.ETCD_ADDRESS}:2379",
        etcd_peer=f"http://{config.ETCD_ADDRESS}:2380",
    )


def _commands(layout: Layout, *, durable: bool) -> dict[str, Command]:
    folder = layout.folder
    commands: tuple[Command, ...] = (
        etcd_command(layout, durable=durable),
        config.node_api_server_command(layout),
        ("containerd", f"--config={folder / 'containerd.toml'}"),
        controllers_command(layout),
        scheduler_command(layout),
        config.kubelet_command(layout),
        (layout.binaries["kube-proxy"], f"--config={folder / 'proxy.yaml'}"),
        (layout.binaries["coredns"], f"-conf={folder / 'Corefile'}"),
    )
    return dict(zip(SERVERS, commands, strict=True))


def _sysctls() -> Path:
    """Beside the cluster's folder: who removes that by hand still gets the settings back."""
    return cache_dir() / "sysctls.json"


def _log(folder: Path, server: str) -> Path:
    return folder / "logs" / f"{server}.log"


@contextmanager
def _only_one() -> Iterator[None]:
    """Keep a second `up` or `down` waiting until this one is over."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    with (cache_dir() / "run.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
