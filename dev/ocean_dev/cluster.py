"""What every cluster offers to tests, benchmarks and the demo, whoever runs it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from ocean_dev.build import program
from ocean_dev.commands import run
from ocean_dev.images import BuiltImage

_HELM_HOMES = ("CACHE", "CONFIG", "DATA")


class Cluster(ABC):
    """A cluster that takes requests."""

    def __init__(self, *, kubectl: Path, kubeconfig: Path, scratch: Path) -> None:
        """Remember how to reach it.

        Args:
            kubectl: The program.
            kubeconfig: An administrator's.
            scratch: A folder for kubectl's cache and users' kubeconfigs. The default cache in the home folder
                goes by the server's address, which the next cluster may have too.
        """
        self.kubeconfig = kubeconfig
        self._kubectl = kubectl
        self._scratch = scratch

    def kubectl(self, *args: str, input: str | None = None) -> str:  # noqa: A002 - as subprocess calls it
        """What kubectl prints for `args`, as cluster administrator.

        Args:
            args: kubectl's arguments.
            input: Its standard input, as for `apply -f -`.

        Raises:
            CommandError: kubectl said no; the text holds its own words.
        """
        return self.kubectl_as(self.kubeconfig, *args, input=input)

    def kubectl_as(self, kubeconfig: Path, *args: str, input: str | None = None) -> str:  # noqa: A002 - likewise
        """As `kubectl`, as the user of `kubeconfig`."""
        flags = [f"--kubeconfig={kubeconfig}", f"--cache-dir={self._scratch / 'kubectl-cache'}"]
        return run([self._kubectl, *flags, *args], stdin=input)

    def service_account_token(
        self, namespace: str, name: str, *, audience: str | None = None, seconds: int = 3_600
    ) -> str:
        """A token of a service account, from the TokenRequest API as a pod's kubelet gets one.

        Args:
            namespace: The account's namespace.
            name: The account's name.
            audience: Whom the token is meant for; the API server without it.
            seconds: How long it is good, at least 600.
        """
        flags = [f"--namespace={namespace}", f"--duration={seconds}s"]
        if audience:
            flags.append(f"--audience={audience}")
        return self.kubectl("create", "token", name, *flags).strip()

    @abstractmethod
    def user_kubeconfig(self, name: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig for the user `name`, who may do what RBAC grants to it and its groups."""

    def helm(self, *args: str, input: str | None = None) -> str:  # noqa: A002 - likewise
        """What Helm prints for `args`, as cluster administrator. It leaves nothing in the home folder."""
        homes = {f"HELM_{kind}_HOME": str(self._scratch / "helm" / kind.lower()) for kind in _HELM_HOMES}
        return run([program("helm"), f"--kubeconfig={self.kubeconfig}", *args], stdin=input, env=homes)

    def _user_file(self, name: str, groups: Sequence[str]) -> Path:
        self._scratch.mkdir(parents=True, exist_ok=True)
        slug = re.sub(r"[^A-Za-z0-9.-]", "_", "+".join((name, *groups)))
        return self._scratch / f"user-{slug}.kubeconfig"


class PodCluster(Cluster):
    """A cluster where pods run."""

    @abstractmethod
    def load_image(self, image: BuiltImage) -> None:
        """Make `image` available to pods under its tag, if it is not already there."""
