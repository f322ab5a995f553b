"""The API server as an administrator's program sees it: plain JSON, milliseconds a call."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

import httpx
import orjson

from ocean_api import names
from ocean_dev.api_client import as_admin
from ocean_dev.control_plane import ControlPlane
from ocean_operator.cluster import RESOURCES
from ocean_operator.core.children import KINDS

Manifest = dict[str, Any]

_APPLY: Final = {"Content-Type": "application/apply-patch+yaml"}
_MERGE: Final = {"Content-Type": "application/merge-patch+json"}
_PATHS: Final[Mapping[str, tuple[str, str]]] = {
    **RESOURCES,
    "Namespace": ("api/v1", "namespaces"),
    "ResourceQuota": ("api/v1", "resourcequotas"),
}


class KubernetesApi:
    """Calls to one API server. Every method raises httpx.HTTPStatusError for what it was not made for."""

    def __init__(self, plane: ControlPlane) -> None:
        self._client = as_admin(plane._layout)
        self._etcd = httpx.Client(base_url=plane._layout.etcd_client)

    def close(self) -> None:
        """End all connections."""
        self._client.close()
        self._etcd.close()

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object, or None."""
        answer = self._client.get(path(kind, namespace, name))
        return None if answer.status_code == httpx.codes.NOT_FOUND else _read(answer)

    def list(self, kind: str, namespace: str = "", *, selector: str = "") -> list[Manifest]:
        """The objects of `kind`, in one namespace or in all."""
        query = {"labelSelector": selector} if selector else {}
        found: list[Manifest] = _read(self._client.get(path(kind, namespace), params=query))["items"]
        return found

    def apply(self, body: Manifest) -> Manifest:
        """As `kubectl apply --server-side --force-conflicts`."""
        meta = body["metadata"]
        where = path(body["kind"], meta.get("namespace", ""), meta["name"])
        content = orjson.dumps(body)
        return _read(self._client.patch(f"{where}?fieldManager=tests&force=true", content=content, headers=_APPLY))

    def create(self, body: Manifest) -> Manifest:
        """As `kubectl create`."""
        meta = body["metadata"]
        return _read(self._client.post(path(body["kind"], meta.get("namespace", "")), json=body))

    def edit(self, kind: str, namespace: str, name: str, patch: Manifest) -> Manifest:
        """As `kubectl edit` or `kubectl patch --type=merge`: null takes a field away."""
        content = orjson.dumps(patch)
        return _read(self._client.patch(path(kind, namespace, name), content=content, headers=_MERGE))

    def edit_status(self, kind: str, namespace: str, name: str, status: Manifest) -> Manifest:
        """As the component does that looks after the object, such as a pod's kubelet."""
        content = orjson.dumps({"status": status})
        return _read(self._client.patch(f"{path(kind, namespace, name)}/status", content=content, headers=_MERGE))

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Ask for its deletion; nothing happens where there is no such object."""
        answer = self._client.delete(path(kind, namespace, name))
        if answer.status_code != httpx.codes.NOT_FOUND:
            _read(answer)

    def lose(self, kind: str, namespace: str, name: str) -> None:
        """Take it out of etcd, finalizers or not: watches tell of a deletion without a deletionTimestamp before it."""
        group, plural = _PATHS[kind]
        key = f"/registry/{group.split('/')[1]}/{plural}/{namespace}/{name}"
        answer = self._etcd.post("/v3/kv/deleterange", json={"key": base64.b64encode(key.encode()).decode()})
        assert _read(answer).get("deleted") == "1", f"{key} was not in etcd"

    def delete_all(self, kind: str, namespace: str) -> None:
        """Ask for the deletion of every object of `kind` in `namespace`."""
        _read(self._client.delete(path(kind, namespace)))


def path(kind: str, namespace: str = "", name: str = "") -> str:
    """Where the API server keeps it."""
    group, plural = _PATHS[kind]
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"/{group}{scope}/{plural}" + (f"/{name}" if name else "")


def owned(namespace: str, api: KubernetesApi) -> dict[tuple[str, str], Manifest]:
    """Every object in `namespace` that bears the operator's label, by kind and name."""
    selector = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY}"
    kinds = (*KINDS, "Job")
    return {(kind, o["metadata"]["name"]): o for kind in kinds for o in api.list(kind, namespace, selector=selector)}


def _read(answer: httpx.Response) -> Manifest:
    if answer.is_error:
        raise httpx.HTTPStatusError(f"{answer.status_code}: {answer.text}", request=answer.request, response=answer)
    content: Manifest = orjson.loads(answer.content)
    return content
