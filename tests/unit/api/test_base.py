from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ocean_api.base import ApiModel, CaBundle, EmailAddress, HttpsUrl, Moment, SecretName, TimeZoneName


class Thing(ApiModel):
    """A model of the tests."""

    site_number: str
    """A field of two words."""
    seen_at: Moment | None = None
    """A moment."""


def accepts(kind: Any, value: str) -> bool:
    """Whether `value` is one of `kind`."""
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


def test_fields_are_in_camel_case_on_the_wire_and_read_in_both() -> None:
    thing = Thing(site_number="1")

    assert thing.model_dump(mode="json") == {"siteNumber": "1", "seenAt": None}
    assert Thing.model_validate({"siteNumber": "1"}) == thing
    assert Thing.model_validate({"site_number": "1"}) == thing


def test_a_model_is_a_value() -> None:
    thing = Thing(site_number="1")

    with pytest.raises(ValidationError, match="frozen"):
        thing.site_number = "2"  # type: ignore[misc]
    assert hash(thing) == hash(Thing(site_number="1"))


def test_an_unknown_field_is_passed_over() -> None:
    """So an operator one version behind its CRD still reads every object."""
    assert Thing.model_validate({"siteNumber": "1", "weather": "fine"}) == Thing(site_number="1")


def test_an_error_does_not_quote_what_it_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        Thing.model_validate({"siteNumber": {"secret": "very-private-value"}})

    assert "very-private-value" not in str(caught.value)


def test_docstrings_are_descriptions() -> None:
    properties = Thing.model_json_schema()["properties"]

    assert properties["siteNumber"]["description"] == "A field of two words."


# Moments

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.timezones())  # noqa: DTZ001 - of the zone


@given(MOMENTS)
def test_a_moment_is_kept_in_utc_to_the_second_and_comes_back_equal(moment: datetime) -> None:
    thing = Thing(site_number="1", seen_at=moment)
    kept = thing.seen_at

    assert kept is not None
    assert kept.utcoffset() == timedelta(0)
    assert timedelta(0) <= moment - kept < timedelta(seconds=1)
    assert Thing.model_validate(thing.model_dump(mode="json")) == thing


def test_a_moment_looks_as_kubernetes_writes_it() -> None:
    toronto = timezone(timedelta(hours=-4))
    moment = datetime(2026, 7, 1, 20, 30, 15, 999_999, tzinfo=toronto)

    assert Thing(site_number="1", seen_at=moment).model_dump(mode="json")["seenAt"] == "2026-07-02T00:30:15Z"
    assert Thing.model_validate({"siteNumber": "1", "seenAt": "2026-07-02T00:30:15Z"}).seen_at == datetime(
        2026, 7, 2, 0, 30, 15, tzinfo=UTC
    )


def test_a_moment_without_a_zone_is_none() -> None:
    assert not accepts(Moment, "2026-07-02T00:30:15")


# Texts of a form


@pytest.mark.parametrize(
    "url",
    [
        "https://ocean.example",
        "https://ocean.example/",
        "https://emr.example:8443/oscar",
        "https://[2001:db8::1]:8443/fhir",
        "https://emr.example/a@b",
    ],
)
def test_an_https_address(url: str) -> None:
    assert accepts(HttpsUrl, url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ocean.example",
        "http://ocean.example",
        "HTTPS://ocean.example",
        "ftp://ocean.example",
        "https://",
        "https:///oscar",
        "https://user@ocean.example",
        "https://user:password@ocean.example/",
        "https://ocean.example?x=1",
        "https://ocean.example/?x=1",
        "https://ocean.example/#top",
        "https://ocean.example/ oscar",
        " https://ocean.example",
        "https://ocean.example/\n",
        "https://ocean.example\nhttps://evil.example",
        "https://ocean.example/" + "a" * 2048,
    ],
)
def test_no_https_address(url: str) -> None:
    assert not accepts(HttpsUrl, url)


@pytest.mark.parametrize("address", ["admin@clinic.example", "a.b+c@x.y.example", "é@clinique.québec"])
def test_a_mailbox(address: str) -> None:
    assert accepts(EmailAddress, address)


@pytest.mark.parametrize(
    "address",
    ["", "admin", "admin@", "@clinic.example", "admin@clinic", "a@b@c.example", "a b@c.example", "a@b.example\n"],
)
def test_no_mailbox(address: str) -> None:
    assert not accepts(EmailAddress, address)


@pytest.mark.parametrize("name", ["a", "emr-credentials", "a.b", "0"])
def test_a_secrets_name(name: str) -> None:
    assert accepts(SecretName, name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a/b", "a\n", "a" * 254])
def test_no_secrets_name(name: str) -> None:
    assert not accepts(SecretName, name)


@pytest.mark.parametrize("zone", ["America/Toronto", "America/St_Johns", "Etc/UTC", "UTC"])
def test_a_time_zone(zone: str) -> None:
    assert accepts(TimeZoneName, zone)


@pytest.mark.parametrize("zone", ["", "EST-5", "toronto", "America/toronto", "America", "../America/Toronto", "+05:00"])
def test_no_time_zone(zone: str) -> None:
    assert not accepts(TimeZoneName, zone)


def test_a_wrong_time_zone_is_told_what_one_looks_like() -> None:
    with pytest.raises(
        ValidationError, match=r"'Toronto' is not an IANA time zone; use a name such as America/Toronto"
    ):
        TypeAdapter(TimeZoneName).validate_python("Toronto")


def test_a_zone_that_is_only_a_place_holder_is_none() -> None:
    assert not accepts(TimeZoneName, "Factory")


@pytest.mark.parametrize(
    ("text", "ok"), [("-----BEGIN CERTIFICATE-----\nx", True), ("\n -----BEGIN CERTIFICATE-----", True), ("x", False)]
)
def test_a_bundle_of_authorities_is_pem(text: str, ok: bool) -> None:  # noqa: FBT001 - a column of the table
    assert accepts(CaBundle, text) is ok
