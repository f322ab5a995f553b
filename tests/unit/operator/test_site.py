from __future__ import annotations

from typing import Any

import pytest

from ocean_api import names
from ocean_operator.core.site import SiteKey, read_site
from unit.operator.sites import FHIR, body, site


def test_a_site_is_read_from_what_the_api_server_sends() -> None:
    clinic = site(generation=3, version=42)

    assert (clinic.key, clinic.generation, clinic.resource_version) == (SiteKey("clinic-a", "north"), 3, 42)
    assert str(clinic.key) == "clinic-a/north"
    assert (clinic.deleting, clinic.has_finalizer, clinic.spec_problem) == (False, False, "")
    assert clinic.spec is not None
    assert clinic.spec.schedule.providers == ("101",)


def test_only_our_own_annotations_are_requests() -> None:
    clinic = site(annotations={names.SYNC_FULL_REQUEST: "t1", "example.org/x": "y", f"{names.GROUP}.evil/x": "z"})

    assert clinic.requests == {names.SYNC_FULL_REQUEST: "t1"}


def test_deletion_and_finalizer_are_seen() -> None:
    going = body(deleting=True)
    going["metadata"]["finalizers"] = ["example.org/other", names.FINALIZER]
    clinic = read_site(going)

    assert (clinic.deleting, clinic.has_finalizer) == (True, True)


@pytest.mark.parametrize("missing", ["spec", "status"])
def test_a_body_without_a_part_is_read_all_the_same(missing: str) -> None:
    """The CRD may be older or newer than the operator."""
    bare = body()
    bare.pop(missing, None)

    assert read_site(bare).key == SiteKey("clinic-a", "north")


def test_fields_of_a_newer_crd_are_passed_over() -> None:
    assert site(weather="fine").spec == site().spec


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"timeZone": "Mars/Olympus"}, "spec.timeZone: 'Mars/Olympus' is not an IANA time zone; use a name such as"),
        ({"schedule": {"days": 61}}, "spec.schedule.days: Input should be less than or equal to 60"),
        ({"schedule": {"days": 0}}, "spec.schedule.days: Input should be greater than or equal to 1"),
        ({"schedule": {"providers": ["101", "All"]}}, "spec.schedule: providers: `All` stands alone; leave the other"),
        ({"schedule": {"providers": ["101", "101"]}}, "spec.schedule: providers: an id is listed twice"),
        ({"schedule": {"providers": ["101", ""]}}, "; spec.schedule.providers[1]: String should have at least 1"),
        ({"schedule": {"providers": 5}}, "spec.schedule.providers: give a list of the EMR's ids, each in quotes"),
        ({"contacts": {}}, "spec.contacts: give at least one address in clinicalAdministrators, or siteCreator"),
        (
            {"contacts": {"clinicalAdministrators": ["a@b.example", "nobody"]}},
            "spec.contacts.clinicalAdministrators[1]: String should match",
        ),
        ({"emr": {"type": "FHIR"}}, "spec.emr: give exactly the block of emr.type"),
        ({"emr": {**FHIR, "type": "None"}}, "spec.emr: give exactly the block of emr.type"),
        ({"emr": {"type": "Epic"}}, "spec.emr.type: Input should be 'OscarPro', 'FHIR' or 'None'"),
        ({"key": {"source": "Secret"}}, "spec.key: give secretName exactly when key.source is Secret"),
        ({"siteNumber": "12a"}, "spec.siteNumber: String should match"),
        ({"siteNumber": 12}, "spec.siteNumber: Input should be a valid string"),
        ({"ocean": {}}, "spec.ocean.credentialsSecret: Field required"),
    ],
)
def test_what_cannot_be_read_is_said_by_its_field_in_the_yaml(spec: dict[str, Any], said: str) -> None:
    clinic = site(**spec)

    assert clinic.spec is None
    assert said in clinic.spec_problem


def test_each_problem_is_said_once_and_without_the_value() -> None:
    secretive = "very-private-value"
    clinic = site(ocean={"credentialsSecret": f"{secretive}!"}, key={"source": secretive}, displayName="")

    assert secretive not in clinic.spec_problem
    assert clinic.spec_problem.count(";") == 2


@pytest.mark.parametrize("providers", [5, {"a": "b"}, [101, 102]], ids=str)
def test_providers_of_another_form_are_told_what_to_write(providers: Any) -> None:
    """Ids without quotes are the commonest slip, and the CRD's schema cannot refuse them."""
    said = site(schedule={"providers": providers}).spec_problem

    assert "tuple" not in said
    assert "quotes" in said
