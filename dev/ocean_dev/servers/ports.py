"""Loopback ports for servers that can neither choose one themselves nor share one that is held for them."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
