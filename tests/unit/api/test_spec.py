from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ocean_api.v1alpha1.spec import EmrType, OceanSiteSpec, warnings_for

FHIR: dict[str, Any] = {
    "url": "https://emr.example.org/fhir",
    "tokenUrl": "https://login.example.org/token",
    "credentialsSecret": "emr",
}
OSCAR: dict[str, Any] = {"url": "https://emr.example.org/oscar", "credentialsSecret": "emr"}
EMRS: dict[EmrType, dict[str, Any]] = {
    EmrType.FHIR: {"type": "FHIR", "fhir": FHIR},
    EmrType.OSCAR_PRO: {"type": "OscarPro", "oscarPro": OSCAR},
    EmrType.NONE: {"type": "None"},
}


def body(**changes: Any) -> dict[str, Any]:
    """A spec as YAML holds it: only what must be said."""
    return {
        "siteNumber": "1001",
        "displayName": "North clinic",
        "timeZone": "America/Toronto",
        "contacts": {"siteCreator": "admin@clinic.example"},
        "ocean": {"credentialsSecret": "ocean"},
        "emr": EMRS[EmrType.FHIR],
        "key": {"source": "Generate"},
        **changes,
    }


def spec(**changes: Any) -> OceanSiteSpec:
    """The spec of `body(**changes)`."""
    return OceanSiteSpec.model_validate(body(**changes))


def refused(**changes: Any) -> str:
    """Why the spec of `body(**changes)` cannot be read."""
    with pytest.raises(ValidationError) as caught:
        spec(**changes)
    return str(caught.value)


def test_what_is_left_out_has_its_default() -> None:
    found = spec()

    assert found.schedule.days == 1
    assert found.schedule.providers == ()
    assert (found.language, found.suspend, found.deletion_policy.value) == ("en", False, "Retain")
    assert found.ocean.url == "https://ocean.cognisantmd.com"
    assert found.emr.fhir is not None
    assert found.emr.fhir.scopes == "user/*"


@pytest.mark.parametrize("field", list(body()))
def test_what_must_be_said_cannot_be_left_out(field: str) -> None:
    short = body()
    short.pop(field)

    with pytest.raises(ValidationError, match="Field required"):
        OceanSiteSpec.model_validate(short)


@pytest.mark.parametrize("emr", EmrType)
def test_a_spec_comes_back_as_it_was_written(emr: EmrType) -> None:
    """`site.json` in the pods is made this way."""
    found = spec(emr=EMRS[emr], schedule={"providers": "All"}, enabled=True)

    assert OceanSiteSpec.model_validate_json(found.model_dump_json(by_alias=True, exclude_none=True)) == found


# The EMR's block


def test_the_block_is_that_of_the_type() -> None:
    blocks = {emr: spec(emr=EMRS[emr]).emr.block for emr in EmrType}

    assert blocks[EmrType.NONE] is None
    assert {emr: block.credentials_secret for emr, block in blocks.items() if block} == {
        EmrType.FHIR: "emr",
        EmrType.OSCAR_PRO: "emr",
    }


@pytest.mark.parametrize(
    "emr",
    [
        {"type": "FHIR"},
        {"type": "OscarPro"},
        {"type": "FHIR", "oscarPro": OSCAR},
        {"type": "OscarPro", "fhir": FHIR},
        {"type": "FHIR", "fhir": FHIR, "oscarPro": OSCAR},
        {"type": "None", "fhir": FHIR},
        {"type": "None", "oscarPro": OSCAR},
    ],
    ids=str,
)
def test_another_block_or_none_is_refused(emr: dict[str, Any]) -> None:
    assert "give exactly the block of emr.type" in refused(emr=emr)


# Enabled


@pytest.mark.parametrize(
    ("emr", "enabled", "expected"),
    [
        (EmrType.FHIR, None, True),
        (EmrType.OSCAR_PRO, None, True),
        (EmrType.NONE, None, False),
        (EmrType.NONE, True, True),
        (EmrType.FHIR, False, False),
    ],
)
def test_a_clinic_with_an_emr_is_enabled_by_itself(
    emr: EmrType,
    enabled: bool | None,  # noqa: FBT001 - a column of the table
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    found = spec(emr=EMRS[emr], enabled=enabled)

    assert found.is_enabled is expected
    assert found.integrated is (emr is not EmrType.NONE)


# Contacts, key


@pytest.mark.parametrize(
    "contacts",
    [
        {"siteCreator": "a@b.example"},
        {"clinicalAdministrators": ["a@b.example", "c@d.example"]},
        {"clinicalAdministrators": ["a@b.example"], "siteCreator": "c@d.example"},
    ],
)
def test_one_address_is_enough(contacts: dict[str, Any]) -> None:
    assert spec(contacts=contacts)


@pytest.mark.parametrize("contacts", [{}, {"clinicalAdministrators": []}])
def test_nobody_is_not(contacts: dict[str, Any]) -> None:
    assert "give at least one address" in refused(contacts=contacts)


@pytest.mark.parametrize("key", [{"source": "Secret"}, {"source": "Generate", "secretName": "s"}])
def test_a_secret_is_named_exactly_when_it_hands_a_key_over(key: dict[str, Any]) -> None:
    assert "give secretName exactly when key.source is Secret" in refused(key=key)
    assert spec(key={"source": "Secret", "secretName": "s"}).key.secret_name == "s"


def test_the_key_itself_has_no_place_in_a_spec() -> None:
    found = spec(key={"source": "Generate", "sek": "very-private-value", "value": "very-private-value"})

    assert "very-private-value" not in found.model_dump_json()


# Schedule


@pytest.mark.parametrize("days", [1, 60])
def test_days_within_bounds(days: int) -> None:
    assert spec(schedule={"days": days}).schedule.days == days


@pytest.mark.parametrize("days", [0, -1, 61, 400, 1.5, "many"])
def test_days_out_of_bounds(days: object) -> None:
    assert "schedule.days" in refused(schedule={"days": days})


@pytest.mark.parametrize(
    ("providers", "read"),
    [("All", "All"), (["All"], "All"), ([], ()), (["1", "2"], ("1", "2")), (["1"] * 1, ("1",))],
)
def test_providers_are_a_list_or_all(providers: object, read: object) -> None:
    assert spec(schedule={"providers": providers}).schedule.providers == read


@pytest.mark.parametrize(
    "providers",
    ["all", "101", ["All", "1"], ["1", "1"], [""], ["x" * 65], [1], 5, True, {"a": "b"}, None],
    ids=str,
)
def test_anything_else_is_no_choice_of_providers(providers: object) -> None:
    assert "schedule" in refused(schedule={"providers": providers})


@pytest.mark.parametrize("number", ["", "12a", "-1", " 1", "1 ", "1\n", "12345678901", 1001, "١٢"])
def test_a_site_number_is_digits(number: object) -> None:
    assert "siteNumber" in refused(siteNumber=number)


# Warnings


def test_a_plain_clinic_has_no_warning() -> None:
    assert warnings_for(spec(schedule={"days": 14, "providers": ["1"]})) == ()


@pytest.mark.parametrize(
    ("changes", "begins"),
    [
        ({"schedule": {"days": 15, "providers": "All"}}, "spec.schedule.days is 15"),
        ({"schedule": {}}, "spec.schedule.providers is empty"),
        ({"emr": {"type": "None"}}, "spec.enabled is not set"),
        (
            {
                "emr": {"type": "OscarPro", "oscarPro": {**OSCAR, "url": "https://emr.example.org"}},
                "schedule": {"providers": "All"},
            },
            "spec.emr.oscarPro.url has no context path",
        ),
    ],
    ids=["days", "providers", "enabled", "context path"],
)
def test_what_is_doubtful_is_said(changes: dict[str, Any], begins: str) -> None:
    (warning,) = warnings_for(spec(**changes))

    assert warning.startswith(begins)


def test_a_clinic_without_an_emr_is_not_asked_for_providers() -> None:
    assert warnings_for(spec(emr={"type": "None"}, enabled=True)) == ()


@pytest.mark.parametrize(
    ("emr", "said", "expected"),
    [
        (EmrType.OSCAR_PRO, {}, False),
        (EmrType.OSCAR_PRO, {"demographics": "Update"}, True),
        (EmrType.FHIR, {}, True),
        (EmrType.FHIR, {"demographics": "Note"}, False),
    ],
)
def test_charts_are_updated_where_that_costs_nothing_or_somebody_chose_it(
    emr: EmrType, said: dict[str, Any], *, expected: bool
) -> None:
    found = spec(emr=EMRS[emr], messages=said, schedule={"providers": "All"})

    assert found.updates_charts is expected
    assert any("demographics is Update" in each for each in warnings_for(found)) is (expected and bool(said))
