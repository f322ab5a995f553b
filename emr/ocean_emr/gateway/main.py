"""`ocean-gateway`: listen at once, open the database when that is possible, and end in order when told to."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
import time
from typing import Final

import structlog
import uvloop
from pydantic import ValidationError

from ocean_emr.gateway.access import GatewayDatabase
from ocean_emr.gateway.app import Gateway
from ocean_emr.gateway.intake import Intake
from ocean_emr.gateway.probes import probe_app
from ocean_emr.gateway.serving import Certificate, listen, probe_server, webhook_server
from ocean_emr.gateway.settings import GatewaySettings
from ocean_emr.gateway.verifiers import Verifiers
from ocean_emr.observe import configure_logs
from ocean_emr.pod import utc_now
from ocean_emr.problems import problem_of
from ocean_emr.store.errors import DatabaseUnsafeError

_UNANSWERED_SECONDS: Final = 30.0
_LAST_SECONDS: Final = 7.0
"""After the grace period, for closing the database and giving Vault its tokens back."""

log = structlog.get_logger("ocean-gateway")


async def run(settings: GatewaySettings) -> None:
    """Receive webhooks until SIGTERM or SIGINT.

    Raises:
        DatabaseUnsafeError: PostgreSQL could lose what it has confirmed.
        OSError, ssl.SSLError: An address or the certificate is not to be had.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    certificate = Certificate(settings.tls_files) if settings.tls_files else None
    listeners = [
        listen(settings.listen_host, port, seconds_unanswered=_UNANSWERED_SECONDS)
        for port in (settings.listen_port, settings.probe_port)
    ]
    database = GatewayDatabase(settings)
    intake = Intake(database.keep, database.wake, most_waiting=settings.most_waiting)
    verifiers = Verifiers(database.verifier, seconds=settings.verifier_seconds, clock=time.monotonic)
    gateway = Gateway(settings, intake, verifiers)
    webhooks = webhook_server(gateway, settings, listeners[0], certificate.context if certificate else None)
    probes = probe_server(probe_app(database.prove, lambda: gateway.stopping), listeners[1])
    log.info("listening", port=settings.listen_port, tls=certificate is not None, probes=settings.probe_port)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(webhooks.serve())
        background = [database.keep_open(), intake.run(), probes.serve()]
        if certificate:
            background.append(certificate.keep_current())
        tasks = [group.create_task(work) for work in background]
        await stop.wait()
        log.info("stopping")
        gateway.stopping = True
        # Whatever hangs, such as a Vault that does not answer: what was promised is committed by then.
        asyncio.get_running_loop().call_later(settings.grace_seconds + _LAST_SECONDS, os._exit, 1)
        webhooks.should_exit = True
        await serving
        for task in tasks:
            task.cancel()


def main() -> None:
    """Exit status: 0 stopped, 1 not able to run, 2 settings that cannot be."""
    configure_logs()
    try:
        settings = GatewaySettings()
    except ValidationError as error:
        # A traceback says no more, and what was set could be anything.
        for wrong in error.errors(include_input=False, include_url=False):
            log.error("setting", name=".".join(map(str, wrong["loc"])), message=wrong["msg"])  # noqa: TRY400 - see above
        sys.exit(2)
    try:
        uvloop.run(run(settings))
    except* DatabaseUnsafeError as unsafe:
        log.error("database unsafe", message=str(_innermost(unsafe)))  # noqa: TRY400 - the message says it all
        sys.exit(1)
    except* (OSError, ssl.SSLError) as error:
        log.error("not able to listen", message=str(_innermost(error)))  # noqa: TRY400 - likewise
        sys.exit(1)
    except* Exception as error:  # noqa: BLE001 - nobody above could say it better
        # Python would print it with whatever it quotes.
        fault = _innermost(error)
        said = problem_of(fault, utc_now()).message if isinstance(fault, Exception) else type(fault).__name__
        log.error("fault", message=said)  # noqa: TRY400 - see above
        sys.exit(1)


def _innermost(error: BaseException) -> BaseException:
    """The first real exception in nested groups of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    main()
