"""How OSCAR writes its rows as JSON: by family of builds, and by whatever shape of dates it was told to use.

Source: open-osp/Open-O and scoophealth/oscar, the REST services' transfer objects; Open-O's SmartDateSerializer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from ocean_emr.testing.oscar_sim.clinic import SimAppointment, SimPatient, SimProvider
from ocean_emr.testing.oscar_sim.faults import FaultKind, Faults
from ocean_emr.testing.oscar_sim.signatures import Profile


@dataclass(frozen=True, slots=True)
class Writer:
    """One OSCAR's handwriting."""

    profile: Profile
    zone: ZoneInfo
    faults: Faults

    def provider(self, row: SimProvider) -> dict[str, Any]:
        """An item of `providers_json`."""
        return {
            "providerNo": row.no,
            "lastName": row.last_name,
            "firstName": row.first_name,
            "name": f"{row.first_name} {row.last_name}",
            "ohipNo": row.ohip_no,
            "enabled": True,
        }

    def day_item(self, row: SimAppointment, patient: SimPatient | None) -> dict[str, Any]:
        """An item of `fetchDays`."""
        return {
            "appointmentNo": row.no,
            "providerNo": row.provider_no,
            "appointmentDate": self._day(row.day),
            "startTime": self._clock(row.day, row.clock),
            "demographicNo": row.demographic_no,
            "notes": row.notes,
            "status": row.status,
            "lastName": patient.last_name if patient else None,
            "firstName": patient.first_name if patient else None,
            "phone": patient.phone if patient else None,
        }

    def listed_item(self, row: SimAppointment, patient: SimPatient | None) -> dict[str, Any]:
        """An item of `fetchProviderAppts`, which has no time of day."""
        return {
            "appointmentNo": row.no,
            "providerNo": row.provider_no,
            "appointmentDate": self._day(row.day),
            "demographicNo": row.demographic_no,
            "status": row.status,
            "updateDatetime": 1_700_000_000,
            "name": f"{patient.last_name}, {patient.first_name}" if patient else ".",
        }

    def detail(
        self, row: SimAppointment, patient: SimPatient | None, *, as_moments: bool | None = None
    ) -> dict[str, Any]:
        """The answer of `getAppointment`; classic builds write moments for days and times there, others elsewhere."""
        as_moments = self.profile is Profile.CLASSIC if as_moments is None else as_moments
        return {
            "id": row.no,
            "providerNo": row.provider_no,
            "appointmentDate": self._moment(row.day, time(0)) if as_moments else self._day(row.day),
            "startTime": self._epoch_clock(row.clock) if as_moments else self._clock(row.day, row.clock),
            "endTime": self._epoch_clock(row.end) if as_moments else self._clock(row.day, row.end),
            "demographicNo": row.demographic_no,
            "status": row.status,
            "reason": row.reason,
            "type": row.type,
            "notes": row.notes,
            "location": row.location,
            "demographic": {"lastName": patient.last_name} if patient else None,
        }

    def chart(self, row: SimPatient) -> dict[str, Any]:
        """The answer of `demographics/{id}`, with as little as possible of the lists of doctors that OSCAR adds."""
        # Open-O never shows the alert, which a PUT may replace. Source: DemographicService, getDemographicData.
        alert = {"alert": row.alert or None} if self.profile is Profile.CLASSIC else {}
        return alert | {
            "demographicNo": row.no,
            "lastName": row.last_name,
            "firstName": row.first_name,
            "dateOfBirth": self._moment(row.birth, time(0)),
            "dobYear": self.birth(row)[0],
            "dobMonth": self.birth(row)[1],
            "dobDay": self.birth(row)[2],
            "sex": row.sex,
            "hin": row.hin,
            "ver": row.version,
            "hcType": row.province,
            "hcRenewDate": self._chart_day(row.card_renewal),
            "effDate": self._chart_day(row.effective),
            "dateJoined": self._chart_day(row.joined),
            "patientStatus": row.status,
            "rosterStatus": row.roster_status,
            "chartNo": row.chart_no,
            "alias": row.alias,
            "phone": row.phone,
            "alternativePhone": row.work_phone,
            "email": row.email,
            "officialLanguage": row.language,
            "providerNo": row.provider_no,
            "familyDoctor": row.family_doctor,
            "address": {"address": row.street, "city": row.city, "province": row.home_province, "postal": row.postal},
            "previousAddress": {"address": None, "city": None, "province": None, "postal": None},
            "nurse": row.nurse or None,
            "waitingListID": row.waiting_list,
            "onWaitingListSinceDate": self._chart_day(row.waiting_since),
            "extras": [self._cell(row)] if row.mobile else [],
            "doctors": [{"providerNo": row.provider_no}] if row.provider_no else [],
            "activeCount": 1,
            "age": {"years": 40},
        }

    def birth(self, row: SimPatient) -> tuple[str, str, str]:
        """Year, month and day as the table has them, which are texts."""
        bare = self.faults.condition(FaultKind.BIRTHS_WITHOUT_ZERO) is not None
        return f"{row.birth:%Y}", f"{row.birth:%m}", str(row.birth.day) if bare else f"{row.birth:%d}"

    def found(self, row: SimPatient) -> dict[str, Any]:
        """An item of `demographics/search`."""
        return {
            "demographicNo": row.no,
            "lastName": row.last_name,
            "firstName": row.first_name,
            "sex": row.sex,
            "dob": self._moment(row.birth, time(0)),
            "hin": row.hin,
            "patientStatus": row.status,
            "phone": row.phone,
            "providerNo": row.provider_no,
        }

    def _cell(self, row: SimPatient) -> dict[str, Any]:
        return {
            "id": 900_000 + row.no,
            "demographicNo": row.no,
            "providerNo": row.provider_no,
            "key": "demo_cell",
            "value": row.mobile,
            "hidden": False,
        }

    def _chart_day(self, day: date | None) -> Any:
        if day is None:
            return None
        return self._moment(day, time(0)) if self.profile is Profile.CLASSIC else day.isoformat()

    def _day(self, day: date) -> Any:
        if self.faults.condition(FaultKind.DAYS_AS_MOMENTS):
            return self._moment(day, time(0))
        if self.faults.condition(FaultKind.DAYS_AS_UTC_MOMENTS):
            return int(datetime.combine(day, time(0), UTC).timestamp() * 1000)
        if self.faults.condition(FaultKind.DAYS_WITH_TIME):
            return f"{day}T00:00:00Z"
        if self.faults.condition(FaultKind.DAYS_UNKNOWN):
            return f"{day:%d/%m/%y}"
        return day.isoformat()

    def _clock(self, day: date, clock: time) -> Any:
        if self.faults.condition(FaultKind.DAYS_AS_MOMENTS):
            return self._moment(day, clock)
        if self.faults.condition(FaultKind.DAYS_AS_UTC_MOMENTS):
            return int(datetime.combine(date(1970, 1, 1), clock, UTC).timestamp() * 1000)
        if self.faults.condition(FaultKind.CLOCKS_WITH_AM_PM):
            return f"{clock:%I:%M %p}"
        return clock.isoformat("seconds")

    def _epoch_clock(self, clock: time) -> int:
        """A time of day as Java keeps it: on the first of January 1970, in the server's zone."""
        return self._moment(date(1970, 1, 1), clock)

    def _moment(self, day: date, clock: time) -> int:
        return int(datetime.combine(day, clock, self.zone).timestamp() * 1000)
