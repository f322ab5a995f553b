"""The operator's own HTTP: probes and metrics in the clear, admission over TLS. It runs on every replica.

kopf serves admission and probes only inside its operator, and that runs on the leader alone.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import prometheus_client
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ocean_operator.admission import review
from ocean_operator.cluster import Cluster, ClusterError
from ocean_operator.core.validate import AddressRules
from ocean_operator.health import Health
from ocean_operator.metrics import REGISTRY

_LARGEST_REVIEW = 3 * 1024 * 1024
log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: main.py ends all parts together."""
        yield


def probe_app(health: Health) -> Starlette:
    """/livez, /readyz, /metrics."""

    async def livez(_: Request) -> Response:
        if health.is_live:
            return PlainTextResponse("ok")
        said = ", ".join(f"{kind}: {count}" for kind, count in health.lost.items())
        return PlainTextResponse(f"silent watches ({said})", status_code=500)

    async def readyz(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def metrics(_: Request) -> Response:
        return Response(prometheus_client.generate_latest(REGISTRY), media_type=prometheus_client.CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)])


def webhook_app(cluster: Cluster, rules: AddressRules) -> Starlette:
    """/validate, for the API server alone."""

    async def validate(request: Request) -> Response:
        content = await request.body()
        if len(content) > _LARGEST_REVIEW:
            return JSONResponse({"error": "too large"}, status_code=413)
        try:
            answer: dict[str, Any] = await review(orjson.loads(content), cluster, rules)
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return JSONResponse({"error": "not an AdmissionReview"}, status_code=400)
        except ClusterError as error:
            log.warning("review not possible", error=str(error))
            return JSONResponse({"error": "the API server could not be asked"}, status_code=503)
        return Response(orjson.dumps(answer), media_type="application/json")

    return Starlette(routes=[Route("/validate", validate, methods=["POST"])])


def server(
    app: Starlette, host: str, port: int, files: tuple[Path, Path] | None = None
) -> tuple[Server, ssl.SSLContext | None]:
    """A server for `app`, not yet running, with its TLS context where `files` (certificate, key) are given."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        loop="none",
        timeout_keep_alive=65,
        ssl_certfile=str(files[0]) if files else None,
        ssl_keyfile=str(files[1]) if files else None,
    )
    config.load()
    return Server(config), config.ssl
