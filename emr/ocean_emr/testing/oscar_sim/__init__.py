"""A simulator of OSCAR: a real HTTP server that verifies signatures and has two families' habits.

In tests, `with OscarSim(clinic) as sim:`. As a program, `python -m ocean_emr.testing.oscar_sim --help`. What it
imitates, and after which source, is told on docs/emr/oscar-pro.md.
"""

from __future__ import annotations

from ocean_emr.testing.oscar_sim.clinic import (
    SimAppointment,
    SimClinic,
    SimDocument,
    SimNote,
    SimPatient,
    SimProvider,
    SimStatus,
)
from ocean_emr.testing.oscar_sim.demo import demo_clinic
from ocean_emr.testing.oscar_sim.faults import Fault, FaultKind
from ocean_emr.testing.oscar_sim.server import OscarSim
from ocean_emr.testing.oscar_sim.signatures import Profile, SimCredentials

__all__ = [
    "Fault",
    "FaultKind",
    "OscarSim",
    "Profile",
    "SimAppointment",
    "SimClinic",
    "SimCredentials",
    "SimDocument",
    "SimNote",
    "SimPatient",
    "SimProvider",
    "SimStatus",
    "demo_clinic",
]
