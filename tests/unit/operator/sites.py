"""Clinics for the operator's tests: as the API server sends them, what is known of them, and the installation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ocean_api import names
from ocean_api.reasons import Reason
from ocean_api.report import CheckReport, Problem, ProviderName, Run, SyncReport, Trigger, WorkerReport
from ocean_api.settings import DatabaseAccess, VaultAccess
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_api.v1alpha1.status import HandOver, KeyStatus, OceanSiteStatus
from ocean_operator.core.facts import Facts, check_token, window_token
from ocean_operator.core.platform import Platform
from ocean_operator.core.site import Manifest, Site, SiteKey, read_site

NOW = datetime(2026, 3, 10, 15, 20, 30, tzinfo=UTC)
"""A Tuesday, 11:20 in Toronto."""
KEY = SiteKey("clinic-a", "north")
UID = "11111111-1111-4111-8111-111111111111"
PLATFORM = Platform(
    image="ocean-operator:test",
    vault=VaultAccess(address="https://vault.example:8200"),
    database=DatabaseAccess(host="postgres.example"),
)
NO_STORES = Platform(image="ocean-operator:test")
FHIR = {
    "type": "FHIR",
    "fhir": {
        "url": "https://emr.example.org/fhir",
        "tokenUrl": "https://login.example.org/token",
        "credentialsSecret": "emr",
    },
}
OSCAR = {"type": "OscarPro", "oscarPro": {"url": "https://emr.example.org/oscar", "credentialsSecret": "emr"}}
NO_EMR = {"type": "None"}
PROVIDERS = (ProviderName(id="101", name="Dr. One"), ProviderName(id="102", name="Dr. Two"))


def spec_body(**changes: Any) -> Manifest:
    """The spec of a FHIR clinic as YAML holds it, with `changes` to its top-level fields."""
    return {
        "siteNumber": "1001",
        "displayName": "North clinic",
        "timeZone": "America/Toronto",
        "contacts": {"siteCreator": "admin@clinic.example"},
        "ocean": {"credentialsSecret": "ocean"},
        "emr": FHIR,
        "key": {"source": "Generate"},
        "schedule": {"days": 1, "providers": ["101"]},
        **changes,
    }


def body(
    *,
    called: SiteKey = KEY,
    uid: str = UID,
    version: int = 10,
    generation: int = 1,
    status: OceanSiteStatus | None = None,
    annotations: dict[str, str] | None = None,
    deleting: bool = False,
    creation: str = "2026-03-01T00:00:00Z",
    **spec: Any,
) -> Manifest:
    """An OceanSite as the API server sends it; other arguments change the spec."""
    meta: Manifest = {
        "namespace": called.namespace,
        "name": called.name,
        "uid": uid,
        "generation": generation,
        "resourceVersion": str(version),
        "creationTimestamp": creation,
    }
    if annotations:
        meta["annotations"] = annotations
    if deleting:
        meta["deletionTimestamp"] = "2026-03-10T15:00:00Z"
    made: Manifest = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": meta,
        "spec": spec_body(**spec),
    }
    if status is not None:
        made["status"] = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return made


def site(**changes: Any) -> Site:
    """The clinic of `body(**changes)`."""
    return read_site(body(**changes))


def spec_of(clinic: Site) -> OceanSiteSpec:
    """The clinic's spec, which must be readable."""
    assert clinic.spec is not None
    return clinic.spec


def problem(reason: Reason, *, at: datetime = NOW - timedelta(minutes=5)) -> Problem:
    """A problem with a message that can be recognised."""
    return Problem(reason=reason, message=f"said about {reason}", at=at)


def run(*, at: datetime = NOW - timedelta(minutes=20), trigger: Trigger = Trigger.INITIAL) -> Run:
    """A synchronisation that took a minute."""
    return Run(started_at=at, finished_at=at + timedelta(minutes=1), trigger=trigger)


NOTHING_KNOWN = Facts()


@dataclass(frozen=True)
class Known:
    """Facts in the making: each method adds the next thing that happens to a clinic."""

    clinic: Site
    facts: Facts = NOTHING_KNOWN

    def key(self, version: int = 1, fingerprint: str = "f1", hand_over: HandOver = HandOver.NONE) -> Known:
        """Vault holds the clinic's key."""
        key = KeyStatus(
            fingerprint=fingerprint,
            version=version,
            stored_at=NOW - timedelta(hours=2),
            source="Generate",
            hand_over=hand_over,
        )
        return replace(self, facts=replace(self.facts, key=key))

    def check(self, **changes: Any) -> Known:
        """The check has run over the settings as they are now, and found nothing wrong but `changes`."""
        assert self.facts.key is not None
        said: dict[str, Any] = {
            "token": check_token(self.clinic, self.facts),
            "at": NOW - timedelta(hours=1),
            "key_version": self.facts.key.version,
            "key_fingerprint": self.facts.key.fingerprint,
            "key_tried": True,
            "key_compared": True,
            "providers": PROVIDERS,
            "interface": "FHIR 4.0.1",
            **changes,
        }
        return replace(self, facts=replace(self.facts, check=CheckReport(**said)))

    def sync(self, **changes: Any) -> Known:
        """A full synchronisation has succeeded under the settings as they are now, but for `changes`."""
        said: dict[str, Any] = {
            "last_full": run(),
            "last_trigger": Trigger.INITIAL,
            "window": window_token(self.clinic, self.facts),
            **changes,
        }
        return replace(self, facts=replace(self.facts, sync=SyncReport(**said)))

    def refused_worker(self, reason: Reason = Reason.EMR_AUTH_REFUSED, **at: datetime) -> Known:
        """The worker was refused, and has paused."""
        return replace(self, facts=replace(self.facts, worker=WorkerReport(problem=problem(reason, **at))))

    def but(self, **changes: Any) -> Facts:
        """The facts, with `changes`."""
        return replace(self.facts, **changes)


def accepted(clinic: Site) -> Known:
    """A clinic whose key and credentials are accepted, before its first synchronisation."""
    return Known(clinic).key().check()


def served(clinic: Site) -> Known:
    """A clinic that is well."""
    return accepted(clinic).sync()
