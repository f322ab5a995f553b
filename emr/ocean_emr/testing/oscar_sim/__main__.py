"""`python -m ocean_emr.testing.oscar_sim`: the simulator as a program, for a pod of the demo."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from ocean_emr.testing.oscar_sim.app import CONTEXT, SimulatedOscar
from ocean_emr.testing.oscar_sim.clinic import SimClinic
from ocean_emr.testing.oscar_sim.demo import demo_clinic
from ocean_emr.testing.oscar_sim.journal import Journal
from ocean_emr.testing.oscar_sim.signatures import Profile, SimCredentials
from ocean_emr.testing.serving import listener, server

DEMO_CREDENTIALS: Final = SimCredentials(
    consumer_key="demo-consumer",
    consumer_secret="demo-consumer-secret",
    token="demo-token",
    token_secret="demo-token-secret",
)
"""Known to everybody, for patients who do not exist."""


class Scenario(StrEnum):
    """What the simulated OSCAR holds."""

    DEMO = "demo"
    """Providers, patients and bookings from today on."""
    EMPTY = "empty"


def main() -> None:
    """Serve until told to stop."""
    options = _options().parse_args()
    zone = ZoneInfo(options.zone)
    clinic = demo_clinic(datetime.now(zone).date()) if options.scenario is Scenario.DEMO else SimClinic()
    oscar = SimulatedOscar(clinic, DEMO_CREDENTIALS, profile=options.profile, zone=zone)
    if options.journal:
        Journal(options.journal).resume(oscar.clinic, oscar.ledger)
    tls = (options.tls_cert, options.tls_key) if options.tls_cert else None
    listening = listener(options.host, options.port)
    port = listening.getsockname()[1]
    what = f"{options.scenario} clinic, {options.profile}, {'https' if tls else 'http'}, port {port}, {CONTEXT}"
    sys.stdout.write(f"OSCAR simulator: {what}\n")
    sys.stdout.flush()
    server(oscar.application(), tls=tls).run(sockets=[listening])


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="oscar_sim", description="A simulator of OSCAR. Not for real patients.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one, printed)")
    parser.add_argument("--tls-cert", type=Path, help="certificate, PEM; with --tls-key")
    parser.add_argument("--tls-key", type=Path, help="its private key, PEM")
    parser.add_argument("--scenario", type=Scenario, choices=list(Scenario), default=Scenario.DEMO)
    parser.add_argument("--profile", type=Profile, choices=list(Profile), default=Profile.OPEN_O_2026)
    parser.add_argument("--journal", type=Path, help="file that holds what is changed, also over a kill -9")
    parser.add_argument("--zone", default="America/Toronto", help="the clinic's time zone (default: %(default)s)")
    return parser


if __name__ == "__main__":
    main()
