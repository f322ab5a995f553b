"""The gateway against its own OpenAPI document: what schemathesis makes of it is answered as the document says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation

from integration.gateways import Gateway, WebhookSite, rows, total, webhook_site
from integration.installation import Installation
from ocean_emr.gateway.openapi import document
from ocean_emr.gateway.request import KEY_HEADER

SCHEMA = schemathesis.openapi.from_dict(document())

thorough = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
)


class Fuzzed:
    """A gateway and a clinic, and what the gateway answered."""

    def __init__(self, gateway: Gateway, clinic: WebhookSite, *, before: int) -> None:
        self.gateway, self.clinic, self.before = gateway, clinic, before
        self.statuses: Counter[int] = Counter()
        self.stored = 0

    def send(self, case: Any, **headers: str) -> None:
        """Send `case` and compare the answer with the document."""
        response = case.call_and_validate(
            base_url=self.gateway.url, verify=str(self.gateway.folder / "ca.crt"), headers=headers
        )
        self.statuses[response.status_code] += 1
        self.stored += response.status_code == 200 and b'"stored"' in response.content


@pytest.fixture(scope="module")
def fuzzed(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """With limits that a fuzzer does not meet."""
    limits = {"FAILED_KEYS_PER_MINUTE": "100000", "SITE_BURST": "100000"}
    with Gateway(installation, tmp_path_factory.mktemp("gateway"), limits) as gateway:
        yield Fuzzed(gateway, webhook_site(installation), before=total(installation))


@SCHEMA.parametrize()
@thorough
def test_from_anybody(case: Any, fuzzed: Fuzzed) -> None:
    """Half of them to a clinic that is there."""
    if len(case.path_parameters["siteNumber"]) % 2:
        case.path_parameters["siteNumber"] = fuzzed.clinic.number
    fuzzed.send(case)


@SCHEMA.parametrize()
@thorough
def test_from_who_has_the_key(case: Any, fuzzed: Fuzzed) -> None:
    """What is right is made the clinic's; what was made wrong on purpose stays."""
    right = {part for part, of in case.meta.components.items() if of.mode is GenerationMode.POSITIVE}
    if ParameterLocation.PATH in right:
        case.path_parameters["siteNumber"] = fuzzed.clinic.number
    if ParameterLocation.BODY in right and "siteNum" in case.body:
        case.body["siteNum"] = fuzzed.clinic.number
    fuzzed.send(case, **{KEY_HEADER: fuzzed.clinic.key})


def test_only_what_was_accepted_is_kept(fuzzed: Fuzzed, installation: Installation) -> None:
    assert fuzzed.stored == len(rows(installation, fuzzed.clinic)) == total(installation) - fuzzed.before > 20
    assert set(fuzzed.statuses) >= {200, 400, 401, 404, 405, 415}
    assert max(fuzzed.statuses) < 500
