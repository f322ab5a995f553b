"""Clinics on real servers for benchmarks of the synchronisation: Vault, PostgreSQL, simulators of Ocean and EMRs."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio

from integration.installation import Installation, make_reviewer, surroundings
from integration.sync.clinic import ZONE, Clinic, Process, Tls, make_clinic, make_site
from ocean_dev.control_plane import ControlPlane
from ocean_dev.servers.openbao import openbao
from ocean_dev.servers.postgres import postgres
from ocean_emr.store.migrate import migrate
from ocean_emr.testing.fhir_gateway import FhirGateway, State
from ocean_emr.testing.fhir_stub import FhirStore
from ocean_emr.testing.ocean_sim import OceanSim
from ocean_emr.testing.oscar_sim import OscarSim, Profile, SimClinic
from ocean_emr.testing.oscar_sim.ledger import Ledger, Received

FULL = ("sync", "full", "--trigger", "Requested")
"""The command line of a full run."""

_FHIR_CLIENT = {"clientId": "bench", "clientSecret": "not-a-real-client-secret"}


@dataclass(frozen=True, slots=True)
class Servers:
    """What all clinics share."""

    installed: Installation
    folder: Path
    tls: Tls
    ocean: OceanSim

    @contextlib.contextmanager
    def oscar(self, held: SimClinic, profile: Profile) -> Iterator[tuple[Clinic, OscarSim]]:
        """A clinic whose pods can be run, and its OSCAR."""
        with OscarSim(held, profile=profile, zone=ZONE, tls=self.tls.files) as oscar:
            yield make_clinic(self.installed, self.folder / profile, self.tls, oscar, self.ocean), oscar

    @contextlib.contextmanager
    def fhir(self, held: FhirStore) -> Iterator[tuple[Clinic, FhirGateway]]:
        """A clinic whose pods can be run, and the gateway to its FHIR server."""
        state = State(_FHIR_CLIENT["clientId"], _FHIR_CLIENT["clientSecret"], held)
        with FhirGateway(state, tls=self.tls.files) as gateway:
            where = {"url": gateway.fhir_url, "tokenUrl": gateway.token_url}
            block = where | {"caBundle": self.tls.authority, "credentialsSecret": "emr"}
            emr = {"type": "FHIR", "fhir": block}
            folder = self.folder / "fhir"
            yield make_site(self.installed, folder, self.tls, self.ocean, emr=emr, secret=_FHIR_CLIENT), gateway


@contextlib.contextmanager
def real_servers() -> Iterator[Servers]:
    """Vault and PostgreSQL as an installation has them, and Ocean."""
    # In the image everything is compiled. Here a first run, which nobody measures, compiles what it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plane = stack.enter_context(ControlPlane.start(folder / "plane"))
        database = stack.enter_context(postgres())
        bao = stack.enter_context(openbao(surroundings(plane, database, make_reviewer(plane))))
        installed = Installation(plane, database, bao, folder)
        installed.prepare()
        anyio.run(migrate, installed.migrate_settings())
        tls = Tls.made_in(folder)
        yield Servers(installed, folder, tls, stack.enter_context(OceanSim(tls=tls.files)))


async def ended(process: Process) -> None:
    """Return when `process` has ended well, however busy the machine is."""
    if await process.status(within=1_800):
        raise RuntimeError(process.said)


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
