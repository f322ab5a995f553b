"""Between the operator and a server: sees each request, and can drop it, keep its answer back, or fall silent."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ocean_dev.certificates import Authority

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNK: Final = 65_536


class Fate(Enum):
    """What becomes of a request."""

    PASS = "pass"
    DROP = "drop"
    """The server never sees it, and the connection ends."""
    SWALLOW = "swallow"
    """The server does it, and the answer is lost with the connection."""


@dataclass(frozen=True, slots=True)
class Request:
    """The first line of a request."""

    method: str
    path: str
    """With the query."""

    @property
    def watches(self) -> bool:
        """Whether the answer is a stream of events."""
        return "watch=true" in self.path


def _pass(_: Request) -> Fate:
    return Fate.PASS


def _ignore(_: Request) -> None:
    return


class Interposer:
    """One stand-in. Set its attributes at any time; what flows obeys at once."""

    def __init__(self, upstream: str, authority: Path, folder: Path) -> None:
        parts = urlsplit(upstream)
        self._upstream = parts.hostname or "", parts.port or 443
        self._outward = ssl.create_default_context(cafile=str(authority))
        own = Authority.create()
        own.issue("interposer", addresses=["127.0.0.1"]).write(folder, "interposer")
        self.ca_file = folder / "interposer-ca.crt"
        self.ca_file.write_bytes(own.pair.certificate)
        self._inward = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._inward.load_cert_chain(folder / "interposer.crt", folder / "interposer.key")
        self.fate: Callable[[Request], Fate] = _pass
        """Asked about each request, in a thread of its own."""
        self.swallowed: Callable[[Request], None] = _ignore
        """Told when the server has answered a request whose answer is lost."""
        self.silent_watches = False
        """Watches that are open stay open, and nothing comes through them any more."""
        self.cut = False
        """Nothing comes through at all; connections stay open."""
        self.address = ""
        self._loop = asyncio.new_event_loop()
        self._ready, self._thread = threading.Event(), threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Serve on a loopback port of its own."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """End every connection."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._inward))
        self.address = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await asyncio.open_connection(*self._upstream, ssl=self._outward)
        except OSError:
            writer.close()
            return
        connection = _Connection(self, reader, writer, *upstream)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await connection.serve()
        writer.close()
        upstream[1].close()


class _Connection:
    def __init__(
        self,
        owner: Interposer,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        self._owner = owner
        self._client, self._to_client = client, to_client
        self._server, self._to_server = server, to_server
        self._request: Request | None = None
        self._swallowing = False

    async def serve(self) -> None:
        """Until one side ends."""
        pumps = [asyncio.ensure_future(self._requests()), asyncio.ensure_future(self._answers())]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def _requests(self) -> None:
        while True:
            head = await self._client.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await self._client.readexactly(int(length[1])) if length else b""
            method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            self._request = Request(method, path)
            fate = self._owner.fate(self._request)
            if fate is Fate.DROP:
                return
            self._swallowing = fate is Fate.SWALLOW
            await self._while_cut()
            self._to_server.write(head + body)
            await self._to_server.drain()

    async def _answers(self) -> None:
        while data := await self._server.read(_CHUNK):
            if self._swallowing and self._request:
                self._owner.swallowed(self._request)
                return
            await self._while_cut()
            await self._while_silent()
            self._to_client.write(data)
            await self._to_client.drain()

    async def _while_silent(self) -> None:
        while self._owner.silent_watches and self._request and self._request.watches:  # noqa: ASYNC110 - set by a thread
            await asyncio.sleep(0.05)

    async def _while_cut(self) -> None:
        while self._owner.cut:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.05)


@contextmanager
def interposed(upstream: str, authority: Path, folder: Path) -> Iterator[Interposer]:
    """A stand-in for the server at `upstream`, whose certificate `authority` signed."""
    made = Interposer(upstream, authority, folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()
