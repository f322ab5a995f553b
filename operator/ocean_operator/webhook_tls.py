"""The webhook's certificate: made by the operator, kept in a Secret that all replicas share, renewed in time.

The API server calls the webhook by its Service's name and trusts what the webhook configuration's `caBundle`
says, so no public authority can help. Making a certificate happens in a process of its own: the library for it
would cost the operator 10 MB for good (docs/benchmarks.md).
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog

from ocean_api import names
from ocean_operator.cluster import Cluster, ClusterError

SECRET: Final = "ocean-operator-webhook"  # noqa: S105 - a name
_LIFE: Final = timedelta(days=365)
_RENEW_BEFORE: Final = timedelta(days=120)
_EXPIRES: Final = f"{names.GROUP}/expires"
_HOSTS: Final = f"{names.GROUP}/hosts"
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A serving certificate with its own authority, all PEM."""

    authority: str
    certificate: str
    key: str
    expires: datetime

    def due(self, now: datetime) -> bool:
        """Whether it is time for a new one."""
        return now > self.expires - _RENEW_BEFORE


async def shared_certificate(cluster: Cluster, namespace: str, hosts: list[str], now: datetime) -> Certificate:
    """The certificate all replicas use: from the Secret, or made and put there. Two makers: the first one wins."""
    while True:
        secret = await cluster.get("Secret", namespace, SECRET)
        found = _read(secret, hosts)
        if found and not found.due(now):
            return found
        made = await _make_in_own_process(hosts, now)
        body = _secret(namespace, made, hosts, secret)
        try:
            kept = await (cluster.replace(body) if secret else cluster.create(body))
        except ClusterError as error:
            if not error.is_conflict:
                raise
            continue
        if kept is not None:
            log.info("webhook certificate made", expires=made.expires.isoformat())
            return made


async def publish(cluster: Cluster, configuration: str, certificate: Certificate) -> None:
    """Have the API server trust the certificate; nothing is written where it does already."""
    while True:
        body = await cluster.get("ValidatingWebhookConfiguration", "", configuration)
        if body is None:
            log.warning("no webhook configuration to keep", name=configuration)
            return
        hooks = body["webhooks"]
        if all(certificate.authority.strip() in _trusted(hook) for hook in hooks):
            return
        for hook in hooks:
            if certificate.authority.strip() not in _trusted(hook):
                hook["clientConfig"]["caBundle"] = _bundle(certificate, _trusted(hook))
        patch = {"metadata": {"resourceVersion": body["metadata"]["resourceVersion"]}, "webhooks": hooks}
        try:
            await cluster.merge("ValidatingWebhookConfiguration", "", configuration, patch)
        except ClusterError as error:
            if not error.is_conflict:
                raise
        else:
            return


def _trusted(hook: dict[str, Any]) -> str:
    try:
        return base64.b64decode(hook["clientConfig"].get("caBundle") or "", validate=True).decode()
    except ValueError:
        return ""


def _bundle(certificate: Certificate, before: str) -> str:
    """The new authority, and the last one: other replicas serve under it until they have looked, within a day."""
    last = before[: before.find(_END) + len(_END)] if before.startswith(_BEGIN) and _END in before else ""
    ours = certificate.authority.strip() + "\n"
    return base64.b64encode(f"{ours}{last}\n".encode() if last else ours.encode()).decode()


def write_files(certificate: Certificate, folder: Path) -> tuple[Path, Path]:
    """The certificate and its key as files, readable by this user alone, as `ssl` wants them."""
    paths = folder / "tls.crt", folder / "tls.key"
    for path, text in zip(paths, (certificate.certificate, certificate.key), strict=True):
        path.touch(mode=0o600)
        path.write_text(text)
    return paths


def reload_context(context: ssl.SSLContext, certificate: Certificate, folder: Path) -> None:
    """Have a running server use `certificate` for new connections."""
    cert_file, key_file = write_files(certificate, folder)
    context.load_cert_chain(cert_file, key_file)


def _read(secret: dict[str, Any] | None, hosts: list[str]) -> Certificate | None:
    """The certificate in the Secret; None for one that cannot be used, or was made for other hosts."""
    if secret is None:
        return None
    try:
        data = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
        said = secret["metadata"]["annotations"]
        expires = datetime.fromisoformat(said[_EXPIRES])
        found = Certificate(data["ca.crt"], data["tls.crt"], data["tls.key"], expires)
        usable = expires.tzinfo is not None and all(text.startswith("-----BEGIN") for text in data.values())
        return found if usable and said[_HOSTS] == " ".join(hosts) else None
    except (KeyError, ValueError, TypeError):
        return None


def _secret(namespace: str, made: Certificate, hosts: list[str], old: dict[str, Any] | None) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "name": SECRET,
        "namespace": namespace,
        "annotations": {_EXPIRES: made.expires.isoformat(), _HOSTS: " ".join(hosts)},
        "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY},
    }
    if old:
        meta["resourceVersion"] = old["metadata"]["resourceVersion"]
    data = {"ca.crt": made.authority, "tls.crt": made.certificate, "tls.key": made.key}
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": meta, "data": encoded}


async def _make_in_own_process(hosts: list[str], now: datetime) -> Certificate:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ocean_operator.make_certificate", *hosts, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the webhook's certificate could not be made; see the log above")
    parts = json.loads(output)
    return Certificate(parts["authority"], parts["certificate"], parts["key"], now.astimezone(UTC) + _LIFE)
