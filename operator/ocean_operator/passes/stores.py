"""The pass over what a clinic has outside Kubernetes: its rights in Vault and PostgreSQL, and its key.

It is kept apart from the pass over objects, so that a slow Vault delays nobody's objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from ocean_api import names
from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.report import Problem
from ocean_api.sek import generate
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_api.v1alpha1.status import KeyStatus
from ocean_operator.cluster import ClusterError
from ocean_operator.core.facts import Facts, check_is_current
from ocean_operator.core.intake import Decision, Step, StoredKey, decide, identity, key_in, wants_secret
from ocean_operator.core.site import Manifest, Site, SiteKey
from ocean_operator.core.validate import findings
from ocean_operator.database import DatabaseError
from ocean_operator.runtime import KeyFinding, Runtime, Stores
from ocean_operator.vault import VaultError

_LOOK_AGAIN_SECONDS: Final = 5.0
"""While a Secret is awaited: no watch tells of it, since the operator may not list Secrets."""
_MOST_STEPS: Final = 4
_FORBIDDEN: Final = 403

log = structlog.get_logger(__name__)


class SecretForbiddenError(Exception):
    """The operator may not fetch the Secret that hands a key over, because the namespace has not agreed to it."""

    reason = Reason.KEY_SECRET_FORBIDDEN

    def __init__(self, namespace: str) -> None:
        super().__init__(f"The operator may not fetch Secrets of namespace {namespace}.")


@dataclass(frozen=True, slots=True)
class Case:
    """One clinic and what is at hand to see to it."""

    site: Site
    spec: OceanSiteSpec
    runtime: Runtime
    stores: Stores


async def run_stores_pass(key: SiteKey, runtime: Runtime) -> float | None:
    """Prepare Vault and database for one clinic and move its key along. Returns when to look again, or None."""
    site, stores = runtime.observed.site(key), runtime.stores
    if site is None or stores is None or site.deleting or site.spec is None:
        return None
    neighbours = runtime.observed.neighbours(site.spec.site_number)
    if findings(key, site.spec, rules=runtime.platform.addresses, neighbours=neighbours):
        return None
    try:
        finding, again = await _see_to(site, site.spec, runtime, stores)
    except (VaultError, DatabaseError, SecretForbiddenError) as error:
        _note(site, runtime, _unreachable(site, runtime, error))
        raise
    _note(site, runtime, finding)
    return again


async def _see_to(site: Site, spec: OceanSiteSpec, runtime: Runtime, stores: Stores) -> tuple[KeyFinding, float | None]:
    if not site.has_finalizer:
        await _set_finalizer(site, runtime)
    await stores.database.ensure_site(site.key, site.uid, spec.site_number)
    await stores.vault.ensure_database_role(site.key)
    for _ in range(_MOST_STEPS):
        stored = await stores.vault.key(site.key)
        facts = runtime.facts(site)
        stored = await _remember_acceptance(site, stored, facts, stores)
        secret = await _secret(site, spec, stored, runtime)
        decision = decide(spec.key, stored, secret, read_back=_read_back(site, facts, stored))
        if decision.step in {Step.NOTHING, Step.REPORT}:
            waiting = decision.step is Step.REPORT or (secret is not None and bool(stored.intake))
            return _finding(stored, decision, runtime), _LOOK_AGAIN_SECONDS if waiting else None
        await _take(decision.step, Case(site, spec, runtime, stores), secret)
    return _finding(stored, Decision(Step.NOTHING), runtime), _LOOK_AGAIN_SECONDS


async def _take(step: Step, case: Case, secret: Manifest | None) -> None:
    """Do one step. Each can be repeated after a crash: check-and-set and preconditions refuse to do it twice."""
    key, vault, database = case.site.key, case.stores.vault, case.stores.database
    source, name = case.spec.key.source.value, case.spec.key.secret_name
    if step is Step.GENERATE:
        await database.audit(key, "key.generate", "the operator stores a key it made")
        await vault.store_key(key, generate(), source=source, intake="")
    elif step in {Step.STORE, Step.REPLACE} and secret is not None:
        await database.audit(key, "key.intake", f"the operator stores the key of Secret {name}")
        if step is Step.REPLACE:
            await vault.delete_key(key)
        await vault.store_key(key, key_in(secret) or "", source=source, intake=identity(secret))
    elif step is Step.COMPLETE_METADATA:
        await vault.describe_key(key, source=source, intake="")
    elif step is Step.REMOVE_SECRET and secret is not None:
        await _remove(secret, case.runtime)
        await vault.amend_key(key, intake="")
        await database.audit(key, "key.intake", f"Secret {name} deleted after read-back")


async def _remove(secret: Manifest, runtime: Runtime) -> None:
    meta = secret["metadata"]
    await runtime.cluster.delete(
        "Secret", meta["namespace"], meta["name"], uid=meta["uid"], resource_version=meta["resourceVersion"]
    )


async def _secret(site: Site, spec: OceanSiteSpec, stored: StoredKey, runtime: Runtime) -> Manifest | None:
    if not wants_secret(spec.key, stored) or spec.key.secret_name is None:
        return None
    try:
        return await runtime.cluster.get("Secret", site.key.namespace, spec.key.secret_name)
    except ClusterError as error:
        if error.code != _FORBIDDEN:
            raise
        raise SecretForbiddenError(site.key.namespace) from None


def _read_back(site: Site, facts: Facts, stored: StoredKey) -> bool:
    """Whether a Job has read this very key. A key that took the place of another has its version, and not its name."""
    same = facts.key is not None and facts.key.fingerprint == stored.fingerprint
    current = facts.check is not None and check_is_current(site, facts)
    return same and current and facts.check is not None and facts.check.key_version == stored.version


async def _remember_acceptance(site: Site, stored: StoredKey, facts: Facts, stores: Stores) -> StoredKey:
    """Write down in Vault that the key opened what Ocean encrypted: from then on the operator never replaces it."""
    check = facts.check
    opened = check is not None and check.key is None and check.key_compared
    if stored.accepted or not opened or not _read_back(site, facts, stored):
        return stored
    await stores.vault.amend_key(site.key, accepted="true")
    return await stores.vault.key(site.key)


def _finding(stored: StoredKey, decision: Decision, runtime: Runtime) -> KeyFinding:
    status = KeyStatus(
        fingerprint=stored.fingerprint, version=stored.version, stored_at=stored.stored_at or None, source=stored.source
    )
    spoils = decision.step is Step.REPORT and decision.reason is not Reason.KEY_ALREADY_STORED
    problem = Problem(reason=decision.reason, message=decision.message, at=runtime.clock()) if spoils else None
    return KeyFinding(status, problem)


def _unreachable(site: Site, runtime: Runtime, error: VaultError | DatabaseError | SecretForbiddenError) -> KeyFinding:
    """Vault or database are away. A key that is known stays known: work goes on with what the pods can reach."""
    known = runtime.facts(site).key or KeyStatus()
    if known.version:
        return KeyFinding(known)
    said = f"{error} {EXPLANATIONS[error.reason].remedy}"
    return KeyFinding(known, Problem(reason=error.reason, message=said, at=runtime.clock()))


def _note(site: Site, runtime: Runtime, finding: KeyFinding) -> None:
    before = runtime.keys.get(site.key)
    runtime.keys[site.key] = finding
    if before is None or _meaning(before) != _meaning(finding):
        runtime.sites.add(site.key)


def _meaning(finding: KeyFinding) -> tuple[KeyStatus, Reason | None, str]:
    problem = finding.problem
    return finding.status, problem.reason if problem else None, problem.message if problem else ""


async def _set_finalizer(site: Site, runtime: Runtime) -> None:
    """Have deletion wait for us, before there is anything that deletion must take away."""
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "name": site.key.name,
            "namespace": site.key.namespace,
            "uid": site.uid,
            "finalizers": [names.FINALIZER],
        },
    }
    runtime.observed.saw_site(await runtime.cluster.apply(body, manager=names.FINALIZER_FIELD_MANAGER))
