"""What the parts of `make demo` share: the namespaces, Secrets, the simulators' other side, waiting and printing."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import typer

from ocean_dev.cluster import PodCluster
from ocean_dev.errors import DevError

SYSTEM: Final = "ocean-system"
SIMULATORS: Final = "ocean-demo"
CLINICS: Final = "clinics"
_PATIENCE_SECONDS: Final = 300


def secret(cluster: PodCluster, namespace: str, name: str) -> dict[str, str]:
    """A Secret's fields; empty when there is none."""
    text = cluster.kubectl("get", "secret", name, "--namespace", namespace, "--ignore-not-found", "--output=json")
    data = json.loads(text).get("data", {}) if text else {}
    return {field: base64.b64decode(value).decode() for field, value in data.items()}


def create_secret(
    cluster: PodCluster,
    namespace: str,
    name: str,
    fields: Mapping[str, str],
    *,
    labels: Mapping[str, str] | None = None,
) -> None:
    """As `kubectl create secret generic`: without the annotation that `apply` would leave."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels or {})},
        "stringData": dict(fields),
    }
    cluster.kubectl("delete", "secret", name, "--namespace", namespace, "--ignore-not-found")
    cluster.kubectl("create", "--filename=-", input=json.dumps(body))


def simulated(cluster: PodCluster, name: str, path: str, *, put: Any = None, post: Any = None) -> Any:
    """What a simulator answers under `/_sim`, through the API server: nothing of ours has to listen outside."""
    raw = f"--raw=/api/v1/namespaces/{SIMULATORS}/services/https:{name}:8443/proxy/_sim/{path}"
    if put is not None:
        answer = cluster.kubectl("replace", raw, "--filename=-", input=json.dumps(put))
    elif post is not None:
        answer = cluster.kubectl("create", raw, "--filename=-", input=json.dumps(post))
    else:
        answer = cluster.kubectl("get", raw)
    return json.loads(answer) if answer.strip() else None


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds.

    Raises:
        DevError: It did not; `what` says what was hoped for, in the past tense.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise DevError(f"{what} within {_PATIENCE_SECONDS} s: `kubectl describe oceansites -n {CLINICS}` says why.")
        time.sleep(1)


def print_titled(title: str, text: str) -> None:
    """Print `text` below a heading; a command is shown as one."""
    typer.secho(f"\n$ {title}" if title.startswith("kubectl") else f"\n{title}", bold=True)
    typer.echo(text.rstrip())
