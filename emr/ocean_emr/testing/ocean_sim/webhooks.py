"""Telling a receiver: the simulator's webhooks, with Ocean's persistence, and the ledger of what was accepted.

Source of the persistence: Ocean's help, "When API Messages Fail": anything but 20x is a failure; several tries in the
first hour, then every hour, given up after 96. The first hour's distances are ours.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import ssl
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, count, repeat
from threading import Condition, Event, Thread
from typing import Any, Final, Self

import httpx

from ocean_emr.testing.ocean_sim.mailbox import Notice

KEY_HEADER: Final = "X-Ocean-Webhook-Key"
KEY_PARAMETER: Final = "k"
_FIRST_HOUR: Final = (60.0, 120.0, 300.0, 600.0, 900.0, 1_200.0)
_HOURLY: Final = 3_600.0
_GIVEN_UP_AFTER: Final = 96 * 3_600.0
_ANSWER_SECONDS: Final = 10.0
_KEPT: Final = 200_000
_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where a site's webhook is, as somebody entered it at Ocean."""

    url: str
    key: str = field(repr=False)
    key_in_query: bool = False
    ca_bundle: str | None = None
    """PEM text of the authorities to trust instead of the public ones."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The receiver in `{"url", "key", "keyInQuery", "caBundle"}`."""
        return cls(value["url"], value["key"], bool(value.get("keyInQuery")), value.get("caBundle"))


@dataclass(slots=True)
class Told:
    """One event, and what became of telling it."""

    number: int
    site_number: str
    notice: Notice
    at: datetime
    answers: list[int] = field(default_factory=list)
    """Status of each attempt's answer; 0 for none."""
    accepted: int = 0
    """How many attempts were answered with 20x."""
    given_up: bool = False

    def as_json(self) -> dict[str, Any]:
        """For whoever checks: what was told, whether it was taken, and what must then be seen in the EMR."""
        notice = self.notice
        return {
            "number": self.number,
            "siteNum": self.site_number,
            "at": self.at.isoformat(),
            "type": notice.type,
            "ref": notice.ref,
            "session": notice.session,
            "noteId": notice.note_id,
            "files": list(notice.files),
            "chart": notice.chart,
            "healthNumber": notice.health_number,
            "markers": list(notice.markers),
            "answers": list(self.answers),
            "accepted": self.accepted,
            "givenUp": self.given_up,
        }


class Webhooks:
    """Tells receivers, each event on its own: nothing says that they arrive in order. May be used from any thread."""

    def __init__(self) -> None:
        """Tell nobody yet; `start` begins."""
        self.speed = 1.0
        """How many times faster than Ocean it tries again."""
        self._receivers: dict[str, Receiver] = {}
        self._ledger: deque[Told] = deque(maxlen=_KEPT)
        self._held: list[Told] = []
        self._holding: set[str] = set()
        self._numbers = count(1)
        self._lock = Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clients: dict[str | None, httpx.AsyncClient] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin, in a thread of its own."""
        started = Event()
        self._loop = asyncio.new_event_loop()
        self._loop.call_soon(started.set)
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        started.wait()
        self._room = asyncio.Semaphore(_AT_ONCE)

    def stop(self) -> None:
        """Tell nobody any more."""
        loop = self._loop
        if loop is None:
            return
        asyncio.run_coroutine_threadsafe(self._end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(10)
        loop.close()
        self._loop = None

    def register(self, site_number: str, receiver: Receiver) -> bool:
        """Enter the webhook, as somebody does at Ocean. Returns whether it echoed the challenge; it is used anyway.

        Ocean shows a yellow warning when it did not, and uses it all the same.
        """
        with self._lock:
            self._receivers[site_number] = receiver
        if self._loop is None:
            raise RuntimeError("The simulator does not run.")
        return asyncio.run_coroutine_threadsafe(self._challenge(receiver), self._loop).result(2 * _ANSWER_SECONDS)

    def tell(self, site_number: str, notice: Notice, *, copies: int = 1) -> int:
        """Tell of something, `copies` times at once. Returns its number in the ledger."""
        told = Told(next(self._numbers), site_number, notice, datetime.now(UTC))
        with self._lock:
            self._ledger.append(told)
            if site_number in self._holding:
                self._held += [told] * copies
                return told.number
        for _ in range(copies):
            self._send(told)
        return told.number

    def tell_again(self, number: int) -> None:
        """Tell once more what was told before, as Ocean echoes and as a bulk resend does."""
        self._send(self._numbered(number))

    def hold(self, site_number: str) -> None:
        """Keep back what is to be told of the site, until `release`."""
        with self._lock:
            self._holding.add(site_number)

    def release(self, site_number: str, *, order: str = "as told") -> None:
        """Tell what was kept back: `as told`, `reversed` or `shuffled`; each after the last one's answer."""
        with self._lock:
            self._holding.discard(site_number)
            mine = [told for told in self._held if told.site_number == site_number]
            self._held = [told for told in self._held if told.site_number != site_number]
        if order == "reversed":
            mine.reverse()
        elif order == "shuffled":
            random.shuffle(mine)
        self._schedule(self._one_after_another(mine))

    def ledger(self, site_number: str) -> list[Told]:
        """All that was told of a site, in the order in which it happened."""
        with self._lock:
            return [told for told in self._ledger if told.site_number == site_number]

    def accepted(self, site_number: str) -> list[Told]:
        """What a receiver has answered for: it must reach the EMR or be held for a person."""
        return [told for told in self.ledger(site_number) if told.accepted]

    def until(self, what: Callable[[], bool], seconds: float = 30.0) -> bool:
        """Wait until `what` holds, which is asked after each attempt. Returns whether it does."""
        with self._lock:
            return self._lock.wait_for(what, seconds)

    def pending(self) -> int:
        """How many events are being told, or wait to be told again."""
        return len(self._tasks)

    def _numbered(self, number: int) -> Told:
        with self._lock:
            return next(told for told in self._ledger if told.number == number)

    def _send(self, told: Told) -> None:
        self._schedule(self._until_accepted(told))

    def _schedule(self, work: Any) -> None:
        loop = self._loop
        if loop is None:
            raise RuntimeError("The simulator does not run.")

        def begin() -> None:
            task = loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        loop.call_soon_threadsafe(begin)

    async def _one_after_another(self, mine: list[Told]) -> None:
        for told in mine:
            if not await self._attempt(told):
                self._send(told)

    async def _until_accepted(self, told: Told) -> None:
        for pause in chain([0.0], _pauses()):
            if pause:
                await asyncio.sleep(pause / self.speed)
            if await self._attempt(told):
                return
        with self._lock:
            told.given_up = True
            self._lock.notify_all()

    async def _attempt(self, told: Told) -> bool:
        """Tell once. Returns whether it was accepted."""
        receiver = self._receivers.get(told.site_number)
        if receiver is None:
            return False
        status = await self._post(receiver, _body(told))
        with self._lock:
            told.answers.append(status)
            told.accepted += httpx.codes.is_success(status)
            self._lock.notify_all()
        return httpx.codes.is_success(status)

    async def _challenge(self, receiver: Receiver) -> bool:
        challenge = secrets.token_urlsafe(16)
        try:
            answer = await self._request(receiver, {"challenge": challenge})
            return answer.status_code == httpx.codes.OK and answer.json() == {"challenge": challenge}
        except (httpx.HTTPError, ValueError):
            return False

    async def _post(self, receiver: Receiver, body: Mapping[str, Any]) -> int:
        try:
            async with self._room:
                return (await self._request(receiver, body)).status_code
        except httpx.HTTPError:
            return 0

    async def _request(self, receiver: Receiver, body: Mapping[str, Any]) -> httpx.Response:
        client = self._clients.get(receiver.ca_bundle)
        if client is None:
            trusted = ssl.create_default_context(cadata=receiver.ca_bundle) if receiver.ca_bundle else True
            client = httpx.AsyncClient(verify=trusted, timeout=_ANSWER_SECONDS, trust_env=False)
            self._clients[receiver.ca_bundle] = client
        shown = {KEY_PARAMETER: receiver.key} if receiver.key_in_query else None
        headers = {} if receiver.key_in_query else {KEY_HEADER: receiver.key}
        return await client.post(receiver.url, params=shown, headers=headers, json=body)

    async def _end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()


def _pauses() -> Iterator[float]:
    """Seconds between tries, until Ocean gives up."""
    gone = 0.0
    for pause in chain(_FIRST_HOUR, repeat(_HOURLY)):
        gone += pause
        if gone > _GIVEN_UP_AFTER:
            return
        yield pause


def _body(told: Told) -> dict[str, Any]:
    """The event, in the form of OceanMD's sample."""
    notice = told.notice
    more = {"oceanSessionId": notice.session, "noteCompletionSource": notice.source}
    return {
        "ref": notice.ref,
        "siteNum": told.site_number,
        "type": notice.type,
        "changeList": None,
        "user": None,
        "customProperties": {name: value for name, value in more.items() if value},
    }
