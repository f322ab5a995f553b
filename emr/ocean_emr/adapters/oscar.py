"""OSCAR Pro and its relatives, by the OAuth 1.0a signed REST interface below `ws/services`.

Builds differ, and what they answer decides, never what they claim to be. Two families were studied: "classic"
(scoophealth/oscar) and "open-o-2026" (open-osp/Open-O). Hosted OSCAR Pro itself was not tried. What each reading rests
on is on docs/emr/oscar-pro.md.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from datetime import date, timedelta
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import anyio
from pydantic import ValidationError

from ocean_api.addresses import PUBLIC_ONLY, AddressRules
from ocean_emr.adapters.oscar_faults import oscar_faults
from ocean_emr.adapters.oscar_rows import (
    SYSTEM_PROVIDERS,
    AppointmentRow,
    ListedRow,
    PatientRow,
    ProviderRow,
    Row,
    content_of,
)
from ocean_emr.adapters.oscar_shapes import ShapeError
from ocean_emr.adapters.oscar_window import Part, Window, parts_of
from ocean_emr.answers import Read
from ocean_emr.auth import require
from ocean_emr.contract import Basis, Capabilities, Capability, ConnectionReport
from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrError,
    EmrNotFoundError,
    EmrPermissionDeniedError,
    EmrRecordError,
    EmrUnavailableError,
)
from ocean_emr.oauth1 import OAuth1
from ocean_emr.records import (
    Appointment,
    AppointmentPage,
    Operation,
    Patient,
    PatientId,
    Provider,
    ProviderId,
)
from ocean_emr.transport import Limits, Transport

CREDENTIAL_KEYS: Final = ("consumerKey", "consumerSecret", "token", "tokenSecret")

_SERVICES: Final = "ws/services"
_NOBODY: Final = PatientId("-1")
"""No patient's number. Bookings without a patient have 0."""
_DETAILS_AT_ONCE: Final = 4
_NOTICEABLE_SKEW_SECONDS: Final = 60

_COMMON_CAPS: Final = frozenset({50, 100, 200, 250, 500, 1000, 2000, 5000})
"""Sizes at which servers cut lists without saying so. An answer of such a size is asked for again in parts."""

_CAPABILITIES: Final = Capabilities(
    {
        Operation.CHECK_CONNECTION: Capability(
            Basis.VERIFIED, "open-osp/Open-O OAuthStatusService, AppointmentManager"
        ),
        Operation.LIST_PROVIDERS: Capability(Basis.VERIFIED, "open-osp/Open-O ProviderService"),
        Operation.LIST_APPOINTMENTS: Capability(Basis.VERIFIED, "open-osp/Open-O ScheduleService"),
        Operation.GET_PATIENT: Capability(Basis.VERIFIED, "open-osp/Open-O DemographicService"),
    }
)

_SomeRow = TypeVar("_SomeRow", bound=Row)


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
        self._transport = Transport(
            url, auth=auth, ca_bundle=ca_bundle, faults=oscar_faults, limits=limits, addresses=addresses
        )
        self._has_context_path = bool(urlsplit(url).path.strip("/"))
        self._one_call_reads = True
        """Whether `fetchDays` works here; some builds fail on every day that holds an appointment."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._transport.__aexit__()

    def capabilities(self) -> Capabilities:
        """All four reads, after the published source of two builds."""
        return _CAPABILITIES

    async def check_connection(self) -> ConnectionReport:
        """Login by `oauth/info`, rights by asking for the bookings and the chart of a patient who does not exist.

        `oauth/info` answers 200 to anybody, and needs no right: only a provider's number in it shows a login. The two
        others check a right each before they find nothing. `fetchProviderAppts` checks none, and `fetchDays` tells a
        missing right like every other failure, so neither would prove anything.
        Source: open-osp/Open-O OAuthStatusService, AppointmentManagerImpl, DemographicManagerImpl, ScheduleService.
        """
        op = Operation.CHECK_CONNECTION
        info = await self._transport.read_json(Read(op, f"{_SERVICES}/oauth/info"))
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
                ("_appointment", _history_read(op)),
                ("_demographic", _patient_read(op, _NOBODY)),
            )
            if not await self._right_proven(read)
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
        answer = await self._transport.read_json(Read(op, f"{_SERVICES}/providerService/providers_json"))
        rows = [_parsed(ProviderRow, row) for row in _content(answer, (), op)]
        if any(row is None for row in rows):
            raise EmrAnswerError(f"{rows.count(None)} providers of {len(rows)} could not be read", op=op)
        providers = {row.providerNo: row.record() for row in rows if row is not None}
        return tuple(provider for provider in providers.values() if provider.id not in SYSTEM_PROVIDERS)

    async def list_appointments(
        self, provider_ids: Sequence[ProviderId], start: date, end_exclusive: date, zone: ZoneInfo
    ) -> AsyncGenerator[AppointmentPage, None]:
        """By `fetchDays` where it works, else by `fetchProviderAppts` and each appointment's own record.

        The day view would need fewer calls, but hides what was cancelled. `fetchProviderAppts` asks for no right, and a
        failing `fetchDays` may mean a missing one: nothing found that way is believed before the right is proven.
        Source: open-osp/Open-O ScheduleService, ScheduleManagerImpl.
        """
        if not provider_ids or end_exclusive <= start:
            yield AppointmentPage((), last=True)
            return
        shown = {provider.id for provider in await self.list_providers()}
        chosen = tuple(dict.fromkeys(provider_ids))
        window = Window(frozenset(chosen) & shown, start, end_exclusive, zone)
        for part in parts_of(tuple(p for p in chosen if p in shown), start, end_exclusive):
            yield AppointmentPage(await self._appointments(part, window))
        if window.unreadable and not window.seen:
            what = f"none of {window.unreadable} appointments could be read"
            raise EmrAnswerError(what, op=Operation.LIST_APPOINTMENTS)
        if window.providers and not window.right_proven:
            window.right_unknown = not await self._right_proven(_history_read(Operation.LIST_APPOINTMENTS))
        hidden = frozenset(chosen) - shown
        yield AppointmentPage((), last=True, hidden_provider_ids=hidden, doubts=window.doubts())

    async def get_patient(self, patient_id: PatientId) -> Patient:
        """Source: open-osp/Open-O DemographicService."""
        op = Operation.GET_PATIENT
        if not (patient_id.isascii() and patient_id.isdigit()):
            raise EmrNotFoundError("OSCAR's patients have numbers, and this is none", op=op)
        row = _parsed(PatientRow, await self._transport.read_json(_patient_read(op, patient_id)))
        if row is None:
            raise EmrRecordError("a chart is not in the form of a chart", op=op)
        if row.demographicNo != patient_id:
            raise EmrAnswerError("the EMR answered with another patient's chart", op=op)
        return row.record()

    def _warnings(self, unproven: Sequence[str]) -> Iterator[str]:
        skew = self._transport.clock_skew_seconds
        if not self._has_context_path:
            yield "The address has no context path; OSCAR usually lives below one, such as /oscar."
        if skew is not None and abs(skew) > _NOTICEABLE_SKEW_SECONDS:
            yield f"The EMR's clock differs from ours by {abs(skew):.0f} seconds; beyond 300 it refuses every call."
        for right in unproven:
            yield f"Whether the login has OSCAR's right {right} could not be proven."

    async def _right_proven(self, read: Read) -> bool:
        try:
            await self._transport.read_json(read)
        except EmrNotFoundError:
            return True
        except EmrPermissionDeniedError:
            raise
        except EmrError as error:
            if error.http_status in {HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR}:
                return False
            raise
        return True

    async def _appointments(self, part: Part, window: Window) -> tuple[Appointment, ...]:
        """The part's appointments, as far as readable, each that no earlier part had."""
        found = []
        for row in await self._rows(part, window):
            try:
                inside = window.first <= row.day(window.zone) < window.end and row.providerNo in window.providers
                appointment = row.record(window.zone)
            except ShapeError:
                window.unreadable += 1
                continue
            # `fetchDays` compares provider numbers as numbers, so it also finds those of somebody called "0101".
            if inside and appointment.id not in window.seen:
                window.seen.add(appointment.id)
                found.append(appointment)
        return tuple(found)

    async def _rows(self, part: Part, window: Window) -> list[AppointmentRow]:
        as_numbers = tuple(p for p in part.providers if p.isascii() and p.isdigit())
        rows = []
        if as_numbers and self._one_call_reads:
            try:
                rows += await self._days(Part(as_numbers, part.first, part.end), window)
            except EmrUnavailableError as error:
                if error.http_status != HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise
                self._one_call_reads = False
        for provider in part.providers:
            if not self._one_call_reads or provider not in as_numbers:
                rows += await self._one_by_one(Part((provider,), part.first, part.end), window)
        return rows

    async def _days(self, part: Part, window: Window) -> list[AppointmentRow]:
        """By `fetchDays`, whose end is inclusive and whose providers must be numbers."""
        last = part.end - timedelta(days=1)
        providers = ",".join(part.providers)
        path = f"{_SERVICES}/schedule/fetchDays/{part.first}/{last}/{providers}"
        raw, cut = await self._list(path, ("appointmentExt",))
        window.right_proven = True
        if cut and (halves := part.halves()):
            return [row for half in halves for row in await self._days(half, window)]
        window.cut |= cut
        return self._readable(AppointmentRow, raw, window)

    async def _one_by_one(self, part: Part, window: Window) -> list[AppointmentRow]:
        """By `fetchProviderAppts`, whose end is exclusive and whose rows lack the time, and each one's own record."""
        provider = quote(part.providers[0], safe="")
        path = f"{_SERVICES}/schedule/fetchProviderAppts/{provider}/{part.first}/{part.end}"
        raw, cut = await self._list(path, ("ProviderPeriodApps",))
        if cut and (halves := part.halves()):
            return [row for half in halves for row in await self._one_by_one(half, window)]
        window.cut |= cut
        listed = self._readable(ListedRow, raw, window)
        return await self._details([row.appointmentNo for row in listed], window)

    async def _list(self, path: str, keys: Sequence[str]) -> tuple[list[Any], bool]:
        """The rows, and whether the server may have kept some back."""
        op = Operation.LIST_APPOINTMENTS
        answer = await self._transport.read_json(Read(op, path))
        rows = _content(answer, keys, op)
        total = answer.get("total") if isinstance(answer, dict) else None
        # `total` is 0 on most builds, whatever the list holds.
        return rows, len(rows) in _COMMON_CAPS or (isinstance(total, int) and total > len(rows))

    async def _details(self, ids: Sequence[str], window: Window) -> list[AppointmentRow]:
        """The appointments' own records in the order of `ids`, without those deleted meanwhile."""
        rows: dict[str, AppointmentRow] = {}
        failures: list[EmrError] = []
        places = anyio.Semaphore(_DETAILS_AT_ONCE)

        async def read_one(appointment: str) -> None:
            async with places:
                try:
                    row = await self._detail(appointment)
                    window.right_proven = True
                    if row is not None:
                        rows[appointment] = row
                except EmrRecordError:
                    window.unreadable += 1
                except EmrError as error:
                    failures.append(error)
                    group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for appointment in ids:
                group.start_soon(read_one, appointment)
        if failures:
            raise failures[0]
        return [rows[appointment] for appointment in ids if appointment in rows]

    async def _detail(self, appointment: str) -> AppointmentRow | None:
        op = Operation.LIST_APPOINTMENTS
        try:
            answer = await self._transport.read_json(_appointment_read(op, appointment))
        except EmrNotFoundError:
            return None
        raw = answer.get("appointment") if isinstance(answer, dict) else None
        row = _parsed(AppointmentRow, raw)
        if row is None or row.id != appointment:
            raise EmrRecordError("an appointment is not in the form of one", op=op)
        return row

    @staticmethod
    def _readable(model: type[_SomeRow], raw: Sequence[Any], window: Window) -> list[_SomeRow]:
        rows = [_parsed(model, row) for row in raw]
        window.unreadable += rows.count(None)
        return [row for row in rows if row is not None]


def _content(answer: Any, keys: Sequence[str], op: Operation) -> list[Any]:
    rows = content_of(answer, keys)
    if rows is None:
        raise EmrAnswerError("the EMR's list is in no form that OSCAR is known to use", op=op)
    return rows


def _parsed(model: type[_SomeRow], raw: Any) -> _SomeRow | None:
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None


def _provider_no(info: Any, key: str) -> str | None:
    provider = info.get(key) if isinstance(info, dict) else None
    number = provider.get("providerNo") if isinstance(provider, dict) else None
    return str(number) if number else None


def _appointment_read(op: Operation, appointment: str) -> Read:
    number = int(appointment) if appointment.isascii() and appointment.isdigit() else appointment
    return Read(op, f"{_SERVICES}/schedule/getAppointment", json={"id": number}, record=True)


def _history_read(op: Operation) -> Read:
    return Read(op, f"{_SERVICES}/schedule/{_NOBODY}/appointmentHistory", json={})


def _patient_read(op: Operation, patient: str) -> Read:
    return Read(op, f"{_SERVICES}/demographics/{quote(patient, safe='')}", record=True)
