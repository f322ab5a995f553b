"""OSCAR's JSON as our records. Models name only the fields that are used; builds differ in all the others.

Source: open-osp/Open-O and scoophealth/oscar, the REST services' transfer objects (AppointmentExtTo, AppointmentTo1,
ProviderPeriodAppsTo, ProviderTo1, DemographicTo1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from ocean_emr.adapters.oscar_shapes import ShapeError, read_clock, read_day
from ocean_emr.clinic_time import clinic_time
from ocean_emr.records import (
    Address,
    Appointment,
    AppointmentId,
    AppointmentStatus,
    HealthNumber,
    Patient,
    PatientId,
    Provider,
    ProviderId,
    Sex,
)

SYSTEM_PROVIDERS: Final = frozenset({"-1", "999998"})
"""OSCAR's own accounts. Source: scoophealth/oscar, oscardata.sql."""

# Source: scoophealth/oscar, oscardata.sql and ApptStatusData. Clinics edit the list; other letters are their own.
_STATUSES: Final = {
    "t": AppointmentStatus.BOOKED,
    "T": AppointmentStatus.BOOKED,
    "H": AppointmentStatus.ARRIVED,
    "P": AppointmentStatus.ARRIVED,
    "E": AppointmentStatus.ARRIVED,
    "B": AppointmentStatus.FULFILLED,
    "C": AppointmentStatus.CANCELLED,
    "N": AppointmentStatus.NO_SHOW,
}
_SEXES: Final = {"F": Sex.FEMALE, "M": Sex.MALE, "O": Sex.OTHER, "T": Sex.OTHER, "X": Sex.OTHER}
_LANGUAGES: Final = {"english": "en", "french": "fr", "anglais": "en", "français": "fr", "en": "en", "fr": "fr"}
_FAMILY_DOCTOR: Final = re.compile(r"<rd>(.*?)</rd>", re.DOTALL)
_MINUTES_A_DAY: Final = 24 * 60


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _or_none(value: Any) -> Any:
    value = _text(value)
    return (value.strip() or None) if isinstance(value, str) else value


Id = Annotated[str, BeforeValidator(_text), Field(min_length=1)]
Text = Annotated[str | None, BeforeValidator(_or_none)]


class Row(BaseModel):
    """A record as OSCAR writes it."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class ProviderRow(Row):
    """An item of `providers_json`."""

    providerNo: Id  # noqa: N815 - OSCAR's names, here and below
    name: Text = None
    lastName: Text = None  # noqa: N815
    firstName: Text = None  # noqa: N815
    billingNo: Text = None  # noqa: N815
    ohipNo: Text = None  # noqa: N815
    enabled: bool | None = None

    def record(self) -> Provider:
        """As our record."""
        full = ", ".join(part for part in (self.lastName, self.firstName) if part)
        return Provider(
            ProviderId(self.providerNo),
            display_name=full or self.name or self.providerNo,
            billing_number=self.billingNo or self.ohipNo,
            active=self.enabled is not False,
        )


class ListedRow(Row):
    """An item of `fetchProviderAppts`: which appointments there are, without their times."""

    appointmentNo: Id  # noqa: N815


class StatusRow(Row):
    """An item of `schedule/statuses`."""

    status: Id
    description: Text = None
    active: bool = True


class FoundRow(Row):
    """An item of `demographics/search`: who it is, hardly more."""

    demographicNo: Id  # noqa: N815
    lastName: Text = None  # noqa: N815
    hin: Text = None


class NoteRow(Row):
    """An item of `notes/{patient}/all`, or the answer to a saved note."""

    noteId: Id  # noqa: N815
    uuid: Text = None


class AppointmentRow(Row):
    """An item of `fetchDays`, or the answer of `getAppointment`, which has more of it."""

    id: Id = Field(validation_alias=AliasChoices("appointmentNo", "id"))
    providerNo: Id  # noqa: N815
    appointmentDate: Any  # noqa: N815
    startTime: Any  # noqa: N815
    endTime: Any = None  # noqa: N815
    demographicNo: Text = None  # noqa: N815
    status: Text = None
    reason: Text = None
    type: Text = None
    notes: Text = None

    def day(self, zone: ZoneInfo) -> date:
        """The clinic's calendar day.

        Raises:
            ShapeError: It cannot be told.
        """
        return read_day(self.appointmentDate, zone)

    def record(self, zone: ZoneInfo) -> Appointment:
        """As our record.

        Raises:
            ShapeError: Day or time cannot be told.
        """
        clock = read_clock(self.startTime, zone, day=self.appointmentDate)
        return Appointment(
            AppointmentId(self.id),
            ProviderId(self.providerNo),
            # 0 stands for a booking without a patient. Source: open-osp/Open-O ScheduleService.
            PatientId(self.demographicNo) if self.demographicNo not in {None, "0"} else None,
            start=clinic_time(self.day(zone), clock, zone),
            duration_minutes=self._duration(clock, zone),
            status=status_of(self.status or ""),
            status_raw=self.status or "",
            reason=self.reason,
            visit_type=self.type,
        )

    def _duration(self, start: time, zone: ZoneInfo) -> int | None:
        """OSCAR stores the last minute, not the end: 09:00 to 09:14 are fifteen.

        Source: open-osp/Open-O, NewAppointmentConverter.
        """
        try:
            end = read_clock(self.endTime, zone, day=self.appointmentDate)
        except ShapeError:
            return None
        minutes = (end.hour * 60 + end.minute) - (start.hour * 60 + start.minute) + 1
        return minutes if 0 < minutes <= _MINUTES_A_DAY else None


class ExtraRow(Row):
    """One of a patient's further fields."""

    key: str
    value: Text = None


class AddressRow(Row):
    """A patient's address."""

    address: Text = None
    city: Text = None
    province: Text = None
    postal: Text = None


def _many(value: Any) -> Any:
    """Some builds write a list of one as its one item."""
    return [value] if isinstance(value, Mapping) else value or []


class PatientRow(Row):
    """The answer of `demographics/{id}`."""

    demographicNo: Id  # noqa: N815
    title: Text = None
    firstName: Text = None  # noqa: N815
    middleNames: Text = None  # noqa: N815
    lastName: Text = None  # noqa: N815
    alias: Text = None
    dobYear: Text = None  # noqa: N815
    dobMonth: Text = None  # noqa: N815
    dobDay: Text = None  # noqa: N815
    sex: Text = None
    hin: Text = None
    ver: Text = None
    hcType: Text = None  # noqa: N815
    hcRenewDate: Any = None  # noqa: N815
    chartNo: Text = None  # noqa: N815
    patientStatus: Text = None  # noqa: N815
    address: AddressRow | None = None
    phone: Text = None
    alternativePhone: Text = None  # noqa: N815
    cellPhone: Text = None  # noqa: N815
    email: Text = None
    officialLanguage: Text = None  # noqa: N815
    providerNo: Text = None  # noqa: N815
    familyDoctor: Text = None  # noqa: N815
    extras: Annotated[tuple[ExtraRow, ...], BeforeValidator(_many)] = ()

    def record(self) -> Patient:
        """As our record."""
        return Patient(
            PatientId(self.demographicNo),
            active=self.patientStatus == "AC" if self.patientStatus else None,
            title=self.title,
            first_name=self.firstName,
            middle_names=self.middleNames,
            last_name=self.lastName,
            preferred_name=self.alias,
            birth_date=self._birth_date(),
            sex=_SEXES.get((self.sex or "").upper(), Sex.UNKNOWN),
            health_number=self._health_number(),
            alternate_id=self.chartNo,
            addresses=self._addresses(),
            home_phone=self.phone,
            work_phone=self.alternativePhone,
            mobile_phone=self.cellPhone or self._extra("demo_cell"),
            email=self.email,
            language=_LANGUAGES.get((self.officialLanguage or "").casefold()),
            primary_provider_id=ProviderId(self.providerNo) if self.providerNo else None,
            family_doctor=self._family_doctor(),
        )

    def _birth_date(self) -> date | None:
        """From its three parts: `dateOfBirth` is a midnight that some builds shift by a zone."""
        try:
            return date(int(self.dobYear or ""), int(self.dobMonth or ""), int(self.dobDay or ""))
        except ValueError:
            return None

    def _health_number(self) -> HealthNumber | None:
        if not self.hin:
            return None
        province = self.hcType.upper() if self.hcType and re.fullmatch(r"[A-Za-z]{2}", self.hcType) else None
        try:
            # Only as text: a number is a midnight in a zone that is not known here.
            expires_on = date.fromisoformat(self.hcRenewDate) if isinstance(self.hcRenewDate, str) else None
        except ValueError:
            expires_on = None
        return HealthNumber(self.hin, province, self.ver, expires_on)

    def _addresses(self) -> tuple[Address, ...]:
        home = self.address
        if home is None or not any((home.address, home.city, home.province, home.postal)):
            return ()
        return (Address(home.address, home.city, home.province, home.postal),)

    def _extra(self, key: str) -> str | None:
        return next((extra.value for extra in self.extras if extra.key == key), None)

    def _family_doctor(self) -> str | None:
        """The name inside OSCAR's own mark-up. Source: open-osp/Open-O, PhsStarHandler."""
        match = _FAMILY_DOCTOR.search(self.familyDoctor or "")
        return match[1].strip() or None if match else None


def status_of(code: str) -> AppointmentStatus:
    """Our status for OSCAR's code. A second letter, S or V, says that the note is signed or verified."""
    known = len(code) == 1 or (len(code) == len("HS") and code[1] in "SV")
    return _STATUSES.get(code[0], AppointmentStatus.UNKNOWN) if known else AppointmentStatus.UNKNOWN


def content_of(answer: Any, keys: Sequence[str]) -> list[Any] | None:
    """The rows of an answer, whichever way this build wraps them; None if it is no list of rows.

    A bare array, `content`, or one of `keys`; some builds leave `content` out when they have nothing to put there.
    """
    if isinstance(answer, list):
        return answer
    if not isinstance(answer, Mapping):
        return None
    for key in ("content", *keys):
        if key in answer:
            return content_of(answer[key], keys) if isinstance(answer[key], Mapping) else answer[key] or []
    return [] if "total" in answer or "timestamp" in answer else None
