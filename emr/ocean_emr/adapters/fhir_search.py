"""Searches: what is asked, what of the answer is taken, and what it leaves in doubt. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from ocean_emr.adapters.fhir_patient import PatientResource
from ocean_emr.adapters.fhir_resources import AppointmentResource, Bundle, read
from ocean_emr.fitting import bare_number, fits
from ocean_emr.records import Appointment, AppointmentId, Patient, PatientId, ProviderId
from ocean_emr.writes import PatientQuery

PAGE: Final = 50
"""Resources asked for at a time. Servers may send fewer; if they send more, the transport bounds it."""

Params = tuple[tuple[str, str], ...]


class AppointmentSearch:
    """The appointments of chosen providers in a window, asked for provider by provider."""

    def __init__(self, chosen: frozenset[ProviderId], start: datetime, end: datetime, zone: ZoneInfo) -> None:
        """Begin with nothing seen.

        Args:
            chosen: Whose appointments count.
            start: First moment.
            end: First moment that does not count any more.
            zone: The clinic's.
        """
        self._chosen = chosen
        self._start, self._end, self._zone = start, end, zone
        self._seen: set[AppointmentId] = set()
        self._announced = 0
        self._received = 0
        self._unreadable = 0
        self._strays = 0
        self._fewer = False
        self._codes: set[str] = set()

    def params(self, asked: str) -> Params:
        """The query for one provider. The offsets keep servers from reading the window on a clock of their own."""
        return (
            ("practitioner", asked),
            ("date", f"ge{self._start.isoformat()}"),
            ("date", f"lt{self._end.isoformat()}"),
            ("_count", str(PAGE)),
        )

    def take(self, asked: str, page: Bundle) -> tuple[Appointment, ...]:
        """The appointments on a page of the answer about `asked` that are in the window and new.

        A booking of several chosen providers is taken once, when the first of them is asked about.
        """
        self._announced = max(self._announced, page.total or 0)
        self._codes |= set(page.less_than_all())
        taken = []
        for raw in page.matches("Appointment"):
            self._received += 1
            resource = read(AppointmentResource, raw)
            if resource is None:
                self._unreadable += 1
            elif not self._is_of(asked, resource):
                self._strays += 1
            elif self._counts(resource.start) and resource.id not in self._seen:
                self._seen.add(AppointmentId(resource.id))
                taken.append(resource.to_appointment(self._chosen, self._zone))
        return tuple(taken)

    def end_of_answer(self) -> None:
        """The answer about one provider has no further page."""
        self._fewer = self._fewer or self._received < self._announced
        self._announced = self._received = 0

    def doubts(self) -> tuple[str, ...]:
        """Why something may be missing."""
        found = (
            (self._unreadable, f"{self._unreadable} appointments could not be read."),
            (self._strays, f"{self._strays} appointments came back that are not of whom was asked for."),
            (self._fewer, "The EMR announced more appointments than it sent."),
            (self._codes, f"The EMR said that its answer may lack something: {', '.join(sorted(self._codes))}."),
        )
        return tuple(sentence for applies, sentence in found if applies)

    def _is_of(self, asked: str, resource: AppointmentResource) -> bool:
        return asked in resource.providers

    def _counts(self, start: datetime) -> bool:
        return self._start <= start < self._end


class PatientAppointmentSearch(AppointmentSearch):
    """One patient's appointments with whomever, from `start` up to and including `end`."""

    def __init__(self, start: datetime, end: datetime, zone: ZoneInfo) -> None:
        """Begin with nothing seen."""
        super().__init__(frozenset(), start, end, zone)

    def params(self, asked: str) -> Params:
        """The query. Whole seconds: a server that keeps none smaller takes a fraction for the second after."""
        return (
            ("patient", asked),
            ("date", f"ge{self._start.replace(microsecond=0).isoformat()}"),
            ("date", f"le{self._end.replace(microsecond=0).isoformat()}"),
            ("_count", str(PAGE)),
        )

    def _is_of(self, asked: str, resource: AppointmentResource) -> bool:
        return asked in resource.patients

    def _counts(self, start: datetime) -> bool:
        return self._start <= start <= self._end


class PatientSearch:
    """The charts that fit a query, active or not."""

    def __init__(self, query: PatientQuery) -> None:
        """Begin with nothing found."""
        self._query = query
        self._found: dict[PatientId, Patient] = {}
        self.unreadable = False
        """Whether a chart came that cannot be read: it may be the one."""
        self.unfiltered = False
        """Whether a page came on which nothing is what was asked for: the server answers something else."""
        self.less_than_all = False
        """Whether the server said that its answer may lack something."""

    def params(self) -> tuple[Params, ...]:
        """The queries, one after the other. Together they find every chart, however the number is spaced in ours.

        Without a number by birth date alone where there is one: how servers match accents in names differs.
        """
        query = self._query
        if query.health_number:
            values = dict.fromkeys((bare_number(query.health_number.value), query.health_number.value.strip()))
            wanted = [("identifier", value) for value in values]
        elif query.birth_date:
            wanted = [("birthdate", query.birth_date.isoformat())]
        else:
            wanted = [("family", query.last_name or "")]
        return tuple((one, ("_count", str(PAGE))) for one in wanted)

    def take(self, page: Bundle) -> None:
        """Look through a page."""
        self.less_than_all = self.less_than_all or bool(page.less_than_all())
        charts = [read(PatientResource, raw) for raw in page.matches("Patient")]
        readable = [chart for chart in charts if chart is not None]
        self.unreadable = self.unreadable or len(readable) < len(charts)
        self.unfiltered = self.unfiltered or (bool(readable) and not any(map(self._was_asked_for, readable)))
        patients = (chart.to_patient() for chart in readable)
        self._found |= {patient.id: patient for patient in patients if fits(self._query, patient)}

    def found(self) -> tuple[Patient, ...]:
        """Each chart once, in the server's order."""
        return tuple(self._found.values())

    def _was_asked_for(self, chart: PatientResource) -> bool:
        """Whether the server's own search may have matched it: it looks at all identifiers, we at one."""
        query = self._query
        if query.health_number:
            wanted = bare_number(query.health_number.value)
            return any(bare_number(each.value) == wanted for each in chart.identifier)
        return not query.birth_date or chart.birth_date[:4] in {"", str(query.birth_date.year)}
