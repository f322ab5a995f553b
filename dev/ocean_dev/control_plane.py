"""The small cluster: etcd, API server and controller manager as processes of the calling program.

It starts in seconds, needs no root, several run side by side, and it ends with the program that started it.
Objects behave as on any cluster, and their controllers run (jobs, garbage collection); no pod ever runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from ocean_dev import api_client
from ocean_dev.build import CONTROL_PLANE, programs
from ocean_dev.cluster import Cluster
from ocean_dev.components import (
    AUDIT_POLICY,
    DEFAULT_ACCOUNT_PATH,
    Command,
    Layout,
    api_server_command,
    controllers_command,
    etcd_command,
)
from ocean_dev.credentials import ADMIN, write_credentials, write_person
from ocean_dev.processes import ReservedPort, Server

_LOOPBACK = "127.0.0.1"


class ControlPlane(Cluster):
    """A running control plane. Made by `start`; a context manager that stops it."""

    def __init__(self, workdir: Path, binaries: Mapping[str, Path]) -> None:
        self._ports = [ReservedPort() for _ in range(3)]
        api, client, peer = (port.number for port in self._ports)
        self._layout = Layout(
            folder=workdir,
            binaries=binaries,
            api_address=_LOOPBACK,
            api_port=api,
            etcd_client=f"http://{_LOOPBACK}:{client}",
            etcd_peer=f"http://{_LOOPBACK}:{peer}",
        )
        super().__init__(
            kubectl=binaries["kubectl"], kubeconfig=self._layout.kubeconfig(ADMIN), scratch=workdir / "scratch"
        )
        self.server = self._layout.server
        self.ca_file = self._layout.authority
        self.etcd_data_dir = workdir / "etcd"
        self.audit_log = workdir / "audit.log"
        """One JSON object per request and line; there only with `audit=True`."""
        self.servers: dict[str, Server] = {}
        """The running servers by program name, for tests that end one."""
        self._commands: dict[str, Command] = {}

    @classmethod
    def start(
        cls,
        workdir: Path,
        *,
        audit: bool = False,
        extra_apiserver_args: Sequence[str] = (),
        extra_controller_manager_args: Sequence[str] = (),
    ) -> Self:
        """Start one in the empty folder `workdir` and return when it takes requests.

        The programs are built first where the cache lacks them, which takes minutes.

        Args:
            workdir: Everything the cluster writes is in here.
            audit: Record every request in `audit_log`.
            extra_apiserver_args: Added to the API server's command line.
            extra_controller_manager_args: Added to the controller manager's. The last of two equal flags
                counts: `--kube-api-qps=20` brings back what clusters have that nobody tuned.

        Raises:
            NotReadyError: A server did not start. What had started is stopped.
        """
        workdir.mkdir(parents=True, exist_ok=True)
        plane = cls(workdir.resolve(), programs(CONTROL_PLANE))
        try:
            write_credentials(plane._layout)
            plane._commands = {
                "etcd": (*etcd_command(plane._layout, durable=False), "--socket-reuse-port"),
                "kube-apiserver": (*plane._api_server_command(audit=audit), *extra_apiserver_args),
                "kube-controller-manager": (
                    *controllers_command(plane._layout),
                    *extra_controller_manager_args,
                ),
            }
            # The controller manager gives up when the API server has not yet granted it its rights.
            plane.start_server("etcd")
            plane.start_server("kube-apiserver")
            plane._wait("The API server", "/readyz")
            plane.start_server("kube-controller-manager")
            plane.wait_ready()
        except BaseException:
            plane.stop()
            raise
        return plane

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all servers at once. What they wrote stays in `workdir`. May be called again."""
        for server in reversed(self.servers.values()):
            server.kill()
        self.servers.clear()
        for port in self._ports:
            port.release()

    def start_server(self, name: str) -> None:
        """Start one of the servers again that a test has ended. Does not wait until it is ready."""
        log = self._layout.folder / f"{name}.log"
        self.servers[name] = Server(name, self._commands[name], log, self._layout.folder)

    def wait_ready(self) -> None:
        """Return when the API server takes requests and the controllers work.

        Raises:
            NotReadyError: A server ended, or a minute went by.
        """
        self._wait("The API server", "/readyz")
        self._wait("The controller manager", DEFAULT_ACCOUNT_PATH)

    def _wait(self, what: str, path: str) -> None:
        with api_client.as_admin(self._layout) as api:
            api_client.wait_until(partial(api_client.answers_ok, api, path), what=what, given_up=self._ended_server)

    def user_kubeconfig(self, name: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig for the user `name`, who may do what RBAC grants to it and its groups."""
        return write_person(self._layout, self._user_file(name, groups), name, groups)

    def _api_server_command(self, *, audit: bool) -> Command:
        command: Command = (
            *api_server_command(self._layout),
            "--permit-port-sharing",
            # A loopback address may not stand in the endpoints of the `kubernetes` Service.
            "--endpoint-reconciler-type=none",
        )
        if not audit:
            return command
        policy = self._layout.folder / "audit-policy.yaml"
        policy.write_text(AUDIT_POLICY)
        return (
            *command,
            *(f"--audit-policy-file={policy}", f"--audit-log-path={self.audit_log}"),
            # Large enough that the file is never rotated away under whoever counts its lines.
            "--audit-log-maxsize=100000",
        )

    def _ended_server(self) -> str | None:
        for server in self.servers.values():
            if not server.running:
                return f"{server.name} ended; the end of {server.log}:\n{server.last_words()}"
        return None
