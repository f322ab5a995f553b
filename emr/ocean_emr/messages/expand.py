"""What a fetched message becomes: deliveries, in the order in which the EMR shall get them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ocean_api.v1alpha1.spec import MessagesSpec
from ocean_emr.messages.deliveries import Delivery, Event


@dataclass(frozen=True, slots=True)
class Fetched:
    """What Ocean has under an event's references, decrypted."""


def expand(event: Event, fetched: Fetched, settings: MessagesSpec) -> tuple[Delivery, ...]:
    """The deliveries that `event` asks for; none where there is nothing for the EMR.

    With `combine_notes`, a note comes last: what stands beside it does not wait for the end of the sitting.

    Raises:
        MessageHeldError: The event is of a type that is not known.
    """
    raise NotImplementedError
