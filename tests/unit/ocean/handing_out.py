"""An Ocean that hands out exactly what a test says, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocean_emr.ocean.client import OceanAccess
from ocean_emr.testing.serving import LOOPBACK, Served
from unit.ocean.uploads import CREDENTIAL, SITE


@dataclass
class HandingOut:
    """Answers each path as it was told, and 404 in JSON otherwise."""

    answers: dict[str, Response] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.served = Served(Starlette(routes=[Route("/{path:path}", self._answer)]))

    def give(self, path: str, body: Any, headers: Mapping[str, str] | None = None, status: int = 200) -> None:
        """Answer `path`, its query included, with `body` as JSON."""
        self.answers[path] = Response(orjson.dumps(body), status, dict(headers or {}), "application/json")

    @property
    def access(self) -> OceanAccess:
        """How the site of the tests reaches it."""
        return OceanAccess(self.served.url, SITE, CREDENTIAL, addresses=LOOPBACK)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        self.asked.append(path)
        return self.answers.get(path) or Response(b'{"error":"none"}', 404, media_type="application/json")
