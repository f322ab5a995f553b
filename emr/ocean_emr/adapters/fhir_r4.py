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
from typing import TYPE_CHECKING, Final, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from ocean_api.addresses import PUBLIC_ONLY, AddressRules
from ocean_emr.adapters.fhir_client import FhirClient, bundle, outcome_faults
from ocean_emr.adapters.fhir_patient import PatientResource
from ocean_emr.adapters.fhir_resources import (
    MOST_BYTES,
    AppointmentResource,
    CapabilityStatement,
    PractitionerResource,
    Resource,
    is_id,
    read,
)
from ocean_emr.adapters.fhir_search import PAGE, AppointmentSearch, PatientAppointmentSearch, PatientSearch
from ocean_emr.auth import ClientCredentials, require, token_faults
from ocean_emr.clinic_time import midnight
from ocean_emr.contract import Basis, Capabilities, Capability, ConnectionReport
from ocean_emr.errors import EmrAnswerError, EmrNotFoundError, EmrNotSupportedError, EmrRecordError
from ocean_emr.records import Appointment, AppointmentPage, Operation, Patient, PatientId, Provider, ProviderId
from ocean_emr.transport import Limits, NoAuth, Transport
from ocean_emr.writes import PatientQuery, ProbeResult, Write, WriteOutcome

if TYPE_CHECKING:
    from ocean_emr.adapters.fhir_writer import FhirWriter

_AROUND: Final = timedelta(days=7)
_NEEDED: Final = (
    ("Practitioner", "search-type"),
    ("Appointment", "search-type"),
    ("Patient", "read"),
    # From here on for messages only.
    ("Patient", "search-type"),
    ("Patient", "create"),
    ("Patient", "update"),
    ("Appointment", "create"),
    ("Appointment", "update"),
    ("DocumentReference", "search-type"),
    ("DocumentReference", "create"),
)
_GUIDE: Final = "Ocean Cloud Connect FHIR Implementation Guide, simplifier.net"
_STANDARD: Final = "FHIR R4; not in Ocean's guide"
_KEYED: Final = f"{_GUIDE}; that a key is kept and found: FHIR R4, Identifier and conditional create"
_LAG_SECONDS: Final = 120.0
"""HAPI answers an identical search from memory for a minute, and what was given up on may be under way as long."""

_CAPABILITIES: Final = Capabilities(
    {
        **{
            op: Capability(Basis.VERIFIED, _GUIDE)
            for op in (
                Operation.CHECK_CONNECTION,
                Operation.LIST_PROVIDERS,
                Operation.LIST_APPOINTMENTS,
                Operation.GET_PATIENT,
            )
        },
        Operation.LIST_PATIENT_APPOINTMENTS: Capability(Basis.PROFILE, f"{_STANDARD}: Appointment?patient="),
        Operation.FIND_PATIENTS: Capability(Basis.PROFILE, f"{_GUIDE}, by number; {_STANDARD}: Patient?birthdate="),
        Operation.CREATE_PATIENT: Capability(Basis.PROFILE, _KEYED, _LAG_SECONDS),
        Operation.CREATE_APPOINTMENT: Capability(Basis.PROFILE, _KEYED, _LAG_SECONDS),
        Operation.WRITE_NOTE: Capability(Basis.PROFILE, _KEYED, _LAG_SECONDS),
        Operation.UPLOAD_DOCUMENT: Capability(Basis.PROFILE, _KEYED, _LAG_SECONDS, MOST_BYTES),
        Operation.MARK_ARRIVED: Capability(Basis.VERIFIED, _GUIDE, _LAG_SECONDS),
        Operation.UPDATE_DEMOGRAPHICS: Capability(Basis.VERIFIED, _GUIDE, _LAG_SECONDS),
    }
)


class FhirR4Adapter:
    """The adapter; see the contract for what its methods promise."""

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
        # A token is fetched inside a read, which is repeated as a whole: repeating here as well would multiply.
        once = replace(limits or Limits(), attempts=1)
        way = partial(Transport, ca_bundle=ca_bundle, addresses=addresses)
        self._endpoint = way(token_url, auth=NoAuth(), faults=token_faults, limits=once)
        auth = ClientCredentials(client_id, client_secret, scopes, endpoint=self._endpoint)
        self._emr = way(url, auth=auth, faults=outcome_faults, limits=limits)
        self._client = FhirClient(url, self._emr)
        self._writer: FhirWriter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the connections to the EMR and to its token endpoint."""
        await self._emr.__aexit__(*exc)
        await self._endpoint.__aexit__(*exc)

    def capabilities(self) -> Capabilities:
        """Every operation; what an EMR turns out not to offer is refused when it is asked for.

        Its capability statement is not asked first: the guide makes all of it mandatory, and servers list less than
        they can. What it does not list is a warning of `check_connection`.
        """
        return _CAPABILITIES

    async def check_connection(self) -> ConnectionReport:
        """Get a token, read what the interface offers, then one provider, one booking and one patient if there are."""
        op = Operation.CHECK_CONNECTION
        statement = read(CapabilityStatement, await self._client.get(op, "metadata", ("mode", "oceancc")))
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
            async with aclosing(self._client.pages(op, "Appointment", *search.params(provider))) as pages:
                async for page in pages:
                    yield AppointmentPage(search.take(provider, page))
            search.end_of_answer()
        yield AppointmentPage((), last=True, hidden_provider_ids=hidden, doubts=search.doubts())

    async def get_patient(self, patient_id: PatientId) -> Patient:
        """As the contract says; a deleted chart is not found."""
        op = Operation.GET_PATIENT
        resource = read(PatientResource, (await self._client.held(op, "Patient", patient_id)).resource)
        if resource is None:
            raise EmrRecordError("what the EMR answered is no Patient that can be read", op=op)
        return resource.to_patient()

    async def list_patient_appointments(
        self, patient_id: PatientId, start: datetime, end: datetime, zone: ZoneInfo
    ) -> tuple[Appointment, ...]:
        """As the contract says.

        Raises:
            EmrAnswerError: Something may be missing from the answer.
        """
        op = Operation.LIST_PATIENT_APPOINTMENTS
        if not is_id(patient_id):
            raise EmrNotFoundError("FHIR has no ids of this form, so the EMR has no such record", op=op)
        search = PatientAppointmentSearch(start, end, zone)
        found: list[Appointment] = []
        async with aclosing(self._client.pages(op, "Appointment", *search.params(patient_id))) as pages:
            async for page in pages:
                found += search.take(patient_id, page)
        search.end_of_answer()
        if search.doubts():
            raise EmrAnswerError(" ".join(search.doubts()).rstrip("."), op=op)
        return tuple(sorted(found, key=lambda item: item.start))

    async def find_patients(self, query: PatientQuery) -> tuple[Patient, ...]:
        """As the contract says. By number, or by birth date alone: how servers match accents in names differs.

        Raises:
            EmrRecordError: A chart came that cannot be read; it may be the one.
            EmrAnswerError: Something may be missing from the answer, or it is one to another question.
        """
        op = Operation.FIND_PATIENTS
        search = PatientSearch(query)
        for params in search.params():
            async with aclosing(self._client.pages(op, "Patient", *params)) as pages:
                async for page in pages:
                    search.take(page)
                    if search.unfiltered:
                        raise EmrAnswerError("the EMR answers a search with patients who were not looked for", op=op)
        if search.less_than_all:
            raise EmrAnswerError("the EMR said that patients may be missing from its answer", op=op)
        if search.unreadable:
            raise EmrRecordError("a chart that may be the one looked for cannot be read", op=op)
        return search.found()

    async def write(self, write: Write, key: UUID) -> WriteOutcome:
        """As the contract says."""
        return await self._for_writing().write(write, key)

    async def probe(self, write: Write, key: UUID) -> ProbeResult:
        """As the contract says."""
        return await self._for_writing().probe(write, key)

    def _for_writing(self) -> FhirWriter:
        if self._writer is None:
            # Not above: a synchronisation never writes, and this loads what prints PDFs.
            from ocean_emr.adapters.fhir_writer import FhirWriter  # noqa: PLC0415

            self._writer = FhirWriter(self._client)
        return self._writer

    async def _providers(self, op: Operation) -> dict[ProviderId, Provider]:
        found: dict[ProviderId, Provider] = {}
        announced = received = 0
        async with aclosing(self._client.pages(op, "Practitioner", ("_count", str(PAGE)))) as pages:
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
        providers = bundle(await self._client.get(op, "Practitioner", first), op).matches("Practitioner")
        provider = next((_provider(raw, op) for raw in providers), None)
        if provider is None:
            return "provider"
        now = datetime.now(UTC).replace(microsecond=0)
        window = [("date", f"ge{(now - _AROUND).isoformat()}"), ("date", f"lt{(now + _AROUND).isoformat()}")]
        found = bundle(await self._client.get(op, "Appointment", ("practitioner", provider.id), *window, first), op)
        bookings = (read(AppointmentResource, raw) for raw in found.matches("Appointment"))
        patient = next((booking.patient for booking in bookings if booking and booking.patient), None)
        if patient is None:
            return "booking with a patient"
        with suppress(EmrNotFoundError):  # Deleted in between: the right to ask was there.
            await self._client.get(op, f"Patient/{patient}", record=True)
        return None


def _provider(raw: object, op: Operation) -> Provider:
    """A provider; one whose name cannot be read goes by the id, so that no schedule is lost for a name."""
    resource = read(PractitionerResource, raw)
    if resource is not None:
        return resource.to_provider()
    nameless = read(Resource, raw)
    if nameless is None:
        raise EmrAnswerError("the EMR's list of providers holds somebody without a readable id", op=op)
    return Provider(ProviderId(nameless.id), display_name=nameless.id)
