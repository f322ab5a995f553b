"""The OceanSite resource: one clinic."""

from __future__ import annotations

from typing import Any, Final

from ocean_api import names
from ocean_api.base import ApiModel
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_api.v1alpha1.status import OceanSiteStatus

MAX_NAME: Final = 39
"""Longest site name: CronJob names end at 52 characters (Kubernetes, "CronJob"), and ours add a prefix and a part."""


class OceanSite(ApiModel):
    """A clinic served by Ocean Cloud Connect: its schedule goes to Ocean, its key stays in Vault."""

    spec: OceanSiteSpec
    """What the clinic wants."""
    status: OceanSiteStatus = OceanSiteStatus()
    """What the operator found."""


PRINTER_COLUMNS: Final[tuple[dict[str, Any], ...]] = (
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    {"name": "Reason", "type": "string", "jsonPath": ".status.summary"},
    {"name": "Site", "type": "string", "jsonPath": ".spec.siteNumber"},
    {"name": "EMR", "type": "string", "jsonPath": ".spec.emr.type"},
    {"name": "Banner", "type": "string", "jsonPath": ".status.sync.banner"},
    {"name": "Running", "type": "string", "jsonPath": ".status.sync.running"},
    {"name": "Last-Recent", "type": "date", "jsonPath": ".status.sync.lastRecent"},
    {"name": "Last-Full", "type": "date", "jsonPath": ".status.sync.lastFull"},
    {"name": "Held", "type": "integer", "jsonPath": ".status.queue.held"},
    {"name": "Waiting", "type": "integer", "jsonPath": ".status.queue.waiting", "priority": 1},
    {"name": "Next", "type": "string", "jsonPath": ".status.sync.nextRecent", "priority": 1},
    {"name": "Providers", "type": "integer", "jsonPath": ".status.providers.selected", "priority": 1},
    {"name": "Key", "type": "string", "jsonPath": ".status.key.fingerprint", "priority": 1},
    {"name": "Clinic", "type": "string", "jsonPath": ".spec.displayName", "priority": 1},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
)
"""What `kubectl get oceansites` shows; priority 1 only with `-o wide`."""

NAMES: Final = {
    "plural": names.PLURAL,
    "singular": "oceansite",
    "kind": names.KIND,
    "listKind": f"{names.KIND}List",
    "shortNames": ["osite"],
    "categories": ["ocean"],
}
