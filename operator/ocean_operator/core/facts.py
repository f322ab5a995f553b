"""What is known of a clinic besides its objects: its key in Vault, and what its pods reported."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import orjson

from ocean_api import names
from ocean_api.base import ApiModel
from ocean_api.reasons import Reason
from ocean_api.report import CheckReport, Problem, SyncReport
from ocean_api.v1alpha1.status import KeyStatus
from ocean_operator.core.site import Site

ACCESS_REASONS: Final = frozenset(
    {
        Reason.CREDENTIALS_SECRET_MISSING,
        Reason.CREDENTIALS_SECRET_INVALID,
        Reason.EMR_AUTH_REFUSED,
        Reason.EMR_PERMISSION_DENIED,
        Reason.OCEAN_ACCESS_REFUSED,
    }
)
"""Reasons for which every call stops until a person has acted and a check has passed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a pass knows about a clinic that is not a Kubernetes object."""

    key: KeyStatus | None = None
    """None: Vault has not been asked yet, and no status remembers."""
    key_problem: Problem | None = None
    """Why the key could not be stored or Vault and database not be prepared."""
    check: CheckReport | None = None
    sync: SyncReport | None = None
    pod_problem: str = ""
    """Why a pod of the clinic cannot start."""


def token(*parts: object) -> str:
    """A short name for a set of settings: equal exactly when they are.

    A field that a newer version adds does not change it where it has its default: an upgrade must not have the
    whole fleet checked and synchronised again.
    """
    raw = orjson.dumps([p.model_dump_json(exclude_defaults=True) if isinstance(p, ApiModel) else str(p) for p in parts])
    return hashlib.sha256(raw).hexdigest()[:10]


def check_token(site: Site, facts: Facts) -> str:
    """What the Job `ocean-check` must have looked at for its report to count.

    It changes with the key, the addresses and Secrets named, a person's request to try again, and every
    refusal that a synchronisation met after the last check.
    """
    spec = site.spec
    if spec is None or facts.key is None:
        return ""
    stopped = facts.sync.problem if facts.sync else None
    again = site.requests.get(names.REAUTHORIZE_REQUEST, "")
    settings = token(spec.site_number, spec.ocean, spec.emr, facts.key.version, facts.key.fingerprint, again)
    return f"{settings}-{token(stopped.at)}" if stopped and stopped.reason in ACCESS_REASONS else settings


def window_token(site: Site, facts: Facts) -> str:
    """The settings a full synchronisation was made under: when they change, another one is due at once."""
    spec = site.spec
    if spec is None or facts.key is None:
        return ""
    return token(spec.schedule, spec.time_zone, spec.emr, spec.site_number, facts.key.version)


def check_is_current(site: Site, facts: Facts) -> bool:
    """Whether the last check looked at the settings as they are now.

    One that answered a refusal stays good when a synchronisation has succeeded since and the refusal is forgotten.
    """
    wanted = check_token(site, facts)
    return facts.check is not None and wanted in {facts.check.token, facts.check.token.partition("-")[0]}


def refused(site: Site, facts: Facts) -> Problem | None:
    """Why Ocean or the EMR may not be called.

    A check that is current knew of every refusal before it (its token holds them), whatever the clocks of the
    two pods say; until there is one, the refusal stands.
    """
    stopped = facts.sync.problem if facts.sync else None
    if stopped and stopped.reason in ACCESS_REASONS and not check_is_current(site, facts):
        return stopped
    return facts.check.access if facts.check else None


def key_accepted(site: Site, facts: Facts) -> bool:
    """Whether the stored key may be used."""
    return (
        facts.key is not None
        and facts.key.version > 0
        and facts.key_problem is None
        and facts.check is not None
        and facts.check.key is None
        and facts.check.key_tried
        and facts.check.key_version == facts.key.version
        and facts.check.key_fingerprint == facts.key.fingerprint
        and site.spec is not None
    )


def may_work(site: Site, facts: Facts) -> bool:
    """Whether the clinic's synchronisations may run."""
    spec = site.spec
    return (
        spec is not None
        and spec.is_enabled
        and not spec.suspend
        and spec.integrated
        and bool(spec.schedule.providers)
        and key_accepted(site, facts)
        and check_is_current(site, facts)
        and refused(site, facts) is None
    )
