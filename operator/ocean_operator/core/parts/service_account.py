"""The identity of a clinic's pods."""

from __future__ import annotations

from ocean_api import names
from ocean_operator.core.parts.common import manifest
from ocean_operator.core.site import Manifest, Site


def service_account(site: Site) -> Manifest:
    """The account, without the API token that pods get by default: they have no business with the API server."""
    head = manifest("v1", "ServiceAccount", names.service_account(site.key.name), site, "identity")
    return {**head, "automountServiceAccountToken": False}
