"""One clinic on real servers for the benchmarks of the synchronisation: Vault, PostgreSQL, and the two simulators."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio

from integration.installation import Installation, make_reviewer, surroundings
from integration.sync.clinic import TODAY, ZONE, Clinic, Tls, make_clinic
from ocean_dev.control_plane import ControlPlane
from ocean_dev.servers.openbao import openbao
from ocean_dev.servers.postgres import postgres
from ocean_emr.store.migrate import migrate
from ocean_emr.testing.ocean_sim import OceanSim
from ocean_emr.testing.oscar_sim import OscarSim, Profile, SimClinic, demo_clinic
from ocean_emr.testing.oscar_sim.ledger import Ledger, Received


@contextlib.contextmanager
def clinic_on_real_servers(profile: Profile, held: SimClinic | None = None) -> Iterator[tuple[Clinic, OscarSim]]:
    """A clinic whose pods can be run, and its EMR, which holds the demo's schedule or `held`."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plane = stack.enter_context(ControlPlane.start(folder / "plane"))
        database = stack.enter_context(postgres())
        bao = stack.enter_context(openbao(surroundings(plane, database, make_reviewer(plane))))
        installed = Installation(plane, database, bao, folder)
        installed.prepare()
        anyio.run(migrate, installed.migrate_settings())
        tls = Tls.made_in(folder)
        ocean = stack.enter_context(OceanSim(tls=tls.files))
        sim = OscarSim(held or demo_clinic(TODAY), profile=profile, zone=ZONE, tls=tls.files)
        oscar = stack.enter_context(sim)
        yield make_clinic(installed, folder, tls, oscar, ocean), oscar


class FirstCall:
    """Does something at the very moment when the EMR receives its next request."""

    def __init__(self, ledger: Ledger) -> None:
        self._enter = ledger.enter
        self._then: Callable[[], None] | None = None
        ledger.enter = self._entered  # type: ignore[method-assign]
        self.at = 0.0
        """When that was, by `time.monotonic`."""

    def expect(self, then: Callable[[], None]) -> None:
        """Do `then` at the next request."""
        self._then = then

    def _entered(self, method: str, path: str, *, writes: bool) -> Received:
        if self._then is not None:
            self.at = time.monotonic()
            then, self._then = self._then, None
            then()
        return self._enter(method, path, writes=writes)
