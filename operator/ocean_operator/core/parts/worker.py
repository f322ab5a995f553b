"""The clinic's worker: takes its messages from the queue and writes them to the EMR, one pod for as long as it may."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from ocean_api import names
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_operator.core.parts.common import labels, manifest
from ocean_operator.core.parts.config_map import site_settings
from ocean_operator.core.parts.pods import pod_template
from ocean_operator.core.platform import Platform
from ocean_operator.core.site import Manifest, Site

WORKER_COMPONENT: Final = "worker"
SETTINGS_ANNOTATION: Final = f"{names.GROUP}/settings"
"""On the pod: it reads `site.json` when it starts, so it is made anew when this changes."""
_NOT_USED: Final = {"spec": {"display_name", "contacts", "key", "schedule", "enabled", "suspend", "deletion_policy"}}
"""What a worker does not look at. A field that is new in the spec counts as used until it is listed here."""
_GRACE_SECONDS: Final = 30


def worker_name(site: Site) -> str:
    """The Deployment's name."""
    return names.child(site.key.name, WORKER_COMPONENT)


def worker(site: Site, spec: OceanSiteSpec, platform: Platform) -> Manifest:
    """One pod at most: the old one has ended before the next begins, since one clinic has one writer."""
    template = pod_template(site, spec, platform, component=WORKER_COMPONENT, args=["ocean-worker"])
    template["metadata"]["annotations"][SETTINGS_ANNOTATION] = settings_digest(site, spec, platform)
    template["spec"] |= {"restartPolicy": "Always", "terminationGracePeriodSeconds": _GRACE_SECONDS}
    spec_body: dict[str, Any] = {
        "replicas": 1,
        # An old ReplicaSet is of no use: a Deployment that somebody rolls back is rolled forward again.
        "revisionHistoryLimit": 0,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": _selector(site)},
        "template": template,
    }
    return {**manifest("apps/v1", "Deployment", worker_name(site), site, WORKER_COMPONENT), "spec": spec_body}


def settings_digest(site: Site, spec: OceanSiteSpec, platform: Platform) -> str:
    """A short digest of what the worker reads from `site.json`. An edit of something else does not interrupt it."""
    used = site_settings(site, spec, platform).model_dump_json(exclude=_NOT_USED, exclude_defaults=True)
    return hashlib.sha256(used.encode()).hexdigest()[:12]


def _selector(site: Site) -> dict[str, str]:
    """Of a Deployment it can never be changed, so these two labels are for ever."""
    own = labels(site, WORKER_COMPONENT)
    return {name: own[name] for name in (names.SITE_LABEL, names.COMPONENT_LABEL)}
