"""What the clinic's pods are told: `site.json`."""

from __future__ import annotations

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


def site_settings(site: Site, spec: OceanSiteSpec, platform: Platform) -> SiteSettings:
    """The clinic's settings, without anything secret."""
    return SiteSettings(
        namespace=site.key.namespace,
        name=site.key.name,
        spec=spec,
        vault=platform.vault or _NO_VAULT,
        database=platform.database or _NO_DATABASE,
        allowed_address_ranges=platform.allowed_address_ranges,
        allowed_host_suffixes=platform.addresses.host_suffixes,
    )


def config_map(site: Site, spec: OceanSiteSpec, platform: Platform) -> Manifest:
    """The settings as the pods read them."""
    settings = site_settings(site, spec, platform)
    head = manifest("v1", "ConfigMap", config_map_name(site), site, "settings")
    return {**head, "data": {names.SITE_SETTINGS_FILE: settings.model_dump_json(by_alias=True, exclude_none=True)}}
