"""Sends webhooks as fast as they are answered, or at a steady pace: a process of its own, started by gateway.py.

It speaks just enough HTTP, so that it takes little of the processor time it shares with what is measured.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import uvloop


@dataclass(frozen=True)
class Load:
    """What is sent, and how."""

    host: str
    port: int
    ca_file: str
    """Empty: plain HTTP."""
    sites: dict[str, str]
    """The key of each site number."""
    connections: int
    count: int
    per_second: float = 0
    """0: each connection sends again as soon as it is answered."""
    prefix: str = "ref"
    """References begin with it, so that no event comes twice."""


@dataclass
class Result:
    """What came of it."""

    seconds: float
    accepted: int
    latencies: list[float]
    """Seconds, one for each that was accepted."""

    @property
    def rate(self) -> float:
        """Accepted a second."""
        return self.accepted / self.seconds


class Connection(asyncio.Protocol):
    """One kept-alive connection: a request, its answer, the next request."""

    def __init__(self, requests: Iterator[bytes], latencies: list[float]) -> None:
        self._requests = requests
        self._latencies = latencies
        self._transport: asyncio.Transport | None = None
        self._came = b""
        self._sent_at = 0.0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.free = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        """Keep it."""
        self._transport = transport

    def send(self) -> None:
        """The next request, or the end."""
        request = next(self._requests, None)
        if self._transport is None or request is None:
            if not self.finished.done():
                self.finished.set_result(None)
            return
        self.free.clear()
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer, when it is whole."""
        self._came += data
        head, found, body = self._came.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
        if len(body) >= length:
            self._came = b""
            if head.startswith(b"HTTP/1.1 200"):
                self._latencies.append(time.perf_counter() - self._sent_at)
            self.answered()

    def answered(self) -> None:
        """Go on at once."""
        self.send()

    def connection_lost(self, _exc: Exception | None) -> None:
        """End."""
        if not self.finished.done():
            self.finished.set_result(None)


class Paced(Connection):
    """Waits to be told to go on."""

    def answered(self) -> None:
        """Be free for the next one."""
        self.free.set()


def requests(load: Load) -> Iterator[bytes]:
    """`load.count` different events, the sites in turn."""
    sites = list(load.sites.items())
    for number in range(load.count):
        site, key = sites[number % len(sites)]
        event = {
            "ref": f"{load.prefix}-{number}",
            "siteNum": site,
            "type": "notify-patient-note-added",
            "changeList": [],
            "customProperties": {"oceanSessionId": f"session-{number}", "noteCompletionSource": "PATIENT"},
        }
        body = json.dumps(event).encode()
        head = (
            f"POST /webhooks/{site} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
            f"x-ocean-webhook-key: {key}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


async def run(load: Load) -> Result:
    """Send everything."""
    latencies: list[float] = []

    loop = asyncio.get_running_loop()
    tls = ssl.create_default_context(cafile=load.ca_file) if load.ca_file else None
    kind = Paced if load.per_second else Connection
    made = iter(list(requests(load)))
    where: dict[str, Any] = {"ssl": tls, "server_hostname": load.host if tls else None}
    connections = [
        (await loop.create_connection(lambda: kind(made, latencies), load.host, load.port, **where))[1]
        for _ in range(load.connections)
    ]
    began = time.perf_counter()
    if load.per_second:
        await _pace(connections, load)
    else:
        for connection in connections:
            connection.send()
        await asyncio.wait([connection.finished for connection in connections])
    return Result(time.perf_counter() - began, len(latencies), latencies)


async def _pace(connections: list[Connection], load: Load) -> None:
    began = time.perf_counter()
    for connection in connections:
        connection.free.set()
    for number in range(load.count):
        await asyncio.sleep(max(0.0, began + number / load.per_second - time.perf_counter()))
        connection = connections[number % len(connections)]
        await connection.free.wait()
        connection.send()
    for connection in connections:
        await connection.free.wait()


def main() -> None:
    """The load comes as JSON by standard input, the result goes out the same way."""
    sys.stdout.write(json.dumps(asdict(uvloop.run(run(Load(**json.load(sys.stdin)))))))


if __name__ == "__main__":
    main()
