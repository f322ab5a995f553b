"""How the OSCAR adapter proves and loses its access, and what can stand between it and OSCAR."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ocean_emr.adapters.oscar import OscarAdapter
from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrBlockedError,
    EmrClockSkewError,
    EmrError,
    EmrPermissionDeniedError,
    EmrRateLimitedError,
    EmrTlsError,
    EmrUnavailableError,
)
from ocean_emr.testing.conformance.rig import FAST
from ocean_emr.testing.oscar_sim import (
    Fault,
    FaultKind,
    OscarSim,
    Profile,
)
from ocean_emr.testing.serving import LOOPBACK
from unit.emr.certificates import Authority
from unit.emr.oscar_clinic import (
    BOTH,
    HASTY,
    PATIENT,
    adapter_to,
    clinic,
    read_everything,
    window,
)


@BOTH
async def test_a_connection_is_proven_by_login_and_rights(sim: OscarSim, profile: Profile) -> None:
    async with adapter_to(sim) as adapter:
        report = await adapter.check_connection()

    assert (report.interface, report.principal, report.roles) == (f"OSCAR {profile}", "104", ("doctor",))
    assert (report.encrypted, report.warnings) == (False, ())
    assert abs(report.clock_skew_seconds or 0) < 5


@BOTH
@pytest.mark.parametrize("right", [FaultKind.NO_APPOINTMENT_RIGHT, FaultKind.NO_DEMOGRAPHIC_RIGHT])
async def test_a_missing_right_is_found_although_the_login_is_good(sim: OscarSim, right: FaultKind) -> None:
    sim.faults.add(right)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrPermissionDeniedError):
            await adapter.check_connection()


@BOTH
async def test_a_disabled_user_is_a_refused_login(sim: OscarSim) -> None:
    """Though classic builds answer 200."""
    sim.faults.add(FaultKind.USER_DISABLED)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrAuthRefusedError):
            await adapter.check_connection()


async def test_a_200_that_names_nobody_is_a_refused_login(sim: OscarSim) -> None:
    """Open-O answers `oauth/info` to anybody, with an error in the body."""
    sim.faults.add(Fault(FaultKind.BARE_ARRAY, path="/oauth/info"))
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrAuthRefusedError, match="names no provider"):
            await adapter.check_connection()


async def test_a_right_that_cannot_be_proven_is_a_warning(sim: OscarSim) -> None:
    sim.faults.add(Fault(FaultKind.SERVER_ERROR_PAGE, path="/appointmentHistory"))
    async with adapter_to(sim) as adapter:
        report = await adapter.check_connection()

    assert ["_appointment" in warning for warning in report.warnings] == [True]


async def test_an_address_without_context_path_is_a_warning(sim: OscarSim) -> None:
    """It is also wrong here, so that only the report's part of it can be looked at."""
    adapter = OscarAdapter("https://emr.invalid", sim.credentials.as_secret())

    assert any("context path" in warning for warning in adapter._warnings([]))
    await adapter.__aexit__()


async def test_missing_credentials_are_named_before_anybody_is_asked() -> None:
    with pytest.raises(EmrAuthRefusedError, match="lack consumerSecret, tokenSecret"):
        OscarAdapter("https://emr.invalid/oscar", {"consumerKey": "k", "token": "t", "consumerSecret": ""})


@BOTH
@pytest.mark.parametrize("key", ["consumerKey", "consumerSecret", "token", "tokenSecret"])
async def test_each_wrong_credential_is_refused(sim: OscarSim, key: str) -> None:
    async with adapter_to(sim, **{key: "wrong"}) as adapter:
        with pytest.raises(EmrAuthRefusedError) as caught:
            await adapter.list_providers()

    assert "proxyName" in caught.value.remedy
    assert [entry.login for entry in sim.ledger.received].count("accepted") == 0
    assert sim.ledger.total <= 3


@BOTH
@pytest.mark.parametrize(
    "fault",
    [Fault(FaultKind.BARE_401, skip=3), Fault(FaultKind.TOKEN_EXPIRED, skip=3), Fault(FaultKind.OTHER_HOST)],
    ids=lambda fault: fault.kind,
)
async def test_a_login_that_goes_bad_stops_the_calls(sim: OscarSim, fault: Fault) -> None:
    """After three requests, or at once: one more try, then none."""
    async with adapter_to(sim) as adapter:
        await adapter.list_providers()
        sim.faults.add(fault)
        with pytest.raises(EmrAuthRefusedError):
            await window(adapter, days=60)
        before = sim.ledger.total
        for _ in range(3):
            with pytest.raises(EmrAuthRefusedError):
                await adapter.get_patient(PATIENT)

    assert sim.ledger.total == before
    assert len([entry for entry in sim.ledger.received if entry.login not in {"accepted", "unsigned", ""}]) <= 5


async def test_named_codes_are_told(sim: OscarSim) -> None:
    sim.faults.add(FaultKind.NAMED_CODES, FaultKind.OTHER_HOST)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrAuthRefusedError, match="invalid_signature"):
            await adapter.list_providers()


async def test_a_missing_scope_is_a_missing_right(sim: OscarSim) -> None:
    sim.faults.add(FaultKind.SCOPE_403)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrPermissionDeniedError):
            await adapter.list_providers()


@pytest.mark.parametrize("profile", [Profile.CLASSIC])
async def test_repetitions_do_not_cost_the_token(sim: OscarSim) -> None:
    """Classic builds delete a token whose nonce comes twice."""
    sim.faults.add(Fault(FaultKind.UNAVAILABLE, path="/demographics", times=1), Fault(FaultKind.RESET, skip=3, times=1))
    await read_everything(sim)

    assert sim.logins.token_exists
    assert "503" in [entry.fault for entry in sim.ledger.received]


@pytest.mark.parametrize("profile", [Profile.CLASSIC])
async def test_a_wrong_clock_does_not_cost_the_token(sim: OscarSim) -> None:
    sim.faults.add(FaultKind.CLOCK_AHEAD)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrClockSkewError, match="ahead of"):
            await adapter.list_providers()

    assert sim.logins.token_exists
    assert sim.ledger.total == 1


@pytest.mark.parametrize(
    ("fault", "kind", "most"),
    [
        (Fault(FaultKind.BAD_GATEWAY), EmrUnavailableError, 3),
        (Fault(FaultKind.UNAVAILABLE, retry_after="0"), EmrUnavailableError, 3),
        (Fault(FaultKind.UNAVAILABLE, retry_after="600"), EmrUnavailableError, 2),
        (Fault(FaultKind.RATE_LIMITED), EmrRateLimitedError, 3),
        (Fault(FaultKind.RATE_LIMITED, retry_after="600"), EmrRateLimitedError, 2),
        (Fault(FaultKind.FIREWALL_PAGE), EmrBlockedError, 2),
        (Fault(FaultKind.REDIRECT), EmrAnswerError, 2),
        (Fault(FaultKind.REST_OFF), EmrAnswerError, 2),
        (Fault(FaultKind.SERVER_ERROR_PAGE), EmrUnavailableError, 2),
        (Fault(FaultKind.NOT_ACCEPTABLE), EmrAnswerError, 2),
        (Fault(FaultKind.WEB_PAGE), EmrAnswerError, 2),
        (Fault(FaultKind.XML), EmrAnswerError, 2),
        (Fault(FaultKind.CUT_JSON), EmrAnswerError, 2),
        (Fault(FaultKind.RESET), EmrUnavailableError, 3),
        (Fault(FaultKind.SILENCE), EmrUnavailableError, 3),
        (Fault(FaultKind.DRIP), EmrUnavailableError, 3),
    ],
    ids=lambda it: f"{it.kind}-{it.retry_after}" if isinstance(it, Fault) else None,
)
async def test_each_trouble_is_told_apart_and_not_made_worse(
    sim: OscarSim, fault: Fault, kind: type[EmrError], most: int
) -> None:
    sim.faults.add(fault)
    async with adapter_to(sim) as adapter:
        with pytest.raises(EmrError) as caught:
            await adapter.list_providers()

    assert type(caught.value) is kind
    assert sim.ledger.total <= most
    assert "p1001" not in caught.value.safe_message + caught.value.remedy


async def test_an_endless_answer_is_cut_off(sim: OscarSim) -> None:
    sim.faults.add(FaultKind.ENDLESS)
    limits = replace(FAST, body_bytes=1_000_000)
    async with OscarAdapter(sim.url, sim.credentials.as_secret(), limits=limits, addresses=LOOPBACK) as adapter:
        with pytest.raises(EmrAnswerError, match="larger than"):
            await adapter.list_providers()


async def test_a_wrong_context_path_is_named(sim: OscarSim) -> None:
    secret = sim.credentials.as_secret()
    async with OscarAdapter(sim.url + "/kai", secret, limits=HASTY, addresses=LOOPBACK) as adapter:
        with pytest.raises(EmrAnswerError, match="nothing at this address"):
            await adapter.list_providers()


async def test_tls_with_the_clinics_own_authority(tmp_path: Path) -> None:
    authority = Authority.new()
    with OscarSim(clinic(), tls=authority.server(tmp_path)) as sim:
        secret = sim.credentials.as_secret()
        plain = partial(OscarAdapter, sim.url, secret, limits=HASTY, addresses=LOOPBACK)
        async with plain(ca_bundle=authority.pem) as adapter:
            assert (await adapter.check_connection()).encrypted
        async with plain() as adapter:
            with pytest.raises(EmrTlsError):
                await adapter.check_connection()
