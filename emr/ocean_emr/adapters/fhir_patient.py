"""A FHIR R4 Patient as our record. Pure, like fhir_resources.py, which holds the parts it is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, Literal

from ocean_emr.adapters.fhir_resources import (
    Concept,
    HumanName,
    Items,
    Part,
    Period,
    Reference,
    Resource,
    by_use,
    first,
)
from ocean_emr.records import Address, EmergencyContact, HealthNumber, Patient, PatientId, ProviderId, Sex

_NAMING: Final = "https://fhir.infoway-inforoute.ca/NamingSystem/"
SYSTEMS: Final[Mapping[str, str]] = {
    "ON": f"{_NAMING}ca-on-patient-hcn",
    **{
        province: f"{_NAMING}ca-{province.lower()}-patient-healthcare-id"
        for province in ("AB", "BC", "MB", "NB", "NL", "NS", "NT", "NU", "PE", "QC", "SK", "YT")
    },
}
"""Province to identifier system.

Source: CA Baseline 1.2.0, Patient profile, notes, "Jurisdictional Health Number".
"""
_PROVINCES: Final = {system.lower(): province for province, system in SYSTEMS.items()}
"""Read without regard to case: Ocean's own examples vary it."""

_VERSION_CODES: Final = frozenset(
    {
        "http://hl7.org/fhir/ca/baseline/StructureDefinition/ext-identifierversion",
        "http://hl7.org/fhir/ca/core/StructureDefinition/ext-identifierversion",
        "http://ehealthontario.ca/fhir/StructureDefinition/ext-id-health-card-version-code",
        "http://ehealthontario.ca/API/fhir/StructureDefinition/ext-identifier-hcn-version-code",
    }
)
"""Source: CA Baseline 1.2.0; CA Core+; Ontario eReferral; Ocean Cloud Connect FHIR guide, Patient profile."""

_HEALTH_NUMBER, _CHART_NUMBER = "JHN", "MR"
"""Source: HL7 v2 table 0203, as CA Baseline uses it."""

_EMERGENCY: Final = ("C", "ER", "ECON")
"""Source: HL7 v2 table 0131; Ocean's example bundle; v3 RoleCode."""

_LANGUAGES: Final = {"eng": "en", "fra": "fr", "fre": "fr"}
"""ISO 639-2 codes that EMRs of this country send where two letters are due. Source: Ocean's example bundle."""


class _Extension(Part):
    url: str = ""
    value_string: str = ""


class Identifier(Part):
    """A number or other name of something."""

    use: str = ""
    type: Concept = Concept()
    system: str = ""
    value: str = ""
    period: Period = Period()
    extension: Items[_Extension] = ()

    @property
    def province(self) -> str | None:
        """Whose health number it is."""
        return _PROVINCES.get(self.system.lower())

    @property
    def version(self) -> str | None:
        """The version code of a health number."""
        return first(*(part.value_string for part in self.extension if part.url in _VERSION_CODES))


class _ContactPoint(Part):
    system: str = ""
    value: str = ""
    use: str = ""
    rank: int | None = None


class _Address(Part):
    use: str = ""
    line: Items[str] = ()
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""

    def to_address(self) -> Address:
        return Address(
            street=first("\n".join(self.line)),
            city=first(self.city),
            province=first(self.state),
            postal_code=first(self.postal_code),
            country=first(self.country),
        )


class _Communication(Part):
    language: Concept = Concept()
    preferred: bool = False


class _Contact(Part):
    relationship: Items[Concept] = ()
    name: HumanName = HumanName()
    telecom: Items[_ContactPoint] = ()


class PatientResource(Resource):
    """A chart's demographics."""

    resource_type: Literal["Patient"]
    active: bool | None = None
    identifier: Items[Identifier] = ()
    name: Items[HumanName] = ()
    telecom: Items[_ContactPoint] = ()
    gender: str = ""
    birth_date: str = ""
    address: Items[_Address] = ()
    communication: Items[_Communication] = ()
    general_practitioner: Items[Reference] = ()
    contact: Items[_Contact] = ()

    def to_patient(self) -> Patient:
        """The record. What the EMR does not say, or says in a way that leaves doubt, is left out."""
        names = [name for name in by_use(self.name, "official", "usual") if name.use != "nickname"]
        name = names[0] if names else HumanName()
        nicknames = [each for each in self.name if each.use == "nickname"]
        doctors = [(each.id_of("Practitioner"), each.display) for each in self.general_practitioner]
        addresses = (each.to_address() for each in by_use(self.address, "home"))
        return Patient(
            id=PatientId(self.id),
            active=self.active,
            title=first(" ".join(name.prefix)),
            first_name=first(*name.given[:1]),
            middle_names=first(" ".join(name.given[1:])),
            last_name=first(name.family),
            preferred_name=first(*(first(*each.given[:1], each.text) for each in nicknames)),
            birth_date=_whole_date(self.birth_date),
            sex=Sex(self.gender) if self.gender in set(Sex) else Sex.UNKNOWN,
            health_number=_health_number(self.identifier),
            alternate_id=first(*(each.value for each in self.identifier if each.type.has(_CHART_NUMBER))),
            addresses=tuple(address for address in addresses if address != Address()),
            home_phone=_contact_point(self.telecom, "phone", "home", ""),
            work_phone=_contact_point(self.telecom, "phone", "work"),
            mobile_phone=_contact_point(self.telecom, "phone", "mobile") or _contact_point(self.telecom, "sms"),
            email=_contact_point(self.telecom, "email"),
            language=_language(self.communication),
            primary_provider_id=next((ProviderId(id_) for id_, _ in doctors if id_), None),
            family_doctor=first(*(display for id_, display in doctors if not id_)),
            emergency_contact=_emergency_contact(self.contact),
        )


def _health_number(identifiers: Sequence[Identifier]) -> HealthNumber | None:
    """The one that says its province, else the first that is called a health number at all."""
    cards = [
        each
        for each in by_use(identifiers, "official")
        if each.value and (each.province or each.type.has(_HEALTH_NUMBER))
    ]
    card = next((each for each in cards if each.province), cards[0] if cards else None)
    number = first(card.value) if card else None
    if card is None or number is None:
        return None
    return HealthNumber(number, card.province, card.version, _whole_date(card.period.end[:10]))


def _whole_date(text: str) -> date | None:
    """FHIR dates may end after the year or the month; those are no birthdays."""
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else None
    except ValueError:
        return None


def _contact_point(points: Sequence[_ContactPoint], system: str, *uses: str) -> str | None:
    """The best one of `system` for one of `uses`, in that order; of any use but a former one if none is named."""
    by_rank = sorted(by_use(points), key=lambda each: each.rank or len(points) + 1)
    fitting = [each for each in by_rank if each.system == system]
    if not uses:
        return first(*(each.value for each in fitting))
    return first(*(each.value for use in uses for each in fitting if each.use == use))


def _language(spoken: Sequence[_Communication]) -> str | None:
    ranked = sorted(spoken, key=lambda each: not each.preferred)
    codes = (coding.code.lower().split("-")[0] for each in ranked for coding in each.language.coding)
    known = (_LANGUAGES.get(code, code) for code in codes)
    return next((code for code in known if len(code) == len("en") and code.isalpha()), None)


def _emergency_contact(contacts: Sequence[_Contact]) -> EmergencyContact | None:
    for contact in contacts:
        if not any(each.has(*_EMERGENCY) for each in contact.relationship):
            continue
        name = first(contact.name.text, " ".join((*contact.name.given, contact.name.family)))
        if name:
            phone = _contact_point(contact.telecom, "phone")
            others = (each.words for each in contact.relationship if not each.has(*_EMERGENCY))
            return EmergencyContact(name, phone, first(*others))
    return None
