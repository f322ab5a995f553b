"""Vault as a pod uses it: log in as oneself, read one's own key, get a database login. OpenBao is the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

import anyio
import anyio.to_thread
import hvac
import hvac.exceptions
import requests

from ocean_api import names
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.store.database import Login
from ocean_emr.vault.errors import (
    KeyMissingError,
    VaultAccessRefusedError,
    VaultAnswerError,
    VaultUnavailableError,
)

_T = TypeVar("_T")

_AWAY = (
    hvac.exceptions.InternalServerError,
    hvac.exceptions.BadGateway,
    hvac.exceptions.VaultDown,
    hvac.exceptions.VaultNotInitialized,
    hvac.exceptions.RateLimitExceeded,
)
_REFUSED = (hvac.exceptions.Forbidden, hvac.exceptions.Unauthorized, hvac.exceptions.InvalidRequest)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A site's key as Vault keeps it."""

    key: SharedEncryptionKey
    fingerprint: str
    """A random id, kept beside the key; the key cannot be guessed from it."""
    version: int
    """Vault's version of the secret."""


class Vault:
    """A pod's access. Use it with `async with`: at the end its tokens are revoked, and database logins with them."""

    def __init__(self, *, address: str, ca_file: str | Path, token_file: Path, role: str, timeout: float = 10) -> None:
        """Prepare, and do nothing yet.

        Args:
            address: https address.
            ca_file: Authorities to trust, as PEM.
            token_file: The projected service-account token; the kubelet renews it, so it is read at each login.
            role: Role of the Kubernetes auth method.
            timeout: Seconds for one request.
        """
        self._session = requests.Session()
        # Neither proxies, nor ~/.netrc, nor other authorities from the environment.
        self._session.trust_env = False
        self._session.verify = str(ca_file)
        self._address = address
        self._token_file = token_file
        self._role = role
        self._timeout = timeout
        # hvac and requests are synchronous and share one session: one call at a time, in a thread.
        self._one_at_a_time = anyio.Lock()
        self._tokens: list[_Token] = []

    async def __aenter__(self) -> Self:
        """Nothing yet: the first call logs in."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Revoke what was handed out. If Vault is away, it ends by itself in its time."""
        with anyio.CancelScope(shield=True):
            await self._in_thread(self._revoke_all)

    async def site_key(self, namespace: str, name: str, version: int | None = None) -> StoredKey:
        """The site's key. Vault records that it was read, and by whom.

        Args:
            namespace: The site's namespace.
            name: The site's name.
            version: Vault's version of it; the present one if None.

        Raises:
            VaultError: As listed in `errors.py`.
        """
        return await self._in_thread(lambda: self._read_key(names.sek_path(namespace, name), version))

    async def database_login(self, role: str) -> Login:
        """A new database login from Vault's database role `role`.

        Each comes with a token of its own, since a login ends with the token it was asked with.

        Raises:
            VaultError: As listed in `errors.py`.
        """
        return await self._in_thread(lambda: self._make_login(role))

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        async with self._one_at_a_time:
            return await anyio.to_thread.run_sync(work)

    def _client(self, token: str = "") -> hvac.Client:
        # An empty token and certificate, not None: for None hvac looks into the environment and the home folder.
        return hvac.Client(  # type: ignore[no-untyped-call]
            url=self._address,
            token=token,
            cert=(),
            timeout=self._timeout,
            session=self._session,
            allow_redirects=False,
        )

    def _log_in(self) -> hvac.Client:
        try:
            jwt = self._token_file.read_text().strip()
        except OSError as error:
            raise VaultAccessRefusedError(
                f"There is no service-account token at {self._token_file}: {error.strerror}."
            ) from None
        path = f"auth/{names.VAULT_AUTH_MOUNT}/login"
        try:
            answer = self._client().write_data(path, data={"role": self._role, "jwt": jwt})
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            raise_vault_error(error, f"log in as {self._role}")
        auth = _member(answer, "auth")
        token = _Token(_text(auth, "client_token"), time.monotonic() + _number(auth, "lease_duration"))
        self._tokens = [known for known in self._tokens if known.ends > time.monotonic()]
        self._tokens.append(token)
        return self._client(token.value)

    def _read_key(self, path: str, version: int | None) -> StoredKey:
        client = self._log_in()
        try:
            return read_key(client, path, version)
        finally:
            self._revoke(self._tokens.pop())

    def _make_login(self, role: str) -> Login:
        login, _lease = make_login(self._log_in(), role)
        return login

    def _revoke(self, token: _Token) -> None:
        try:
            self._client(token.value).auth.token.revoke_self()
        except (hvac.exceptions.VaultError, requests.RequestException):
            return

    def _revoke_all(self) -> None:
        while self._tokens:
            self._revoke(self._tokens.pop())
        self._session.close()


@dataclass(frozen=True, slots=True, repr=False)
class _Token:
    value: str
    ends: float


def read_key(client: hvac.Client, path: str, version: int | None = None) -> StoredKey:
    """The key at `path` under the token of `client`; the present one if no version is named.

    Raises:
        VaultError: As listed in `errors.py`.
    """
    try:
        answer = client.secrets.kv.v2.read_secret_version(
            path, version=version, mount_point=names.VAULT_KV_MOUNT, raise_on_deleted_version=True
        )
    except hvac.exceptions.InvalidPath:
        raise KeyMissingError(f"Vault holds no key at {names.VAULT_KV_MOUNT}/{path}.") from None
    except Exception as error:  # noqa: BLE001 - sorted and raised again
        raise_vault_error(error, f"read {names.VAULT_KV_MOUNT}/{path}")
    data = _member(answer, "data")
    metadata = _member(data, "metadata")
    custom = metadata.get("custom_metadata") or {}
    if not custom.get("fingerprint"):
        # Between the two requests that store a key, or after somebody stored one by hand.
        raise VaultAnswerError("The key in Vault has no fingerprint beside it yet; the operator adds one.")
    return StoredKey(
        SharedEncryptionKey(_text(_member(data, "data"), names.SEK_FIELD)),
        fingerprint=_text(custom, "fingerprint"),
        version=int(_number(metadata, "version")),
    )


def make_login(client: hvac.Client, role: str) -> tuple[Login, str]:
    """A new database login from Vault's database role `role`, and the lease by which it can be ended.

    Raises:
        VaultError: As listed in `errors.py`.
    """
    try:
        answer = client.secrets.database.generate_credentials(role, mount_point=names.VAULT_DATABASE_MOUNT)
    except Exception as error:  # noqa: BLE001 - sorted and raised again
        raise_vault_error(error, f"get a database login from {role}")
    data = _member(answer, "data")
    login = Login(_text(data, "username"), _text(data, "password"), _number(answer, "lease_duration"))
    return login, _text(answer, "lease_id")


def raise_vault_error(error: Exception, what: str) -> NoReturn:
    """Raise what `error` means for the caller. Vault's own words are kept: they name paths and causes, no secrets."""
    said = str(error.args[0]) if error.args else ""
    match error:
        case requests.exceptions.SSLError():
            raise VaultUnavailableError(f"Vault's certificate is not to be trusted; wanted to {what}.") from None
        case requests.ConnectionError() | requests.Timeout():
            raise VaultUnavailableError(f"Vault cannot be reached ({type(error).__name__}) to {what}.") from None
        case hvac.exceptions.VaultError() if isinstance(error, _AWAY):
            raise VaultUnavailableError(f"Vault could not {what}: {said}") from None
        case hvac.exceptions.VaultError() if isinstance(error, _REFUSED):
            raise VaultAccessRefusedError(f"Vault refused to {what}: {said}") from None
        case hvac.exceptions.VaultError() | requests.RequestException():
            raise VaultAnswerError(f"Vault gave no proper answer when asked to {what}.") from None
        case _:
            raise error


def _member(answer: Any, name: str) -> dict[str, Any]:
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, dict):
        raise VaultAnswerError(f"Vault's answer has no {name!r}.")
    return value


def _text(answer: dict[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise VaultAnswerError(f"Vault's answer has no {name!r}.")
    return value


def _number(answer: dict[str, Any], name: str) -> float:
    value = answer.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise VaultAnswerError(f"Vault's answer has no {name!r}.")
    return value
