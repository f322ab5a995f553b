"""`python -m ocean_emr.testing.ocean_sim`: the simulator as a program, for a pod of the demo."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import orjson

from ocean_emr.testing.ocean_sim.answering import State
from ocean_emr.testing.ocean_sim.server import server
from ocean_emr.testing.ocean_sim.sites import SimSite
from ocean_emr.testing.serving import listener


def main() -> None:
    """Serve until told to stop."""
    options = _options().parse_args()
    known = orjson.loads(options.sites_file.read_bytes())["sites"] if options.sites_file else []
    state = State({value["siteNum"]: SimSite.from_json(value) for value in known})
    tls = (options.tls_cert, options.tls_key) if options.tls_cert else None
    listening = listener(options.host, options.port)
    port = listening.getsockname()[1]
    sys.stdout.write(f"Ocean simulator: {len(state.sites)} sites, port {port}, {'https' if tls else 'http'}\n")
    sys.stdout.flush()
    state.webhooks.speed = options.webhook_speed
    state.webhooks.start()
    server(state, tls=tls).run(sockets=[listening])
    state.webhooks.stop()


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ocean_sim", description="A simulator of Ocean. Not for real patients.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one, printed)")
    parser.add_argument("--tls-cert", type=Path, help="certificate, PEM; with --tls-key")
    parser.add_argument("--tls-key", type=Path, help="its private key, PEM")
    parser.add_argument(
        "--webhook-speed",
        type=float,
        default=1.0,
        help="how many times faster than Ocean to tell a receiver again that did not take an event (default: 1)",
    )
    parser.add_argument(
        "--sites-file",
        type=Path,
        help='JSON: {"sites": [{"siteNum", "siteKey", "siteCredential", "clientId", "clientSecret", '
        '"sharedEncryptionKey"}, …]}; more can be PUT to /_sim/sites/NUMBER',
    )
    return parser


if __name__ == "__main__":
    main()
