"""A FHIR EMR to be checked: the stub in memory, or whatever a subclass puts behind the gateway."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Self

from ocean_emr.adapters.fhir_r4 import FhirR4Adapter
from ocean_emr.adapters.fhir_resources import AppointmentResource
from ocean_emr.contract import EmrAdapter
from ocean_emr.records import Appointment, Operation, PatientId
from ocean_emr.testing.conformance import Clinic, Trouble
from ocean_emr.testing.conformance.clinic import ZONE
from ocean_emr.testing.conformance.rig import FAST
from ocean_emr.testing.conformance.written import WRITES
from ocean_emr.testing.fhir_clinic import Resource, appointment_resource, patient_resource, practitioner_resource
from ocean_emr.testing.fhir_faults import Fault, FaultKind
from ocean_emr.testing.fhir_gateway import FHIR_PATH, TOKEN_PREFIX, WRITING, FhirGateway, State
from ocean_emr.testing.fhir_stub import FhirStore, Habits, patient_of
from ocean_emr.testing.serving import LOOPBACK
from ocean_emr.transport import Limits

CLIENT_ID, CLIENT_SECRET = "ocean-for-this-clinic", "not-a-real-client-secret"
_GONE_STALE: Final = "changed-at-the-emr"

_FAULTS: Final[Mapping[Trouble, tuple[Fault, ...]]] = {
    Trouble.LOGIN_REFUSED: (),
    Trouble.RIGHT_MISSING: (
        Fault(FaultKind.FORBIDDEN, path="/Appointment"),
        Fault(FaultKind.FORBIDDEN, path="/Patient"),
    ),
    Trouble.WEB_PAGE: (Fault(FaultKind.PAGE, path=FHIR_PATH),),
    Trouble.CUT_JSON: (Fault(FaultKind.CUT_JSON, path=FHIR_PATH),),
    Trouble.UNAVAILABLE: (Fault(FaultKind.AWAY),),
    Trouble.UNAVAILABLE_ONCE: (Fault(FaultKind.AWAY, path=FHIR_PATH, times=1),),
    Trouble.RATE_LIMITED: (Fault(FaultKind.TOO_MANY, path=FHIR_PATH, retry_after="3600"),),
    Trouble.RATE_LIMITED_ONCE: (Fault(FaultKind.TOO_MANY, path=FHIR_PATH, times=1, retry_after="0"),),
    # The first page of each provider's bookings comes, and those after the first such page do not.
    Trouble.FAILS_HALFWAY: (Fault(FaultKind.AWAY, path="_getpages=", after=1),),
    **{
        trouble: (Fault(kind, path=FHIR_PATH, methods=WRITING),)
        for trouble, kind in (
            (Trouble.WRITE_RIGHT_MISSING, FaultKind.FORBIDDEN),
            (Trouble.WRITES_REFUSED, FaultKind.REFUSED),
            (Trouble.SILENT_BEFORE, FaultKind.SILENCE),
            (Trouble.SILENT_AFTER, FaultKind.SILENCE_AFTER),
            (Trouble.RESET_AFTER, FaultKind.RESET),
            (Trouble.FAILED_AFTER, FaultKind.BROKEN_AFTER),
        )
    },
}
_TEXT, _PDF = "text/plain", "application/pdf"


class FhirRig:
    """The gateway with the stub behind it."""

    searchable = frozenset(WRITES)
    lacking: frozenset[Operation] = frozenset()

    def __init__(self, adapter: Callable[..., EmrAdapter] = FhirR4Adapter) -> None:
        """Check `adapter`, which is made as `FhirR4Adapter` is."""
        self.forbidden: Sequence[str] = (CLIENT_ID, CLIENT_SECRET, TOKEN_PREFIX)
        self._adapter = adapter
        self.store = FhirStore()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *_exc: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start the gateway."""
        self.state = State(CLIENT_ID, CLIENT_SECRET, self.upstream())
        self.gateway = FhirGateway(self.state).__enter__()
        return self

    def stop(self) -> None:
        """Stop it."""
        self.gateway.__exit__()

    def renew(self) -> None:
        """Make gateway and stub as they were at the start, which is faster than starting them again."""
        vars(self.state).update(vars(State(CLIENT_ID, CLIENT_SECRET, self.upstream())))
        self.store.statement, self.store.habits = FhirStore().statement, Habits()

    def upstream(self) -> str | FhirStore:
        """What is behind the gateway."""
        return self.store

    def fill(self, resources: Sequence[Resource]) -> None:
        """Make these all that the EMR holds."""
        self.store.replace(resources)

    def held(self, kind: str) -> Sequence[Resource]:
        """Everything of one kind that the EMR holds."""
        return self.store.all(kind)

    def put(self, resource: Resource) -> None:
        """Create or change one resource, as somebody at the clinic would."""
        self.store.put(resource)

    def adapter(self, limits: Limits = FAST) -> EmrAdapter:
        """A fresh one."""
        return self._adapter(
            self.gateway.fhir_url,
            {"clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET},
            token_url=self.gateway.token_url,
            scopes="user/*",
            limits=limits,
            addresses=LOOPBACK,
        )

    def hold(self, clinic: Clinic) -> None:
        """See the protocol."""
        self.fill(resources(clinic))

    def suffer(self, trouble: Trouble | None) -> None:
        """See the protocol."""
        self.state.faults.clear()
        refused = trouble is Trouble.LOGIN_REFUSED
        self.state.client_secret = _GONE_STALE if refused else CLIENT_SECRET
        if refused:
            self.state.tokens.clear()
        if trouble:
            self.state.faults.add(*_FAULTS[trouble])

    def requests(self) -> int:
        """See the protocol."""
        return len(self.state.ledger)

    def writes(self) -> int:
        """See the protocol."""
        return sum(seen.writes for seen in self.state.ledger)

    def charts(self) -> Mapping[PatientId, Mapping[str, object]]:
        """See the protocol."""
        return {PatientId(each["id"]): _lasting(each) for each in self.held("Patient")}

    def notes(self, patient: PatientId) -> Sequence[str]:
        """See the protocol. Whatever comes with a text is a note."""
        texts = (_contents(each).get(_TEXT) for each in self._documents(patient))
        return [text.decode() for text in texts if text is not None]

    def edit_note(self, patient: PatientId, text: str) -> None:
        """See the protocol."""
        (note,) = (each for each in self._documents(patient) if _TEXT in _contents(each))
        attachment = {"contentType": _TEXT, "data": base64.b64encode(text.encode()).decode()}
        self.put(_lasting(note) | {"content": [{"attachment": attachment}]})

    def documents(self, patient: PatientId) -> Sequence[tuple[str, bytes]]:
        """See the protocol."""
        found = [(each, _contents(each)) for each in self._documents(patient)]
        return [(each.get("description", ""), held[_PDF]) for each, held in found if _TEXT not in held]

    def bookings(self, patient: PatientId) -> Sequence[Appointment]:
        """See the protocol."""
        read = (AppointmentResource.model_validate(each) for each in self.held("Appointment"))
        return [each.to_appointment(frozenset(), ZONE) for each in read if each.patient == patient]

    def _documents(self, patient: PatientId) -> list[Resource]:
        return [each for each in self.held("DocumentReference") if patient_of(each) == patient]


def _lasting(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name != "meta"}


def _contents(document: Resource) -> dict[str, bytes]:
    attached = (content["attachment"] for content in document["content"])
    return {each["contentType"]: base64.b64decode(each["data"]) for each in attached}


def resources(clinic: Clinic) -> list[Resource]:
    """What a FHIR server holds of `clinic`."""
    return [
        *map(practitioner_resource, clinic.providers),
        *map(patient_resource, clinic.patients),
        *map(appointment_resource, clinic.appointments),
    ]
