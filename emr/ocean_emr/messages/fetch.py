"""From an event to what Ocean has under it: which calls are made for which event."""

from __future__ import annotations

from collections.abc import Sequence

from ocean_api.v1alpha1.spec import MessagesSpec
from ocean_emr.messages.deliveries import Event
from ocean_emr.messages.expand import Fetched
from ocean_emr.ocean.client import OceanClient
from ocean_emr.ocean.crypto import SharedEncryptionKey


async def fetch(
    event: Event, ocean: OceanClient, keys: Sequence[SharedEncryptionKey], settings: MessagesSpec
) -> Fetched:
    """What Ocean has for `event`, decrypted.

    Args:
        event: What the webhook said.
        ocean: The clinic's line to Ocean.
        keys: The clinic's keys, the present one first: what was encrypted before a change opens with an earlier one.
        settings: Files are fetched only where they are wanted.

    Raises:
        MessageGoneError: Ocean has nothing under the event's references.
        MessageUnreadableError: Ocean's answer lacks something that is needed; others may not.
        SekMismatchError: None of `keys` opens it.
        OceanError: As for every call.
    """
    raise NotImplementedError
