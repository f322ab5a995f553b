"""What the tests of the client send, and as whom."""

from __future__ import annotations

from ocean_emr.ocean.client import OceanAccess
from ocean_emr.ocean.login import SiteCredential
from ocean_emr.ocean.profile import Upload
from ocean_emr.testing.ocean_sim import OceanSim
from ocean_emr.testing.serving import LOOPBACK

SITE = "1001"
CREDENTIAL = SiteCredential("sitekey-0001", "sitecredential-0001")
SURNAME = "Surname-of-p0001"


def access(sim: OceanSim, credential: SiteCredential = CREDENTIAL) -> OceanAccess:
    """How the site of the tests reaches `sim`."""
    return OceanAccess(sim.url, SITE, credential, addresses=LOOPBACK)


def patient(ref: str) -> Upload:
    """A patient with a name that must be seen nowhere."""
    return Upload.of(
        ref, {"externalPatientRef": ref, "siteNum": SITE, "demographics": {"surname": SURNAME, "firstName": "Zoé"}}
    )


def appointment(ref: str) -> Upload:
    """An appointment without a patient."""
    return Upload.of(ref, {"externalAppointmentRef": ref, "siteNum": SITE, "start": "2026-11-01T09:30:00-05:00"})
