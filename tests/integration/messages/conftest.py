"""A clinic of its own for every test of the worker, on the servers that all of them share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.installation import Installation
from integration.messages.rig import MessageClinic, Rig
from integration.sync.clinic import ZONE, Gate, Tls, patient, small_clinic
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.testing.ocean_sim import OceanSim, SimSite
from ocean_emr.testing.oscar_sim import OscarSim

CHARTS = (1001, 1002, 1003)


@pytest.fixture
def rig(installation: Installation, tmp_path: Path, tls: Tls, running_ocean: OceanSim) -> Iterator[Rig]:
    """A clinic with three charts that are also Ocean's patients; no worker runs yet."""
    site = installation.new_site()
    key = SharedEncryptionKey(installation.keys[site.id])
    at_ocean = SimSite(site.number, site_key="site-key-1", site_credential="site-credential-1", sek=key)
    running_ocean.start_over(at_ocean)
    for number in CHARTS:
        chart = patient(number)
        demographics = {
            "firstName": chart.first_name,
            "surname": chart.last_name,
            "birthDate": chart.birth.isoformat(),
            "hn": chart.hin,
        }
        known = {"externalPatientRef": str(number), "demographics": demographics}
        at_ocean.mailbox.put_patient(f"ref-{number}", known)
    with OscarSim(small_clinic(), zone=ZONE, tls=tls.files) as oscar:
        block = {"url": oscar.url, "caBundle": tls.authority, "credentialsSecret": "emr"}
        emr = {"type": "OscarPro", "oscarPro": block}
        secret = oscar.credentials.as_secret()
        clinic = MessageClinic(installation, site, running_ocean, Gate(), tls, tmp_path / "pod", emr, secret)
        clinic.write()
        made = Rig(clinic, oscar)
        yield made
        made.end()
