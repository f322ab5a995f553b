"""Where connections to EMRs and to Ocean are made: only to addresses that the installation allows.

A spec's host name is looked up here, every address it leads to is judged, and one of exactly those is called. Nobody
looks it up a second time, so that a name server cannot first show one address and then lead to another. TLS goes on to
ask for the name, and to demand its certificate.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from ipaddress import ip_address
from socket import SOCK_STREAM
from typing import Final

import anyio
import httpcore
import httpx

from ocean_api.addresses import NOT_PUBLIC, AddressRules

_TRIED: Final = 3
"""Addresses of one name that are tried, each for an equal part of the time for connecting."""


class AddressForbiddenError(Exception):
    """A host leads to where nobody may be called from here. No connection was made. Its text is safe to show."""

    def __init__(self, host: str, address: str) -> None:
        super().__init__(f"{host} {'is' if host == address else f'leads to {address},'} {NOT_PUBLIC}")


class GuardedTransport(httpx.AsyncHTTPTransport):
    """How httpx gets to a server. Without httpx' own way round by a proxy of the environment, which judges nothing.

    Raises:
        AddressForbiddenError: Where httpx' transport would raise ConnectError.
    """

    def __init__(self, rules: AddressRules, *, tls: ssl.SSLContext, connections: int) -> None:
        """Open nothing yet.

        Args:
            rules: Where connections may lead.
            tls: Whom to trust.
            connections: How many there may be at the same time.
        """
        super().__init__(verify=tls)
        # httpx has no argument for how connections are made; httpcore, below it, has. Without this line every test
        # of tests/unit/emr/test_connections.py that expects a refusal fails.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=connections,
            keepalive_expiry=httpx.Limits().keepalive_expiry,
            network_backend=_GuardedNetwork(rules),
        )


class _GuardedNetwork(httpcore.AsyncNetworkBackend):
    """TCP to allowed addresses."""

    def __init__(self, rules: AddressRules) -> None:
        self._rules = rules
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address of `host` that answers."""
        addresses = await _looked_up(host, port, timeout)
        for address in addresses:
            if not self._rules.allow(host, ip_address(address)):
                raise AddressForbiddenError(host, address)
        *others, last = addresses[:_TRIED]
        part = timeout / (len(others) + 1) if timeout else None
        for address in others:
            try:
                return await self._network.connect_tcp(address, port, part, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(last, port, part, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._network.sleep(seconds)


async def _looked_up(host: str, port: int, seconds: float | None) -> list[str]:
    """Every address of `host`, at least one, each once, in the resolver's order."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    try:
        with anyio.fail_after(seconds):
            found = await anyio.getaddrinfo(host, port, type=SOCK_STREAM)
    except TimeoutError:
        raise httpcore.ConnectTimeout("the name was not looked up in time") from None
    except (OSError, UnicodeError):
        raise httpcore.ConnectError("nobody knows the name") from None
    return list(dict.fromkeys(address for *_, (address, *_) in found))
