"""How long a whole schedule takes to synchronise, and how much memory: the first time, and again with nothing changed.

`python -m benchmarks.sync_schedule [--appointments N]`, one process for each run, with real Vault and PostgreSQL, and
with OSCAR and FHIR in turn. The simulators share the machine with it, so that most of the time can be theirs; the
processor time is the pod's alone.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, product

from benchmarks.clinic_rig import FULL, Servers, ended, real_servers
from benchmarks.figures import Figures, peak_memory_mb
from conformance.rigs import fhir, oscar
from integration.sync.clinic import TODAY, ZONE, Clinic, Process
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
from ocean_emr.testing.conformance import Clinic as Schedule
from ocean_emr.testing.fhir_stub import FhirStore
from ocean_emr.testing.oscar_sim import Profile

_PROVIDERS = tuple(Provider(ProviderId(str(101 + n)), f"Surname-d{n}, Given") for n in range(8))
_DAYS = 5
_SLOTS = 40
_SLOT_MINUTES = 15
_MOST = len(_PROVIDERS) * _DAYS * _SLOTS
_PATIENTS_PER_TEN = 8
_BETWEEN_LOOKS = 0.01


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took."""

    seconds: float
    processor: float
    memory_mb: float
    emr_requests: int
    ocean_requests: int


def schedule(appointments: int) -> Schedule:
    """So many of eight providers within five days from today, with eight different patients in ten."""
    patients = tuple(map(_patient, range(1001, 1001 + max(1, appointments * _PATIENTS_PER_TEN // 10))))
    places = islice(product(range(_SLOTS), range(_DAYS), _PROVIDERS), appointments)
    eight = datetime(TODAY.year, TODAY.month, TODAY.day, 8, tzinfo=ZONE)
    booked = tuple(
        Appointment(
            AppointmentId(str(1 + number)),
            provider.id,
            patients[number % len(patients)].id,
            start=eight + timedelta(days=day, minutes=slot * _SLOT_MINUTES),
            duration_minutes=_SLOT_MINUTES,
            status=AppointmentStatus.BOOKED,
            status_raw="",
        )
        for number, (slot, day, provider) in enumerate(places)
    )
    return Schedule(booked, _PROVIDERS, patients, ZONE)


def _patient(number: int) -> Patient:
    return Patient(
        PatientId(str(number)),
        active=True,
        first_name="Given",
        last_name=f"Surname-p{number}",
        birth_date=TODAY - timedelta(days=9 * number),
        health_number=HealthNumber(f"98765{number:05d}"),
        home_phone="416-555-0101",
        email=f"p{number}@example.org",
    )


async def measure(clinic: Clinic, emr_requests: Callable[[], int], appointments: int, figures: Figures) -> None:
    """A full run with everything to send, and one with nothing."""
    for providers in ([], "All"):
        clinic.schedule = {"days": _DAYS, "providers": providers}
        clinic.write_settings()
        if not providers:
            await ended(clinic.start(*FULL))  # compiles what is imported, as in the image, and reads no schedule
    for name, sent in (("first full run", True), ("second, nothing changed", False)):
        cost = await _run(clinic, emr_requests)
        counts = clinic.report().last_full.counts  # type: ignore[union-attr]
        if counts.appointments != appointments or bool(counts.sent) != sent:
            raise RuntimeError(f"{name}: {counts}")
        figures.add(f"{name}, {counts.appointments} appointments", cost.seconds, "s")
        figures.add(f"{name}, processor time", cost.processor, "s")
        figures.add(f"{name}, highest resident memory", cost.memory_mb, "MB")
        figures.add(f"{name}, requests to the EMR", cost.emr_requests, "")
        figures.add(f"{name}, requests to Ocean", cost.ocean_requests, "")


async def _run(clinic: Clinic, emr_requests: Callable[[], int]) -> Cost:
    asked, told, used = emr_requests(), clinic.requests(), _processor()
    began = time.monotonic()
    process = clinic.start(*FULL)
    watching = asyncio.create_task(_peak(process))
    await ended(process)
    seconds = time.monotonic() - began
    return Cost(seconds, _processor() - used, await watching, emr_requests() - asked, clinic.requests() - told)


async def _peak(process: Process) -> float:
    """The kernel keeps the highest value, so that it is enough to have looked shortly before the end."""
    peak = 0.0
    while now := peak_memory_mb(process.pid):
        peak = now
        await asyncio.sleep(_BETWEEN_LOOKS)
    return peak


def _processor() -> float:
    """Of processes that have ended: between two calls, only a run does."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _with_oscar(servers: Servers, held: Schedule, figures: Figures) -> None:
    with servers.oscar(oscar.database(held), Profile.OPEN_O_2026) as (clinic, emr):
        asyncio.run(measure(clinic, lambda: emr.ledger.total, len(held.appointments), figures))


def _with_fhir(servers: Servers, held: Schedule, figures: Figures) -> None:
    with servers.fhir(FhirStore(fhir.resources(held))) as (clinic, emr):
        asyncio.run(measure(clinic, lambda: len(emr.state.ledger), len(held.appointments), figures))


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--appointments", type=int, default=1000, help=f"at most {_MOST} (default: %(default)s)")
    held = schedule(min(parser.parse_args().appointments, _MOST))
    with real_servers() as servers:
        for name, run in (("OSCAR (open-o-2026)", _with_oscar), ("FHIR R4", _with_fhir)):
            figures = Figures()
            run(servers, held, figures)
            sys.stdout.write(figures.as_text(f"synchronisation of a schedule, {name}"))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
