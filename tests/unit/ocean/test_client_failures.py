from __future__ import annotations

import logging
import socket
import traceback
from collections.abc import Iterator
from dataclasses import replace

import pytest
import stamina

from ocean_emr.ocean.client import KeyTrial, OceanAccess, OceanClient
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.ocean.errors import (
    OceanAccessRefusedError,
    OceanAnswerUnreadableError,
    OceanError,
    OceanRateLimitedError,
    OceanTlsError,
    OceanUnavailableError,
)
from ocean_emr.ocean.login import SiteCredential
from ocean_emr.testing.ocean_sim import Fault, FaultKind, OceanSim, SimSite
from ocean_emr.testing.serving import LOOPBACK
from unit.ocean.certificates import Tls
from unit.ocean.uploads import CREDENTIAL, SITE, SURNAME, access, appointment, patient

QUICK_TROUBLE = [FaultKind.BROKEN, FaultKind.AWAY, FaultKind.TOO_MANY, FaultKind.RESET]
HANGING = [FaultKind.TIMEOUT_BEFORE, FaultKind.TIMEOUT_AFTER, FaultKind.DRIP]
UNREADABLE = {
    FaultKind.PAGE: "a web page",
    FaultKind.EMPTY: "not JSON",
    FaultKind.CUT_JSON: "not JSON",
    FaultKind.REDIRECT: "another address",
    FaultKind.COMPRESSED: "compressed",
    FaultKind.ENDLESS: "larger than 4194304 bytes",
    FaultKind.DROP_RESULT: "about 1 of 2 records",
    FaultKind.NOT_FOUND: "does not know this request",
}
COMMITTED = {FaultKind.RESET, FaultKind.TIMEOUT_AFTER, FaultKind.DRIP}


def impatient(sim: OceanSim) -> OceanClient:
    """A client that gives up on a hanging answer soon enough for a test."""
    return OceanClient(access(sim), deadline_seconds=0.3)


@pytest.fixture
def one_attempt() -> Iterator[None]:
    """For what must fail anyway: no repetition."""
    with stamina.set_testing(True, attempts=1):
        yield


def everything_shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)) + getattr(error, "remedy", "")


@pytest.mark.parametrize(
    "credential", [SiteCredential("wrong", "sitecredential-0001"), SiteCredential("sitekey-0001", "wrong")]
)
async def test_a_wrong_credential_is_refused(sim: OceanSim, credential: SiteCredential) -> None:
    async with OceanClient(access(sim, credential)) as client:
        with pytest.raises(OceanAccessRefusedError) as caught:
            await client.check()

    assert caught.value.http_status == 401
    assert caught.value.reason == "OceanAccessRefused"


@pytest.mark.parametrize("kind", [FaultKind.UNAUTHORIZED, FaultKind.FORBIDDEN])
async def test_a_refusal_is_not_repeated(
    sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey, kind: FaultKind
) -> None:
    """Repeating could lock the account."""
    sim.faults.add(Fault(kind, times=None))

    with pytest.raises(OceanAccessRefusedError):
        await ocean.upsert_patients([patient("p0001")], sek)

    assert len(sim.site(SITE).requests) == 1


async def test_a_firewalls_page_is_not_called_a_refused_credential(
    sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey
) -> None:
    sim.faults.add(Fault(FaultKind.FORBIDDEN_PAGE))

    with pytest.raises(OceanUnavailableError) as caught:
        await ocean.upsert_patients([patient("p0001")], sek)

    assert "firewall" in caught.value.remedy


@pytest.mark.parametrize("kind", [*QUICK_TROUBLE, *HANGING])
async def test_short_trouble_is_passed_over(sim: OceanSim, sek: SharedEncryptionKey, kind: FaultKind) -> None:
    """Also when the deed was done and only its answer lost: an upsert has the same effect once and twice."""
    sim.faults.add(Fault(kind, retry_after="1" if kind is FaultKind.TOO_MANY else None))

    async with impatient(sim) as client:
        result = await client.upsert_patients([patient("p0001")], sek)

    assert result.accepted == ("p0001",)
    assert len(sim.site(SITE).requests) == 2
    assert [row["upserts"] for row in sim.site(SITE).patients()] == [2 if kind in COMMITTED else 1]


@pytest.mark.parametrize("kind", [*QUICK_TROUBLE, FaultKind.TIMEOUT_BEFORE])
async def test_lasting_trouble_ends_the_run(sim: OceanSim, sek: SharedEncryptionKey, kind: FaultKind) -> None:
    sim.faults.add(Fault(kind, times=None))

    async with impatient(sim) as client:
        with pytest.raises(OceanUnavailableError) as caught:
            await client.upsert_patients([patient("p0001")], sek)

    assert caught.value.reason == ("OceanRateLimited" if kind is FaultKind.TOO_MANY else "OceanUnavailable")
    assert len(sim.site(SITE).requests) == 3


@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.TIMEOUT_AFTER])
async def test_a_removal_whose_answer_was_lost_is_repeated(
    sim: OceanSim, sek: SharedEncryptionKey, kind: FaultKind
) -> None:
    async with impatient(sim) as client:
        await client.upsert_appointments([appointment("a0001")], sek)
        sim.faults.add(Fault(kind))

        result = await client.remove_appointments(["a0001"])

    assert result.accepted == ("a0001",)
    assert sim.site(SITE).appointments() == []


async def test_a_long_pause_is_handed_to_the_caller(
    sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey
) -> None:
    sim.faults.add(Fault(FaultKind.TOO_MANY, times=None, retry_after="3600"))

    with pytest.raises(OceanRateLimitedError) as caught:
        await ocean.upsert_patients([patient("p0001")], sek)

    assert caught.value.retry_after == 3600.0
    assert len(sim.site(SITE).requests) == 1


@pytest.mark.parametrize(("kind", "words"), UNREADABLE.items())
async def test_an_answer_of_another_form_stops_the_run_at_once(
    sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey, kind: FaultKind, words: str
) -> None:
    sim.faults.add(Fault(kind, times=None))

    with pytest.raises(OceanAnswerUnreadableError, match=words):
        await ocean.upsert_patients([patient("p0001"), patient("p0002")], sek)

    assert len(sim.site(SITE).requests) == 1


async def test_a_server_without_our_profile_is_named_as_that(
    sim: OceanSim, ocean: OceanClient, sek: SharedEncryptionKey
) -> None:
    """The likeliest cause: somebody pointed the product at the real Ocean."""
    sim.faults.add(Fault(FaultKind.NOT_FOUND))

    with pytest.raises(OceanAnswerUnreadableError) as caught:
        await ocean.upsert_patients([patient("p0001")], sek)

    assert "unverified" in caught.value.remedy


@pytest.mark.usefixtures("one_attempt")
@pytest.mark.parametrize("kind", [*QUICK_TROUBLE, *UNREADABLE, FaultKind.DRIP, FaultKind.FORBIDDEN_PAGE])
async def test_the_connection_test_and_the_trial_fail_in_our_words(
    sim: OceanSim, sek: SharedEncryptionKey, kind: FaultKind
) -> None:
    sim.faults.add(Fault(kind, times=None))

    async with impatient(sim) as client:
        for call in (client.check(), client.trial_decrypt(sek)):
            if kind is FaultKind.DROP_RESULT:  # nothing to drop here
                await call
                continue
            with pytest.raises(OceanError):
                await call


@pytest.mark.usefixtures("one_attempt")
@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.REJECT_ITEMS])
async def test_no_error_and_no_log_holds_a_secret_or_a_patient(
    sim: OceanSim, sek: SharedEncryptionKey, kind: FaultKind, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sim.faults.add(Fault(kind, times=None, refs=frozenset({"p0001"})))

    async with impatient(sim) as client:
        with pytest.raises(OceanError) as caught:
            await client.upsert_patients([patient("p0001")], sek)
    shown = everything_shown(caught.value) + caplog.text

    for secret in (CREDENTIAL.site_key, CREDENTIAL.site_credential, sek.reveal(), SURNAME, "told to fail", "Sign in"):
        assert secret not in shown
    assert caught.value.__cause__ is None  # httpx' errors carry the request, and with it the credential
    assert "HTTP Request" not in caplog.text
    assert "response_headers" not in caplog.text


async def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with OceanClient(OceanAccess(url, SITE, CREDENTIAL, addresses=LOOPBACK)) as client:
            with pytest.raises(OceanUnavailableError, match="could not be reached"):
                await client.check()


async def test_a_name_nobody_knows_is_unavailable() -> None:
    async with OceanClient(OceanAccess("https://ocean.invalid", SITE, CREDENTIAL)) as client:
        with pytest.raises(OceanUnavailableError):
            await client.check()


async def test_tls_with_the_clinics_own_authority(tls: Tls, sek: SharedEncryptionKey) -> None:
    site = SimSite(SITE, CREDENTIAL.site_key, CREDENTIAL.site_credential, sek=sek)
    with OceanSim(site, tls=(tls.certificate, tls.key)) as sim:
        async with OceanClient(replace(access(sim), ca_bundle=tls.authority_pem)) as client:
            assert await client.trial_decrypt(sek) is KeyTrial.KNOWN
        async with OceanClient(access(sim)) as client:
            with pytest.raises(OceanTlsError) as caught:
                await client.check()

    assert caught.value.reason == "OceanTlsFailed"
    assert "caBundle" in caught.value.remedy


async def test_a_server_that_speaks_no_tls_is_named_as_that(sim: OceanSim) -> None:
    plain = sim.url.replace("http:", "https:")

    async with OceanClient(replace(access(sim), url=plain)) as client:
        with pytest.raises(OceanTlsError):
            await client.check()


@pytest.mark.parametrize(
    ("url", "bundle", "remedy"),
    [
        ("http://ocean.example", None, "https"),
        ("http://10.0.0.1", None, "https"),
        ("ftp://ocean.example", None, "https"),
        ("ocean.example", None, "url"),
        ("", None, "url"),
        ("https:///path", None, "url"),
        ("https://ocean.example:99999", None, "url"),
        ("https://ocean.example:port", None, "url"),
        ("https://ocean.example", "no certificate", "caBundle"),
        ("https://ocean.example", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "caBundle"),
    ],
)
def test_an_address_or_authority_that_cannot_be_used_is_refused_before_anything_is_sent(
    url: str, bundle: str | None, remedy: str
) -> None:
    with pytest.raises(OceanError) as caught:
        OceanClient(OceanAccess(url, SITE, CREDENTIAL, ca_bundle=bundle))

    assert remedy in caught.value.remedy


@pytest.mark.parametrize("value", ["", " ", "two words-0001", "line\nbreak-0001", "accenté-0001", "nul\0-0001"])
def test_a_credential_no_header_can_carry_is_refused_without_being_quoted(value: str) -> None:
    with pytest.raises(OceanAccessRefusedError) as caught:
        OceanClient(OceanAccess("https://ocean.example", SITE, SiteCredential("sitekey-0001", value)))

    assert "siteCredential" in str(caught.value)
    assert "-0001" not in str(caught.value) + repr(caught.value)
