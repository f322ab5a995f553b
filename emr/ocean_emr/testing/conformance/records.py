"""Checks of what the adapter claims, and of providers and patients."""

from __future__ import annotations

from typing import Final

from ocean_emr.contract import EmrAdapter
from ocean_emr.errors import EmrNotFoundError, EmrNotSupportedError
from ocean_emr.records import Operation, Patient, PatientId
from ocean_emr.testing.conformance.clinic import PATIENTS, PROVIDERS, Clinic
from ocean_emr.testing.conformance.failures import CALLS
from ocean_emr.testing.conformance.rig import Check, Rig, asking
from ocean_emr.testing.conformance.written import WRITES, key

_OPTIONAL: Final = (
    "active",
    "sex",
    "home_phone",
    "mobile_phone",
    "email",
    "language",
)
"""What not every EMR tells; what it tells must be right."""


async def capabilities_name_their_source(rig: Rig) -> None:
    """Whoever reads a claim can look up what it rests on."""
    async with rig.adapter() as adapter:
        claims = adapter.capabilities().operations

    assert all(claim.source.strip() for claim in claims.values())


async def what_is_not_claimed_is_refused_unasked(rig: Rig) -> None:
    """No operation that the adapter does not claim reaches the EMR, or answers as if there were nothing."""
    async with rig.adapter() as adapter:
        before = rig.requests()
        for operation in Operation:
            if not adapter.capabilities().supports(operation):
                assert await _refused(adapter, operation), f"{operation} is not claimed and was not refused"
                if operation in WRITES:
                    assert await _probe_refused(adapter, operation), f"a probe of {operation} was not refused"

        assert before == rig.requests()


async def a_good_connection_is_reported(rig: Rig) -> None:
    """The report says what was found, and the EMR was asked for it."""
    rig.hold(Clinic())
    async with asking(rig, Operation.CHECK_CONNECTION) as adapter:
        before = rig.requests()
        report = await adapter.check_connection()

        assert rig.requests() > before, "a connection was reported without asking the EMR"
        assert report.interface.strip()


async def providers_are_the_clinics_own(rig: Rig) -> None:
    """All of them, in order, each once, ids as the EMR writes them, and no technical account."""
    rig.hold(Clinic())
    async with asking(rig, Operation.LIST_PROVIDERS) as adapter:
        found = await adapter.list_providers()

    assert [(p.id, p.display_name) for p in PROVIDERS] == [(p.id, p.display_name) for p in found]


async def patients_come_with_their_demographics(rig: Rig) -> None:
    """Name, birth date and health number exactly; everything else right where the EMR tells it."""
    rig.hold(Clinic())
    async with asking(rig, Operation.GET_PATIENT) as adapter:
        for expected in PATIENTS:
            _compare(expected, await adapter.get_patient(expected.id))


async def a_missing_patient_is_not_found(rig: Rig) -> None:
    """Somebody who is not in the EMR is an error of that record only: the next one is read."""
    rig.hold(Clinic())
    async with asking(rig, Operation.GET_PATIENT) as adapter:
        try:
            await adapter.get_patient(PatientId("4004"))
        except EmrNotFoundError:
            assert PATIENTS[0].id == (await adapter.get_patient(PATIENTS[0].id)).id
        else:
            raise AssertionError("a patient who is not there was found")


async def _refused(adapter: EmrAdapter, operation: Operation) -> bool:
    try:
        if operation in CALLS:
            await CALLS[operation](adapter)
        else:
            await adapter.write(WRITES[operation], key(operation))
    except EmrNotSupportedError as error:
        return error.op is operation
    return False


async def _probe_refused(adapter: EmrAdapter, operation: Operation) -> bool:
    try:
        await adapter.probe(WRITES[operation], key(operation))
    except EmrNotSupportedError as error:
        return error.op is operation
    return False


def _compare(expected: Patient, found: Patient) -> None:
    """Equal, by field names only: a failure shows nothing of a chart."""
    wrong = [
        name
        for name in ("id", "first_name", "last_name", "birth_date")
        if getattr(expected, name) != getattr(found, name)
    ]
    wrong += [name for name in _OPTIONAL if getattr(found, name) not in {None, getattr(expected, name)}]
    mine, theirs = expected.health_number, found.health_number
    if (mine and mine.value) != (theirs and theirs.value):
        wrong.append("health_number")

    assert not wrong, f"patient {expected.id}: {', '.join(wrong)}"


CHECKS: Final[tuple[Check, ...]] = (
    capabilities_name_their_source,
    what_is_not_claimed_is_refused_unasked,
    a_good_connection_is_reported,
    providers_are_the_clinics_own,
    patients_come_with_their_demographics,
    a_missing_patient_is_not_found,
)
