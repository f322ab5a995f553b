"""From a delivery to what is written: looks into the EMR and asks the pure deciders beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from ocean_api.v1alpha1.spec import MessagesSpec
from ocean_emr.contract import EmrAdapter
from ocean_emr.messages.deliveries import ChartLinks, Delivery
from ocean_emr.writes import Write


@dataclass(frozen=True, slots=True)
class Context:
    """What resolving needs besides the delivery and the EMR."""

    settings: MessagesSpec
    zone: ZoneInfo
    """Where the clinic is."""
    language: Literal["en", "fr"]
    """In which our own words in a chart are written."""
    charts: ChartLinks
    now: Callable[[], datetime]
    """The time, aware."""


async def resolve(delivery: Delivery, adapter: EmrAdapter, context: Context) -> tuple[Write, ...]:
    """What is to be written, in this order; empty where the EMR is already as it should be.

    It writes nothing. The answer rests on what the EMR shows now, so whoever carries it out keeps it until its outcome
    is known, and does not ask again after a write may have happened.

    Raises:
        MessageHeldError: A person must look.
        EmrError: As for every read.
    """
    raise NotImplementedError


async def remember(delivery: Delivery, write: Write, ref: str, charts: ChartLinks) -> None:
    """Keep what a write that is done tells for later messages. Call it before the delivery counts as done.

    Args:
        delivery: What was delivered.
        write: One of its writes.
        ref: The EMR's id of what was written; empty where it told none.
        charts: Where to keep it.
    """
    raise NotImplementedError
