"""A simulator of Ocean: a real HTTP server that keeps what it is sent, encrypted as it came.

What it does for `/svc/v1`, `/svc/fhir` and `/svc/oauth2` follows OceanMD's sample clients; what it does for uploads
and for four of its events is our own profile (`ocean_emr.ocean.profile`, `ocean_emr.ocean.inbound_profile`), so passing
against it is no evidence about Ocean there. Under `/_sim` stands what a test or a demo needs to act as a patient, to
look, and to break things; nobody is asked who they are there.

In tests:

    with OceanSim(SimSite("1001", site_key="k", site_credential="c", sek=sek)) as sim:
        …  # sim.url, sim.site("1001").patients(), sim.faults.add(Fault(FaultKind.TOO_MANY))

As a server: `python -m ocean_emr.testing.ocean_sim --help`.
"""

from ocean_emr.testing.ocean_sim.faults import Fault, FaultKind
from ocean_emr.testing.ocean_sim.server import OceanSim
from ocean_emr.testing.ocean_sim.sites import BodyForm, ClientAuth, SimSite

__all__ = ["BodyForm", "ClientAuth", "Fault", "FaultKind", "OceanSim", "SimSite"]
