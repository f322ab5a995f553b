"""The clinic's key changes while messages wait: what was encrypted and stored under the old one still gets through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.installation import Installation
from integration.proof.checker import findings
from integration.proof.landscape import PATIENTS, Landscape, ProofClinic, end, make_landscape
from integration.sync.clinic import Tls
from ocean_api import names
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.testing.ocean_sim import OceanSim
from ocean_emr.testing.oscar_sim import Fault, FaultKind

NEW_KEY = "Another-Key-0001"


@pytest.fixture
def landscape(installation: Installation, tmp_path: Path, tls: Tls, running_ocean: OceanSim) -> Iterator[Landscape]:
    made = make_landscape(installation, tmp_path, running_ocean, tls, clinics=1)
    yield made
    end(made)


def test_a_mixed_queue_drains(landscape: Landscape) -> None:
    """Fetched and sealed under the old key, waiting at Ocean under the old key, and made under the new one."""
    (clinic,) = landscape.clinics
    clinic.worker.start()
    clinic.oscar.faults.add(Fault(FaultKind.UNAVAILABLE))
    for chart in PATIENTS:
        landscape.complete(clinic, chart)
    landscape.until(lambda: len(_fetched(landscape)) >= len(PATIENTS), "they are fetched under the old key")
    clinic.worker.kill()
    for chart in PATIENTS:
        landscape.complete(clinic, chart)
    _change_key(landscape, clinic)
    for chart in PATIENTS:
        landscape.complete(clinic, chart)
    clinic.oscar.faults.clear()
    clinic.worker.start()
    landscape.until(landscape.drained, "everything is delivered")
    accepted = landscape.accepted()

    assert len(accepted) == 3 * len(PATIENTS)
    assert landscape.rows("held") == []
    assert findings(accepted, landscape.seen(), {}).wrong == {}


def _fetched(landscape: Landscape) -> list[tuple[object, ...]]:
    return [row for row in landscape.rows("accepted", "sent") if row[1] != "event"]


def _change_key(landscape: Landscape, clinic: ProofClinic) -> None:
    """At Ocean and in Vault, as a person does."""
    site = clinic.pods.site
    clinic.ocean.sek = SharedEncryptionKey(NEW_KEY)
    for number in PATIENTS:
        clinic.ocean.mailbox.put_patient(f"ref-{number}", clinic.person(number))
    path = f"{names.VAULT_KV_MOUNT}/data/{names.sek_path(site.namespace, site.name)}"
    body = {"data": {names.SEK_FIELD: NEW_KEY}, "options": {"cas": 1}}
    landscape.installation.administrator().get("POST", path, body)
