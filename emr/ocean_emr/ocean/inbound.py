"""What Ocean hands out about a message: how it is opened, and the fields of it that are used.

The shapes are Ocean's where a docstring names no other. Source: `ocean-patient.ts` and `open-api-client.ts` in
oceanmdlabs/autorouter; `model/referral.ts` and `encryption-util.ts` in dougkavanagh/ocean-ts-integration. Whatever is
null or empty counts as not given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError, model_validator

from ocean_emr.confidential import Confidential
from ocean_emr.ocean.crypto import (
    ONE_TIME_KEY_BYTES,
    EncryptedBlock,
    SharedEncryptionKey,
    decrypt,
    read_json_object,
)
from ocean_emr.ocean.errors import Call, MessageUnreadableError, OceanError, SekMismatchError
from ocean_emr.records import Sex

_SEXES: Final = {
    "F": Sex.FEMALE,
    "M": Sex.MALE,
    "H": Sex.MALE,
    "O": Sex.OTHER,
    "A": Sex.OTHER,
    "X": Sex.OTHER,
}

Model = TypeVar("Model", bound="Received")


def sex_of(given: object) -> Sex:
    """By the first letter, in English and French. UNVERIFIED: how Ocean writes it is not published."""
    letter = str(given).strip()[:1].upper()
    return _SEXES.get(letter, Sex.UNKNOWN)


def _block(given: object) -> EncryptedBlock:
    try:
        return EncryptedBlock.from_json(given)
    except OceanError:
        raise ValueError("not an encrypted block") from None


OceanSex = Annotated[Sex, BeforeValidator(sex_of)]
Block = Annotated[EncryptedBlock, BeforeValidator(_block)]
OceanMoment = Annotated[datetime, AfterValidator(lambda when: when if when.tzinfo else when.replace(tzinfo=UTC))]
"""A moment in milliseconds since 1970 or in ISO 8601, aware; without an offset it is UTC."""


class Received(Confidential):
    """A model of what Ocean answered. Names only the fields used."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _given_only(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None and value != ""}


class OceanAddress(Received):
    """A postal address with the telephone number and e-mail address that Ocean keeps beside it."""

    line1: str = ""
    line2: str = ""
    city: str = ""
    province: str = ""
    postal_code: str = ""
    country: str = ""
    phone: str = ""
    email: str = ""


class OceanDemographics(Received):
    """Who the patient is, as Ocean knows it. `mobilePhone` and `workPhone` of the custom fields are UNVERIFIED."""

    first_name: str = ""
    surname: str = ""
    preferred_name: str = ""
    birth_date: date | None = None
    sex: OceanSex = Sex.UNKNOWN
    hn: str = ""
    hn_prov: str = ""
    hn_version: Annotated[str, Field(alias="hnVC")] = ""
    hn_expiry_date: date | None = None
    address: OceanAddress = OceanAddress()
    language: str = ""
    custom_fields: dict[str, JsonValue] = Field(default={})


class OceanPatient(Received):
    """A patient of the site."""

    ref: str = ""
    site_num: str = ""
    external_patient_ref: str = ""
    """The chart's id in the EMR; the header `extPatientRef` goes before the body."""
    demographics: OceanDemographics = OceanDemographics()
    reason_for_visit: str = ""


class AttachmentRef(Received):
    """A file that belongs to a referral or, by our own profile, to a note; its content is fetched apart."""

    file_ref: str
    file_name: str = ""
    encrypted_file_name: Block | None = None
    encrypted_encryption_key: Block | None = None


class ProgressNote(Received):
    """What Ocean made of the patient's answers for the chart."""

    title: str = ""
    text: str = ""


class FormItem(Received):
    """What is known of one question of a form."""

    hidden: bool = False


class PatientUpdate(Received):
    """The part of a completed form that is for the EMR (`ptUpdate`)."""

    progress_note: ProgressNote = ProgressNote()
    completed_forms: dict[str, dict[str, JsonValue]] = Field(default={})
    """By form, then by question."""
    form_metadata: dict[str, dict[str, FormItem | None]] = Field(default={})
    emr_field_updates: dict[str, str | None] = Field(default={})
    attachments: tuple[AttachmentRef, ...] = ()
    """UNVERIFIED: see `inbound_profile.PATIENT_FILE_PATH`."""


class OceanNote(Received):
    """A note of one session."""

    note_id: str
    version: int
    """From the header `payloadVersion`; 0 where that is not a number. UNVERIFIED: that it counts a note's revisions."""
    chart_id: str = ""
    """The chart's id in the EMR, as Ocean knows it."""
    update: PatientUpdate
    one_time_key: bytes
    """Opens the keys and names of the note's files."""


class SessionRecord(Received):
    """UNVERIFIED: see `inbound_profile.SESSION_PATH`."""

    at: OceanMoment
    reason: str = ""
    title: str = ""
    text: str = ""


class Person(Received):
    """Somebody of staff."""

    first_name: str = ""
    surname: str = ""


class Comment(Received):
    """A message of a referral's conversation."""

    message: str = ""
    encrypted_msg: Block | None = None
    user_full_name: str = ""
    comment_date: OceanMoment | None = None
    attachment_ref_dtos: tuple[AttachmentRef, ...] = ()


class Referral(Received):
    """An eReferral, eConsult or message between providers; what is a patient's in it is encrypted."""

    referral_ref: str = ""
    encrypted_pt_data: Block
    key_under_sek: Annotated[Block | None, Field(alias="oneTimeKeyEncryptedWithSiteSEK")] = None
    key_under_target: Annotated[str, Field(alias="oneTimeKeyEncryptedWithTargetPublicKey")] = ""
    key_under_site: Annotated[str, Field(alias="oneTimeKeyEncryptedWithSitePublicKey")] = ""
    communication_type: str = ""
    description: str = ""
    services: tuple[str, ...] = ()
    status: str = ""
    referrer: Person = Person()
    src_site_name: str = ""
    sent_date: OceanMoment | None = None
    modification_date: OceanMoment | None = None
    scheduled_appointment: OceanMoment | None = None
    booking_comments: str = ""
    booking_file_refs: tuple[AttachmentRef, ...] = ()
    cancellation_reason: str = ""
    internal_conversation: tuple[Comment, ...] = ()
    external_conversation: tuple[Comment, ...] = ()


class OpenedReferral(Received):
    """A referral and what its one-time key opens."""

    record: Referral
    patient: OceanPatient
    one_time_key: bytes


class Attachment(Received):
    """A file's content, under a key of its own."""

    content_type: str = ""
    encrypted_data: Block


class NamedFile(Received):
    """A file whose name and key are opened, and whose content is not fetched yet."""

    ref: str
    name: str = ""
    key: bytes


class File(Received):
    """A file, opened."""

    content_type: str = ""
    data: bytes


def block_of(call: Call, data: object, iv: object, named: str) -> EncryptedBlock:
    """The block whose parts came separately.

    Raises:
        MessageUnreadableError: There is none; `named` says which.
    """
    try:
        return EncryptedBlock.of(data, iv)
    except OceanError:
        raise MessageUnreadableError(f"{named} is missing from Ocean's answer, or malformed", call=call) from None


def open_key(call: Call, wrapped: EncryptedBlock, keys: Sequence[SharedEncryptionKey]) -> bytes:
    """The one-time key that was wrapped under one of `keys`, which are tried in their order.

    Raises:
        SekMismatchError: Under none of them. A wrong key yields sixteen bytes once in 2**128 tries.
    """
    for key in keys:
        try:
            opened = decrypt(wrapped, key.key_bytes())
        except SekMismatchError:
            continue
        if len(opened) == ONE_TIME_KEY_BYTES:
            return opened
    raise SekMismatchError(call=call)


def open_bytes(call: Call, block: EncryptedBlock, one_time_key: bytes) -> bytes:
    """What was encrypted under a one-time key that is known to be right.

    Raises:
        MessageUnreadableError: Damaged.
    """
    try:
        return decrypt(block, one_time_key)
    except SekMismatchError:
        raise MessageUnreadableError("what Ocean encrypted does not open with its own key", call=call) from None


def open_object(call: Call, block: EncryptedBlock, one_time_key: bytes) -> dict[str, Any]:
    """The JSON object that was encrypted under a one-time key that is known to be right.

    Raises:
        MessageUnreadableError: Damaged, or something else.
    """
    try:
        return read_json_object(open_bytes(call, block, one_time_key))
    except MessageUnreadableError:
        raise
    except OceanError:
        raise MessageUnreadableError("what Ocean encrypted is no JSON object", call=call) from None


def read(call: Call, model: type[Model], value: object) -> Model:
    """`value`, parsed JSON, as `model`.

    Raises:
        MessageUnreadableError: Something needed is missing or of another form; names the fields, never their content.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        # `from None`: what it could not read is a patient's. A place in it may be, too: the name of a form, for one.
        ours = {field.alias or name for each in Received.__subclasses__() for name, field in each.model_fields.items()}
        places = {".".join(str(part) for part in each["loc"] if part in ours) for each in error.errors()}
        names = ", ".join(sorted(places - {""})) or "everything"
        raise MessageUnreadableError(f"cannot be used as Ocean gave it: {names}", call=call) from None


def name_file(call: Call, ref: AttachmentRef, one_time_key: bytes) -> NamedFile:
    """The file with its name and its key opened.

    Where it has no key of its own, it is under the one-time key: OceanMD's type leaves the field out at will.

    Raises:
        MessageUnreadableError: Name or key is damaged.
    """
    name, key = ref.file_name, one_time_key
    if ref.encrypted_file_name:
        name = open_bytes(call, ref.encrypted_file_name, one_time_key).decode(errors="replace")
    if ref.encrypted_encryption_key:
        key = open_bytes(call, ref.encrypted_encryption_key, one_time_key)
        if len(key) != ONE_TIME_KEY_BYTES:
            raise MessageUnreadableError("a file's key has another length than Ocean's keys have", call=call)
    return NamedFile(ref=ref.file_ref, name=name, key=key)


def spoken(call: Call, comment: Comment, one_time_key: bytes) -> str:
    """What a message of a conversation says.

    Raises:
        MessageUnreadableError: It is damaged.
    """
    if comment.encrypted_msg is None:
        return comment.message
    return str(open_object(call, comment.encrypted_msg, one_time_key).get("message") or "")


def conversation(record: Referral) -> Iterator[Comment]:
    """All messages of a referral, the site's own first."""
    yield from record.internal_conversation
    yield from record.external_conversation
