"""The spec of an OceanSite: what a clinic wants.

Field docstrings are the CRD's descriptions, written for a clinic's administrator.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, JsonValue, field_validator, model_validator

from ocean_api.base import ApiModel, CaBundle, EmailAddress, HttpsUrl, SecretName, TimeZoneName

ALL_PROVIDERS: Literal["All"] = "All"


def cel(rule: str, message: str) -> JsonValue:
    """One validation rule of the API server. Source: Kubernetes, "Validation rules" (CRD)."""
    return {"rule": rule, "message": message}


def rules(*validations: JsonValue) -> dict[str, JsonValue]:
    """What a model or field adds to its schema to carry `validations`."""
    return {"x-kubernetes-validations": list(validations)}


class EmrType(StrEnum):
    """The EMRs this version speaks to."""

    OSCAR_PRO = "OscarPro"
    FHIR = "FHIR"
    NONE = "None"


class DeletionPolicy(StrEnum):
    """What becomes of the key when the OceanSite is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class KeySource(StrEnum):
    """How the key comes into Vault."""

    GENERATE = "Generate"
    SECRET = "Secret"  # noqa: S105 - a word of the API


class Contacts(ApiModel):
    """Who is told when something touches the clinic's key or its synchronisation stops."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "(has(self.clinicalAdministrators) && size(self.clinicalAdministrators) > 0) || has(self.siteCreator)",
                "contacts: give at least one address in clinicalAdministrators, or siteCreator, so that somebody "
                "learns when the key is touched or the clinic stops",
            )
        )
    )

    clinical_administrators: Annotated[tuple[EmailAddress, ...], Field(max_length=20)] = ()
    """E-mail addresses of the clinic's administrators; all of them are written to."""

    site_creator: EmailAddress | None = None
    """E-mail address to fall back on when no administrator is named. Under Argo CD the creator the API server sees
    is a machine, so the person must be named here."""

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.clinical_administrators and self.site_creator is None:
            raise ValueError("give at least one address in clinicalAdministrators, or siteCreator")
        return self


class OceanAccess(ApiModel):
    """Where Ocean is and which credentials to use there."""

    url: HttpsUrl = "https://ocean.cognisantmd.com"
    """Ocean's address. Change it for Ocean's test or staging platform."""

    ca_bundle: CaBundle | None = None
    """Certificate authorities to trust for Ocean instead of the public ones, in PEM form."""

    credentials_secret: SecretName
    """Secret in this namespace with `siteKey` and `siteCredential`, or with `clientId` and `clientSecret`
    (Ocean: Admin, Manage Credentials). To receive messages, with `webhookKey` as well: at least 24 characters, the same
    that stands in the webhook's address at Ocean."""


class OscarProSpec(ApiModel):
    """An OSCAR Pro or other OSCAR EMR, reached by its signed REST interface (OAuth 1.0a)."""

    url: HttpsUrl
    """OSCAR's address with its context path, for instance `https://emr.example.org/oscar`."""

    ca_bundle: CaBundle | None = None
    """Certificate authorities to trust for the EMR instead of the public ones, in PEM form."""

    credentials_secret: SecretName
    """Secret in this namespace with `consumerKey`, `consumerSecret`, `token` and `tokenSecret`."""


class FhirSpec(ApiModel):
    """An EMR with a FHIR R4 interface as Ocean's Cloud Connect FHIR guide asks for."""

    url: HttpsUrl
    """The FHIR base address."""

    token_url: HttpsUrl
    """OAuth 2 token endpoint (client credentials)."""

    scopes: Annotated[str, Field(min_length=1, max_length=1024)] = "user/*"
    """Scopes to ask for, separated by spaces."""

    ca_bundle: CaBundle | None = None
    """Certificate authorities to trust for the EMR and its token endpoint instead of the public ones, in PEM form."""

    credentials_secret: SecretName
    """Secret in this namespace with `clientId` and `clientSecret`."""


class EmrSpec(ApiModel):
    """Which EMR the clinic has, where it is and how to log in."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.oscarPro) == (self.type == 'OscarPro') && has(self.fhir) == (self.type == 'FHIR')",
                "emr: give exactly the block of emr.type: oscarPro for OscarPro, fhir for FHIR, no block for None",
            ),
            cel(
                "self.type == oldSelf.type",
                "emr.type cannot be changed: for another EMR delete this OceanSite and make another",
            ),
        )
    )

    type: EmrType
    """The kind of EMR. `None` for a clinic without integration, which still keeps its key here. Fixed once set."""

    oscar_pro: OscarProSpec | None = None
    """Settings for `type: OscarPro`."""

    fhir: FhirSpec | None = None
    """Settings for `type: FHIR`."""

    @model_validator(mode="after")
    def _matching_block(self) -> Self:
        wanted = {EmrType.OSCAR_PRO: "oscar_pro", EmrType.FHIR: "fhir", EmrType.NONE: None}[self.type]
        given = {name for name in ("oscar_pro", "fhir") if getattr(self, name) is not None}
        if given != ({wanted} if wanted else set()):
            raise ValueError(
                "give exactly the block of emr.type: oscarPro for OscarPro, fhir for FHIR, no block for None"
            )
        return self

    @property
    def block(self) -> OscarProSpec | FhirSpec | None:
        """The settings of the chosen type."""
        return self.oscar_pro or self.fhir


class KeySpec(ApiModel):
    """How the clinic's Shared Encryption Key comes into Vault. The key itself is never written here."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.secretName) == (self.source == 'Secret')",
                "key: give secretName exactly when key.source is Secret",
            )
        )
    )

    source: KeySource
    """`Generate`: a new key is made and kept in Vault. `Secret`: a one-shot Secret hands over the key that Ocean
    already has."""

    secret_name: SecretName | None = None
    """For `source: Secret`: the Secret, in this namespace, labelled `ocean.cloudconnect.dev/key-intake: "true"`, with
    the one field `sek`. It is moved to Vault and deleted."""

    @model_validator(mode="after")
    def _secret_named(self) -> Self:
        if (self.secret_name is not None) != (self.source is KeySource.SECRET):
            raise ValueError("give secretName exactly when key.source is Secret")
        return self


class ScheduleSpec(ApiModel):
    """Which part of the EMR's schedule goes to Ocean."""

    days: Annotated[int, Field(ge=1, le=60)] = 1
    """Local calendar days to keep at Ocean, today included. More than 14 cost noticeable bandwidth at the EMR."""

    providers: Annotated[
        Literal["All"] | tuple[Annotated[str, Field(min_length=1, max_length=64)], ...],
        Field(
            json_schema_extra={
                "type": None,
                "anyOf": None,
                "x-kubernetes-preserve-unknown-fields": True,
                "pattern": "^All$",
                "maxItems": 500,
            }
        ),
    ] = ()
    """The providers whose schedules are synchronised: a list of the EMR's ids, or `All`. Empty: nothing is
    synchronised, and status lists the providers to choose from."""

    @field_validator("providers", mode="before")
    @classmethod
    def _one_way_to_say_all(cls, given: Any) -> Any:
        if given == [ALL_PROVIDERS]:
            return ALL_PROVIDERS
        listed = isinstance(given, list | tuple) and all(isinstance(name, str) for name in given)
        if given != ALL_PROVIDERS and not listed:
            raise ValueError('give a list of the EMR\'s ids, each in quotes (["101", "102"]), or All')
        return given

    @model_validator(mode="after")
    def _all_stands_alone(self) -> Self:
        if isinstance(self.providers, tuple):
            if ALL_PROVIDERS in self.providers:
                raise ValueError("providers: `All` stands alone; leave the other ids out")
            if len(set(self.providers)) != len(self.providers):
                raise ValueError("providers: an id is listed twice")
        return self


class SlotPolicy(StrEnum):
    """When a walk-in is booked."""

    NOW = "Now"
    NEXT_FREE = "NextFree"


class DemographicsPolicy(StrEnum):
    """What becomes of what patients say of address, telephone and so on."""

    UPDATE = "Update"
    NOTE = "Note"


class WalkInsSpec(ApiModel):
    """What happens when somebody without an appointment checks in at the kiosk.

    Ocean's own walk-in settings are not published; these are ours.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!self.enabled || has(self.providerId)",
                "messages.walkIns: give providerId, in whose schedule walk-ins are booked, or set enabled to false",
            )
        )
    )

    enabled: bool = False
    """Whether walk-ins are booked. False: their messages are held and reception is told."""

    provider_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """The EMR's id of the provider in whose schedule walk-ins are booked."""

    duration_minutes: Annotated[int, Field(ge=5, le=240)] = 15
    """Length of the appointment."""

    appointment_type: Annotated[str, Field(max_length=64)] = ""
    """The EMR's own code of the appointment type; empty for none."""

    reason: Annotated[str, Field(max_length=80)] = "Walk-in"
    """Reason of the appointment, when the patient gave none."""

    location: Annotated[str, Field(max_length=64)] = ""
    """The EMR's own name of the place; empty for none."""

    allow_new_patients: bool = False
    """Whether a chart is created for somebody the EMR does not know. False: the message is held."""

    slot_policy: SlotPolicy = SlotPolicy.NOW
    """`Now`: at the minute of check-in, whatever else is booked. `NextFree`: at the next time today at which the
    provider has nothing booked."""

    @model_validator(mode="after")
    def _somebody_s_schedule(self) -> Self:
        if self.enabled and self.provider_id is None:
            raise ValueError("give providerId, in whose schedule walk-ins are booked, or set enabled to false")
        return self


class MessagesSpec(ApiModel):
    """What becomes of Ocean's messages in the EMR."""

    combine_notes: bool = False
    """True: the progress notes of one sitting become one note, written when the sitting is over. False: each form's
    note is written at once."""

    sitting_timeout_minutes: Annotated[int, Field(ge=1, le=240)] = 30
    """With `combineNotes`: a sitting is over when nothing has come from the patient for so long, if Ocean has not said
    so before."""

    arrived_within_hours: Annotated[int, Field(ge=0, le=24)] = 2
    """At check-in, all the patient's appointments that begin within so many hours are marked as arrived; 0 marks
    none. The default is ours: Ocean's is not published."""

    import_attachments: bool = False
    """Whether web-form submissions, files that patients send, and eReferral and eConsult records are put into the
    chart as PDF."""

    demographics: DemographicsPolicy | None = None
    """What becomes of what patients say of address, telephone and so on. `Update`: it is written into the chart, where
    that is allowed. `Note`: all of it becomes a note for staff. Left out: `Note` for `OscarPro`, whose interface
    empties other fields of a chart with every update, `Update` for others."""

    walk_ins: WalkInsSpec = WalkInsSpec()
    """What happens when somebody without an appointment checks in."""


class OceanSiteSpec(ApiModel):
    """What the clinic wants. The operator never writes here."""

    site_number: Annotated[
        str,
        Field(
            max_length=10,
            pattern=r"^[0-9]+$",
            json_schema_extra={
                "pattern": None,
                **rules(
                    cel("self.matches('^[0-9]+$')", "must be Ocean's site number: digits, in quotes"),
                    cel(
                        "self == oldSelf",
                        "siteNumber cannot be changed, or messages of another site would reach this clinic's charts; "
                        "make another OceanSite",
                    ),
                ),
            },
        ),
    ]
    """Ocean's number of this site, in quotes. No two OceanSites of a cluster may share one. Fixed once set."""

    display_name: Annotated[str, Field(min_length=1, max_length=200)]
    """The clinic's name for people."""

    time_zone: TimeZoneName
    """IANA time zone of the clinic, for instance `America/Toronto`: its days begin at its own midnight."""

    language: Literal["en", "fr"] = "en"
    """Language in which the clinic is addressed."""

    contacts: Contacts
    """Who is told when something needs a person."""

    ocean: OceanAccess
    """Ocean's address and the site's credentials there."""

    emr: EmrSpec
    """The clinic's EMR."""

    key: KeySpec
    """How the Shared Encryption Key comes into Vault."""

    schedule: ScheduleSpec = ScheduleSpec()
    """Which part of the EMR's schedule goes to Ocean."""

    messages: MessagesSpec = MessagesSpec()
    """What becomes of Ocean's messages in the EMR."""

    enabled: bool | None = None
    """Whether Cloud Connect serves this clinic. Left out: yes for a clinic with an EMR, no for `emr.type: None`,
    which must say so."""

    suspend: bool = False
    """True stops all work for the clinic and removes nothing."""

    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    """What becomes of the key in Vault when this OceanSite is deleted. The audit log is always kept."""

    @property
    def is_enabled(self) -> bool:
        """`enabled`, with its automatic value filled in."""
        return self.enabled if self.enabled is not None else self.emr.type is not EmrType.NONE

    @property
    def updates_charts(self) -> bool:
        """Whether what patients say of themselves is written into charts: `messages.demographics`, filled in."""
        chosen = self.messages.demographics
        if chosen is None:
            return self.emr.type is not EmrType.OSCAR_PRO
        return chosen is DemographicsPolicy.UPDATE

    @property
    def integrated(self) -> bool:
        """Whether the clinic has an EMR to synchronise with."""
        return self.emr.type is not EmrType.NONE


def warnings_for(spec: OceanSiteSpec) -> tuple[str, ...]:
    """What a person should know about a spec that is accepted all the same, in the spec's order."""
    found = []
    if spec.emr.oscar_pro and urlsplit(spec.emr.oscar_pro.url).path.strip("/") == "":
        found.append(
            "spec.emr.oscarPro.url has no context path; OSCAR usually lives below one, such as https://host/oscar"
        )
    if spec.schedule.days > 14:  # noqa: PLR2004 - requirements C1: warn above two weeks
        found.append(f"spec.schedule.days is {spec.schedule.days}: more than 14 cost noticeable bandwidth at the EMR")
    if spec.integrated and not spec.schedule.providers:
        found.append("spec.schedule.providers is empty: nothing is synchronised until ids or `All` are given")
    if spec.emr.type is EmrType.OSCAR_PRO and spec.updates_charts:
        found.append(
            "spec.messages.demographics is Update: with every update OSCAR empties a chart's residential address and "
            "more (docs/emr/oscar-pro.md); Note does not touch the chart"
        )
    if not spec.integrated and spec.enabled is None:
        found.append("spec.enabled is not set: a clinic without an EMR stays off until it is true")
    return tuple(found)
