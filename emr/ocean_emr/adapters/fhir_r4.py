"""Any EMR with a FHIR R4 interface as Ocean's Cloud Connect FHIR guide asks for. docs/emr/fhir-r4.md says more.

Source of every request made here: Ocean Cloud Connect FHIR Implementation Guide (simplifier.net), Overview,
Authorization, Kiosk and Reminders; FHIR R4 (hl7.org/fhir/R4), http, search and bundle.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

import httpx
import orjson

from ocean_api.addresses import PUBLIC_ONLY, AddressRules
from ocean_emr.adapters.fhir_patient import PatientResource
from ocean_emr.adapters.fhir_resources import (
    AppointmentResource,
    Bundle,
    CapabilityStatement,
    OperationOutcome,
    PractitionerResource,
    Resource,
    is_id,
    read,
)
from ocean_emr.adapters.fhir_search import PAGE, AppointmentSearch
from ocean_emr.answers import Answer, Read, problem
from ocean_emr.auth import ClientCredentials, require, token_faults
from ocean_emr.clinic_time import midnight
from ocean_emr.contract import Basis, Capabilities, Capability, ConnectionReport
from ocean_emr.errors import (
    EmrAnswerError,
    EmrError,
    EmrNotFoundError,
    EmrNotSupportedError,
    EmrPermissionDeniedError,
    EmrRateLimitedError,
    EmrRecordError,
    EmrUnavailableError,
)
from ocean_emr.records import AppointmentPage, Operation, Patient, PatientId, Provider, ProviderId
from ocean_emr.transport import Limits, NoAuth, Transport

MOST_PAGES: Final = 2_000
"""Of one answer: 100,000 bookings of one provider. Links that go on beyond that lead nowhere."""

_ACCEPT: Final = "application/fhir+json"
_GUIDE: Final = "Ocean Cloud Connect FHIR Implementation Guide, simplifier.net"
_FORGOTTEN: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_AROUND: Final = timedelta(days=7)
_NEEDED: Final = (("Practitioner", "search-type"), ("Appointment", "search-type"), ("Patient", "read"))


class FhirR4Adapter:
    """The read side of a FHIR R4 interface."""

    def __init__(  # noqa: PLR0913 - keywords, all of them settings of one EMR
        self,
        url: str,
        credentials: Mapping[str, str],
        *,
        token_url: str,
        scopes: str,
        ca_bundle: str | None = None,
        limits: Limits | None = None,
        addresses: AddressRules = PUBLIC_ONLY,
    ) -> None:
        """Ask nobody yet.

        Args:
            url: FHIR base address.
            credentials: `clientId` and `clientSecret`.
            token_url: Where tokens come from; may be another host.
            scopes: To ask for, separated by spaces.
            ca_bundle: Authorities to trust for both addresses instead of the public ones, PEM.
            limits: Other bounds than the usual ones.
            addresses: Where connections may lead.

        Raises:
            EmrAuthRefusedError: The credentials lack a key.
        """
        client_id, client_secret = require(credentials, ("clientId", "clientSecret"))
        self._base = httpx.URL(url.rstrip("/") + "/")
        # A token is fetched inside a read, which is repeated as a whole: repeating here as well would multiply.
        once = replace(limits or Limits(), attempts=1)
        way = partial(Transport, ca_bundle=ca_bundle, addresses=addresses)
        self._endpoint = way(token_url, auth=NoAuth(), faults=token_faults, limits=once)
        auth = ClientCredentials(client_id, client_secret, scopes, endpoint=self._endpoint)
        self._emr = way(url, auth=auth, faults=outcome_faults, limits=limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the connections to the EMR and to its token endpoint."""
        await self._emr.__aexit__(*exc)
        await self._endpoint.__aexit__(*exc)

    def capabilities(self) -> Capabilities:
        """The whole read side, by the published guide."""
        return Capabilities({op: Capability(Basis.VERIFIED, _GUIDE) for op in Operation})

    async def check_connection(self) -> ConnectionReport:
        """Get a token, read what the interface offers, then one provider, one booking and one patient if there are."""
        op = Operation.CHECK_CONNECTION
        statement = read(CapabilityStatement, await self._get(op, "metadata", ("mode", "oceancc")))
        if statement is None:
            raise EmrAnswerError("the EMR answered no capability statement that can be read", op=op)
        if not statement.fhir_version.startswith("4."):
            raise EmrNotSupportedError("the EMR speaks another release of FHIR than R4", op=op)
        warnings = [
            f"The EMR's capability statement does not list `{interaction}` of {kind}."
            for kind, interaction in _NEEDED
            if not statement.offers(kind, interaction)
        ]
        unproven = await self._try_rights(op)
        if unproven:
            warnings.append(f"The right to read could not be tried: the EMR showed no {unproven}.")
        return ConnectionReport(
            interface=f"FHIR R4 ({statement.software.words})",
            clock_skew_seconds=self._emr.clock_skew_seconds,
            encrypted=self._emr.encrypted and self._endpoint.encrypted,
            warnings=tuple(warnings),
        )

    async def list_providers(self) -> tuple[Provider, ...]:
        """Every Practitioner, inactive ones marked.

        Raises:
            EmrAnswerError: The list is shorter than announced, or holds somebody who cannot be read.
        """
        return tuple((await self._providers(Operation.LIST_PROVIDERS)).values())

    async def list_appointments(
        self, provider_ids: Sequence[ProviderId], start: date, end_exclusive: date, zone: ZoneInfo
    ) -> AsyncGenerator[AppointmentPage, None]:
        """As the contract says. Providers are asked one by one, in their order.

        They are compared with the list of Practitioners first: the answer about one whom the EMR hides is an empty
        page, like that of a free day.
        """
        if not provider_ids or start >= end_exclusive:
            yield AppointmentPage((), last=True)
            return
        op = Operation.LIST_APPOINTMENTS
        chosen = frozenset(provider_ids)
        hidden = chosen - (await self._providers(op)).keys()
        search = AppointmentSearch(chosen, midnight(start, zone), midnight(end_exclusive, zone), zone)
        for provider in provider_ids:
            if provider in hidden:
                continue
            async with aclosing(self._pages(op, "Appointment", *search.params(provider))) as pages:
                async for page in pages:
                    yield AppointmentPage(search.take(provider, page))
            search.end_of_answer()
        yield AppointmentPage((), last=True, hidden_provider_ids=hidden, doubts=search.doubts())

    async def get_patient(self, patient_id: PatientId) -> Patient:
        """As the contract says; a deleted chart is not found."""
        op = Operation.GET_PATIENT
        if not is_id(patient_id):
            raise EmrNotFoundError("FHIR has no ids of this form, so the EMR has no such record", op=op)
        resource = read(PatientResource, await self._get(op, f"Patient/{patient_id}", record=True))
        if resource is None:
            raise EmrRecordError("what the EMR answered is no Patient that can be read", op=op)
        if resource.id != patient_id:
            raise EmrAnswerError("the EMR answered with another patient than the one asked for", op=op)
        return resource.to_patient()

    async def _get(self, op: Operation, path: str, *params: tuple[str, str], record: bool = False) -> Any:
        return await self._emr.read_json(Read(op, path, params=params, record=record, accept=_ACCEPT))

    async def _pages(self, op: Operation, path: str, *params: tuple[str, str]) -> AsyncGenerator[Bundle, None]:
        """A search's answer, page by page, the next one asked for when it is taken."""
        raw = await self._get(op, path, *params)
        followed: set[str] = set()
        while True:
            page = _bundle(raw, op)
            yield page
            if page.next is None:
                return
            if page.next in followed or len(followed) == MOST_PAGES:
                raise EmrAnswerError("the EMR's page links have no end", op=op)
            followed.add(page.next)
            raw = await self._get(op, self._absolute(page.next, op))

    def _absolute(self, link: str, op: Operation) -> str:
        try:
            return str(self._base.join(link))
        except (httpx.InvalidURL, ValueError):
            raise EmrAnswerError("the EMR gave a page link that is no address", op=op) from None

    async def _providers(self, op: Operation) -> dict[ProviderId, Provider]:
        found: dict[ProviderId, Provider] = {}
        announced = received = 0
        async with aclosing(self._pages(op, "Practitioner", ("_count", str(PAGE)))) as pages:
            async for page in pages:
                announced = max(announced, page.total or 0)
                for raw in page.matches("Practitioner"):
                    received += 1
                    provider = _provider(raw, op)
                    found.setdefault(provider.id, provider)
        if received < announced:
            raise EmrAnswerError("the EMR announced more providers than it sent", op=op)
        return found

    async def _try_rights(self, op: Operation) -> str | None:
        """Read one provider, one of their bookings, and its patient; what kind there was none of.

        The capability statement proves no right: servers show it to anybody.
        """
        first = ("_count", "1")
        providers = _bundle(await self._get(op, "Practitioner", first), op).matches("Practitioner")
        provider = next((_provider(raw, op) for raw in providers), None)
        if provider is None:
            return "provider"
        now = datetime.now(UTC).replace(microsecond=0)
        window = [("date", f"ge{(now - _AROUND).isoformat()}"), ("date", f"lt{(now + _AROUND).isoformat()}")]
        found = _bundle(await self._get(op, "Appointment", ("practitioner", provider.id), *window, first), op)
        bookings = (read(AppointmentResource, raw) for raw in found.matches("Appointment"))
        patient = next((booking.patient for booking in bookings if booking and booking.patient), None)
        if patient is None:
            return "booking with a patient"
        with suppress(EmrNotFoundError):  # Deleted in between: the right to ask was there.
            await self._get(op, f"Patient/{patient}", record=True)
        return None


def outcome_faults(answer: Answer, asked: Read) -> EmrError | None:
    """What an OperationOutcome adds to the status it came with. Only the standard's codes in it are read or shown."""
    if "://" in asked.path and answer.status in _FORGOTTEN:
        # HAPI keeps a search's result for an hour, other servers for as long as they like.
        what = "the EMR has forgotten the rest of the answer before it was asked for"
        return EmrUnavailableError(what, op=asked.op, http_status=answer.status)
    error = problem(answer, asked)
    outcome = _outcome(answer.body) if error is not None else None
    if error is None or outcome is None or not outcome.codes:
        return error
    vague = isinstance(error, EmrAnswerError | EmrUnavailableError) and not isinstance(error, EmrRateLimitedError)
    if vague and "throttled" in outcome.codes:
        what = "the EMR asked for fewer calls"
        return EmrRateLimitedError(what, op=asked.op, http_status=answer.status, momentary=True)
    if vague and "forbidden" in outcome.codes:
        return EmrPermissionDeniedError("the EMR denied the right to do this", op=asked.op, http_status=answer.status)
    error.what += f"; its issue codes: {', '.join(outcome.codes)}"
    return error


def _outcome(body: bytes) -> OperationOutcome | None:
    try:
        return read(OperationOutcome, orjson.loads(body))
    except orjson.JSONDecodeError:
        return None


def _bundle(raw: object, op: Operation) -> Bundle:
    page = read(Bundle, raw)
    if page is not None:
        return page
    outcome = read(OperationOutcome, raw)
    codes = f"; its issue codes: {', '.join(outcome.codes)}" if outcome and outcome.codes else ""
    raise EmrAnswerError(f"the EMR answered something else than the result of a search{codes}", op=op)


def _provider(raw: object, op: Operation) -> Provider:
    """A provider; one whose name cannot be read goes by the id, so that no schedule is lost for a name."""
    resource = read(PractitionerResource, raw)
    if resource is not None:
        return resource.to_provider()
    nameless = read(Resource, raw)
    if nameless is None:
        raise EmrAnswerError("the EMR's list of providers holds somebody without a readable id", op=op)
    return Provider(ProviderId(nameless.id), display_name=nameless.id)
