"""What one running operator consists of, handed to handlers and passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ocean_api import names
from ocean_api.report import CheckReport, Problem, SyncReport, WorkerReport
from ocean_api.settings import DatabaseAccess, VaultAccess
from ocean_api.v1alpha1.status import KeyStatus, QueueStatus
from ocean_operator.cluster import Cluster
from ocean_operator.core.facts import Facts
from ocean_operator.core.parts.worker import worker_name
from ocean_operator.core.plan import ChildId
from ocean_operator.core.platform import Platform
from ocean_operator.core.pods import missed_at, why_no_worker
from ocean_operator.core.queue import Watched
from ocean_operator.core.site import Site, SiteKey
from ocean_operator.core.validate import AddressRules
from ocean_operator.database import Database
from ocean_operator.observed import Observed
from ocean_operator.packed import unpack
from ocean_operator.settings import OperatorSettings
from ocean_operator.vault import Vault
from ocean_operator.workqueue import WorkQueue


@dataclass(frozen=True, slots=True)
class KeyFinding:
    """What the last look at Vault and the database found for one clinic."""

    site: tuple[str, int]
    """uid and generation of the OceanSite it was for."""
    status: KeyStatus
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """What the next step for a clinic's key is decided from, besides what Vault holds."""

    site: tuple[str, int]
    """uid and generation of the OceanSite."""
    secret: str
    """Identity of the Secret that hands the key over; empty while there is none."""
    check: CheckReport | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A clinic whose key is not settled: there is nothing to do until the scene changes."""

    scene: Scene
    since: datetime


@dataclass(frozen=True, slots=True)
class Reports:
    """What the pods of one clinic reported last: packed documents, empty while there is none."""

    check: bytes = b""
    sync: bytes = b""
    worker: bytes = b""

    def since(self, moment: datetime) -> tuple[CheckReport | None, SyncReport | None, WorkerReport | None]:
        """Without what is older: the rows of a deleted clinic stay, and say nothing about one made in its place."""
        check = CheckReport.model_validate(unpack(self.check)) if self.check else None
        sync = SyncReport.model_validate(unpack(self.sync)) if self.sync else None
        worker = WorkerReport.model_validate(unpack(self.worker)) if self.worker else None
        stopped = worker.problem if worker else None
        return (
            check if check and check.at >= moment else None,
            _since(moment, sync) if sync else None,
            worker if stopped and stopped.at >= moment else None,
        )


def _since(moment: datetime, said: SyncReport) -> SyncReport | None:
    if said.last_full and said.last_full.started_at >= moment:
        return said
    happened = (said.last_recent and said.last_recent.started_at, said.problem and said.problem.at)
    if not any(at and at >= moment for at in (*happened, said.running and said.running.since)):
        return None
    return said.model_copy(update={"last_full": None, "window": ""})


@dataclass(slots=True)
class Stores:
    """Vault and database, where they are declared."""

    vault: Vault
    database: Database


@dataclass
class Runtime:
    """The parts of the operator that passes use. `sites` and `stores_queue` are set once the queues exist."""

    settings: OperatorSettings
    platform: Platform
    cluster: Cluster
    stores: Stores | None
    observed: Observed = field(default_factory=Observed)
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when `observed` shows everything that exists; a pass before would write what is there already."""
    keys: dict[SiteKey, KeyFinding] = field(default_factory=dict)
    waiting: dict[SiteKey, Waiting] = field(default_factory=dict)
    departed: dict[SiteKey, Site] = field(default_factory=dict)
    """Clinics that vanished before they were released."""
    reports: dict[SiteKey, Reports] = field(default_factory=dict)
    reports_loaded: bool = False
    """Whether the database has been read once; until then nothing that is known may be forgotten."""
    queues: dict[SiteKey, Watched] = field(default_factory=dict)
    """Every clinic's messages, as the database counted them last."""
    told: dict[SiteKey, QueueStatus] = field(default_factory=dict)
    """What the status is to say of them."""
    look_at_queues: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when they may have changed in a way that should not wait."""
    retried: dict[SiteKey, str] = field(default_factory=dict)
    """The last `retry-held` token of each clinic whose messages went back into the queue."""
    summaries: dict[SiteKey, str] = field(default_factory=dict)
    """For the metric."""
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    sites: WorkQueue[SiteKey] = field(init=False)
    """Passes over Kubernetes objects."""
    externals: WorkQueue[SiteKey] = field(init=False)
    """Passes over Vault and database."""

    def facts(self, site: Site) -> Facts:
        """Everything known of a clinic besides its objects. The status is the memory across restarts."""
        finding = self.key_finding(site)
        key = finding.status if finding else (site.status.key if site.status.key.version else None)
        check, sync, worker = self.reports.get(site.key, Reports()).since(datetime.fromisoformat(site.creation))
        name = worker_name(site)
        deployment = self.observed.children(site.key).get(ChildId("Deployment", name))
        gone = deployment.away if deployment else None
        return Facts(
            key=key,
            key_problem=finding.problem if finding else None,
            check=check,
            sync=sync,
            worker=worker,
            queue=self.told.get(site.key, site.status.queue),
            pod_problem=self.observed.pod_problem(site.key),
            worker_problem=why_no_worker(name, self.observed.pod_problem(site.key, worker=True), gone, self.clock()),
            worker_missed_at=missed_at(gone),
        )

    def open_retry(self, site: Site) -> str:
        """The token of a request that held messages be tried again, until that is done."""
        asked = site.requests.get(names.RETRY_HELD_REQUEST, "")
        return "" if asked in {site.status.actions.retry_held, self.retried.get(site.key, "")} else asked

    def key_finding(self, site: Site) -> KeyFinding | None:
        """What was found for this very OceanSite, not for an earlier one of its name."""
        found = self.keys.get(site.key)
        return found if found and found.site[0] == site.uid else None

    def is_seen_to(self, site: Site) -> bool:
        """Whether Vault and the database were looked at for this spec."""
        found = self.key_finding(site)
        return found is not None and found.site[1] == site.generation

    def forget(self, key: SiteKey) -> None:
        """A clinic is gone."""
        self.keys.pop(key, None)
        self.waiting.pop(key, None)
        self.reports.pop(key, None)
        self.queues.pop(key, None)
        self.told.pop(key, None)
        self.retried.pop(key, None)
        self.summaries.pop(key, None)


def platform_of(settings: OperatorSettings) -> Platform:
    """The part of the settings that the clinics' objects are made from. Raises OSError for a missing CA file."""
    vault = database = None
    if settings.has_stores:
        vault = VaultAccess(address=settings.vault_address, ca_bundle=_read(settings.vault_ca_file))
        database = DatabaseAccess(
            host=settings.database_host, port=settings.database_port, ca_bundle=_read(settings.database_ca_file)
        )
    return Platform(
        image=settings.image,
        image_pull_policy=settings.image_pull_policy,
        image_pull_secrets=settings.image_pull_secrets,
        full_window_minutes=settings.full_window_minutes,
        vault=vault,
        database=database,
        vault_peers=settings.vault_peers,
        database_peers=settings.database_peers,
        addresses=AddressRules.parse(settings.allowed_address_ranges, settings.allowed_host_suffixes),
        allowed_address_ranges=settings.allowed_address_ranges,
    )


def _read(path: str) -> str:
    return Path(path).read_text() if path else ""
