"""`ocean-worker` behind its entry point: begin, and begin again, until told to stop."""

from __future__ import annotations

import asyncio
import signal
from typing import Final

import structlog

from ocean_api.settings import SiteSettings
from ocean_emr.messages.decide import pause
from ocean_emr.messages.worker import CHANCE, STOP_SECONDS, Shift, work
from ocean_emr.observe import configure_logs
from ocean_emr.pod import Places, read_settings, say_farewell, utc_now
from ocean_emr.problems import problem_of
from ocean_emr.store.database import MESSAGES_SCHEMA
from ocean_emr.store.errors import LeaseLostError
from ocean_emr.vault.access import site_access

_LONGEST_PAUSE: Final = 30.0
_STOP_SECONDS: Final = STOP_SECONDS + 2.0
"""For what is under way, and for what is written down after it."""

log = structlog.get_logger(__name__)


async def run(places: Places) -> int:
    """Work with what the pod was given. Returns the exit status, as `main`."""
    try:
        settings = read_settings(places)
    except (OSError, ValueError) as error:
        log.error("no settings", message=type(error).__name__)  # noqa: TRY400 - its text may quote the file
        say_farewell(problem_of(error, utc_now()), places)
        return 1
    shift = Shift()
    working = asyncio.create_task(_for_ever(settings, places, shift))

    def stop() -> None:
        log.info("told to stop")
        shift.stopping.set()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    await shift.stopping.wait()
    if shift.begun:
        await asyncio.wait([working], timeout=_STOP_SECONDS)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return 0


async def _for_ever(settings: SiteSettings, places: Places, shift: Shift) -> None:
    """Work whenever Vault and the database let us."""
    failures = 0
    while not shift.stopping.is_set():
        try:
            async with site_access(
                settings, application="ocean-worker", token_file=places.token, schema=MESSAGES_SCHEMA
            ) as access:
                failures = 0
                await work(access, places, shift)
        except LeaseLostError:
            log.warning("the lease was lost", site=f"{settings.namespace}/{settings.name}")
        except Exception as error:  # noqa: BLE001 - nobody above could do better than begin again
            failures += 1
            trouble = problem_of(error, utc_now())
            log.warning("not at work", reason=trouble.reason.value, message=trouble.message)
            say_farewell(trouble, places)
            await asyncio.sleep(min(_LONGEST_PAUSE, pause(failures, CHANCE())))


def main(places: Places | None = None) -> int:
    """Run until told to stop.

    Args:
        places: Where the pod's folders are, if not at their usual places.
    """
    configure_logs()
    return asyncio.run(run(places or Places()))
