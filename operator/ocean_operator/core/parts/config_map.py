"""What the clinic's pods are told: `site.json`."""

from __future__ import annotations

import hashlib

from ocean_api import names
from ocean_api.settings import DatabaseAccess, SiteSettings, VaultAccess
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_operator.core.parts.common import manifest
from ocean_operator.core.platform import Platform
from ocean_operator.core.site import Manifest, Site

_NO_VAULT = VaultAccess(address="")
_NO_DATABASE = DatabaseAccess(host="")


def config_map_name(site: Site) -> str:
    """The ConfigMap's name."""
    return names.child(site.key.name, "site")


def config_map(site: Site, spec: OceanSiteSpec, platform: Platform) -> Manifest:
    """The clinic's settings, without anything secret."""
    settings = SiteSettings(
        namespace=site.key.namespace,
        name=site.key.name,
        spec=spec,
        vault=platform.vault or _NO_VAULT,
        database=platform.database or _NO_DATABASE,
        allowed_address_ranges=platform.allowed_address_ranges,
        allowed_host_suffixes=platform.addresses.host_suffixes,
    )
    head = manifest("v1", "ConfigMap", config_map_name(site), site, "settings")
    return {**head, "data": {names.SITE_SETTINGS_FILE: settings.model_dump_json(by_alias=True, exclude_none=True)}}


def digest(settings: Manifest) -> str:
    """A short digest of the settings, for names that must change with them."""
    return hashlib.sha256(settings["data"][names.SITE_SETTINGS_FILE].encode()).hexdigest()[:12]
