"""What is wrong with a spec that the schema cannot say: addresses, and what other clinics have already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from ocean_api.addresses import AddressRules, forbidden
from ocean_api.reasons import Reason
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_operator.core.site import SiteKey

__all__ = ["AddressRules", "Finding", "Neighbours", "findings", "forbidden", "port_of", "urls"]

_HTTPS: Final = 443


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that makes a spec unusable."""

    reason: Reason
    message: str
    """Begins with the field, ends with the remedy."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the other OceanSites of the cluster have, as far as a spec may not repeat it."""

    site_numbers: dict[str, tuple[SiteKey, ...]] = field(default_factory=dict)
    """Oldest first."""


def findings(key: SiteKey, spec: OceanSiteSpec, *, rules: AddressRules, neighbours: Neighbours) -> tuple[Finding, ...]:
    """Everything wrong with `spec`, in the spec's order; empty when it can be carried out."""
    return (*_addresses(spec, rules), *_site_number(key, spec, neighbours))


def _addresses(spec: OceanSiteSpec, rules: AddressRules) -> Iterator[Finding]:
    for field_name, url in urls(spec):
        why = forbidden(url, rules)
        if why:
            yield Finding(
                Reason.ADDRESS_FORBIDDEN,
                f"{field_name}: {why}; use the public address, or have the platform engineer allow it "
                "(chart: network.allowedAddressRanges, network.allowedHostSuffixes)",
            )


def urls(spec: OceanSiteSpec) -> Sequence[tuple[str, str]]:
    """Every address the clinic's pods will call, with the field it stands in."""
    found = [("spec.ocean.url", spec.ocean.url)]
    if spec.emr.oscar_pro:
        found.append(("spec.emr.oscarPro.url", spec.emr.oscar_pro.url))
    if spec.emr.fhir:
        found.append(("spec.emr.fhir.url", spec.emr.fhir.url))
        found.append(("spec.emr.fhir.tokenUrl", spec.emr.fhir.token_url))
    return found


def port_of(url: str) -> int | None:
    """The port `url` leads to; None for what is no address, which `forbidden` says in words."""
    try:
        return urlsplit(url).port or _HTTPS
    except ValueError:
        return None


def _site_number(key: SiteKey, spec: OceanSiteSpec, neighbours: Neighbours) -> Iterator[Finding]:
    holders = neighbours.site_numbers.get(spec.site_number, ())
    if holders and holders[0] != key:
        yield Finding(
            Reason.SITE_NUMBER_TAKEN,
            f"spec.siteNumber: {spec.site_number} belongs to OceanSite {holders[0]} already; correct the number, "
            "or delete that OceanSite first",
        )
