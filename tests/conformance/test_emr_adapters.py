"""Every EMR kind against every check of the contract, and every check against an adapter that breaks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final

import pytest

from conformance.faulty import FAULTS, FaultyRig, Good
from conformance.rigs.fhir import FhirRig
from conformance.rigs.none import NoneRig
from conformance.rigs.oscar import OscarRig
from ocean_api.v1alpha1.spec import EmrType
from ocean_emr.testing.conformance import CHECKS, Check, Clinic, NotApplicableError, Rig
from ocean_emr.testing.oscar_sim import Profile

RIGS: Final[dict[EmrType, dict[str, Callable[[], Rig]]]] = {
    EmrType.OSCAR_PRO: {profile: partial(OscarRig, profile) for profile in Profile},
    EmrType.FHIR: {"stub": FhirRig},
    EmrType.NONE: {"none": NoneRig},
}
"""What stands for each kind. A kind without a rig fails by its own name."""

KINDS: Final = [(kind, form) for kind in EmrType for form in RIGS.get(kind, {"no-rig": None})]


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """One EMR, started once for all checks."""
    kind, form = request.param
    async with RIGS[kind][form]() as started:
        yield started


@pytest.fixture(scope="module")
async def oscars() -> AsyncIterator[dict[Profile, OscarRig]]:
    """The EMRs that the faulty adapters speak to."""
    async with OscarRig(Profile.CLASSIC) as classic, OscarRig(Profile.OPEN_O_2026) as current:
        yield {Profile.CLASSIC: classic, Profile.OPEN_O_2026: current}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_adapter_keeps_the_contract(rig: Rig, check: Check) -> None:
    """Every EMR kind passes every check. A new kind is here by existing: no list to forget."""
    rig.hold(Clinic())
    rig.suffer(None)
    try:
        await check(rig)
    except NotApplicableError as operation:
        pytest.skip(f"does not claim to {operation}")


@pytest.mark.parametrize(("fault", "check"), FAULTS, ids=lambda it: it.__name__)
async def test_check_catches_its_fault(oscars: dict[Profile, OscarRig], fault: type[Good], check: Check) -> None:
    """Each faulty adapter fails the check that is there for its fault."""
    oscar = oscars[fault.profile]
    oscar.hold(Clinic())
    oscar.suffer(None)
    with pytest.raises(AssertionError):
        await check(FaultyRig(oscar, fault))


def test_every_check_has_a_fault() -> None:
    """A check that nothing can fail is not a check."""
    assert {check.__name__ for _, check in FAULTS} == {check.__name__ for check in CHECKS}
