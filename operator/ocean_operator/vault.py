"""The operator's side of Vault: it may create keys and never read one, and keeps each site's database role.

hvac is synchronous, so calls run in a few threads. The token comes from the operator's own projected
service-account token; `VAULT_TOKEN` in the environment is never looked at.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import hvac
import hvac.exceptions
import requests

from ocean_api import names
from ocean_api.reasons import Reason
from ocean_operator.core.intake import StoredKey
from ocean_operator.core.site import SiteKey

_TIMEOUT_SECONDS: Final = 10
_THREADS: Final = 4
"""Python runs one at a time anyway; each keeps a connection and memory of its own."""
_RENEW_AT: Final = 2 / 3
_LOGIN_LIFE: Final = "2h"
CREATION_STATEMENT: Final = "select ocean_login.create_login('{{name}}', '{{password}}', '{{expiration}}')"
REVOCATION_STATEMENT: Final = "select ocean_login.drop_login('{{name}}')"
"""The only statements the operator's policy in Vault lets it put into a role; a test compares the two."""
T = TypeVar("T")


class VaultError(Exception):
    """Vault could not be asked, or refused. The text never holds a secret or a path's content."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Vault:
    """Calls to one Vault or OpenBao.

    Args:
        address: https URL.
        ca_file: PEM file of its authority; empty: the public ones.
        token_file: The operator's projected token, with Vault's audience. Read anew at every login.
        may_act: Called right before each call; what it raises keeps it from being made.
    """

    def __init__(self, address: str, *, ca_file: str, token_file: str, may_act: Callable[[], None]) -> None:
        self._address, self._ca_file, self._token_file = address, ca_file, token_file
        self._may_act = may_act
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="vault")
        self._local = threading.local()
        self._login_lock = threading.Lock()
        self._token, self._renew_at = "", 0.0

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def key(self, site: SiteKey) -> StoredKey:
        """What Vault says about the site's key; version 0 where there is none."""
        return await self._run(lambda client: _read_metadata(client, site))

    async def store_key(self, site: SiteKey, sek: str, *, source: str, intake: str) -> None:
        """Store the first version of a key. Refused by Vault (`KeyAlreadyStored`) where there is one already."""

        def write(client: hvac.Client) -> None:
            client.secrets.kv.v2.create_or_update_secret(
                names.sek_path(*site), {names.SEK_FIELD: sek}, cas=0, mount_point=names.VAULT_KV_MOUNT
            )
            _write_metadata(client, site, _description(source, intake))

        await self._run(write)

    async def describe_key(self, site: SiteKey, *, source: str, intake: str) -> None:
        """Say of a stored key where it came from, with a new fingerprint: its storing was interrupted."""
        await self._run(lambda client: _write_metadata(client, site, _description(source, intake)))

    async def amend_key(self, site: SiteKey, **changes: str) -> None:
        """Change some of what is said about the stored key; an empty value takes the word away."""
        await self._run(lambda client: _write_metadata(client, site, changes))

    async def mark_retained(self, site: SiteKey) -> None:
        """Note that the site was deleted and its key kept; no note where there is no key."""
        if (await self.key(site)).version:
            await self.amend_key(site, retainedAt=_now())

    async def delete_key(self, site: SiteKey) -> None:
        """Destroy the key, all versions and what is said about them. Nothing happens where there is none."""
        await self._run(
            lambda client: client.secrets.kv.v2.delete_metadata_and_all_versions(
                names.sek_path(*site), mount_point=names.VAULT_KV_MOUNT
            )
        )

    async def ensure_database_role(self, site: SiteKey) -> None:
        """Vault's database role through which the site's pods get their logins."""

        def write(client: hvac.Client) -> None:
            # Not hvac's own method: it sends lists, and the policy compares texts.
            client.write_data(
                f"{names.VAULT_DATABASE_MOUNT}/roles/{names.vault_database_role(*site)}",
                data={
                    "db_name": names.VAULT_DATABASE_CONNECTION,
                    "creation_statements": CREATION_STATEMENT,
                    "revocation_statements": REVOCATION_STATEMENT,
                    "default_ttl": _LOGIN_LIFE,
                    "max_ttl": _LOGIN_LIFE,
                },
            )

        await self._run(write)

    async def remove_database_role(self, site: SiteKey) -> None:
        """No more logins for the site's pods. Nothing happens where there is no role."""
        await self._run(
            lambda client: client.secrets.database.delete_role(
                name=names.vault_database_role(*site), mount_point=names.VAULT_DATABASE_MOUNT
            )
        )

    async def database_login(self) -> tuple[str, str, float]:
        """A login of the operator's own in PostgreSQL: user, password, seconds it is good for."""

        def read(client: hvac.Client) -> tuple[str, str, float]:
            answer = client.secrets.database.generate_credentials(
                names.VAULT_OPERATOR_DATABASE_ROLE, mount_point=names.VAULT_DATABASE_MOUNT
            )
            data = answer["data"]
            return data["username"], data["password"], float(answer["lease_duration"])

        return await self._run(read)

    async def _run(self, call: Callable[[hvac.Client], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._guarded, call)

    def _guarded(self, call: Callable[[hvac.Client], T]) -> T:
        """`call` with a client that is logged in; once more with a fresh login where the token is no longer good."""
        try:
            try:
                return call(self._client())
            except hvac.exceptions.Forbidden:
                self._renew_at = 0.0
                return call(self._client())
        except hvac.exceptions.Forbidden:
            raise VaultError(Reason.VAULT_ACCESS_REFUSED, "Vault denies the operator a path it needs.") from None
        except hvac.exceptions.InvalidRequest as error:
            raise _invalid(error) from None
        except (hvac.exceptions.VaultError, requests.RequestException, OSError) as error:
            raise VaultError(Reason.VAULT_UNAVAILABLE, f"Vault does not serve ({type(error).__name__}).") from None

    def _client(self) -> hvac.Client:
        client: hvac.Client | None = getattr(self._local, "client", None)
        if client is None:
            verify: str | bool = self._ca_file or True
            client = hvac.Client(  # type: ignore[no-untyped-call]
                url=self._address, token="", verify=verify, timeout=_TIMEOUT_SECONDS
            )
            self._local.client = client
        with self._login_lock:
            if time.monotonic() >= self._renew_at:
                self._log_in(client)
        client.token = self._token
        self._may_act()
        return client

    def _log_in(self, client: hvac.Client) -> None:
        client.token = ""
        answer = client.auth.kubernetes.login(
            role=names.VAULT_OPERATOR_ROLE,
            jwt=Path(self._token_file).read_text().strip(),
            use_token=False,
            mount_point=names.VAULT_AUTH_MOUNT,
        )
        auth: dict[str, Any] = answer["auth"]
        self._token = auth["client_token"]
        self._renew_at = time.monotonic() + auth["lease_duration"] * _RENEW_AT


def _invalid(error: hvac.exceptions.InvalidRequest) -> VaultError:
    if "check-and-set" in str(error):
        return VaultError(Reason.KEY_ALREADY_STORED, "Vault holds a key for this clinic already.")
    return VaultError(Reason.VAULT_ACCESS_REFUSED, "Vault calls the operator's request invalid.")


def _read_metadata(client: hvac.Client, site: SiteKey) -> StoredKey:
    try:
        answer = client.secrets.kv.v2.read_secret_metadata(names.sek_path(*site), mount_point=names.VAULT_KV_MOUNT)
    except hvac.exceptions.InvalidPath:
        return StoredKey()
    data = answer["data"]
    said: dict[str, str] = data.get("custom_metadata") or {}
    version = int(data.get("current_version") or 0)
    state = (data.get("versions") or {}).get(str(version)) or {}
    if state.get("destroyed") or state.get("deletion_time"):
        version = 0
    return StoredKey(
        version=version,
        fingerprint=said.get("fingerprint", ""),
        stored_at=said.get("storedAt", ""),
        source=said.get("source", ""),
        intake=said.get("intake", ""),
        accepted=said.get("accepted") == "true",
        retained="retainedAt" in said,
    )


def _write_metadata(client: hvac.Client, site: SiteKey, said: dict[str, str]) -> None:
    """Merge `said` into what Vault says of the key (RFC 7386). hvac knows no PATCH of metadata.

    Source: Vault API, KV v2, "Patch metadata". Only PATCH leaves `cas_required` and the versions alone.
    """
    client.adapter.request(
        "patch",
        f"/v1/{names.VAULT_KV_MOUNT}/metadata/{names.sek_path(*site)}",
        headers={"Content-Type": "application/merge-patch+json"},
        json={"custom_metadata": {k: v or None for k, v in said.items()}},
    )


def _description(source: str, intake: str) -> dict[str, str]:
    said = {"fingerprint": uuid.uuid4().hex[:16], "storedAt": _now(), "source": source}
    return {**said, "intake": intake} if intake else said


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
