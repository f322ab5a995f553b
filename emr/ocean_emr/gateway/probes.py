"""Plain HTTP for the kubelet and Prometheus: /livez, /readyz, /metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import prometheus_client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ocean_emr.gateway.metrics import REGISTRY
from ocean_emr.store.errors import StoreError
from ocean_emr.vault.errors import VaultError

_PROOF_SECONDS: Final = 2.0


def probe_app(prove: Callable[[], Awaitable[None]], is_stopping: Callable[[], bool]) -> Starlette:
    """The application.

    Args:
        prove: Raises unless the database answers.
        is_stopping: Whether the process ends.
    """

    async def livez(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(_: Request) -> Response:
        if is_stopping():
            return PlainTextResponse("stopping", status_code=503)
        try:
            async with asyncio.timeout(_PROOF_SECONDS):
                await prove()
        except TimeoutError:
            return PlainTextResponse("PostgreSQL does not answer", status_code=503)
        except (StoreError, VaultError) as error:
            return PlainTextResponse(error.reason.value, status_code=503)
        return PlainTextResponse("ok")

    async def metrics(_: Request) -> Response:
        return Response(prometheus_client.generate_latest(REGISTRY), media_type=prometheus_client.CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)])
