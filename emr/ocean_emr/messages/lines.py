"""The lines to Ocean and to the EMR, open for as long as the credentials stay the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from ocean_emr.contract import EmrAdapter
from ocean_emr.messages.deliveries import Event
from ocean_emr.messages.expand import Fetched
from ocean_emr.messages.fetch import fetch
from ocean_emr.messages.keyring import Keyring
from ocean_emr.ocean.errors import SekMismatchError
from ocean_emr.ocean.inbox import OceanInbox
from ocean_emr.pod import Credentials, ocean_access
from ocean_emr.registry import open_adapter
from ocean_emr.vault.access import SiteAccess


@dataclass(slots=True)
class Lines:
    """Open ones. One task at a time uses an adapter, so there are as many as are needed at once."""

    access: SiteAccess
    credentials: Credentials
    ocean: OceanInbox
    keys: Keyring
    _adapters: AsyncExitStack
    _idle: list[EmrAdapter] = field(default_factory=list)

    async def fetch(self, event: Event) -> Fetched:
        """What Ocean has for `event`. Earlier keys are tried only on what the present one does not open."""
        present = (await self.keys.ring()).stored.key
        settings = self.access.settings.spec.messages
        try:
            return await fetch(event, self.ocean, (present,), settings)
        except SekMismatchError:
            earlier = await self.keys.earlier()
            if not earlier:
                raise
        return await fetch(event, self.ocean, (present, *earlier), settings)

    @asynccontextmanager
    async def adapter(self) -> AsyncIterator[EmrAdapter]:
        """An adapter for one task.

        Raises:
            EmrAuthRefusedError: The credentials lack something.
        """
        if self._idle:
            taken = self._idle.pop()
        else:
            settings = self.access.settings
            taken = await self._adapters.enter_async_context(
                open_adapter(settings.spec.emr, self.credentials.emr, settings.addresses)
            )
        try:
            yield taken
        finally:
            self._idle.append(taken)


@asynccontextmanager
async def open_lines(access: SiteAccess, credentials: Credentials, keys: Keyring) -> AsyncIterator[Lines]:
    """Lines under `credentials`. Nobody is called yet.

    Raises:
        OceanAccessRefusedError: Ocean's credentials cannot be sent at all.
    """
    async with (
        OceanInbox(ocean_access(access.settings, credentials)) as ocean,
        AsyncExitStack() as adapters,
    ):
        yield Lines(access, credentials, ocean, keys, adapters)
