"""How the local cluster can fail, cut by what the person at the keyboard does next."""

from __future__ import annotations


class DevError(Exception):
    """The local cluster cannot do what was asked. Its text says what happened and what to do next."""


class CommandError(DevError):
    """A program that was run said no. Its text holds the program's own words."""


class NotReadyError(DevError):
    """A server was started and did not become ready. Its text names the log to read."""
