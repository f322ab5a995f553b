"""OSCAR for the conformance checks: the simulator, filled from the checks' clinic."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final, Self

from ocean_emr.adapters.oscar import OscarAdapter
from ocean_emr.contract import EmrAdapter
from ocean_emr.records import Appointment, AppointmentStatus, Patient, Provider, Sex
from ocean_emr.testing.conformance import Clinic, Trouble
from ocean_emr.testing.conformance.rig import FAST
from ocean_emr.testing.oscar_sim import (
    Fault,
    FaultKind,
    OscarSim,
    Profile,
    SimAppointment,
    SimClinic,
    SimPatient,
    SimProvider,
)
from ocean_emr.testing.serving import LOOPBACK
from ocean_emr.transport import Limits

_CODES: Final = {
    AppointmentStatus.BOOKED: "t",
    AppointmentStatus.ARRIVED: "HS",
    AppointmentStatus.FULFILLED: "B",
    AppointmentStatus.CANCELLED: "C",
    AppointmentStatus.NO_SHOW: "N",
}
_SEXES: Final = {Sex.FEMALE: "F", Sex.MALE: "M", Sex.OTHER: "O", Sex.UNKNOWN: ""}
_LANGUAGES: Final = {"fr": "French", "en": "English", None: ""}

_TROUBLES: Final = {
    Trouble.RIGHT_MISSING: (FaultKind.NO_APPOINTMENT_RIGHT, FaultKind.NO_DEMOGRAPHIC_RIGHT),
    Trouble.WEB_PAGE: (FaultKind.WEB_PAGE,),
    Trouble.CUT_JSON: (FaultKind.CUT_JSON,),
    Trouble.UNAVAILABLE: (FaultKind.UNAVAILABLE,),
    Trouble.UNAVAILABLE_ONCE: (Fault(FaultKind.UNAVAILABLE, times=1),),
    Trouble.RATE_LIMITED: (Fault(FaultKind.RATE_LIMITED, retry_after="3600"),),
    Trouble.RATE_LIMITED_ONCE: (Fault(FaultKind.RATE_LIMITED, times=1, retry_after="0"),),
    Trouble.FAILS_HALFWAY: (Fault(FaultKind.UNAVAILABLE, path="/schedule/fetch", skip=4),),
}


class OscarRig:
    """A simulated OSCAR. It is started once; each adapter is fresh."""

    def __init__(self, profile: Profile = Profile.OPEN_O_2026) -> None:
        """Imitate `profile`."""
        self._sim = OscarSim(profile=profile)
        self.forbidden: Sequence[str] = tuple(self._sim.credentials.as_secret().values())

    async def __aenter__(self) -> Self:
        self._sim.__enter__()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._sim.__exit__()

    def adapter(self, limits: Limits = FAST) -> EmrAdapter:
        """A fresh adapter."""
        return OscarAdapter(self._sim.url, self._sim.credentials.as_secret(), limits=limits, addresses=LOOPBACK)

    def hold(self, clinic: Clinic) -> None:
        """Replace the database."""
        held, wanted = self._sim.clinic, database(clinic)
        held.providers, held.patients, held.appointments = wanted.providers, wanted.patients, wanted.appointments

    def suffer(self, trouble: Trouble | None) -> None:
        """Break the server, or mend it."""
        self._sim.faults.clear()
        self._sim.logins.token_exists = trouble is not Trouble.LOGIN_REFUSED
        self._sim.faults.add(*_TROUBLES.get(trouble, ()) if trouble else ())

    def requests(self) -> int:
        """From the ledger."""
        return self._sim.ledger.total


def database(clinic: Clinic) -> SimClinic:
    """What OSCAR holds of `clinic`."""
    made = SimClinic()
    made.add(*map(_provider, clinic.providers))
    made.add(*map(_patient, clinic.patients))
    made.add(*map(_appointment, clinic.appointments))
    return made


def _provider(record: Provider) -> SimProvider:
    last, first = record.display_name.split(", ")
    return SimProvider(record.id, last, first, record.billing_number or "")


def _appointment(record: Appointment) -> SimAppointment:
    return SimAppointment(
        int(record.id),
        record.provider_id,
        record.start.date(),
        record.start.time(),
        minutes=record.duration_minutes or 15,
        demographic_no=int(record.patient_id or 0),
        status=record.status_raw or _CODES[record.status],
    )


def _patient(record: Patient) -> SimPatient:
    card, home = record.health_number, record.addresses[0] if record.addresses else None
    return SimPatient(
        int(record.id),
        last_name=record.last_name or "",
        first_name=record.first_name or "",
        birth=record.birth_date or date(1900, 1, 1),
        sex=_SEXES[record.sex],
        hin=card.value if card else "",
        version=(card.version or "") if card else "",
        status="AC" if record.active else "IN",
        phone=record.home_phone or "",
        mobile=record.mobile_phone or "",
        email=record.email or "",
        language=_LANGUAGES[record.language],
        street=(home.street or "") if home else "",
    )
