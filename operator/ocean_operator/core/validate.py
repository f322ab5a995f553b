"""What is wrong with a spec that the schema cannot say: addresses, and what other clinics have already."""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from ocean_api.reasons import Reason
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_operator.core.site import SiteKey

_HTTPS: Final = 443
_INTERNAL_SUFFIXES: Final = (".svc", ".local", ".localhost", ".localdomain", ".internal")
_PUBLIC_IPV6: Final = ipaddress.ip_network("2000::/3")
"""IANA's only range of global unicast addresses: all that embeds an IPv4 address elsewhere lies outside (RFC 4291)."""
_EMBEDDING: Final = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"))
"""6to4 (RFC 3056) and Teredo (RFC 4380): an IPv4 address, private perhaps, within a global one."""
_IPV4: Final = 4
_PROTOCOLS: Final = ipaddress.ip_network("192.0.0.0/24")


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which addresses a spec may name although they are private to the cluster."""

    ranges: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    host_suffixes: tuple[str, ...] = ()
    """Each beginning with a dot."""

    @classmethod
    def parse(cls, ranges: Iterable[str], host_suffixes: Iterable[str]) -> AddressRules:
        """From settings. Raises ValueError for what is no CIDR range, also for an address without its length."""
        return cls(
            tuple(_network(r) for r in ranges),
            tuple("." + s.strip(".").lower() for s in host_suffixes),
        )


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if "/" not in text:
        raise ValueError(f"{text!r} is no CIDR range: write {text}/32 or {text}/128 for a single address")
    return ipaddress.ip_network(text)


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


def forbidden(url: str, rules: AddressRules) -> str:
    """Why `url` may not be called, or an empty string.

    Names are judged by their form alone: what they resolve to is the NetworkPolicy's business.
    """
    try:
        parts = urlsplit(url)
        host, port = unicodedata.normalize("NFKC", parts.hostname or "").rstrip(".").lower(), parts.port
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
    return "" if _is_public(address) else "is a loopback, link-local, private or cluster address"


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if address.is_multicast or not address.is_global:
        return False
    if address.version == _IPV4:
        return address not in _PROTOCOLS
    return address in _PUBLIC_IPV6 and not any(address in network for network in _EMBEDDING)


def _forbidden_name(host: str) -> str:
    if host == "localhost" or host.endswith(_INTERNAL_SUFFIXES):
        return "is a loopback or cluster address"
    if "." not in host:
        return "is a name that only this cluster or machine knows"
    top = host.rsplit(".", 1)[1]
    if "-" in top and not top.startswith("xn--"):
        return "is a name that only this cluster or machine knows"
    if top.isdigit() or top.startswith("0x"):
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
