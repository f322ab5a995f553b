"""What is wrong with a spec that the schema cannot say: addresses, and what other clinics have already."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ocean_api.reasons import Reason
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_operator.core.site import SiteKey

_INTERNAL_SUFFIXES = (".svc", ".cluster.local", ".localhost", ".internal")


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which addresses a spec may name although they are private to the cluster."""

    ranges: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    host_suffixes: tuple[str, ...] = ()
    """Each beginning with a dot."""

    @classmethod
    def parse(cls, ranges: Iterable[str], host_suffixes: Iterable[str]) -> AddressRules:
        """From settings. Raises ValueError for what is no CIDR range."""
        return cls(
            tuple(ipaddress.ip_network(r) for r in ranges),
            tuple("." + s.strip(".").lower() for s in host_suffixes),
        )


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


def forbidden(url: str, rules: AddressRules) -> str:
    """Why `url` may not be called, or an empty string.

    Names are judged by their form alone: what they resolve to is the NetworkPolicy's business.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip(".").lower(), parts.port
    except ValueError:
        return "is not an address"
    if not host or port == 0:
        return "is not an address"
    if any(host.endswith(suffix) for suffix in rules.host_suffixes):
        return ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _forbidden_name(host)
    if any(address in allowed for allowed in rules.ranges if allowed.version == address.version):
        return ""
    return "" if address.is_global else "is a loopback, link-local, private or cluster address"


def _forbidden_name(host: str) -> str:
    if host == "localhost" or host.endswith(_INTERNAL_SUFFIXES):
        return "is a loopback or cluster address"
    if "." not in host:
        return "is a name that only this cluster or machine knows"
    if host.rsplit(".", 1)[1].isdigit() or host.rsplit(".", 1)[1].startswith("0x"):
        return "is an address in a form that hides where it leads"
    return ""


def _site_number(key: SiteKey, spec: OceanSiteSpec, neighbours: Neighbours) -> Iterator[Finding]:
    holders = neighbours.site_numbers.get(spec.site_number, ())
    if holders and holders[0] != key:
        yield Finding(
            Reason.SITE_NUMBER_TAKEN,
            f"spec.siteNumber: {spec.site_number} belongs to OceanSite {holders[0]} already; correct the number, "
            "or delete that OceanSite first",
        )
