"""OSCAR for the conformance checks: the simulator, filled from the checks' clinic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Final, Self

from ocean_emr.adapters.oscar import OscarAdapter
from ocean_emr.contract import EmrAdapter
from ocean_emr.records import (
    Appointment,
    AppointmentId,
    AppointmentStatus,
    Operation,
    Patient,
    PatientId,
    Provider,
    ProviderId,
    Sex,
)
from ocean_emr.testing.conformance import Clinic, Trouble
from ocean_emr.testing.conformance.clinic import ZONE
from ocean_emr.testing.conformance.rig import FAST
from ocean_emr.testing.conformance.written import WRITES
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
from ocean_emr.testing.oscar_sim.control import edit_note
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
    Trouble.WRITE_RIGHT_MISSING: (FaultKind.NO_WRITE_RIGHT,),
    Trouble.WRITES_REFUSED: (Fault(FaultKind.BAD_REQUEST, writes_only=True),),
    Trouble.SILENT_BEFORE: (Fault(FaultKind.SILENCE, writes_only=True),),
    Trouble.SILENT_AFTER: (Fault(FaultKind.SILENCE_AFTER, writes_only=True),),
    Trouble.RESET_AFTER: (Fault(FaultKind.RESET_AFTER, writes_only=True),),
    Trouble.FAILED_AFTER: (Fault(FaultKind.FAILED_AFTER, writes_only=True),),
}
_UNSEEN: Final = {
    Profile.OPEN_O_2026: {Operation.UPLOAD_DOCUMENT},
    Profile.CLASSIC: {Operation.UPLOAD_DOCUMENT, Operation.WRITE_NOTE},
}
"""What a family of builds does not list for us."""


class OscarRig:
    """A simulated OSCAR. It is started once; each adapter is fresh."""

    def __init__(self, profile: Profile = Profile.OPEN_O_2026) -> None:
        """Imitate `profile`."""
        self._sim = OscarSim(profile=profile)
        self.forbidden: Sequence[str] = tuple(self._sim.credentials.as_secret().values())
        self.searchable = frozenset(WRITES) - _UNSEEN[profile]
        self.lacking = frozenset({Operation.UPLOAD_DOCUMENT} if profile is Profile.CLASSIC else ())

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
        self._sim.clinic.become(database(clinic))

    def suffer(self, trouble: Trouble | None) -> None:
        """Break the server, or mend it."""
        self._sim.faults.clear()
        self._sim.logins.token_exists = trouble is not Trouble.LOGIN_REFUSED
        self._sim.faults.add(*_TROUBLES.get(trouble, ()) if trouble else ())

    def requests(self) -> int:
        """From the ledger."""
        return self._sim.ledger.total

    def writes(self) -> int:
        """From the ledger."""
        return self._sim.ledger.writes

    def charts(self) -> Mapping[PatientId, Mapping[str, object]]:
        """The table's rows."""
        return {PatientId(str(row.no)): asdict(row) for row in self._sim.clinic.patients.values()}

    def notes(self, patient: PatientId) -> Sequence[str]:
        """The last revision of each."""
        return [note.text for note in self._sim.clinic.shown_notes(int(patient))]

    def edit_note(self, patient: PatientId, text: str) -> None:
        """Another revision."""
        (note,) = self._sim.clinic.shown_notes(int(patient))
        edit_note(self._sim.clinic, note.uuid, text)

    def documents(self, patient: PatientId) -> Sequence[tuple[str, bytes]]:
        """Titles with our marker."""
        rows = self._sim.clinic.documents.values()
        return [(row.description, row.content) for row in rows if row.demographic_no == int(patient)]

    def bookings(self, patient: PatientId) -> Sequence[Appointment]:
        """The table's rows, as the checks know them."""
        rows = self._sim.clinic.appointments.values()
        return [_record(row) for row in rows if row.demographic_no == int(patient)]


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


def _record(row: SimAppointment) -> Appointment:
    code = row.status or ""
    by_letter = {raw[0]: status for status, raw in _CODES.items()}
    return Appointment(
        AppointmentId(str(row.no)),
        ProviderId(row.provider_no),
        PatientId(str(row.demographic_no)),
        start=datetime.combine(row.day, row.clock, ZONE),
        duration_minutes=row.minutes,
        status=by_letter.get(code[:1], AppointmentStatus.UNKNOWN),
        status_raw=code,
        reason=row.reason or None,
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
        province=(card.province or "") if card else "",
        status="AC" if record.active else "IN",
        phone=record.home_phone or "",
        work_phone=record.work_phone or "",
        mobile=record.mobile_phone or "",
        email=record.email or "",
        language=_LANGUAGES[record.language],
        alias=record.preferred_name or "",
        street=(home.street or "") if home else "",
        city=(home.city or "") if home else "",
        home_province=(home.province or "") if home else "",
        postal=(home.postal_code or "") if home else "",
        # Of OSCAR's own, for which nobody asks.
        chart_no="C-7",
        roster_status="RO",
        family_doctor="<rdohip>1</rdohip><rd>Elsewhere, E</rd>",
        joined=date(2010, 1, 1),
        effective=date(2012, 3, 1),
        card_renewal=date(2030, 12, 31),
        nurse="103",
        alert="Allergic to nuts",
        waiting_list=3,
        waiting_since=date(2024, 2, 1),
    )
