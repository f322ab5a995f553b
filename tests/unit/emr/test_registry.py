"""From a site's settings to its adapter."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ocean_api.addresses import PUBLIC_ONLY
from ocean_api.v1alpha1.spec import EmrSpec, EmrType
from ocean_emr.errors import EmrAuthRefusedError
from ocean_emr.records import Operation
from ocean_emr.registry import open_adapter

SPECS = {
    EmrType.OSCAR_PRO: {"oscarPro": {"url": "https://emr.example.org/oscar", "credentialsSecret": "emr"}},
    EmrType.FHIR: {
        "fhir": {
            "url": "https://emr.example.org/fhir",
            "tokenUrl": "https://login.example.org/token",
            "credentialsSecret": "emr",
        }
    },
    EmrType.NONE: {},
}
CREDENTIALS = {
    EmrType.OSCAR_PRO: {"consumerKey": "k", "consumerSecret": "s", "token": "t", "tokenSecret": "u"},
    EmrType.FHIR: {"clientId": "i", "clientSecret": "s"},
    EmrType.NONE: {},
}


def spec(kind: EmrType) -> EmrSpec:
    return EmrSpec.model_validate({"type": kind, **SPECS[kind]})


@pytest.mark.parametrize("kind", EmrType)
async def test_every_kind_has_an_adapter(kind: EmrType) -> None:
    async with open_adapter(spec(kind), CREDENTIALS[kind], PUBLIC_ONLY) as adapter:
        claimed = adapter.capabilities().operations

    assert set(claimed) == (set() if kind is EmrType.NONE else set(Operation))


@pytest.mark.parametrize("kind", [EmrType.OSCAR_PRO, EmrType.FHIR])
def test_a_secret_with_wrong_keys_is_named(kind: EmrType) -> None:
    first, *_ = CREDENTIALS[kind]
    with pytest.raises(EmrAuthRefusedError, match=first):
        open_adapter(spec(kind), {"password": "p"}, PUBLIC_ONLY)


@pytest.mark.parametrize(
    ("kind", "foreign"),
    [
        (EmrType.OSCAR_PRO, {"ocean_emr.adapters.fhir_r4", "ocean_emr.adapters.none", "authlib"}),
        (
            EmrType.FHIR,
            {"ocean_emr.adapters.oscar", "ocean_emr.oauth1", "oauthlib", "authlib", "ocean_emr.messages.pdf", "fpdf"},
        ),
        (EmrType.NONE, {"ocean_emr.adapters.oscar", "ocean_emr.adapters.fhir_r4", "httpx"}),
    ],
)
def test_a_pod_loads_its_own_adapter_only(kind: EmrType, foreign: set[str]) -> None:
    """A sync pod must start fast and stay small."""
    program = (
        "import sys; from ocean_api.addresses import PUBLIC_ONLY; from ocean_api.v1alpha1.spec import EmrSpec;"
        "from ocean_emr.registry import open_adapter;"
        f"emr = EmrSpec.model_validate({ {'type': str(kind), **SPECS[kind]}!r});"
        f"open_adapter(emr, {CREDENTIALS[kind]!r}, PUBLIC_ONLY);"
        "print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    loaded = set(ran.stdout.split())

    assert "ocean_emr.registry" in loaded
    assert not loaded & {*foreign, "ocean_emr.testing", "structlog", "prometheus_client"}
