"""A small clinic in a simulated OSCAR, and the questions the tests ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from ocean_emr.adapters.oscar import OscarAdapter
from ocean_emr.records import AppointmentPage, PatientId, ProviderId
from ocean_emr.testing.conformance.rig import FAST
from ocean_emr.testing.oscar_sim import OscarSim, Profile, SimAppointment, SimClinic, SimPatient, SimProvider
from ocean_emr.testing.serving import LOOPBACK

ZONE: Final = ZoneInfo("America/Toronto")
DAY: Final = date(2026, 11, 23)
P101: Final = ProviderId("101")
PATIENT: Final = PatientId("1001")
HASTY: Final = replace(FAST, silence_seconds=0.2, attempt_seconds=0.4, attempts=2)
BOTH: Final = pytest.mark.parametrize("profile", Profile)


def clinic() -> SimClinic:
    """One provider, two patients, three bookings on `DAY` and one a week later."""
    held = SimClinic()
    held.add(
        SimProvider("101", "Alder", "Alice"),
        SimPatient(1001, "p1001", "Zoë-Ünlü", date(1980, 2, 29), hin="9876543217"),
        SimPatient(1002, "p1002", "Given", date(2000, 1, 1)),
        SimAppointment(1, "101", DAY, time(9), demographic_no=1001),
        SimAppointment(2, "101", DAY, time(10), demographic_no=1002, status="C"),
        SimAppointment(3, "101", DAY, time(11)),
        SimAppointment(4, "101", DAY + timedelta(days=7), time(9), demographic_no=1001),
    )
    return held


@asynccontextmanager
async def adapter_to(sim: OscarSim, **changes: str) -> AsyncIterator[OscarAdapter]:
    secret = {**sim.credentials.as_secret(), **changes}
    async with OscarAdapter(sim.url, secret, limits=HASTY, addresses=LOOPBACK) as adapter:
        yield adapter


async def window(adapter: OscarAdapter, *providers: str, days: int = 1) -> list[AppointmentPage]:
    chosen = [ProviderId(provider) for provider in providers or ("101",)]
    return [page async for page in adapter.list_appointments(chosen, DAY, DAY + timedelta(days=days), ZONE)]


async def read_everything(sim: OscarSim) -> None:
    async with adapter_to(sim) as adapter:
        await adapter.list_providers()
        await window(adapter, days=14)
        await adapter.get_patient(PATIENT)


def ids(pages: list[AppointmentPage]) -> list[str]:
    return [item.id for page in pages for item in page.items]


@asynccontextmanager
async def writer_to(sim: OscarSim) -> AsyncIterator[OscarAdapter]:
    """With time to answer: what a busy machine leaves unanswered is an unknown outcome."""
    async with OscarAdapter(sim.url, sim.credentials.as_secret(), limits=FAST, addresses=LOOPBACK) as adapter:
        yield adapter
