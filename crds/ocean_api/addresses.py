"""Which addresses a clinic's pods may call: judged by their form at admission, and by where they lead when called."""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

NOT_PUBLIC: Final = "a loopback, link-local, private or cluster address"
"""What an address is that nobody may call unless the installation allows it."""

_INTERNAL_SUFFIXES: Final = (".svc", ".local", ".localhost", ".localdomain", ".internal")
_PUBLIC_IPV6: Final = ipaddress.ip_network("2000::/3")
"""IANA's only range of global unicast addresses: all that embeds an IPv4 address elsewhere lies outside (RFC 4291)."""
_EMBEDDING: Final = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"))
"""6to4 (RFC 3056) and Teredo (RFC 4380): an IPv4 address, private perhaps, within a global one."""
_IPV4: Final = 4
_PROTOCOLS: Final = ipaddress.ip_network("192.0.0.0/24")
_THIS_HOST: Final = ipaddress.ip_network("0.0.0.0/8")


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which addresses a spec may name, and its pods may call, although they are private to the cluster."""

    ranges: tuple[IPNetwork, ...] = ()
    host_suffixes: tuple[str, ...] = ()
    """Each beginning with a dot."""

    @classmethod
    def parse(cls, ranges: Iterable[str], host_suffixes: Iterable[str]) -> AddressRules:
        """From settings. Raises ValueError for what is no CIDR range, also for an address without its length."""
        return cls(
            tuple(_network(r) for r in ranges),
            tuple("." + s.strip(".").lower() for s in host_suffixes),
        )

    def allow(self, host: str, address: IPAddress) -> bool:
        """Whether `host` may be called at `address`, one of those that its name leads to.

        An allowed suffix opens what is private to the cluster. It does not open the pod itself, nor the link it is on,
        where clouds hand out credentials: whoever may change a name there could have it lead to them.
        """
        if self.holds(address) or _is_public(address):
            return True
        return self.knows(host) and not _is_near(address)

    def holds(self, address: IPAddress) -> bool:
        """Whether `address` is in an allowed range."""
        return any(address in allowed for allowed in self.ranges if allowed.version == address.version)

    def knows(self, host: str) -> bool:
        """Whether `host` has an allowed suffix."""
        return any(host.rstrip(".").lower().endswith(suffix) for suffix in self.host_suffixes)


PUBLIC_ONLY: Final = AddressRules()
"""Nothing that is private to the cluster."""


def _network(text: str) -> IPNetwork:
    if "/" not in text:
        raise ValueError(f"{text!r} is no CIDR range: write {text}/32 or {text}/128 for a single address")
    return ipaddress.ip_network(text)


def forbidden(url: str, rules: AddressRules) -> str:
    """Why a spec may not name `url`, or an empty string.

    Names are judged by their form alone; where they lead is judged when they are called, by `AddressRules.allow`.
    """
    try:
        parts = urlsplit(url)
        host, port = unicodedata.normalize("NFKC", parts.hostname or "").rstrip(".").lower(), parts.port
    except ValueError:
        return "is not an address"
    if not host or port == 0:
        return "is not an address"
    if rules.knows(host):
        return ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _forbidden_name(host)
    return "" if rules.holds(address) or _is_public(address) else f"is {NOT_PUBLIC}"


def _is_public(address: IPAddress) -> bool:
    if address.is_multicast or not address.is_global:
        return False
    if address.version == _IPV4:
        return address not in _PROTOCOLS
    return address in _PUBLIC_IPV6 and not any(address in network for network in _EMBEDDING)


def _is_near(address: IPAddress) -> bool:
    """Whether `address` is this machine, its link, or nobody's."""
    plain = getattr(address, "ipv4_mapped", None) or address
    return (
        plain.is_loopback
        or plain.is_link_local
        or plain.is_multicast
        or plain.is_unspecified
        or plain.is_reserved
        or plain in _THIS_HOST
    )


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
