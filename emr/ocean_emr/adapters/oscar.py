"""OSCAR Pro and its relatives, by the OAuth 1.0a signed REST interface below `ws/services`.

Builds differ, and what they answer decides, never what they claim to be. Two families were studied: "classic"
(scoophealth/oscar) and "open-o-2026" (open-osp/Open-O). Hosted OSCAR Pro itself was not tried. What each call rests on
is on docs/emr/oscar-pro.md.

This module is the contract's side, and what it says of providers and the connection. Beside it: oscar_schedule.py and
oscar_search.py read, oscar_visits.py, oscar_notes.py and oscar_charts.py write, each by way of oscar_calls.py.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import date, datetime
from typing import Any, Final, Self
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from ocean_api.addresses import PUBLIC_ONLY, AddressRules
from ocean_emr.adapters.oscar_calls import (
    PROBE_LAG_SECONDS,
    SERVICES,
    chart,
    content,
    history_read,
    parsed,
    patient_read,
)
from ocean_emr.adapters.oscar_charts import Charts
from ocean_emr.adapters.oscar_faults import oscar_faults
from ocean_emr.adapters.oscar_notes import Documents, Notes
from ocean_emr.adapters.oscar_rows import SYSTEM_PROVIDERS, ProviderRow
from ocean_emr.adapters.oscar_schedule import NOBODY, Schedule
from ocean_emr.adapters.oscar_search import Search
from ocean_emr.adapters.oscar_visits import Visits
from ocean_emr.adapters.oscar_window import Window, parts_of
from ocean_emr.answers import Read
from ocean_emr.auth import require
from ocean_emr.contract import Basis, Capabilities, Capability, ConnectionReport
from ocean_emr.errors import EmrAnswerError, EmrAuthRefusedError
from ocean_emr.oauth1 import OAuth1
from ocean_emr.records import Appointment, AppointmentPage, Operation, Patient, PatientId, Provider, ProviderId
from ocean_emr.transport import Limits, Transport
from ocean_emr.writes import (
    Arrival,
    DemographicsUpdate,
    NewAppointment,
    NewDocument,
    NewNote,
    NewPatient,
    PatientQuery,
    Probe,
    ProbeResult,
    Write,
    WriteOutcome,
)

CREDENTIAL_KEYS: Final = ("consumerKey", "consumerSecret", "token", "tokenSecret")

_NOTICEABLE_SKEW_SECONDS: Final = 60


def _read(source: str) -> Capability:
    return Capability(Basis.VERIFIED, source)


def _write(source: str, lag: float | None = PROBE_LAG_SECONDS) -> Capability:
    return Capability(Basis.VERIFIED, source, probe_lag_seconds=lag)


_CAPABILITIES: Final = Capabilities(
    {
        Operation.CHECK_CONNECTION: _read("open-osp/Open-O OAuthStatusService, AppointmentManager"),
        Operation.LIST_PROVIDERS: _read("open-osp/Open-O ProviderService"),
        Operation.LIST_APPOINTMENTS: _read("open-osp/Open-O ScheduleService"),
        Operation.GET_PATIENT: _read("open-osp/Open-O DemographicService"),
        Operation.LIST_PATIENT_APPOINTMENTS: _read("open-osp/Open-O ScheduleService, appointmentHistory"),
        Operation.FIND_PATIENTS: _read("open-osp/Open-O DemographicService, search; DemographicDaoImpl"),
        Operation.CREATE_PATIENT: _write("open-osp/Open-O DemographicService, PersonaService"),
        Operation.CREATE_APPOINTMENT: _write("open-osp/Open-O ScheduleService, NewAppointmentConverter"),
        Operation.MARK_ARRIVED: _write("open-osp/Open-O ScheduleService, AppointmentManagerImpl"),
        # Found again where the build lists notes for us; a classic one does not, and a probe says so.
        Operation.WRITE_NOTE: _write("open-osp/Open-O NotesService; scoophealth/oscar CaseManagementNoteDAO"),
        Operation.UPLOAD_DOCUMENT: _write("open-osp/Open-O DocumentService", lag=None),
        Operation.UPDATE_DEMOGRAPHICS: _write("open-osp/Open-O DemographicService, DemographicConverter"),
    }
)


class OscarAdapter:
    """The adapter; see the contract for what its methods promise."""

    def __init__(
        self,
        url: str,
        credentials: Mapping[str, str],
        *,
        ca_bundle: str | None = None,
        limits: Limits | None = None,
        addresses: AddressRules = PUBLIC_ONLY,
    ) -> None:
        """Ask nobody yet.

        Args:
            url: OSCAR's address with its context path, such as `https://emr.example.org/oscar`.
            credentials: `consumerKey`, `consumerSecret`, `token`, `tokenSecret`.
            ca_bundle: Authorities to trust instead of the public ones, PEM.
            limits: Other bounds than the usual ones.
            addresses: Where connections may lead.

        Raises:
            EmrAuthRefusedError: A credential is missing.
        """
        consumer_key, consumer_secret, token, token_secret = require(credentials, CREDENTIAL_KEYS)
        auth = OAuth1(consumer_key, consumer_secret, token, token_secret)
        transport = Transport(
            url, auth=auth, ca_bundle=ca_bundle, faults=oscar_faults, limits=limits, addresses=addresses
        )
        self._transport = transport
        self._has_context_path = bool(urlsplit(url).path.strip("/"))
        self._schedule = Schedule(transport)
        self._search = Search(transport)
        self._visits = Visits(transport)
        self._notes = Notes(transport)
        self._documents = Documents(transport)
        self._charts = Charts(transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._transport.__aexit__()

    def capabilities(self) -> Capabilities:
        """Everything, after the published source of two builds; one of them refuses documents when it is sent one."""
        return _CAPABILITIES

    async def check_connection(self) -> ConnectionReport:
        """Login by `oauth/info`, rights by asking for the bookings and the chart of a patient who does not exist.

        `oauth/info` answers 200 to anybody, and needs no right: only a provider's number in it shows a login. The two
        others check a right each before they find nothing. `fetchProviderAppts` checks none, and `fetchDays` tells a
        missing right like every other failure, so neither would prove anything.
        Source: open-osp/Open-O OAuthStatusService, AppointmentManagerImpl, DemographicManagerImpl, ScheduleService.
        """
        op = Operation.CHECK_CONNECTION
        info = await self._transport.read_json(Read(op, f"{SERVICES}/oauth/info"))
        classic, current = (_provider_no(info, key) for key in ("provider", "providers"))
        principal = current or classic
        if principal is None:
            raise EmrAuthRefusedError(
                "the EMR took the signature and names no provider for it",
                op=op,
                remedy="See that the provider who authorised the token is active in OSCAR, then authorise again.",
            )
        unproven = [
            right
            for right, read in (
                ("_appointment", history_read(op, NOBODY)),
                ("_demographic", patient_read(op, NOBODY)),
            )
            if not await self._schedule.right_proven(read)
        ]
        roles = info.get("roles")
        return ConnectionReport(
            interface="OSCAR open-o-2026" if current else "OSCAR classic",
            principal=principal,
            roles=tuple(str(role) for role in roles) if isinstance(roles, list) else (),
            clock_skew_seconds=self._transport.clock_skew_seconds,
            encrypted=self._transport.encrypted,
            warnings=tuple(self._warnings(unproven)),
        )

    async def list_providers(self) -> tuple[Provider, ...]:
        """Source: open-osp/Open-O ProviderService, `providers_json`; unpaged."""
        op = Operation.LIST_PROVIDERS
        answer = await self._transport.read_json(Read(op, f"{SERVICES}/providerService/providers_json"))
        rows = [parsed(ProviderRow, row) for row in content(answer, (), op)]
        if any(row is None for row in rows):
            raise EmrAnswerError(f"{rows.count(None)} providers of {len(rows)} could not be read", op=op)
        providers = {row.providerNo: row.record() for row in rows if row is not None}
        return tuple(provider for provider in providers.values() if provider.id not in SYSTEM_PROVIDERS)

    async def list_appointments(
        self, provider_ids: Sequence[ProviderId], start: date, end_exclusive: date, zone: ZoneInfo
    ) -> AsyncGenerator[AppointmentPage, None]:
        """See oscar_schedule.py."""
        if not provider_ids or end_exclusive <= start:
            yield AppointmentPage((), last=True)
            return
        shown = {provider.id for provider in await self.list_providers()}
        chosen = tuple(dict.fromkeys(provider_ids))
        window = Window(frozenset(chosen) & shown, start, end_exclusive, zone)
        parts = tuple(parts_of(tuple(p for p in chosen if p in shown), start, end_exclusive))
        async with aclosing(self._schedule.pages(window, parts)) as pages:
            async for page in pages:
                yield page
        hidden = frozenset(chosen) - shown
        yield AppointmentPage((), last=True, hidden_provider_ids=hidden, doubts=window.doubts())

    async def get_patient(self, patient_id: PatientId) -> Patient:
        """Source: open-osp/Open-O DemographicService."""
        _, row = await chart(self._transport, Operation.GET_PATIENT, patient_id)
        return row.record()

    async def list_patient_appointments(
        self, patient_id: PatientId, start: datetime, end: datetime, zone: ZoneInfo
    ) -> tuple[Appointment, ...]:
        """See oscar_schedule.py."""
        return await self._schedule.of_patient(patient_id, start, end, zone)

    async def find_patients(self, query: PatientQuery) -> tuple[Patient, ...]:
        """See oscar_search.py."""
        return await self._search.find(query)

    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        """See oscar_visits.py, oscar_notes.py and oscar_charts.py."""
        match write:
            case NewPatient():
                return await self._charts.create(write)
            case NewAppointment():
                return await self._visits.book(write, key)
            case Arrival():
                return await self._visits.arrive(write)
            case NewNote():
                return await self._notes.add(write, key)
            case NewDocument():
                return await self._documents.add(write, key)
            case DemographicsUpdate():
                return await self._charts.update(write)

    async def probe(self, write: Write, key: UUID) -> ProbeResult:
        """By reading what `write` would have made; documents cannot be read."""
        match write:
            case NewPatient():
                return await self._charts.created(write)
            case NewAppointment():
                return await self._visits.booked(write, key)
            case Arrival():
                return await self._visits.has_arrived(write)
            case NewNote():
                return await self._notes.find(write, key)
            case NewDocument():
                return ProbeResult(Probe.CANNOT_TELL)
            case DemographicsUpdate():
                return await self._charts.updated(write)

    def _warnings(self, unproven: Sequence[str]) -> Iterator[str]:
        skew = self._transport.clock_skew_seconds
        if not self._has_context_path:
            yield "The address has no context path; OSCAR usually lives below one, such as /oscar."
        if skew is not None and abs(skew) > _NOTICEABLE_SKEW_SECONDS:
            yield f"The EMR's clock differs from ours by {abs(skew):.0f} seconds; beyond 300 it refuses every call."
        for right in unproven:
            yield f"Whether the login has OSCAR's right {right} could not be proven."


def _provider_no(info: Any, key: str) -> str | None:
    provider = info.get(key) if isinstance(info, dict) else None
    number = provider.get("providerNo") if isinstance(provider, dict) else None
    return str(number) if number else None
