"""What every model of the API has in common: camelCase on the wire, immutable in memory, docstrings as descriptions."""

from __future__ import annotations

import zoneinfo
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, PlainSerializer
from pydantic.alias_generators import to_camel


class ApiModel(BaseModel):
    """A frozen value of the API.

    Unknown fields are ignored on reading, so that an operator one version behind its CRD still
    reads every object; the API server itself refuses or prunes what the CRD does not know.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )


@lru_cache(maxsize=1)
def _known_zones() -> frozenset[str]:
    # A machine's own zone files also hold names that mean something else on every machine, or nothing.
    return frozenset(zoneinfo.available_timezones()) - {"localtime", "Factory", "posixrules"}


def _known_zone(name: str) -> str:
    if name not in _known_zones():
        raise ValueError(
            f"{name!r} is not an IANA time zone; use a name such as America/Toronto (see `timedatectl list-timezones`)"
        )
    return name


def _whole_seconds(moment: AwareDatetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment.utcoffset() is not None else ""


def _to_utc(moment: AwareDatetime) -> AwareDatetime:
    return moment.astimezone(zoneinfo.ZoneInfo("UTC")).replace(microsecond=0)


def matching(pattern: str, message: str, *, max_length: int) -> Any:
    """A string field that must match `pattern` (RE2 and Python alike), refused with `message` by the API server too.

    A CEL rule takes the place of the schema's `pattern`, since a pattern's own message names no remedy.
    """
    escaped = pattern.replace("\\", "\\\\").replace("'", "\\'")
    rule: JsonValue = {"rule": f"self.matches('{escaped}')", "message": message}
    return Field(
        max_length=max_length,
        pattern=pattern,
        json_schema_extra={"pattern": None, "x-kubernetes-validations": [rule]},
    )


HttpsUrl = Annotated[
    str,
    matching(
        r"^https://[^\s/?#@]+(/[^\s?#]*)?$",
        "must be an address that begins with https:// (patient data travels over it), without user, query or fragment",
        max_length=2048,
    ),
]
"""An https address without user, query or fragment."""

SecretName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""The name of a Secret in the site's own namespace."""

EmailAddress = Annotated[
    str,
    matching(
        r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
        "must be one e-mail address, such as admin@clinic.example",
        max_length=254,
    ),
]
"""One mailbox, without a display name."""

TimeZoneName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_known_zone)]
"""An IANA time zone name."""

CaBundle = Annotated[str, Field(max_length=65536, pattern=r"^\s*-----BEGIN CERTIFICATE-----")]
"""One or more CA certificates in PEM form."""

Moment = Annotated[
    AwareDatetime,
    AfterValidator(_to_utc),
    PlainSerializer(_whole_seconds, return_type=str, when_used="json"),
    Field(json_schema_extra={"format": "date-time"}),
]
"""A point in time, UTC, whole seconds: the resolution of Kubernetes' own `metav1.Time`."""

__all__ = [
    "ApiModel",
    "CaBundle",
    "EmailAddress",
    "HttpsUrl",
    "Moment",
    "SecretName",
    "TimeZoneName",
]
