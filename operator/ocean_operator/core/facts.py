"""What is known of a clinic besides its objects: its key in Vault, and what its pods reported."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson

from ocean_api import names
from ocean_api.base import ApiModel
from ocean_api.reasons import Reason
from ocean_api.report import CheckReport, Problem, SyncReport, WorkerReport
from ocean_api.v1alpha1.status import KeyStatus, QueueStatus
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
_SAID_BY_SERVERS: Final = ACCESS_REASONS - {Reason.CREDENTIALS_SECRET_MISSING, Reason.CREDENTIALS_SECRET_INVALID}
DISAGREEMENT: Final = timedelta(minutes=10)
"""What a check accepted and the worker was refused so shortly afterwards is not tried again sooner: an EMR that lets
a login read and not write would refuse it in every round, until the account is locked."""

_NO_MESSAGES: Final = QueueStatus()


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a pass knows about a clinic that is not a Kubernetes object."""

    key: KeyStatus | None = None
    """None: Vault has not been asked yet, and no status remembers."""
    key_problem: Problem | None = None
    """Why the key could not be stored or Vault and database not be prepared."""
    check: CheckReport | None = None
    sync: SyncReport | None = None
    worker: WorkerReport | None = None
    queue: QueueStatus = _NO_MESSAGES
    pod_problem: str = ""
    """Why a pod of the clinic cannot start, its worker's apart."""
    worker_problem: str = ""
    """Why the clinic's worker does not run."""
    worker_missed_at: datetime | None = None
    """When it becomes something wrong that the worker does not run, as it does not now."""


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
    refusal that a synchronisation or the worker met after the last check.
    """
    spec = site.spec
    if spec is None or facts.key is None:
        return ""
    again = site.requests.get(names.REAUTHORIZE_REQUEST, "")
    settings = token(spec.site_number, spec.ocean, spec.emr, facts.key.version, facts.key.fingerprint, again)
    return "-".join((settings, *(token(refusal.at) for refusal in refusals(facts))))


def refusals(facts: Facts) -> tuple[Problem, ...]:
    """How synchronisation and worker were last refused: each stands until it is forgotten where it was met.

    The worker also says so when it calls nobody because the check or a synchronisation was refused: that is no other
    refusal, and asks for no other check.
    """
    met = (said.problem for said in (facts.sync, facts.worker) if said)
    told = facts.check.access if facts.check else None
    found = (problem for problem in met if problem and problem.reason in ACCESS_REASONS and problem != told)
    return tuple(dict.fromkeys(found))


def window_token(site: Site, facts: Facts) -> str:
    """The settings a full synchronisation was made under: when they change, another one is due at once."""
    spec = site.spec
    if spec is None or facts.key is None:
        return ""
    return token(spec.schedule, spec.time_zone, spec.emr, spec.site_number, facts.key.version)


def check_is_current(site: Site, facts: Facts) -> bool:
    """Whether the last check looked at the settings as they are now, and knew of every refusal there is.

    One that answered a refusal stays good when that refusal is forgotten.
    """
    if facts.check is None:
        return False
    wanted, *standing = check_token(site, facts).split("-")
    checked, *known = facts.check.token.split("-")
    return wanted == checked and set(standing) <= set(known)


def refused(site: Site, facts: Facts) -> Problem | None:
    """Why Ocean or the EMR may not be called.

    A check that is current knew of every refusal before it (its token holds them), whatever the clocks of the
    pods say; until there is one, the refusal stands.
    """
    standing = refusals(facts)
    if standing and not check_is_current(site, facts):
        return standing[0]
    return facts.check.access if facts.check else None


def check_waits_until(site: Site, facts: Facts) -> datetime | None:
    """Until when a check waits that was brought about by the worker's refusal alone; None: it may be made at once."""
    check, met = facts.check, facts.worker.problem if facts.worker else None
    if check is None or check.access or met is None or met.reason not in _SAID_BY_SERVERS:
        return None
    if check_token(site, facts).split("-")[0] != check.token.split("-")[0]:
        return None
    return met.at + DISAGREEMENT if timedelta() <= met.at - check.at < DISAGREEMENT else None


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


def may_call(site: Site, facts: Facts) -> bool:
    """Whether the clinic's pods may call Ocean and the EMR: then its messages are delivered."""
    spec = site.spec
    return (
        spec is not None
        and spec.is_enabled
        and not spec.suspend
        and spec.integrated
        and key_accepted(site, facts)
        and check_is_current(site, facts)
        and refused(site, facts) is None
    )


def may_work(site: Site, facts: Facts) -> bool:
    """Whether the clinic's synchronisations may run. Messages do not wait for providers to be chosen."""
    return may_call(site, facts) and site.spec is not None and bool(site.spec.schedule.providers)
