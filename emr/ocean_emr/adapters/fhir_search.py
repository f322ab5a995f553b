"""One search for appointments: what is asked, what of the answer is taken, and what it leaves in doubt. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from ocean_emr.adapters.fhir_resources import AppointmentResource, Bundle, read
from ocean_emr.records import Appointment, AppointmentId, ProviderId

PAGE: Final = 50
"""Resources asked for at a time. Servers may send fewer; if they send more, the transport bounds it."""


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

    def params(self, provider: ProviderId) -> tuple[tuple[str, str], ...]:
        """The query for one provider. The offsets keep servers from reading the window on a clock of their own."""
        return (
            ("practitioner", provider),
            ("date", f"ge{self._start.isoformat()}"),
            ("date", f"lt{self._end.isoformat()}"),
            ("_count", str(PAGE)),
        )

    def take(self, asked: ProviderId, page: Bundle) -> tuple[Appointment, ...]:
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
            elif asked not in resource.providers:
                self._strays += 1
            elif self._start <= resource.start < self._end and resource.id not in self._seen:
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
            (self._strays, f"{self._strays} appointments came back that are not of the provider asked for."),
            (self._fewer, "The EMR announced more appointments than it sent."),
            (self._codes, f"The EMR said that its answer may lack something: {', '.join(sorted(self._codes))}."),
        )
        return tuple(sentence for applies, sentence in found if applies)
