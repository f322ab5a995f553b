from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from ocean_emr.ocean.client import KeyTrial, OceanClient
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.ocean.errors import (
    OceanAccessRefusedError,
    OceanAnswerUnreadableError,
    SekMismatchError,
)
from ocean_emr.ocean.login import SiteCredential
from ocean_emr.ocean.profile import MAX_BATCH, Upload
from ocean_emr.testing.ocean_sim import BodyForm, Fault, FaultKind, OceanSim
from unit.ocean.uploads import SITE, SURNAME, access, appointment, patient

WRONG = SharedEncryptionKey("Another!Key12345")


async def test_what_was_uploaded_is_seen_at_ocean(sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey) -> None:
    result = await ocean.upsert_patients([patient("p0002"), patient("p0001")], sek)
    await ocean.upsert_appointments([appointment("a0001")], sek)

    assert result.accepted == ("p0002", "p0001")
    assert [row["ref"] for row in sim.site(SITE).patients()] == ["p0001", "p0002"]
    assert sim.site(SITE).patients()[0]["content"]["demographics"]["firstName"] == "Zoé"
    assert sim.site(SITE).appointments()[0]["content"]["start"] == "2026-11-01T09:30:00-05:00"


async def test_nothing_of_a_patient_travels_in_clear(
    sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey
) -> None:
    await ocean.upsert_patients([patient("p0001")], sek)
    sent = sim.site(SITE).requests[0].body

    assert b"p0001" in sent
    assert SURNAME.encode() not in sent
    assert b"demographics" not in sent
    assert sek.reveal().encode() not in sent


async def test_an_upsert_replaces(sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey) -> None:
    await ocean.upsert_patients([patient("p0001")], sek)
    await ocean.upsert_patients([patient("p0001")], sek)

    assert [(row["ref"], row["upserts"]) for row in sim.site(SITE).patients()] == [("p0001", 2)]


async def test_removing_what_is_not_there_is_accepted(
    sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey
) -> None:
    """A killed run is run again."""
    await ocean.upsert_appointments([appointment("a0001"), appointment("a0002")], sek)
    for _ in range(2):
        result = await ocean.remove_appointments(["a0001", "a0009"])

        assert result.accepted == ("a0001", "a0009")
        assert [row["ref"] for row in sim.site(SITE).appointments()] == ["a0002"]


async def test_one_bad_record_does_not_hold_up_the_others(
    sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey
) -> None:
    sim.faults.add(Fault(FaultKind.REJECT_ITEMS, refs=frozenset({"p0002"})))

    result = await ocean.upsert_patients([patient(f"p000{n}") for n in (1, 2, 3)], sek)

    assert result.accepted == ("p0001", "p0003")
    assert [(item.ref, item.code, item.reason) for item in result.rejected] == [
        ("p0002", "Refused", "OceanRecordRejected")
    ]
    assert [row["ref"] for row in sim.site(SITE).patients()] == ["p0001", "p0003"]


async def test_ocean_looks_at_what_was_sent(sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey) -> None:
    """A patient under another's ref, or of another site, must not get in unseen."""
    mixed_up = Upload.of("p0002", {"externalPatientRef": "p0001", "siteNum": SITE})
    elsewhere = Upload.of("p0003", {"externalPatientRef": "p0003", "siteNum": "9999"})

    result = await ocean.upsert_patients([mixed_up, elsewhere], sek)

    assert [item.code for item in result.rejected] == ["WrongRef", "WrongSite"]
    assert sim.site(SITE).patients() == []


async def test_a_wrong_key_is_one_clear_error_and_leaves_nothing(sim: OceanSim, ocean: OceanClient) -> None:
    with pytest.raises(SekMismatchError):
        await ocean.upsert_patients([patient("p0001")], WRONG)

    assert sim.site(SITE).patients() == []


async def test_more_than_a_batch_is_the_callers_mistake(ocean: OceanClient, sek: SharedEncryptionKey) -> None:
    with pytest.raises(ValueError, match="at most 100"):
        await ocean.upsert_patients([patient(f"p{n}") for n in range(MAX_BATCH + 1)], sek)
    with pytest.raises(ValueError, match="each ref once"):
        await ocean.remove_appointments(["a0001", "a0001"])


async def test_a_whole_batch_fits(sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey) -> None:
    result = await ocean.upsert_patients([patient(f"p{n:04}") for n in range(MAX_BATCH)], sek)

    assert len(result.accepted) == MAX_BATCH
    assert len(sim.site(SITE).patients()) == MAX_BATCH


async def test_an_empty_batch_asks_nobody(sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey) -> None:
    assert (await ocean.upsert_patients([], sek)).accepted == ()
    assert (await ocean.remove_appointments([])).accepted == ()
    assert len(sim.site(SITE).requests) == 0


@pytest.mark.parametrize("form", BodyForm)
async def test_a_key_is_tried_on_oceans_own_material(
    sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey, form: BodyForm
) -> None:
    sim.site(SITE).body_form = form

    assert await ocean.trial_decrypt(sek) is KeyTrial.KNOWN
    assert await ocean.trial_decrypt(WRONG) is KeyTrial.MISMATCH


async def test_ten_thousand_wrong_keys_are_never_known(sim: OceanSim, ocean: OceanClient) -> None:
    """The whole trial, on one answer of Ocean's: some get past the padding, none past the JSON."""
    block = await ocean.private_key_block()
    assert block is not None

    class Recorded(OceanClient):
        async def private_key_block(self) -> object:  # type: ignore[override]
            return block

    verdicts = {await Recorded(access(sim)).trial_decrypt(SharedEncryptionKey("x"))}
    trial = Recorded(access(sim)).trial_decrypt
    for n in range(10_000):
        verdicts.add(await trial(SharedEncryptionKey(f"Wrong!{n}")))

    assert verdicts == {KeyTrial.MISMATCH}


async def test_without_material_at_ocean_a_key_cannot_be_tried(
    sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey
) -> None:
    """As after `generate`, before the clinic has entered the new key in Ocean."""
    sim.site(SITE).sek = None
    trial = await ocean.trial_decrypt(sek)
    result = await ocean.upsert_patients([patient("p0001")], sek)
    before = sim.site(SITE).patients()
    sim.site(SITE).sek = sek

    assert trial is KeyTrial.OCEAN_HAS_NO_KEY
    assert result.accepted == ("p0001",)
    assert before[0]["content"] is None
    assert sim.site(SITE).patients()[0]["content"]["externalPatientRef"] == "p0001"


async def test_a_wrong_address_is_not_read_as_no_key(sim: OceanSim, sek: SharedEncryptionKey) -> None:
    """A 404 says that something else stands there, not that any key would do."""
    async with OceanClient(replace(access(sim), url=f"{sim.url}/elsewhere")) as lost:
        with pytest.raises(OceanAnswerUnreadableError):
            await lost.trial_decrypt(sek)


async def test_the_line_end_an_editor_leaves_behind_does_no_harm(sim: OceanSim) -> None:
    async with OceanClient(access(sim, SiteCredential("sitekey-0001\n", "sitecredential-0001\r\n"))) as client:
        await client.check()

    assert len(sim.site(SITE).requests) == 1


async def test_what_is_safe_to_show_hides_the_credentials(sim: OceanSim) -> None:
    shown = repr(access(sim))

    assert "1001" in shown
    assert "0001" not in shown.replace("1001", "")


async def test_sites_do_not_see_each_others_records(sim: OceanSim, sek: SharedEncryptionKey) -> None:
    async with httpx.AsyncClient(base_url=sim.url) as http:
        await http.put(
            "/_sim/sites/1002", json={"siteKey": "k2", "siteCredential": "c2", "sharedEncryptionKey": "Other"}
        )
    async with OceanClient(replace(access(sim, SiteCredential("k2", "c2")), site_number="1002")) as other:
        assert await other.trial_decrypt(sek) is KeyTrial.MISMATCH
        with pytest.raises(SekMismatchError):
            await other.upsert_patients([patient("p0001")], sek)
    async with OceanClient(access(sim, SiteCredential("k2", "c2"))) as stranger:
        with pytest.raises(OceanAccessRefusedError):
            await stranger.check()

    assert sim.site("1002").patients() == sim.site(SITE).patients() == []
