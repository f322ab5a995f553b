"""`ocean-sync recent|full`: one synchronisation, run by the clinic's CronJobs and by Jobs the operator starts."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

import structlog

from ocean_api.report import SyncKind, Trigger
from ocean_emr.observe import configure_logs
from ocean_emr.pod import KNOWN_ERRORS, Places, problem_of, read_settings, say_farewell, utc_now
from ocean_emr.sync.run import Order, synchronise
from ocean_emr.vault.access import site_access

log = structlog.get_logger(__name__)


def parse(arguments: Sequence[str]) -> Order:
    """The order in a command line. Exits with status 2 for a wrong one."""
    parser = argparse.ArgumentParser(prog="ocean-sync", description=__doc__)
    parser.add_argument("kind", choices=[k.lower() for k in SyncKind])
    parser.add_argument("--trigger", choices=list(Trigger), default=Trigger.SCHEDULED)
    parser.add_argument("--token", default="", help="names the request that this run answers")
    parser.add_argument("--window", default="", help="digest of the settings this run is made under")
    given = parser.parse_args(arguments)
    return Order(SyncKind(given.kind.capitalize()), Trigger(given.trigger), given.token, given.window)


def main() -> None:
    """Exit status: 0 done or reported, 1 to be tried again."""
    configure_logs()
    sys.exit(asyncio.run(run(parse(sys.argv[1:]), Places())))


async def run(order: Order, places: Places) -> int:
    """Carry out `order` with what the pod was given. Returns the exit status."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    settings = read_settings(places)
    try:
        async with site_access(settings, application="ocean-sync", token_file=places.token) as access:
            outcome = await synchronise(access, order, places)
    except KNOWN_ERRORS as error:
        problem = problem_of(error, utc_now())
        log.error("synchronisation not possible", reason=problem.reason.value, message=problem.message)  # noqa: TRY400
        say_farewell(problem, places)
        return 1
    except asyncio.CancelledError:
        log.info("stopped; the next run takes up where this one ended")
        return 1
    return 1 if outcome.try_again else 0


if __name__ == "__main__":
    main()
