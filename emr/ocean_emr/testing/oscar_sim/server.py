"""The simulator as a server in a thread, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from ocean_emr.testing.oscar_sim.app import CONTEXT, SimulatedOscar
from ocean_emr.testing.oscar_sim.clinic import SimClinic
from ocean_emr.testing.oscar_sim.faults import Faults
from ocean_emr.testing.oscar_sim.ledger import Ledger
from ocean_emr.testing.oscar_sim.signatures import Logins, Profile, SimCredentials
from ocean_emr.testing.serving import Served

_TORONTO = ZoneInfo("America/Toronto")


class OscarSim:
    """A running OSCAR on a free loopback port. A context manager."""

    def __init__(
        self,
        clinic: SimClinic | None = None,
        *,
        profile: Profile = Profile.OPEN_O_2026,
        zone: ZoneInfo = _TORONTO,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        """Listen once entered.

        Args:
            clinic: What it holds; may be changed while it runs.
            profile: Which family of builds it imitates.
            zone: Where its wall clock hangs.
            tls: Certificate and key, PEM files.
        """
        self.credentials = SimCredentials()
        self._oscar = SimulatedOscar(clinic or SimClinic(), self.credentials, profile=profile, zone=zone)
        self._served = Served(self._oscar.application(), tls=tls)

    def __enter__(self) -> Self:
        self._served.__enter__()
        self.url = self._served.url + CONTEXT
        return self

    def __exit__(self, *_exc: object) -> None:
        self._served.__exit__()

    @property
    def clinic(self) -> SimClinic:
        """What it holds."""
        return self._oscar.clinic

    @property
    def faults(self) -> Faults:
        """What goes wrong with it."""
        return self._oscar.faults

    @property
    def ledger(self) -> Ledger:
        """What it was asked and what it showed."""
        return self._oscar.ledger

    @property
    def logins(self) -> Logins:
        """Its tables of clients and tokens."""
        return self._oscar.logins
