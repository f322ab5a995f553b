"""The simulator as a program of its own, as the demo's pod runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from ocean_emr.ocean.client import KeyTrial, OceanAccess, OceanClient
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.ocean.errors import OceanAccessRefusedError
from ocean_emr.ocean.login import SiteCredential
from ocean_emr.ocean.profile import Upload
from ocean_emr.testing.serving import LOOPBACK
from unit.ocean.certificates import Tls

CREDENTIAL = SiteCredential("sitekey-0001", "sitecredential-0001")


@pytest.fixture
def url(tmp_path: Path, tls: Tls) -> Iterator[str]:
    sites = tmp_path / "sites.json"
    site = {
        "siteNum": "1001",
        "siteKey": CREDENTIAL.site_key,
        "siteCredential": CREDENTIAL.site_credential,
        "sharedEncryptionKey": "TestKey1!2345678",
        "bodyForm": "signed-bytes",
    }
    sites.write_text(json.dumps({"sites": [site]}))
    command = [sys.executable, "-m", "ocean_emr.testing.ocean_sim", "--port", "0", "--sites-file", str(sites)]
    command += ["--tls-cert", str(tls.certificate), "--tls-key", str(tls.key)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own interpreter
        assert process.stdout
        greeting = process.stdout.readline()
        port = int(greeting.partition("port ")[2].partition(",")[0])
        yield f"https://127.0.0.1:{port}"
        process.terminate()
        process.wait(10)


async def test_the_program_serves_shows_and_breaks(url: str, tls: Tls, sek: SharedEncryptionKey) -> None:
    upload = Upload.of("p0001", {"externalPatientRef": "p0001", "siteNum": "1001"})
    async with httpx.AsyncClient(base_url=url, verify=tls.trusting()) as looking:
        access = OceanAccess(url, "1001", CREDENTIAL, ca_bundle=tls.authority_pem, addresses=LOOPBACK)
        async with OceanClient(access) as client:
            assert await client.trial_decrypt(sek) is KeyTrial.KNOWN
            await client.upsert_patients([upload], sek)
            await looking.post("/_sim/faults", json={"kind": "403", "times": None})
            with pytest.raises(OceanAccessRefusedError):
                await client.check()
            await looking.delete("/_sim/faults")
            await client.check()
        await looking.put("/_sim/sites/1002", json={"siteKey": "k", "siteCredential": "c"})
        another = replace(access, site_number="1002", credential=SiteCredential("k", "c"))
        async with OceanClient(another) as added:
            assert await added.trial_decrypt(sek) is KeyTrial.OCEAN_HAS_NO_KEY

        patients = (await looking.get("/_sim/sites/1001/patients")).json()["patients"]
        overview = (await looking.get("/_sim/sites")).json()["sites"]
        requests = (await looking.get("/_sim/sites/1001/requests")).json()["requests"]
        nobody = await looking.get("/_sim/sites/9999/patients")

    assert patients == [{"ref": "p0001", "upserts": 1, "content": {"externalPatientRef": "p0001", "siteNum": "1001"}}]
    assert [(row["siteNum"], row["keyKnown"], row["patients"]) for row in overview] == [
        ("1001", True, 1),
        ("1002", False, 0),
    ]
    assert [row["fault"] for row in requests] == [None, None, "403", None]
    assert nobody.status_code == 404
