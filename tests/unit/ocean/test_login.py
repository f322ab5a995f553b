from __future__ import annotations

import anyio
import pytest

from ocean_emr.ocean.client import KeyTrial, OceanAccess, OceanClient
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.ocean.errors import (
    OceanAccessRefusedError,
    OceanAnswerUnreadableError,
    OceanError,
    OceanUnavailableError,
)
from ocean_emr.ocean.login import TOKEN_PATH, ClientCredentials
from ocean_emr.testing.ocean_sim import ClientAuth, Fault, FaultKind, OceanSim
from ocean_emr.testing.serving import LOOPBACK

SITE = "1001"
CLIENT = ClientCredentials("client-0001", "clientsecret-0001")


def client_of(sim: OceanSim, credentials: ClientCredentials = CLIENT) -> OceanClient:
    return OceanClient(OceanAccess(sim.url, SITE, credentials, addresses=LOOPBACK), deadline_seconds=0.5)


async def test_a_token_is_fetched_once_and_used_until_it_ends(sim: OceanSim, sek: SharedEncryptionKey) -> None:
    async with client_of(sim) as client:
        await client.check()
        trial = await client.trial_decrypt(sek)
        await client.remove_appointments(["a0001"])

    assert trial is KeyTrial.KNOWN
    assert sim.logins == [(ClientAuth.FORM, True)]
    assert len(sim.site(SITE).requests) == 3


async def test_calls_at_the_same_time_share_one_login(sim: OceanSim) -> None:
    async with client_of(sim) as client, anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(client.check)

    assert sim.logins == [(ClientAuth.FORM, True)]


async def test_basic_is_tried_when_the_form_is_refused_and_then_kept(sim: OceanSim) -> None:
    sim.site(SITE).client_auth = ClientAuth.BASIC
    sim.site(SITE).token_seconds = 0

    async with client_of(sim) as client:
        for _ in range(3):
            with pytest.raises(OceanAccessRefusedError):
                await client.check()  # a token of no duration is refused each time

    assert sim.logins[0] == (ClientAuth.FORM, False)
    assert set(sim.logins[1:]) == {(ClientAuth.BASIC, True)}


async def test_basic_logs_in(sim: OceanSim) -> None:
    sim.site(SITE).client_auth = ClientAuth.BASIC

    async with client_of(sim) as client:
        await client.check()
        await client.check()

    assert sim.logins == [(ClientAuth.FORM, False), (ClientAuth.BASIC, True)]


async def test_a_form_that_once_worked_is_not_followed_by_basic(sim: OceanSim) -> None:
    """A withdrawn client is refused once, not twice."""
    async with client_of(sim) as client:
        await client.check()
        sim.withdraw_tokens()
        sim.site(SITE).client_secret = "changed"
        with pytest.raises(OceanAccessRefusedError):
            await client.check()

    assert sim.logins == [(ClientAuth.FORM, True), (ClientAuth.FORM, False)]


async def test_a_token_withdrawn_before_its_time_is_fetched_anew(sim: OceanSim) -> None:
    async with client_of(sim) as client:
        await client.check()
        sim.withdraw_tokens()
        await client.check()

    assert sim.logins == [(ClientAuth.FORM, True)] * 2


async def test_a_refused_client_is_asked_about_twice_at_most(sim: OceanSim) -> None:
    wrong = ClientCredentials("client-0001", "wrong-0001")

    async with client_of(sim, wrong) as client:
        with pytest.raises(OceanAccessRefusedError) as caught:
            await client.check()

    assert sim.logins == [(ClientAuth.FORM, False), (ClientAuth.BASIC, False)]
    assert "0001" not in str(caught.value) + repr(vars(caught.value))


@pytest.mark.parametrize("secret", ["p&ss=w/rd+%20", "accentué", "two words", "co:lon"])
@pytest.mark.parametrize("way", [ClientAuth.FORM, ClientAuth.BASIC])
async def test_secrets_of_any_characters_arrive_whole(sim: OceanSim, secret: str, way: ClientAuth) -> None:
    sim.site(SITE).client_secret = secret
    sim.site(SITE).client_auth = way

    async with client_of(sim, ClientCredentials("client-0001", secret)) as client:
        await client.check()

    assert sim.logins[-1] == (way, True)


@pytest.mark.parametrize("kind", [FaultKind.BROKEN, FaultKind.AWAY, FaultKind.RESET])
async def test_a_token_endpoint_out_of_order_is_not_a_refusal(sim: OceanSim, kind: FaultKind) -> None:
    """Else a clinic would be stopped until somebody changes a good credential."""
    sim.faults.add(Fault(kind, times=None, path=TOKEN_PATH))

    async with client_of(sim) as client:
        with pytest.raises(OceanUnavailableError):
            await client.check()

    assert (ClientAuth.BASIC, True) not in sim.logins


async def test_a_token_endpoint_in_trouble_for_a_moment_is_passed_over(sim: OceanSim) -> None:
    sim.faults.add(Fault(FaultKind.AWAY, path=TOKEN_PATH))

    async with client_of(sim) as client:
        await client.check()

    assert sim.logins == [(ClientAuth.FORM, True)]


@pytest.mark.parametrize("kind", [FaultKind.PAGE, FaultKind.CUT_JSON, FaultKind.REDIRECT, FaultKind.NOT_FOUND])
async def test_a_token_endpoint_that_is_none_is_unreadable(sim: OceanSim, kind: FaultKind) -> None:
    sim.faults.add(Fault(kind, times=None, path=TOKEN_PATH))

    async with client_of(sim) as client:
        with pytest.raises(OceanAnswerUnreadableError):
            await client.check()


async def test_a_key_that_cannot_be_read_by_token_says_which_credential_can(
    sim: OceanSim, sek: SharedEncryptionKey
) -> None:
    """Ocean documents that call for the site credential only."""
    sim.faults.add(Fault(FaultKind.FORBIDDEN, times=None, path="/svc/v1/site"))

    async with client_of(sim) as client:
        with pytest.raises(OceanAccessRefusedError) as caught:
            await client.trial_decrypt(sek)

    assert "siteCredential" in caught.value.remedy


@pytest.mark.parametrize(("client_id", "secret"), [("", "s"), ("c", ""), ("c", " \n")])
def test_an_empty_client_is_refused_before_anything_is_sent(client_id: str, secret: str) -> None:
    with pytest.raises(OceanError, match="is empty"):
        OceanClient(OceanAccess("https://ocean.example", SITE, ClientCredentials(client_id, secret)))
