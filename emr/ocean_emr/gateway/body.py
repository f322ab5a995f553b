"""What Ocean sends: an event, or a registration that asks to be echoed.

Source: OceanMD's sample receiver. Only what is needed is taken, each piece bounded; the rest is ignored, so that
a field that Ocean adds is no reason to lose a message.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from ocean_emr.gateway.answers import Refusal, RefusedError
from ocean_emr.store.arrivals import Event

_VISIBLE: Final = r"^[!-~]+$"
_PRINTABLE: Final = r"^[ -~]*$"


class _Sent(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )


class CustomProperties(_Sent):
    """What tells a patient's sitting from another."""

    ocean_session_id: Annotated[str, Field(max_length=256, pattern=_PRINTABLE)] | None = None
    """The sitting in which forms were filled in."""
    note_completion_source: Annotated[str, Field(max_length=64, pattern=_PRINTABLE)] | None = None
    """Where it took place, such as `PORTAL`, `PATIENT` or `TABLET`."""


class EventBody(_Sent):
    """Something to fetch. Further fields are ignored."""

    site_num: (
        Annotated[str, Field(pattern="^[0-9]{1,10}$")] | Annotated[int, Field(strict=True, ge=0, le=9_999_999_999)]
    )
    """The clinic's number at Ocean; the address must end with the same."""
    type: Annotated[str, Field(min_length=1, max_length=128, pattern=_VISIBLE)]
    """What happened, such as `notify-patient-note-added`."""
    ref: Annotated[str, Field(min_length=1, max_length=256, pattern=_VISIBLE)]
    """Ocean's reference of what is to be fetched."""
    custom_properties: CustomProperties | None = None
    """The sitting it belongs to."""

    def event(self) -> Event:
        """As it is kept."""
        more = self.custom_properties or CustomProperties()
        return Event(
            site_number=str(self.site_num),
            type=self.type,
            ref=self.ref,
            session=more.ocean_session_id or "",
            source=more.note_completion_source or "",
        )


class RegistrationBody(_Sent):
    """Sent when the webhook is entered at Ocean. Further fields are ignored."""

    challenge: Annotated[str, Field(min_length=1, max_length=1024)]
    """Comes back in the answer."""


def _kind(sent: Any) -> str:
    """An event stays one when it has a member called `challenge`: it must never be echoed and forgotten."""
    is_registration = isinstance(sent, dict) and "challenge" in sent and not {"type", "ref"} & sent.keys()
    return "registration" if is_registration else "event"


Body = Annotated[
    Annotated[EventBody, Tag("event")] | Annotated[RegistrationBody, Tag("registration")], Discriminator(_kind)
]
FORM: Final[TypeAdapter[EventBody | RegistrationBody]] = TypeAdapter(Body)


def read(content: bytes) -> EventBody | RegistrationBody:
    """What `content` says.

    Raises:
        RefusedError: It is not JSON, or not of this form.
    """
    try:
        return FORM.validate_json(content)
    except ValidationError:
        # Its text would quote what came.
        raise RefusedError(Refusal.MALFORMED) from None
