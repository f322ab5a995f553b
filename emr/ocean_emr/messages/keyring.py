"""The clinic's keys as its worker holds them: the present one for minutes, earlier ones for what they had sealed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import anyio

from ocean_emr.envelope import DataKey, Place, StoredDataUnreadableError
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.pod import key_name, open_data_key
from ocean_emr.store import data_keys
from ocean_emr.store.database import Database
from ocean_emr.store.messages import Sealed
from ocean_emr.vault.access import SiteAccess
from ocean_emr.vault.client import StoredKey
from ocean_emr.vault.errors import KeyMissingError

KEPT_SECONDS: Final = 300.0
"""How long a key from Vault is used before Vault is asked, and writes down, again."""
_MOST_EARLIER: Final = 3
"""So many keys before the present one are tried on what Ocean gives."""


@dataclass(frozen=True, slots=True)
class Ring:
    """What was read from Vault at one moment."""

    stored: StoredKey
    data_key: DataKey

    @property
    def name(self) -> str:
        """The present key's name."""
        return key_name(self.stored)


@dataclass(slots=True)
class Keyring:
    """Keys in memory. Nothing of it is written anywhere."""

    access: SiteAccess
    clock: Callable[[], float] = time.monotonic
    _ring: Ring | None = None
    _read_at: float = 0.0
    _opened: dict[str, DataKey] = field(default_factory=dict)
    _earlier: tuple[SharedEncryptionKey, ...] | None = None
    _one_at_a_time: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def name(self) -> str:
        """The present key's name as far as is known; empty at the beginning."""
        return "" if self._ring is None else self._ring.name

    async def ring(self) -> Ring:
        """The present keys.

        Raises:
            VaultError: As listed in `vault/errors.py`.
            StoreError: As listed in `store/errors.py`.
            StoredDataUnreadableError: The data key kept for the present key does not open.
        """
        async with self._one_at_a_time:
            if self._ring is None or self.clock() - self._read_at > KEPT_SECONDS:
                stored = await self.access.key()
                if self._ring is None or self._ring.name != key_name(stored):
                    self._ring = Ring(stored, await open_data_key(self.access, stored))
                    self._opened[self._ring.name] = self._ring.data_key
                    self._earlier = None
                self._read_at = self.clock()
            return self._ring

    async def at_hand(self) -> Ring:
        """The keys as they were read last, however long ago; read now if they never were.

        Raises:
            VaultError: As listed in `vault/errors.py`.
            StoreError: As listed in `store/errors.py`.
        """
        return self._ring or await self.ring()

    async def seal(self, content: bytes, place: Place) -> Sealed:
        """`content` under the present key."""
        ring = await self.ring()
        return Sealed(ring.data_key.seal(content, place), ring.name)

    async def open(self, sealed: Sealed, place: Place) -> bytes:
        """What was sealed for `place`, under whichever key.

        Raises:
            StoredDataUnreadableError: Its key is not to be had any more, or it was altered.
        """
        return (await self._data_key(sealed.key)).open(sealed.data, place)

    async def earlier(self) -> tuple[SharedEncryptionKey, ...]:
        """The clinic's last few Shared Encryption Keys before the present one: Ocean may have encrypted under them.

        Raises:
            VaultError: As listed in `vault/errors.py`.
            StoreError: As listed in `store/errors.py`.
        """
        newest = (await self.ring()).stored.version
        if self._earlier is None:
            found = []
            for version in range(newest - 1, max(0, newest - 1 - _MOST_EARLIER), -1):
                with contextlib.suppress(KeyMissingError):
                    found.append((await self.access.key(version)).key)
            self._earlier = tuple(found)
        return self._earlier

    async def _data_key(self, name: str) -> DataKey:
        known = self._opened.get(name)
        if known is not None:
            return known
        await self.ring()
        if name not in self._opened:
            self._opened[name] = await data_key_named(self.access, name)
        return self._opened[name]


class KeySource(Protocol):
    """Where a clinic's keys are: its Vault and its database, as its pods or a person reach them."""

    @property
    def site(self) -> str:
        """The clinic, as `namespace/name`."""
        ...

    @property
    def database(self) -> Database:
        """The clinic's rows."""
        ...

    async def key(self, version: int | None = None) -> StoredKey:
        """The Shared Encryption Key, the present one or that version of it. Vault records each reading."""
        ...


async def data_key_named(source: KeySource, name: str) -> DataKey:
    """The data key of that name, opened under the version of the Shared Encryption Key that the name tells.

    Raises:
        VaultError: As listed in `vault/errors.py`.
        StoreError: As listed in `store/errors.py`.
        StoredDataUnreadableError: It is not to be had any more, or was altered.
    """
    async with source.database.transaction() as transaction:
        envelope = await data_keys.read(transaction, site=source.site, sek_fingerprint=name)
    _, _, version = name.rpartition("/")
    if envelope is None or not version.isdigit():
        raise StoredDataUnreadableError("a message's key")
    try:
        stored = await source.key(int(version))
    except KeyMissingError:
        raise StoredDataUnreadableError("a message's key") from None
    return DataKey.unwrap(envelope, stored.key, site=source.site)
