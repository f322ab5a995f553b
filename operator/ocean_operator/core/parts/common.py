"""What all children share: names, labels, the owner. Nothing is ever copied from the parent's labels or annotations."""

from __future__ import annotations

from ocean_api import names
from ocean_operator.core.site import Manifest, Site


def labels(site: Site, component: str) -> dict[str, str]:
    """The labels of a child or a pod of `site`."""
    return {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.PART_OF_LABEL: "ocean-cloud-connect",
        names.COMPONENT_LABEL: component,
        names.SITE_LABEL: site.key.name,
    }


def manifest(api_version: str, kind: str, name: str, site: Site, component: str) -> Manifest:
    """The head of a child of `site`: a controlled object in the site's namespace."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": site.key.namespace,
            "labels": labels(site, component),
            "ownerReferences": [
                {
                    "apiVersion": names.API_VERSION,
                    "kind": names.KIND,
                    "name": site.key.name,
                    "uid": site.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
    }
