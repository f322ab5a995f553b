"""A server that answers as a test says, and the way to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocean_emr.answers import Read
from ocean_emr.records import Operation
from ocean_emr.testing.conformance.rig import FAST
from ocean_emr.testing.serving import LOOPBACK, Served
from ocean_emr.transport import NoAuth, Transport

READ = Read(Operation.LIST_PROVIDERS, "list")
Answering = Callable[[Request], Response]


class Server:
    """Answers by a function and remembers what it was asked."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.asked: list[Request] = []

    @contextmanager
    def running(self, tls: tuple[Path, Path] | None = None) -> Iterator[str]:
        """Serve; the value is the base address."""

        async def endpoint(request: Request) -> Response:
            await request.body()
            self.asked.append(request)
            return self.answering(request)

        app = Starlette(routes=[Route("/{path:path}", endpoint, methods=["GET", "POST", "PUT"])])
        with Served(app, tls=tls) as served:
            yield f"{served.url}/base"


def in_turn(*answers: Response) -> Answering:
    """Each answer once, the last one for ever."""
    left = list(answers)
    return lambda _request: left.pop(0) if len(left) > 1 else left[0]


def ok() -> Response:
    return Response(b'{"ok": true}', media_type="application/json")


def transport(url: str, **options: object) -> Transport:
    return Transport(url, **{"auth": NoAuth(), "limits": FAST, "addresses": LOOPBACK, **options})  # type: ignore[arg-type]
