"""Asking servers whether they are ready, and waiting until they are."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable

import httpx

from ocean_dev.components import Layout
from ocean_dev.credentials import ADMIN
from ocean_dev.errors import NotReadyError

_PAUSE_SECONDS = 0.05


def as_admin(layout: Layout) -> httpx.Client:
    """A client of the cluster's API server, as its administrator."""
    context = ssl.create_default_context(cafile=str(layout.authority))
    context.load_cert_chain(layout.certificates / f"{ADMIN}.crt", layout.certificates / f"{ADMIN}.key")
    return httpx.Client(base_url=layout.server, verify=context, timeout=5.0, trust_env=False)


def answers_ok(api: httpx.Client, path: str) -> bool:
    """Whether `path` answers 200 now. A server that is not there yet does not."""
    try:
        return api.get(path).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def wait_until(
    ready: Callable[[], bool],
    *,
    what: str,
    seconds: float = 120,
    given_up: Callable[[], str | None] = lambda: None,
) -> None:
    """Return as soon as `ready` says so.

    Args:
        ready: Asked again and again.
        what: What is waited for, as in "The API server".
        seconds: How long at most.
        given_up: Why waiting on is in vain, once it is.

    Raises:
        NotReadyError: It took too long, or `given_up` had a reason.
    """
    end = time.monotonic() + seconds
    while not ready():
        reason = given_up()
        if reason:
            raise NotReadyError(f"{what} did not start: {reason}")
        if time.monotonic() > end:
            raise NotReadyError(f"{what} was not ready after {seconds:.0f} seconds.")
        time.sleep(_PAUSE_SECONDS)
