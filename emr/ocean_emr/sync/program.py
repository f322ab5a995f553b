"""`ocean-sync` behind its command line: what was asked for, carried out with what the pod was given."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

import structlog

from ocean_api.report import SyncKind, Trigger
from ocean_emr.observe import configure_logs
from ocean_emr.pod import Places, read_settings, say_farewell, stop_when_told, utc_now
from ocean_emr.problems import problem_of
from ocean_emr.sync.run import Order, Outcome, synchronise
from ocean_emr.vault.access import site_access

log = structlog.get_logger(__name__)


def parse(arguments: Sequence[str]) -> Order:
    """The order in a command line. Exits with status 2 for a wrong one."""
    parser = argparse.ArgumentParser(prog="ocean-sync", description="One synchronisation of the clinic.")
    parser.add_argument("kind", choices=[k.lower() for k in SyncKind])
    parser.add_argument("--trigger", choices=[t.value for t in Trigger], default=Trigger.SCHEDULED.value)
    parser.add_argument("--token", default="", help="names the request that this run answers")
    parser.add_argument("--window", default="", help="digest of the settings this run is made under")
    given = parser.parse_args(arguments)
    return Order(SyncKind(given.kind.capitalize()), Trigger(given.trigger), given.token, given.window)


async def run(order: Order, places: Places) -> int:
    """Carry out `order` with what the pod was given. Returns the exit status, as `main`."""
    stop_when_told()
    try:
        outcome = await _run(order, places)
    except asyncio.CancelledError:
        log.info("stopped; the next run takes up where this one ended")
        return 1
    except Exception as error:  # noqa: BLE001 - nobody above could say it better
        trouble = problem_of(error, utc_now())
        log.error("synchronisation not possible", reason=trouble.reason.value, message=trouble.message)  # noqa: TRY400
        say_farewell(trouble, places)
        return 1
    return 1 if outcome.try_again else 0


async def _run(order: Order, places: Places) -> Outcome:
    settings = read_settings(places)
    async with site_access(settings, application="ocean-sync", token_file=places.token) as access:
        return await synchronise(access, order, places)


def main(arguments: Sequence[str], places: Places | None = None) -> int:
    """Carry out a command line. Returns the exit status: 0 done or reported, 1 to be tried again.

    Args:
        arguments: Without the program's name.
        places: Where the pod's folders are, if not at their usual places.
    """
    configure_logs()
    return asyncio.run(run(parse(arguments), places or Places()))
