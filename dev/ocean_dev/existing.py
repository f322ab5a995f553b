"""A cluster that somebody else runs, chosen by `KUBECONFIG` or `USE_CLUSTER=1`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ocean_dev.build import program
from ocean_dev.certificates import write_private
from ocean_dev.cluster import PodCluster
from ocean_dev.commands import run
from ocean_dev.errors import CommandError, DevError
from ocean_dev.images import BuiltImage
from ocean_dev.paths import cache_dir, run_dir
from ocean_dev.progress import step

_YES = frozenset({"1", "true", "yes"})

# By the start of the context's name: what brings a docker archive into all nodes. Source: the help texts of
# `kind load image-archive` and `k3d image import`.
_LOADERS: Mapping[str, tuple[str, ...]] = {
    "kind-": ("kind", "load", "image-archive", "{archive}", "--name", "{cluster}"),
    "k3d-": ("k3d", "image", "import", "{archive}", "--cluster", "{cluster}"),
}


def is_chosen(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the caller wants an existing cluster, not one that we run."""
    kubeconfig = environment.get("KUBECONFIG", "")
    if kubeconfig and Path(kubeconfig).expanduser().is_relative_to(run_dir()):
        return False
    return bool(kubeconfig) or environment.get("USE_CLUSTER", "").lower() in _YES


class ExistingCluster(PodCluster):
    """The cluster of the current context."""

    def __init__(self) -> None:
        scratch = cache_dir() / "existing"
        scratch.mkdir(parents=True, exist_ok=True)
        kubectl = _own("kubectl")
        # One file for one context, whatever the user's choice of files and contexts does later.
        text = run([kubectl, "config", "view", "--raw", "--flatten", "--minify"])
        kubeconfig = scratch / "admin.kubeconfig"
        write_private(kubeconfig, text.encode())
        super().__init__(kubectl=kubectl, kubeconfig=kubeconfig, scratch=scratch)
        self.context: str = yaml.safe_load(text)["current-context"]

    def check(self) -> None:
        """Ask the cluster for its version.

        Raises:
            DevError: It does not answer.
        """
        try:
            self.kubectl("version", "--output=json")
        except CommandError as error:
            raise DevError(
                f"The cluster of the context {self.context!r} does not answer. Unset KUBECONFIG and USE_CLUSTER to"
                f" get a cluster of our own.\n{error}"
            ) from error

    def user_kubeconfig(self, name: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig that acts as the user `name`, by the administrator's right to impersonate."""
        content: dict[str, Any] = yaml.safe_load(self.kubeconfig.read_text())
        for user in content["users"]:
            user["user"] |= {"as": name, "as-groups": [*groups, "system:authenticated"]}
        path = self._user_file(name, groups)
        write_private(path, yaml.safe_dump(content).encode())
        return path

    def load_image(self, image: BuiltImage) -> None:
        """Bring `image` into the nodes of a kind or k3d cluster.

        Raises:
            DevError: It is another cluster: it gets its images from a registry.
        """
        for prefix, words in _LOADERS.items():
            if self.context.startswith(prefix):
                values = {"archive": image.archive, "cluster": self.context.removeprefix(prefix)}
                with step(f"loading {image.tag} into {self.context}"):
                    run([word.format_map(values) for word in words])
                return
        raise DevError(
            f"Images cannot be loaded into the cluster of the context {self.context!r}: it is neither kind nor k3d."
            " Push the image to a registry that the cluster can pull from, and set IMAGE=<its name there>."
        )


def _own(name: str) -> Path:
    """The user's own program, which fits to the user's cluster, or ours if there is none."""
    found = shutil.which(name)
    return Path(found) if found else program(name)
