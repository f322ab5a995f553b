from __future__ import annotations

from typing import Any, cast

import pytest

from ocean_operator.admission import review
from ocean_operator.cluster import Cluster
from ocean_operator.core.site import Manifest, SiteKey
from ocean_operator.core.validate import AddressRules
from unit.operator.sites import KEY, body

OTHER = SiteKey("clinic-b", "south")
BARE_OSCAR = {"type": "OscarPro", "oscarPro": {"url": "https://emr.example.org/", "credentialsSecret": "emr"}}


class Sites:
    """A cluster that holds these OceanSites."""

    def __init__(self, *bodies: Manifest) -> None:
        self.bodies = bodies
        self.asked: list[str] = []

    async def find(self, kind: str, *, field_selector: str) -> list[Manifest]:
        """Those with the site number asked for."""
        self.asked.append(f"{kind} {field_selector}")
        number = field_selector.removeprefix("spec.siteNumber=")
        return [b for b in self.bodies if b["spec"]["siteNumber"] == number]


async def reviewed(asked: Manifest, *others: Manifest, **request: Any) -> Manifest:
    """The response to a review of `asked`, beside `others`."""
    answer = await review(
        {"request": {"uid": "r1", "operation": "CREATE", "object": asked, **request}},
        cast("Cluster", Sites(*others)),
        AddressRules(),
    )
    response: Manifest = answer["response"]
    return response


async def test_a_good_site_is_let_in_without_a_word() -> None:
    assert await reviewed(body()) == {"uid": "r1", "allowed": True}


async def test_the_answer_is_a_review_of_that_very_request() -> None:
    answer = await review(
        {"request": {"uid": "r2", "operation": "CREATE", "object": body()}}, cast("Cluster", Sites()), AddressRules()
    )

    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert answer["response"]["uid"] == "r2"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"timeZone": "Nowhere"}, "spec.timeZone: 'Nowhere' is not an IANA time zone"),
        ({"schedule": {"providers": ["All", "101"]}}, "`All` stands alone"),
        ({"ocean": {"url": "https://10.0.0.1/", "credentialsSecret": "o"}}, "spec.ocean.url: is a loopback"),
        (
            {"emr": {"type": "OscarPro", "oscarPro": {"url": "https://[abc/", "credentialsSecret": "e"}}},
            "spec.emr.oscarPro.url: is not an address",
        ),
    ],
    ids=["zone", "providers", "private", "no address"],
)
async def test_what_the_schema_cannot_refuse_is_refused_in_words(spec: dict[str, Any], message: str) -> None:
    response = await reviewed(body(**spec))

    assert response["allowed"] is False
    assert message in response["status"]["message"]
    assert "warnings" not in response


async def test_a_number_that_another_site_has_is_refused_with_its_name() -> None:
    response = await reviewed(body(), body(called=OTHER, uid="u2"))

    assert response["allowed"] is False
    assert "1001 belongs to OceanSite clinic-b/south already" in response["status"]["message"]


async def test_a_site_is_not_its_own_neighbour() -> None:
    assert (await reviewed(body(generation=2), body()))["allowed"] is True


async def test_everything_wrong_is_said_at_once() -> None:
    wrong = body(ocean={"url": "https://localhost/", "credentialsSecret": "o"})
    message = (await reviewed(wrong, body(called=OTHER)))["status"]["message"]

    assert "spec.ocean.url" in message
    assert "spec.siteNumber" in message


async def test_the_number_is_looked_up_in_the_api_server() -> None:
    """A replica that does not lead has watched nothing."""
    sites = Sites()
    await review(
        {"request": {"uid": "r1", "operation": "CREATE", "object": body()}}, cast("Cluster", sites), AddressRules()
    )

    assert sites.asked == ["OceanSite spec.siteNumber=1001"]


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        ({"schedule": {"days": 20, "providers": "All"}}, "spec.schedule.days is 20: more than 14 "),
        ({"schedule": {"providers": []}}, "spec.schedule.providers is empty: "),
        ({"emr": {"type": "None"}}, "spec.enabled is not set: "),
        ({"emr": BARE_OSCAR}, "spec.emr.oscarPro.url has no context path; "),
    ],
    ids=["days", "providers", "not enabled", "context path"],
)
async def test_a_doubtful_site_is_let_in_with_a_warning(spec: dict[str, Any], warning: str) -> None:
    response = await reviewed(body(**spec))
    (said,) = response["warnings"]

    assert response["allowed"] is True
    assert said.startswith(warning)


async def test_a_warning_fits_into_a_header() -> None:
    """The API server cuts warnings at 256 characters, and drops what is not ASCII (RFC 7234, Warning)."""
    all_at_once = body(emr=BARE_OSCAR, schedule={"days": 60})
    warnings = (await reviewed(all_at_once))["warnings"]

    assert len(warnings) == 3
    assert all(len(said) <= 256 and said.isascii() for said in warnings)


async def test_the_rightful_holder_of_a_number_can_still_be_edited() -> None:
    """Two sites made at the same moment may both be let in; the passes stop the younger one.

    The older one must still take our finalizer, a person's request, another display name.
    """
    before = body(creation="2026-01-01T00:00:00Z")
    younger = body(called=OTHER, creation="2026-01-01T00:00:01Z")
    response = await reviewed({**before}, before, younger, operation="UPDATE", oldObject=before)

    assert response["allowed"] is True


async def test_a_site_whose_name_the_api_server_will_make_is_judged_too() -> None:
    asked = body()
    asked["metadata"].pop("name")
    asked["metadata"]["generateName"] = "north-"

    assert (await reviewed(asked))["allowed"] is True


async def test_only_others_count_whatever_they_are_called() -> None:
    same_name = body(called=SiteKey("clinic-b", KEY.name))

    assert (await reviewed(body(), same_name))["allowed"] is False
