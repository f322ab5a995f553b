"""OSCAR's demographic service, with its habits.

Source: open-osp/Open-O and scoophealth/oscar: DemographicService, DemographicConverter, DemographicManagerImpl,
DemographicDao; and a running Open-O of March 2026.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any, Final

from starlette.responses import Response

from ocean_emr.testing.oscar_sim.clinic import NO_DOCTOR, SimPatient, next_number
from ocean_emr.testing.oscar_sim.faults import FaultKind
from ocean_emr.testing.oscar_sim.office import Call, Office, Route, crash, denied
from ocean_emr.testing.oscar_sim.signatures import Profile
from ocean_emr.testing.oscar_sim.spoiling import json_answer, page

_INACTIVE: Final = {"IN", "DE", "IC", "ID", "MO", "FI"}
_CAP: Final = 50
_NO_RIGHT: Final = "java.lang.RuntimeException: missing required sec object (_demographic)"
_WIDTHS: Final = {
    "first_name": 30,
    "last_name": 30,
    "street": 60,
    "city": 50,
    "home_province": 20,
    "postal": 9,
    "email": 100,
    "phone": 20,
    "work_phone": 20,
    "hin": 20,
    "version": 3,
    "alias": 70,
}
"""Characters that the columns hold. Source: Demographic.hbm.xml."""
_BESIDE: Final = ("nurse", "resident", "alert", "midwife", "notes")
"""Kept in a table of their own: if one of them is sent, all are replaced."""


class Charts:
    """Everything below `demographics`."""

    def __init__(self, office: Office) -> None:
        """Answer for `office`."""
        self._office = office

    def routes(self) -> list[Route]:
        """Who answers what."""
        return [
            ("GET", r"demographics/(-?\d+)", self._read),
            ("POST", r"demographics/search", self._search),
            ("POST", r"demographics", self._create),
            ("PUT", r"demographics", self._update),
        ]

    def _read(self, call: Call, number: str) -> Response:
        office = self._office
        if office.holds(FaultKind.NO_DEMOGRAPHIC_RIGHT):
            return crash(_NO_RIGHT)
        wanted = int(number)
        row = office.clinic.patients.get(wanted)
        if call.foreign_chart:
            row = next(patient for patient in office.clinic.patients.values() if patient.no != wanted)
        if row is None or office.holds(FaultKind.CHART_GONE):
            return self._missing()
        office.ledger.shown[f"patient {row.no}"] += 1
        moves = office.faults.condition(FaultKind.CHART_MOVES)
        if moves is not None:
            office.clinic.add(replace(row, phone=moves.detail))
        return json_answer(office.write.chart(row))

    def _missing(self) -> Response:
        if self._office.holds(FaultKind.MISSING_IS_NULL):
            return json_answer(None)
        if self._office.holds(FaultKind.MISSING_IS_404):
            return page("HTTP Status 404", "Not Found", 404)
        return Response(status_code=204)

    def _search(self, call: Call) -> Response:
        """By a regular expression of the database; those who are active, or those who are not, never both."""
        office = self._office
        if office.holds(FaultKind.NO_DEMOGRAPHIC_RIGHT):
            return denied()
        first, number = int(call.query["startIndex"]), int(call.query["itemsToReturn"])
        asked = call.json()
        if office.profile is Profile.CLASSIC and "params" not in asked:
            return crash("net.sf.json.JSONException: JSONObject[params] not found")
        fits = self._condition(asked["type"], str(asked["term"]))
        active = str(asked.get("active", "false")).lower() == "true"
        rows = [row for row in office.clinic.patients.values() if (row.status not in _INACTIVE) == active and fits(row)]
        by_number = "sorting[DemographicNo]" in asked.get("params", {})
        rows.sort(key=lambda row: (row.no,) if by_number else (row.last_name, row.first_name))
        if office.holds(FaultKind.CAPPED):
            rows = rows[:_CAP]
        if office.holds(FaultKind.CAPPED_AND_TOLD):
            number = min(number, _CAP)
        found = [office.write.found(row) for row in rows[first : first + number]]
        return json_answer({"content": found, "total": len(rows), "limit": 0, "offset": 0})

    def _condition(self, kind: str, term: str) -> Callable[[SimPatient], bool]:
        if kind == "DOB":
            # Source: DemographicDao: the parts are cut out by their places, and the day alone is a pattern.
            year, month, day = term[:4], term[5:7], re.compile(term[8:])
            born = self._office.write.birth
            return lambda row: born(row)[:2] == (year, month) and _has(day, born(row)[2])
        pattern = re.compile(term, re.IGNORECASE)
        if kind == "HIN":
            # Seen on a running Open-O: from the beginning of the number.
            match = pattern.match if self._office.profile is Profile.OPEN_O_2026 else pattern.search
            return lambda row: match(row.hin) is not None
        if kind == "Name":
            return lambda row: _has(pattern, row.last_name)
        raise ValueError(kind)

    def _create(self, call: Call) -> Response:
        """The chart first, then the admission, then further fields: what fails midway leaves what was there."""
        office = self._office
        if office.holds(FaultKind.NO_WRITE_RIGHT) or office.holds(FaultKind.NO_DEMOGRAPHIC_RIGHT):
            return crash(_NO_RIGHT)
        asked = call.json()
        row = self._row(next_number(office.clinic.patients), asked)
        if not _fits(row):
            return crash("com.mysql.jdbc.MysqlDataTruncation: Data too long for column")
        if office.holds(FaultKind.NAMES_IN_CAPITALS):
            row = replace(row, last_name=row.last_name.upper(), first_name=row.first_name.upper())
        row = replace(row, status="AC", family_doctor=NO_DOCTOR, admitted=False, mobile="")
        office.clinic.add(row)
        office.enter("chart", row.no, row.no)
        if asked.get("admissionProgramId") is None:
            return crash("java.lang.NullPointerException: programId")
        row = replace(row, admitted=True)
        office.clinic.add(row)
        if asked.get("extras"):
            # They are saved under the number that the chart had before it was saved: none.
            return crash("org.hibernate.PropertyValueException: demographicNo")
        return json_answer(office.write.chart(row))

    def _update(self, call: Call) -> Response:
        """Replaces the whole row, and what the transfer object does not know is emptied."""
        office = self._office
        if office.profile is Profile.OPEN_O_2026 and call.accept == "application/json":
            return page("HTTP Status 406", "Not Acceptable", 406)
        if office.holds(FaultKind.NO_WRITE_RIGHT) or office.holds(FaultKind.NO_DEMOGRAPHIC_RIGHT):
            return crash(_NO_RIGHT)
        asked = call.json()
        before = office.clinic.patients.get(asked["demographicNo"])
        if before is None:
            return crash("java.lang.NullPointerException")
        row = replace(
            self._row(before.no, asked),
            mobile=before.mobile,
            nurse=before.nurse,
            alert=before.alert,
            waiting_list=before.waiting_list,
            waiting_since=before.waiting_since,
            admitted=before.admitted,
        )
        if None in {asked.get("lastName"), asked.get("firstName"), asked.get("sex")} or not _fits(row):
            return crash("org.hibernate.PropertyValueException: not-null property references a null value")
        if any(asked.get(name) is not None for name in _BESIDE):
            row = replace(row, nurse=asked.get("nurse") or "", alert=asked.get("alert") or "")
        if asked.get("waitingListID") is not None:
            row = replace(row, waiting_list=asked["waitingListID"], waiting_since=None)
        cell = next((extra for extra in asked.get("extras") or () if extra["key"] == "demo_cell"), None)
        row = replace(row, mobile=cell["value"] or "") if cell else row
        office.clinic.add(row)
        office.enter("update", row.no, row.no)
        answer = office.write.chart(row)
        if office.profile is Profile.OPEN_O_2026:
            return Response(
                f"<demographicTo1><lastName>{row.last_name}</lastName></demographicTo1>", media_type="application/xml"
            )
        return json_answer(answer)

    def _row(self, number: int, asked: dict[str, Any]) -> SimPatient:
        """What the converter makes of a body. Source: DemographicConverter, getAsDomainObject."""
        address, day = asked.get("address") or {}, self._office.day

        def text(name: str) -> str:
            return asked.get(name) or ""

        return SimPatient(
            number,
            last_name=text("lastName"),
            first_name=text("firstName"),
            birth=date(int(asked["dobYear"]), int(asked["dobMonth"]), int(asked["dobDay"])),
            sex=text("sex"),
            hin=text("hin"),
            version=text("ver"),
            province=text("hcType"),
            card_renewal=day(asked.get("hcRenewDate")),
            status=text("patientStatus"),
            phone=text("phone"),
            work_phone=text("alternativePhone"),
            email=text("email"),
            language=text("officialLanguage"),
            street=address.get("address") or "",
            city=address.get("city") or "",
            home_province=address.get("province") or "",
            postal=address.get("postal") or "",
            provider_no=text("providerNo"),
            family_doctor=text("familyDoctor"),
            alias=text("alias"),
            chart_no=text("chartNo"),
            roster_status=text("rosterStatus"),
            joined=day(asked.get("dateJoined")),
            effective=day(asked.get("effDate")),
        )


def _has(pattern: re.Pattern[str], value: str) -> bool:
    return pattern.search(value) is not None


def _fits(row: SimPatient) -> bool:
    return all(len(getattr(row, name)) <= width for name, width in _WIDTHS.items())
