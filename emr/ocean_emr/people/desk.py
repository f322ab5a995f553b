"""What a person may do with a clinic's messages. Each thing done is in the audit with the person's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ocean_api import names
from ocean_api.reasons import Reason
from ocean_emr.messages.desk import place_of
from ocean_emr.messages.keyring import data_key_named
from ocean_emr.people.access import Person
from ocean_emr.store import arrivals, audit, held
from ocean_emr.store.errors import MessageMovedError
from ocean_emr.store.held import Row


class NoSuchMessageError(Exception):
    """The clinic has no message of that number."""


class NotLookedError(Exception):
    """The EMR may have the message already, and nobody has looked."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A message with its content."""

    row: Row
    content: dict[str, Any] | None
    """Chart content; None where nothing was fetched yet, or the message has ended."""


async def listed(person: Person, *, held_ones: bool, waiting_ones: bool) -> tuple[Row, ...]:
    """The messages that are held, or wait, in their order. Raises StoreError."""
    found: list[Row] = []
    kinds = [lister for lister, wanted in ((held.held, held_ones), (held.waiting, waiting_ones)) if wanted]
    for lister in kinds:
        after = (0, 0)
        while True:
            async with person.database.transaction() as transaction:
                page = await lister(transaction, site=person.site, after=after)
            found += page
            if len(page) < held.MOST_SHOWN:
                break
            after = page[-1].place
    return tuple(sorted(found, key=lambda row: row.place))


async def shown(person: Person, number: int, *, why: str) -> Shown:
    """One message with what is in it. The audit has it before the key is even asked for.

    Raises:
        NoSuchMessageError: There is none.
        VaultError, StoreError: It cannot be had, or not by this person.
        StoredDataUnreadableError: Its key is not to be had any more, or it was altered.
    """
    async with person.database.transaction() as transaction:
        found = await held.shown(transaction, site=person.site, number=number)
        if found is None:
            raise NoSuchMessageError(f"{person.site} has no message {number}.")
        row, sealed = found
        if sealed is None:
            return Shown(row, None)
        what = {"message": number, "why": why, "entity": person.who.entity}
        await audit.append(
            transaction, site=person.site, actor=_actor(person), action="message.show", what=what, outcome="begun"
        )
    key = await data_key_named(person, sealed.key)
    content: dict[str, Any] = orjson.loads(key.open(sealed.data, place_of(person.site, row.source_id, row.version)))
    return Shown(row, content)


async def retry(person: Person, numbers: Sequence[int], *, looked: bool) -> None:
    """Have messages tried again: all of them, or none.

    Args:
        person: Who asks.
        numbers: The messages' ids.
        looked: Whether the person has looked into the charts for those of which nobody knows whether the EMR has them.

    Raises:
        NoSuchMessageError: One is not there.
        NotLookedError: One may be in the EMR already.
        MessageMovedError: One is neither held nor waiting.
        StoreError: Likewise nothing was done.
    """
    async with person.database.transaction() as transaction:
        for number in numbers:
            found = await held.shown(transaction, site=person.site, number=number)
            if found is None:
                raise NoSuchMessageError(f"{person.site} has no message {number}.")
            if found[0].reason == Reason.EMR_OUTCOME_UNKNOWN and not looked:
                raise NotLookedError(f"The EMR may have message {number} already.")
            await held.retry(transaction, site=person.site, number=number, actor=_actor(person))
    async with person.database.transaction() as transaction:
        await arrivals.wake(transaction, [names.message_channel(person.namespace, person.name)])


async def retry_all(person: Person) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Have all held messages tried again, but for those that the EMR may have already.

    Returns:
        Those that are tried again, and those left for somebody who looks into the charts.

    Raises:
        StoreError: Some may have been put back, others not: the list tells.
    """
    rows = await listed(person, held_ones=True, waiting_ones=False)
    left = tuple(row.id for row in rows if row.reason == Reason.EMR_OUTCOME_UNKNOWN)
    numbers = tuple(row.id for row in rows if row.id not in left)
    for number in numbers:
        try:
            await retry(person, [number], looked=False)
        except MessageMovedError:
            continue  # Somebody else was faster.
    return numbers, left


async def dismiss(person: Person, numbers: Sequence[int], *, why: str) -> None:
    """Take held messages out of the queue for ever: all of them, or none.

    Raises:
        NoSuchMessageError: One is not there.
        MessageMovedError: One is not held.
        StoreError: Likewise nothing was done.
    """
    async with person.database.transaction() as transaction:
        for number in numbers:
            if await held.shown(transaction, site=person.site, number=number) is None:
                raise NoSuchMessageError(f"{person.site} has no message {number}.")
            await held.dismiss(transaction, site=person.site, number=number, actor=_actor(person), why=why)


def _actor(person: Person) -> str:
    return f"person:{person.who.display_name}"
