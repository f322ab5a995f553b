"""The API server: the only module with a Kubernetes client.

`kubernetes.aio` finds the server and keeps the credentials fresh; bodies go in and out as plain JSON, since its
generated models would triple the cost of a write (docs/benchmarks.md).
"""

from __future__ import annotations

import asyncio
import copy
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from ocean_api import names
from ocean_operator.core.site import Manifest
from ocean_operator.metrics import API_ERRORS, API_WRITES

RESOURCES: Final[Mapping[str, tuple[str, str]]] = {
    "ServiceAccount": ("api/v1", "serviceaccounts"),
    "ConfigMap": ("api/v1", "configmaps"),
    "Secret": ("api/v1", "secrets"),
    "Pod": ("api/v1", "pods"),
    "NetworkPolicy": ("apis/networking.k8s.io/v1", "networkpolicies"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "CronJob": ("apis/batch/v1", "cronjobs"),
    "Job": ("apis/batch/v1", "jobs"),
    "Lease": ("apis/coordination.k8s.io/v1", "leases"),
    "Event": ("apis/events.k8s.io/v1", "events"),
    names.KIND: (f"apis/{names.GROUP}/{names.VERSION}", names.PLURAL),
    "ValidatingWebhookConfiguration": ("apis/admissionregistration.k8s.io/v1", "validatingwebhookconfigurations"),
}
"""Kind to path of its API group and plural name: everything this operator ever asks for."""

_APPLY: Final = "application/apply-patch+yaml"
_JSON: Final = "application/json"
_MERGE: Final = "application/merge-patch+json"
_JSON_PATCH: Final = "application/json-patch+json"
_METADATA_OF_ONE: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=5)
_AT_ONCE: Final = 16
"""Requests at once: an API server that answers in ten milliseconds is kept busy. Each connection takes memory."""
_PAGE: Final = 100
"""Objects in a page of a LIST: parsed, a few hundred are more than all that is known of a thousand clinics."""
_MISSING: Final = 404
_CONFLICT: Final = 409
_FIRST_ERROR: Final = 400


class ClusterError(Exception):
    """The API server refused, or could not be asked. `code` is its HTTP status, 0 when there was no answer."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code, self.reason, self.message = code, reason, message

    @property
    def is_missing(self) -> bool:
        """404: the object is not there."""
        return self.code == _MISSING

    @property
    def is_conflict(self) -> bool:
        """409: another object, version or uid than was named stands there."""
        return self.code == _CONFLICT

    @property
    def is_refusal(self) -> bool:
        """The request itself is at fault, or forbidden: the same one will be refused again."""
        return _FIRST_ERROR <= self.code < 500 and self.code not in {401, 404, 408, 409, 429}  # noqa: PLR2004


class Cluster:
    """Calls to the API server. Made by `connect`; `close` it at the end."""

    def __init__(self, configuration: Configuration, *, at_once: int) -> None:
        self._configuration = configuration
        self._rest = RESTClientObject(configuration)
        self._rest.pool_manager = self._rest._create_pool_manager()  # noqa: SLF001 - documented to be overridden
        self._slots = asyncio.Semaphore(at_once)
        self._may_write: Callable[[], None] = _anybody

    @classmethod
    async def connect(cls, *, at_once: int = _AT_ONCE) -> Cluster:
        """With the pod's service account, or else with KUBECONFIG."""
        configuration = Configuration()
        if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"):
            kubernetes_config.load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
        else:
            path = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
            await kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
                path, client_configuration=configuration, persist_config=False
            )
        configuration.connection_pool_maxsize = at_once
        return cls(configuration, at_once=at_once)

    def guarded(self, may_write: Callable[[], None]) -> Cluster:
        """The same connections for somebody who may not always write.

        Args:
            may_write: Called right before each write; what it raises keeps it from being sent.
        """
        other = copy.copy(self)
        other._may_write = may_write  # noqa: SLF001 - of its own class
        return other

    async def close(self) -> None:
        """End all connections."""
        await self._rest.close()

    async def apply(self, body: Manifest, *, manager: str = names.FIELD_MANAGER, subresource: str = "") -> Manifest:
        """Server-side apply, owning every field given, taking it from others. Returns the object as it now stands."""
        path = _path(body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"], subresource)
        API_WRITES.labels("apply", body["kind"] + (f"/{subresource}" if subresource else "")).inc()
        return await self._call("PATCH", f"{path}?fieldManager={manager}&force=true", body, _APPLY)

    async def create(self, body: Manifest) -> Manifest | None:
        """Create; None when an object of this name exists."""
        path = _path(body["kind"], body["metadata"]["namespace"])
        API_WRITES.labels("create", body["kind"]).inc()
        try:
            return await self._call("POST", f"{path}?fieldManager={names.FIELD_MANAGER}", body, _JSON)
        except ClusterError as error:
            if error.is_conflict:
                return None
            raise

    async def replace(self, body: Manifest) -> Manifest:
        """Put `body` in the place of the object with its resourceVersion. 409 if it has changed."""
        meta = body["metadata"]
        API_WRITES.labels("replace", body["kind"]).inc()
        return await self._call("PUT", _path(body["kind"], meta["namespace"], meta["name"]), body, _JSON)

    async def merge(self, kind: str, namespace: str, name: str, patch: Manifest) -> Manifest:
        """JSON merge patch (RFC 7386). With `metadata.resourceVersion` in it: 409 if the object has changed."""
        API_WRITES.labels("patch", kind).inc()
        return await self._call(
            "PATCH", f"{_path(kind, namespace, name)}?fieldManager={names.FIELD_MANAGER}", patch, _MERGE
        )

    async def reset(self, body: Manifest, fields: Iterable[str], *, resource_version: str) -> Manifest:
        """Make `fields` of the object exactly what `body` has, with nothing added (RFC 6902). 409 if it has changed."""
        meta = body["metadata"]
        patch: list[Manifest] = [{"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version}]
        for name in fields:
            asked = {"op": "add", "value": body[name]} if name in body else {"op": "remove"}
            patch.append({"path": f"/{name}", **asked})
        API_WRITES.labels("patch", body["kind"]).inc()
        path = f"{_path(body['kind'], meta['namespace'], meta['name'])}?fieldManager={names.FIELD_MANAGER}"
        return await self._call("PATCH", path, patch, _JSON_PATCH)

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object, or None."""
        try:
            return await self._call("GET", _path(kind, namespace, name))
        except ClusterError as error:
            if error.is_missing:
                return None
            raise

    async def metadata(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object without its content, or None: of a Secret, nothing secret crosses the wire."""
        try:
            return await self._call("GET", _path(kind, namespace, name), accept=_METADATA_OF_ONE)
        except ClusterError as error:
            if error.is_missing:
                return None
            raise

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str, resource_version: str = "") -> bool:
        """Delete the very object with `uid` (and version); False when it is gone or another one stands there."""
        preconditions = {"uid": uid, **({"resourceVersion": resource_version} if resource_version else {})}
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "preconditions": preconditions,
            "propagationPolicy": "Background",
        }
        API_WRITES.labels("delete", kind).inc()
        try:
            await self._call("DELETE", _path(kind, namespace, name), body, _JSON)
        except ClusterError as error:
            if error.is_missing or error.is_conflict:
                return False
            raise
        return True

    async def find(self, kind: str, *, field_selector: str) -> list[Manifest]:
        """The objects of `kind`, in all namespaces, that `field_selector` picks: a few, so in one page."""
        answer = await self._call("GET", f"{_path(kind)}?fieldSelector={field_selector}")
        found: list[Manifest] = answer.get("items") or []
        return found

    async def versions(self, kind: str, *, selector: str = "") -> tuple[dict[tuple[str, str], int], int]:
        """Resource version of every object of `kind`, by namespace and name; and that of the list.

        Only metadata crosses the wire (Kubernetes, "Receiving resources as PartialObjectMetadata").
        """
        found: dict[tuple[str, str], int] = {}
        query, more = f"limit={_PAGE}" + (f"&labelSelector={selector}" if selector else ""), ""
        while True:
            page = await self._call("GET", f"{_path(kind)}?{query}{more}", accept=_METADATA_ONLY)
            for item in page.get("items") or ():
                meta = item["metadata"]
                found[meta.get("namespace", ""), meta["name"]] = int(meta["resourceVersion"])
            token = page["metadata"].get("continue")
            if not token:
                return found, int(page["metadata"]["resourceVersion"])
            more = f"&continue={token}"

    async def _call(
        self, verb: str, path: str, body: Any = None, content_type: str = _JSON, *, accept: str = _JSON
    ) -> Manifest:
        headers = {"Accept": accept, "Content-Type": content_type}
        bearer = await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        if bearer:
            headers["Authorization"] = bearer
        data = orjson.dumps(body) if body is not None else None
        session = self._rest.pool_manager
        if session is None:
            raise ClusterError(0, "Closed", "the connection to the API server was closed")
        async with self._slots:
            if verb != "GET":
                self._may_write()
            try:
                async with session.request(
                    verb, self._configuration.host + path, data=data, headers=headers, timeout=_TIMEOUT
                ) as answer:
                    content, code = await answer.read(), answer.status
            except (aiohttp.ClientError, TimeoutError) as error:
                API_ERRORS.labels("none").inc()
                raise ClusterError(0, type(error).__name__, "the API server did not answer") from error
        if code >= _FIRST_ERROR:
            API_ERRORS.labels(str(code)).inc()
            raise _refused(code, content)
        parsed: Manifest = orjson.loads(content)
        return parsed


def _anybody() -> None:
    """Whoever asks may write."""


def _path(kind: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    group, plural = RESOURCES[kind]
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"/{group}{scope}/{plural}" + (f"/{name}" if name else "") + (f"/{subresource}" if subresource else "")


def _refused(code: int, content: bytes) -> ClusterError:
    """The API server's own words (a `Status`), or their absence."""
    try:
        status = orjson.loads(content)
        return ClusterError(code, str(status.get("reason", "")), str(status.get("message", ""))[:500])
    except (orjson.JSONDecodeError, AttributeError):
        return ClusterError(code, "Unreadable", "the API server's answer was not a Status")
