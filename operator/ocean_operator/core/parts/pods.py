"""The pods of a clinic: one template for all of them, fit for the restricted Pod Security Standard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ocean_api import names
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_operator.core.parts.common import labels
from ocean_operator.core.parts.config_map import config_map_name
from ocean_operator.core.platform import Platform
from ocean_operator.core.site import Manifest, Site

QUIET: Final = {"argocd.argoproj.io/ignore-resource-updates": "true"}
"""Argo CD then does not refresh the application for every pod and Job that comes and goes."""

_TOKEN_SECONDS: Final = 3600


def pod_template(
    site: Site, spec: OceanSiteSpec, platform: Platform, *, component: str, args: Sequence[str]
) -> Manifest:
    """A pod that runs `args` from the product's image under the clinic's account, once where nobody says otherwise.

    Credentials are optional volumes: a missing Secret is then something the process reports in words,
    instead of a pod that hangs in ContainerCreating.
    """
    container = {
        "name": component,
        "image": platform.image,
        "imagePullPolicy": platform.image_pull_policy,
        "args": list(args),
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": _mounts(spec),
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "serviceAccountName": names.service_account(site.key.name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": _volumes(site, spec),
    }
    if platform.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in platform.image_pull_secrets]
    return {"metadata": {"labels": labels(site, component), "annotations": dict(QUIET)}, "spec": pod}


def _mounts(spec: OceanSiteSpec) -> list[dict[str, Any]]:
    paths = {"site": names.SITE_SETTINGS_DIR, "vault-token": names.TOKEN_DIR, "ocean": names.OCEAN_CREDENTIALS_DIR}
    if spec.emr.block:
        paths["emr"] = names.EMR_CREDENTIALS_DIR
    return [
        *({"name": name, "mountPath": path, "readOnly": True} for name, path in paths.items()),
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own, in memory
    ]


def _volumes(site: Site, spec: OceanSiteSpec) -> list[dict[str, Any]]:
    token = {"audience": names.VAULT_AUDIENCE, "expirationSeconds": _TOKEN_SECONDS, "path": names.TOKEN_FILE}
    volumes: list[dict[str, Any]] = [
        {"name": "site", "configMap": {"name": config_map_name(site)}},
        {"name": "vault-token", "projected": {"sources": [{"serviceAccountToken": token}]}},
        {"name": "ocean", "secret": {"secretName": spec.ocean.credentials_secret, "optional": True}},
    ]
    if spec.emr.block:
        volumes.append({"name": "emr", "secret": {"secretName": spec.emr.block.credentials_secret, "optional": True}})
    return [*volumes, {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}]
