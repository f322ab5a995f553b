"""The same synchronisation with a FHIR R4 EMR behind its token endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time, timedelta
from pathlib import Path

import pytest

from integration.installation import Installation
from integration.sync.clinic import TODAY, ZONE, Clinic, Tls, make_site
from ocean_api.reasons import Reason
from ocean_api.report import Counts
from ocean_emr.clinic_time import clinic_time
from ocean_emr.records import (
    Appointment,
    AppointmentId,
    AppointmentStatus,
    HealthNumber,
    Patient,
    PatientId,
    Provider,
    ProviderId,
)
from ocean_emr.testing.fhir_clinic import Resource, appointment_resource, patient_resource, practitioner_resource
from ocean_emr.testing.fhir_faults import Fault, FaultKind
from ocean_emr.testing.fhir_gateway import FhirGateway, State
from ocean_emr.testing.fhir_stub import FhirStore
from ocean_emr.testing.ocean_sim import OceanSim

CLIENT = {"clientId": "ocean-for-this-clinic", "clientSecret": "not-a-real-client-secret"}
PAGES = "_getpages="


def booking(number: int, provider: str = "dr1", *, ahead: int = 0, status: str = "booked") -> Resource:
    """One of a patient whom both providers see."""
    return appointment_resource(
        Appointment(
            AppointmentId(f"a{number}"),
            ProviderId(provider),
            PatientId(f"p{number % 7:04d}"),
            start=clinic_time(TODAY + timedelta(days=ahead), time(8 + number % 8, number % 60), ZONE),
            duration_minutes=15,
            status=AppointmentStatus(status),
            status_raw=status,
        )
    )


def person(number: int) -> Resource:
    """A patient."""
    return patient_resource(
        Patient(
            PatientId(f"p{number:04d}"),
            active=True,
            first_name="Zoé",
            last_name=f"Surname-p{number:04d}",
            birth_date=date(1970, 1, 1 + number),
            health_number=HealthNumber(f"98765{number:05d}"),
        )
    )


@pytest.fixture
def store() -> FhirStore:
    """Two providers, seven patients, 120 bookings of the first one and two of the other: three pages."""
    providers = [Provider(ProviderId("dr1"), "Tremblay, Zoé"), Provider(ProviderId("dr2"), "Côté, Éric")]
    return FhirStore(
        [
            *map(practitioner_resource, providers),
            *map(person, range(7)),
            *(booking(n, ahead=n % 2) for n in range(120)),
            *(booking(n, "dr2") for n in (200, 201)),
        ]
    )


@pytest.fixture
def gateway(store: FhirStore, tls: Tls) -> Iterator[FhirGateway]:
    """The way to the EMR."""
    with FhirGateway(State(CLIENT["clientId"], CLIENT["clientSecret"], store), tls=tls.files) as running:
        yield running


@pytest.fixture
def clinic(
    installation: Installation, tmp_path: Path, tls: Tls, gateway: FhirGateway, running_ocean: OceanSim
) -> Clinic:
    """A clinic with it."""
    block = {
        "url": gateway.fhir_url,
        "tokenUrl": gateway.token_url,
        "caBundle": tls.authority,
        "credentialsSecret": "emr",
    }
    return make_site(installation, tmp_path, tls, running_ocean, emr={"type": "FHIR", "fhir": block}, secret=CLIENT)


async def test_full_run_then_recent_run_then_removal(clinic: Clinic, store: FhirStore) -> None:
    process = clinic.start("sync", "full", "--trigger", "Initial")
    assert await process.status() == 0, process.said
    assert clinic.report().last_full.counts == Counts(appointments=122, sent=129, patients=7)  # type: ignore[union-attr]
    assert clinic.patients_at_ocean() == {f"p{n:04d}": f"Surname-p{n:04d}" for n in range(7)}
    assert {row["upserts"] for row in clinic.at_ocean.patients()} == {1}

    store.put(booking(0, status="cancelled"))
    store.put(booking(300, "dr2"))
    store.delete("Appointment", "a1")
    assert await clinic.sync("recent") == 0
    shown = clinic.appointments_at_ocean()
    assert (shown["a0"], shown["a300"], shown["a1"], len(shown)) == ("cancelled", "booked", "booked", 123)
    assert clinic.report().last_recent.counts.sent == 2  # type: ignore[union-attr]

    assert await clinic.sync("full") == 0
    assert clinic.appointments_at_ocean().keys() == shown.keys() - {"a0", "a1"}
    assert clinic.report().last_full.counts == Counts(appointments=122, removed=2, patients=7)  # type: ignore[union-attr]


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("fault", "reason", "status"),
    [
        (Fault(FaultKind.PAGE, path=PAGES), Reason.EMR_ANSWER_UNREADABLE, 1),
        (Fault(FaultKind.CUT_JSON, path=PAGES), Reason.EMR_ANSWER_UNREADABLE, 1),
        (Fault(FaultKind.ACCESS_DENIED, path="/Appointment"), Reason.EMR_PERMISSION_DENIED, 0),
        (Fault(FaultKind.BARE_401), Reason.EMR_AUTH_REFUSED, 0),
        (Fault(FaultKind.AWAY, path=PAGES, after=1), Reason.EMR_UNAVAILABLE, 1),
        (Fault(FaultKind.RESET, path=PAGES), Reason.EMR_UNAVAILABLE, 1),
        (Fault(FaultKind.GONE, path=PAGES), Reason.EMR_UNAVAILABLE, 1),
        (Fault(FaultKind.LOST_LINK, path="/Appointment"), Reason.SYNC_INCOMPLETE, 0),
        (Fault(FaultKind.SHORTENED, path="/Appointment"), Reason.SYNC_INCOMPLETE, 0),
        (Fault(FaultKind.SUPPRESSED, path="/Appointment"), Reason.SYNC_INCOMPLETE, 0),
        (Fault(FaultKind.GARBLED, path="/Appointment"), Reason.SYNC_INCOMPLETE, 0),
        (Fault(FaultKind.FOREIGN_LINK, path="/Appointment"), Reason.EMR_ANSWER_UNREADABLE, 1),
        (Fault(FaultKind.CIRCULAR_LINK), Reason.EMR_ANSWER_UNREADABLE, 1),
        (Fault(FaultKind.OTHER_RECORDS, path="/Appointment"), Reason.SYNC_INCOMPLETE, 0),
        (Fault(FaultKind.HIDDEN, ids=frozenset({"dr2"})), Reason.REMOVAL_HELD, 0),
        (Fault(FaultKind.EXPIRED_TOKENS, path=PAGES, times=1), None, 0),
    ],
    ids=lambda value: value.kind.value if isinstance(value, Fault) else "",
)
async def test_answer_that_is_not_the_whole_truth_removes_nothing(
    clinic: Clinic, gateway: FhirGateway, fault: Fault, reason: Reason | None, status: int
) -> None:
    """A page, half a page, no page, one of somebody else: nothing of it is taken for a free day."""
    await clinic.sync("full")
    before = clinic.appointments_at_ocean()
    gateway.state.faults.add(fault)

    assert await clinic.sync("full") == status

    problem = clinic.report().problem
    assert (problem and problem.reason) == reason
    assert clinic.appointments_at_ocean() == before
    assert clinic.requests("/removals") == 0
    gateway.state.faults.clear()
    if reason is Reason.EMR_AUTH_REFUSED:
        await clinic.check("after-refusal")
        await clinic.check("after-reauthorize")
    assert await clinic.sync("full") == 0
    assert clinic.report().problem is None
    assert clinic.appointments_at_ocean() == before
