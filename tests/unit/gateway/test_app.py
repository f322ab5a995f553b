"""The order of the checks, by calling the application as a server would. For real servers: tests/integration."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import Message
from structlog.testing import capture_logs

from ocean_emr.gateway import metrics
from ocean_emr.gateway.app import Gateway
from ocean_emr.gateway.intake import Intake
from ocean_emr.gateway.settings import GatewaySettings
from ocean_emr.gateway.verifiers import Verifiers
from ocean_emr.store.arrivals import Event, Kept, Outcome, Verifier
from ocean_emr.store.errors import DatabaseUnavailableError, StatementRefusedError
from ocean_emr.store.webhooks import digest_of
from ocean_emr.vault.errors import VaultUnavailableError
from unit.gateway.conftest import Clock

SALT = b"salt-of-thirty-two-bytes-or-more"
KEY = "canary-key-of-24-letters"
NEW_KEY = "canary-key-of-24-numbers"
EVENT = {"ref": "canary-ref", "siteNum": "1001", "type": "canary-type"}


def verifier(key: str, *, is_full: bool = False) -> Verifier:
    return Verifier(SALT, digest_of(key, SALT), is_full)


@dataclass
class Answered:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def reason(self) -> str:
        """The last part of a refusal's type."""
        return str(json.loads(self.body)["type"]).rsplit(":", 1)[1]


class Rig:
    """The application over a table that is a list."""

    def __init__(self, clock: Clock, **settings: Any) -> None:
        self.keys = {"1001": verifier(KEY)}
        self.kept: list[Event] = []
        self.lookups = 0
        self.body_read = 0
        self.outcome = Outcome.STORED
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        made = GatewaySettings(vault_address="https://v", database_host="d", tls_in_front=True, **settings)
        self.intake = Intake(self.keep, self.wake, most_waiting=made.most_waiting)
        verifiers = Verifiers(self.read, seconds=made.verifier_seconds, clock=clock)
        self.gateway = Gateway(made, self.intake, verifiers, clock=clock)

    async def keep(self, events: Sequence[Event]) -> list[Kept]:
        """One transaction."""
        await self.gate.wait()
        if self.error:
            raise self.error
        self.kept += events
        return [Kept(self.outcome, None) for _ in events]

    async def wake(self, channels: Sequence[str]) -> None:
        """Nobody to wake."""

    async def read(self, site_number: str) -> Verifier | None:
        """A lookup."""
        self.lookups += 1
        await self.gate.wait()
        if self.error:
            raise self.error
        return self.keys.get(site_number)

    async def post(
        self,
        sent: Any = EVENT,
        *,
        key: str | None = KEY,
        site: str = "1001",
        client: str = "192.0.2.1",
        chunked: bool = False,
        query: bytes = b"",
    ) -> Answered:
        """Send one webhook."""
        content = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        size = (b"transfer-encoding", b"chunked") if chunked else (b"content-length", str(len(content)).encode())
        headers = [(b"content-type", b"application/json"), size]
        if key is not None:
            headers.append((b"x-ocean-webhook-key", key.encode()))
        scope = {
            "type": "http",
            "method": "POST",
            "path": f"/webhooks/{site}",
            "headers": headers,
            "query_string": query,
            "client": (client, 1),
        }
        answered = Answered()

        async def receive() -> Message:
            self.body_read += 1
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered.status = message["status"]
                answered.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answered.body += message["body"]

        await self.gateway(scope, receive, send)
        return answered


@contextlib.asynccontextmanager
async def running(clock: Clock, **settings: Any) -> AsyncIterator[Rig]:
    rig = Rig(clock, **settings)
    task = asyncio.create_task(rig.intake.run())
    try:
        yield rig
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_event_is_kept(clock: Clock) -> None:
    async with running(clock) as rig:
        answered = await rig.post()

        assert (answered.status, json.loads(answered.body)) == (200, {"result": "stored"})
        assert rig.kept == [Event("1001", "canary-type", "canary-ref")]


async def test_replay_is_answered_alike(clock: Clock) -> None:
    async with running(clock) as rig:
        rig.outcome = Outcome.REPLAY
        answered = await rig.post()

        assert (answered.status, json.loads(answered.body)) == (200, {"result": "replay"})


async def test_registration_is_echoed_to_who_has_the_key(clock: Clock) -> None:
    async with running(clock) as rig:
        answered = await rig.post({"challenge": "c"}, key=None, query=f"k={KEY}".encode())
        assert (answered.status, json.loads(answered.body)) == (200, {"challenge": "c"})

        assert (await rig.post({"challenge": "c"}, key="wrong")).status == 401
        assert rig.kept == []


@pytest.mark.parametrize(
    ("more", "status", "reason"),
    [
        ({"site": "x"}, 404, "unknown-path"),
        ({"site": "2002"}, 404, "unknown-site"),
        ({"key": None}, 401, "key-missing"),
        ({"key": ""}, 401, "key-wrong"),
        ({"key": KEY[:-1]}, 401, "key-wrong"),
        ({"key": KEY + "x"}, 401, "key-wrong"),
        ({"key": "\u00e9" * 24}, 401, "key-wrong"),
        ({"key": None, "query": f"k={KEY}&k={KEY}".encode()}, 401, "key-wrong"),
        ({"sent": b"{"}, 400, "malformed"),
        ({"sent": {**EVENT, "siteNum": "1002"}}, 403, "site-mismatch"),
        ({"sent": {**EVENT, "siteNum": "01001"}}, 403, "site-mismatch"),
        ({"sent": b" " * 65_537, "chunked": True}, 413, "too-large"),
    ],
)
async def test_refusals(more: dict[str, Any], status: int, reason: str, clock: Clock) -> None:
    async with running(clock) as rig:
        answered = await rig.post(**more)

        assert (answered.status, answered.reason) == (status, reason)
        assert rig.kept == []
        assert answered.headers.get("connection") == ("close" if more.get("chunked") else None)


async def test_nobody_without_the_key_has_a_body_read(clock: Clock) -> None:
    async with running(clock) as rig:
        for more in ({"key": None}, {"key": "wrong"}, {"site": "2002"}):
            await rig.post(**more)

        assert rig.body_read == 0


async def test_changed_key_is_taken_at_once_and_the_old_one_refused(clock: Clock) -> None:
    async with running(clock) as rig:
        assert (await rig.post()).status == 200
        rig.keys["1001"] = verifier(NEW_KEY)
        clock.now += 1

        assert (await rig.post(key=NEW_KEY)).status == 200
        assert (await rig.post()).status == 401


async def test_flood_of_wrong_keys_is_slowed_down_and_costs_no_lookups(clock: Clock) -> None:
    async with running(clock, failed_keys_per_minute=5) as rig:
        statuses = [(await rig.post(key=f"wrong-{number}")).status for number in range(20)]
        assert statuses == [401] * 5 + [429] * 15
        assert rig.lookups == 1
        answered = await rig.post(key="wrong")
        assert (answered.reason, answered.headers["retry-after"]) == ("too-many-failures", "12")
        # Another address and another clinic have limits of their own.
        rig.keys["1002"] = verifier(NEW_KEY)
        assert (await rig.post(key="wrong", client="192.0.2.2")).status == 401
        assert (await rig.post(key="wrong", site="1002")).status == 401
        clock.now += 12
        assert (await rig.post(key="wrong")).status == 401


async def test_who_has_the_key_is_not_stopped_by_others_at_his_address(clock: Clock) -> None:
    async with running(clock, failed_keys_per_minute=1) as rig:
        for _ in range(3):
            await rig.post(key="wrong")

        assert (await rig.post()).status == 200


async def test_who_asks_for_unknown_clinics_is_stopped_before_the_database(clock: Clock) -> None:
    async with running(clock, failed_keys_per_minute=5) as rig:
        assert (await rig.post()).status == 200
        statuses = [(await rig.post(site=str(number))).status for number in range(20)]

        assert statuses == [404] * 5 + [429] * 15
        assert rig.lookups == 6
        # A clinic that is known is not.
        assert (await rig.post()).status == 200


async def test_a_clinics_pace_is_its_own_and_only_events_with_the_key_count(clock: Clock) -> None:
    async with running(clock, site_messages_per_second=10, site_burst=3) as rig:
        rig.keys["1002"] = verifier(NEW_KEY)
        for _ in range(10):
            await rig.post(key="wrong")
            await rig.post({"challenge": "c"})
            await rig.post({**EVENT, "siteNum": "7"})
        statuses = [(await rig.post()).status for _ in range(5)]

        assert statuses == [200] * 3 + [429] * 2
        answered = await rig.post()
        assert (answered.reason, answered.headers["retry-after"]) == ("too-many-messages", "1")
        assert (await rig.post({**EVENT, "siteNum": "1002"}, site="1002", key=NEW_KEY)).status == 200
        clock.now += 0.1
        assert (await rig.post()).status == 200


async def test_fifty_a_second_pass_for_ever(clock: Clock) -> None:
    async with running(clock) as rig:
        for _ in range(500):
            for _ in range(50):
                assert rig.gateway._paces.take("1001") == 0
            clock.now += 1


async def test_clinic_of_which_too_much_waits(clock: Clock) -> None:
    async with running(clock) as rig:
        rig.keys["1001"] = verifier(KEY, is_full=True)
        answered = await rig.post()

        assert (answered.status, answered.reason, answered.headers["retry-after"]) == (503, "queue-full", "60")
        assert (await rig.post({"challenge": "c"})).status == 200


@pytest.mark.parametrize("error", [DatabaseUnavailableError("away"), VaultUnavailableError("away")])
async def test_store_that_is_away(error: Exception, clock: Clock) -> None:
    async with running(clock) as rig:
        rig.error = error
        at_the_lookup = await rig.post()
        rig.error = None
        await rig.post()
        rig.error = error
        at_the_event = await rig.post()

        for answered in (at_the_lookup, at_the_event):
            assert (answered.status, answered.reason, answered.headers["retry-after"]) == (503, "unavailable", "5")
        assert (await rig.post(key="wrong")).status in {401, 503}


async def test_store_that_does_not_answer(clock: Clock) -> None:
    async with running(clock, accept_seconds=0.01) as rig:
        await rig.post()
        rig.gate.clear()
        answered = await rig.post()

        assert (answered.status, answered.reason) == (503, "busy")


async def test_clinic_that_ended_a_moment_ago(clock: Clock) -> None:
    async with running(clock) as rig:
        rig.outcome = Outcome.UNKNOWN_SITE

        assert (await rig.post()).reason == "unknown-site"


async def test_fault_of_ours_is_told_with_its_place_and_nothing_else(clock: Clock) -> None:
    async with running(clock) as rig:
        await rig.post()
        with capture_logs() as said:
            rig.error = StatementRefusedError("PostgreSQL refused a statement: SQLSTATE 23514 message.")
            answered = await rig.post()
            rig.error = ZeroDivisionError("canary-ref")
            unexpected = await rig.post()

        assert (answered.status, answered.reason, unexpected.status) == (500, "fault", 500)
        faults = [line["message"] for line in said if line["event"] == "fault"]
        assert "SQLSTATE 23514" in faults[0]
        assert faults[1].startswith("ZeroDivisionError at ocean_emr/gateway/")
        assert "canary" not in str(said)


async def test_end_of_the_process(clock: Clock) -> None:
    async with running(clock) as rig:
        rig.gateway.stopping = True
        answered = await rig.post()

        assert (answered.status, answered.reason, answered.headers["connection"]) == (503, "stopping", "close")


async def test_sender_who_goes_gets_nothing_and_is_counted(clock: Clock) -> None:
    async with running(clock) as rig:
        before = metrics.GONE._value.get()

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(_: Message) -> None:
            raise AssertionError("nobody is there")

        headers = [(b"content-type", b"application/json"), (b"x-ocean-webhook-key", KEY.encode())]
        scope = {"method": "POST", "path": "/webhooks/1001", "headers": headers, "query_string": b"", "client": None}
        await rig.gateway(scope, receive, send)

        assert metrics.GONE._value.get() == before + 1


async def test_log_tells_clinic_status_and_reason_and_nothing_that_was_sent(clock: Clock) -> None:
    async with running(clock) as rig:
        with capture_logs() as said:
            await rig.post()
            await rig.post(key="canary-wrong")
            await rig.post(site="999777")
            await rig.post({"challenge": "canary"})
            await rig.post(b'{"canary": 1}', client="203.0.113.99")

        assert [(line["site"], line["status"], line["result"]) for line in said] == [
            ("1001", 200, "stored"),
            ("1001", 401, "key-wrong"),
            (None, 404, "unknown-site"),
            ("1001", 200, "registered"),
            ("1001", 400, "malformed"),
        ]
        assert all(line["milliseconds"] >= 0 for line in said)
        assert [text for text in ("canary", "999777", "203.0.113.99") if text in str(said)] == []


async def test_flood_does_not_flood_the_log(clock: Clock) -> None:
    async with running(clock) as rig:
        with capture_logs() as said:
            for _ in range(500):
                await rig.post(key="wrong")
            clock.now += 1
            await rig.post(key="wrong")

        assert len(said) == 101
        assert said[-1]["untold"] == 400
