"""How Vault can fail, cut by what the caller does next.

VaultError
├── VaultUnavailableError     end this run, the next one tries again: away, sealed, or unable to write its audit
├── VaultAccessRefusedError   end this run until a person has acted: role, policy or token
├── KeyMissingError           end this run until a key is handed over
└── VaultAnswerError          end this run: something else than Vault answers, or the key is stored in another form
"""

from __future__ import annotations

from typing import ClassVar

from ocean_api.reasons import Reason


class VaultError(Exception):
    """Vault did not give what was asked. Its text holds paths and codes, never a key, a password or a token."""

    reason: ClassVar[Reason] = Reason.VAULT_UNAVAILABLE
    """The condition reason. Public: alerts match on it."""


class VaultUnavailableError(VaultError):
    """Vault cannot be reached, is sealed, or cannot write its audit log or reach PostgreSQL."""


class VaultAccessRefusedError(VaultError):
    """Vault says no to this login or path. It also says so while it cannot ask Kubernetes about a token."""

    reason = Reason.VAULT_ACCESS_REFUSED


class KeyMissingError(VaultError):
    """Vault holds no key for the site, or its newest version was deleted."""

    reason = Reason.KEY_MISSING


class VaultAnswerError(VaultError):
    """What came is not what Vault answers."""
