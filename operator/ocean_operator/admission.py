"""Admission: what the schema cannot refuse is refused here, at `kubectl apply`, with field and remedy.

Every replica answers. Site numbers are looked up in the API server itself by the CRD's selectable field, so a
replica that does not lead knows as much as the one that does.
"""

from __future__ import annotations

from typing import Any, Final

import pydantic
import structlog

from ocean_api import names
from ocean_api.v1alpha1.spec import OceanSiteSpec, warnings_for
from ocean_operator.cluster import Cluster
from ocean_operator.core.site import SiteKey, in_words
from ocean_operator.core.validate import AddressRules, Neighbours, findings
from ocean_operator.metrics import ADMISSIONS

_FORBIDDEN: Final = 403
_WARNING_LENGTH: Final = 256
log = structlog.get_logger(__name__)


async def review(request: dict[str, Any], cluster: Cluster, rules: AddressRules) -> dict[str, Any]:
    """The AdmissionReview that answers `request` (admission.k8s.io/v1). Raises ClusterError when nobody can tell."""
    asked = request["request"]
    problems, warnings = await _judge(asked, cluster, rules)
    response: dict[str, Any] = {"uid": asked["uid"], "allowed": not problems}
    if problems:
        response["status"] = {"code": _FORBIDDEN, "reason": "Invalid", "message": "; ".join(problems)}
    if warnings:
        response["warnings"] = [w[:_WARNING_LENGTH] for w in warnings]
    ADMISSIONS.labels(str(not problems)).inc()
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


async def _judge(asked: dict[str, Any], cluster: Cluster, rules: AddressRules) -> tuple[list[str], tuple[str, ...]]:
    body = asked["object"]
    # An object made with `generateName` has no name yet.
    key = SiteKey(body["metadata"]["namespace"], body["metadata"].get("name", ""))
    try:
        spec = OceanSiteSpec.model_validate(body.get("spec") or {})
    except pydantic.ValidationError as error:
        return [in_words(error)], ()
    neighbours = Neighbours() if asked["operation"] == "UPDATE" else await _others(key, spec.site_number, cluster)
    problems = [f.message for f in findings(key, spec, rules=rules, neighbours=neighbours)]
    return problems, () if problems else warnings_for(spec)


async def _others(key: SiteKey, site_number: str, cluster: Cluster) -> Neighbours:
    """Who has the number already. Asked only for a new site: a site's own number never changes."""
    found = await cluster.find(names.KIND, field_selector=f"spec.siteNumber={site_number}")
    keys = (SiteKey(other["metadata"]["namespace"], other["metadata"]["name"]) for other in found)
    return Neighbours({site_number: tuple(other for other in keys if other != key)})
