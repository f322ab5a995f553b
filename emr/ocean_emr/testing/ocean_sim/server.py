"""The simulator as a server: in a thread for tests, as the main program for a pod."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Self

import uvicorn

from ocean_emr.testing.ocean_sim.answering import State
from ocean_emr.testing.ocean_sim.app import application
from ocean_emr.testing.ocean_sim.faults import Faults
from ocean_emr.testing.ocean_sim.sites import ClientAuth, SimSite
from ocean_emr.testing.ocean_sim.spoiled import Protocol
from ocean_emr.testing.ocean_sim.webhooks import Webhooks
from ocean_emr.testing.serving import Server, listener


def server(state: State, *, tls: tuple[Path, Path] | None = None) -> Server:
    """An HTTP server over `state`; `tls` is certificate and key."""
    return Server(
        uvicorn.Config(
            application(state),
            http=Protocol,
            loop="asyncio",
            lifespan="off",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=2,  # a request told to hang would hold up the end for ever
            ssl_certfile=tls[0] if tls else None,
            ssl_keyfile=tls[1] if tls else None,
        )
    )


class OceanSim:
    """A running simulator on a free loopback port. A context manager, for tests."""

    def __init__(self, *sites: SimSite, tls: tuple[Path, Path] | None = None) -> None:
        """Know `sites`; listen once entered. `tls` is certificate and key, both PEM files."""
        self._state = State({site.site_number: site for site in sites})
        self._tls = tls

    def start_over(self, *sites: SimSite) -> None:
        """Know `sites` only, as if just started."""
        fresh = State({site.site_number: site for site in sites})
        self._state.sites, self._state.tokens, self._state.logins = fresh.sites, fresh.tokens, fresh.logins
        self._state.webhooks.stop()
        self._state.webhooks = fresh.webhooks
        self._state.webhooks.start()
        self._state.faults.clear()

    @property
    def faults(self) -> Faults:
        """What shall go wrong."""
        return self._state.faults

    def site(self, number: str) -> SimSite:
        """The site as Ocean has it."""
        return self._state.sites[number]

    @property
    def webhooks(self) -> Webhooks:
        """Who is told of what, and what became of it."""
        return self._state.webhooks

    @property
    def logins(self) -> list[tuple[ClientAuth, bool]]:
        """How each request for a token showed its client, and whether it got one."""
        return self._state.logins

    def withdraw_tokens(self) -> None:
        """Let no token be good any more, before its time."""
        self._state.tokens.clear()

    def __enter__(self) -> Self:
        self._state.webhooks.start()
        self._socket = listener("127.0.0.1", 0)
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = server(self._state, tls=self._tls)
        self._thread = Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        if not self._server.listening.wait(10):
            raise TimeoutError("The simulator did not start.")
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.stop()
        self._thread.join(10)
        self._socket.close()
        self._state.webhooks.stop()
