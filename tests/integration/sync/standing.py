"""How a clinic stands in the eyes of the operator, after what its pods have reported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from integration.installation import fingerprint
from integration.sync.clinic import Clinic
from ocean_api import names
from ocean_api.conditions import Condition, ConditionType
from ocean_api.report import CheckReport, SyncReport
from ocean_api.settings import DatabaseAccess, VaultAccess
from ocean_api.v1alpha1.status import KeyStatus
from ocean_operator.core.facts import Facts, check_token
from ocean_operator.core.platform import Platform
from ocean_operator.core.site import Site, read_site
from ocean_operator.core.status import Observation, next_status

_PLATFORM = Platform(
    image="ocean-operator:test", vault=VaultAccess(address="https://vault"), database=DatabaseAccess(host="postgres")
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person reads in the status."""

    summary: str
    wrong: tuple[Condition, ...]
    """The checks that are False, in the order in which a person should look at them."""


def standing(clinic: Clinic, check: CheckReport | None, sync: SyncReport | None) -> Standing:
    """The status that the operator makes of these reports."""
    site = _site(clinic)
    status = next_status(site, _PLATFORM, Observation(Facts(_key(clinic), None, check, sync)), now=datetime.now(UTC))
    asked = (ConditionType.CONFIG_VALID, ConditionType.KEY_STORED, ConditionType.AUTHORIZED, ConditionType.SYNCED)
    return Standing(status.summary, tuple(c for c in status.conditions if c.type in asked and c.status == "False"))


def token_of_a_check(clinic: Clinic) -> str:
    """What the operator would have `ocean-check` answer now."""
    return check_token(_site(clinic), Facts(_key(clinic)))


def _key(clinic: Clinic) -> KeyStatus:
    return KeyStatus(fingerprint=fingerprint(clinic.site), version=1, source="Secret")


def _site(clinic: Clinic) -> Site:
    settings = clinic.settings().model_dump(mode="json", by_alias=True, exclude_none=True)
    metadata = {"namespace": clinic.site.namespace, "name": clinic.site.name, "uid": "u", "resourceVersion": "1"}
    return read_site({"kind": names.KIND, "metadata": metadata, "spec": settings["spec"]})
