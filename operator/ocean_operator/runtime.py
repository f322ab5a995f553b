"""What one running operator consists of, handed to handlers and passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ocean_api.report import CheckReport, Problem, SyncReport
from ocean_api.settings import DatabaseAccess, VaultAccess
from ocean_api.v1alpha1.status import KeyStatus
from ocean_operator.cluster import Cluster
from ocean_operator.core.facts import Facts
from ocean_operator.core.platform import Platform
from ocean_operator.core.site import Site, SiteKey
from ocean_operator.core.validate import AddressRules
from ocean_operator.database import Database
from ocean_operator.observed import Observed
from ocean_operator.settings import OperatorSettings
from ocean_operator.vault import Vault
from ocean_operator.workqueue import WorkQueue


@dataclass(frozen=True, slots=True)
class KeyFinding:
    """What the last look at Vault and the database found for one clinic."""

    status: KeyStatus
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Reports:
    """What the pods of one clinic reported last."""

    check: CheckReport | None = None
    sync: SyncReport | None = None


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
    unannounced: set[SiteKey] = field(default_factory=set)
    """Clinics of which there is news that no event handler has passed on yet."""
    keys: dict[SiteKey, KeyFinding] = field(default_factory=dict)
    reports: dict[SiteKey, Reports] = field(default_factory=dict)
    reports_loaded: bool = False
    """Whether the database has been read once; until then nothing that is known may be forgotten."""
    summaries: dict[SiteKey, str] = field(default_factory=dict)
    """For the metric."""
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    sites: WorkQueue[SiteKey] = field(init=False)
    """Passes over Kubernetes objects."""
    externals: WorkQueue[SiteKey] = field(init=False)
    """Passes over Vault and database."""

    def facts(self, site: Site) -> Facts:
        """Everything known of a clinic besides its objects. The status is the memory across restarts."""
        finding = self.keys.get(site.key)
        key = finding.status if finding else (site.status.key if site.status.key.version else None)
        said = self.reports.get(site.key, Reports())
        return Facts(
            key=key,
            key_problem=finding.problem if finding else None,
            check=said.check,
            sync=said.sync,
            pod_problem=self.observed.pod_problem(site.key),
        )

    def forget(self, key: SiteKey) -> None:
        """A clinic is gone."""
        self.keys.pop(key, None)
        self.reports.pop(key, None)
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
