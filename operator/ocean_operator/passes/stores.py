"""The pass over what a clinic has outside Kubernetes: its rights in Vault and PostgreSQL, and its key.

It is kept apart from the pass over objects, so that a slow Vault delays nobody's objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
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
from ocean_operator.core.intake import (
    Decision,
    Step,
    StoredKey,
    decide,
    hand_over,
    identity,
    key_in,
    wants_secret,
)
from ocean_operator.core.site import Manifest, Site, SiteKey
from ocean_operator.core.status import key_was_well
from ocean_operator.core.validate import findings
from ocean_operator.database import DatabaseError
from ocean_operator.passes.release import release, release_departed
from ocean_operator.runtime import KeyFinding, Runtime, Scene, Stores, Waiting
from ocean_operator.vault import VaultError

_LOOK_AGAIN_SECONDS: Final = 5.0
_SLOWEST_LOOK_SECONDS: Final = 60.0
"""For a Secret that is awaited: no watch tells of it, since the operator may not list Secrets."""
_MOST_STEPS: Final = 6
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
    """Prepare Vault and database for one clinic and move its key along, or release what it has there.

    Returns when to look again, or None.
    """
    if key in runtime.departed:
        await release_departed(runtime.departed[key], runtime)
    site, stores = runtime.observed.site(key), runtime.stores
    if site is not None and site.deleting:
        return await release(site, runtime)
    if site is None or stores is None or site.spec is None:
        return None
    neighbours = runtime.observed.neighbours(site.spec.site_number)
    if findings(key, site.spec, rules=runtime.platform.addresses, neighbours=neighbours):
        return None
    case = Case(site, site.spec, runtime, stores)
    try:
        if not await _waits_as_before(case):
            _note(case, await _see_to(case))
        await _retry_held(case)
    except (VaultError, DatabaseError, SecretForbiddenError) as error:
        runtime.waiting.pop(key, None)
        _note(case, _unreachable(case, error))
        raise
    waiting = runtime.waiting.get(key)
    return _pause(waiting, runtime.clock()) if waiting else None


async def _retry_held(case: Case) -> None:
    """Have held messages tried again where that was asked for, and the request answered.

    Once for each token; twice if the operator ends right between the two, which tries a message again that has
    just been held again.
    """
    asked = case.runtime.open_retry(case.site)
    if not asked:
        return
    number = await case.stores.database.retry_held(case.site.key)
    log.info("held messages are tried again", site=str(case.site.key), messages=number)
    case.runtime.retried[case.site.key] = asked
    case.runtime.look_at_queues.set()
    case.runtime.sites.add(case.site.key)


async def _waits_as_before(case: Case) -> bool:
    """Whether the Secret that is awaited is as it was: then Vault, which records every call, is not asked again."""
    before = case.runtime.waiting.get(case.site.key)
    return before is not None and before.scene == _scene(case, await _secret(case, content=False))


def _pause(waiting: Waiting, now: datetime) -> float:
    """Soon at first, while a person may be at it; then less and less often."""
    so_far = (now - waiting.since).total_seconds()
    return min(max(_LOOK_AGAIN_SECONDS, so_far / 10), _SLOWEST_LOOK_SECONDS)


def _scene(case: Case, secret: Manifest | None) -> Scene:
    said = case.runtime.facts(case.site)
    return Scene((case.site.uid, case.site.generation), identity(secret) if secret else "", said.check)


async def _see_to(case: Case) -> KeyFinding:
    """Do what there is to do for a clinic's rights and key, and note whether a Secret is awaited."""
    site, vault, waiting = case.site, case.stores.vault, case.runtime.waiting
    waiting.pop(site.key, None)
    stored = await vault.key(site.key)
    if not site.has_finalizer:
        await _set_finalizer(site, case.runtime)
    await case.stores.database.ensure_site(site.key, site.uid, case.spec.site_number)
    await vault.ensure_database_role(site.key)
    if stored.retained:
        stored = await _take_over(case)
    for _ in range(_MOST_STEPS):
        facts = case.runtime.facts(site)
        stored = await _remember_acceptance(site, stored, facts, case.stores)
        wanted = wants_secret(case.spec.key, stored)
        secret = await _secret(case, content=True) if wanted else await _late_secret(case)
        decision = decide(case.spec.key, stored, secret if wanted else None, read_back=_read_back(site, facts, stored))
        if decision.step in {Step.NOTHING, Step.REPORT}:
            if wanted or secret:
                waiting[site.key] = Waiting(_scene(case, secret), case.runtime.clock())
            return _finding(site, stored, decision, secret, case.runtime)
        await _take(decision.step, case, secret)
        stored = await vault.key(site.key)
    case.runtime.externals.add_after(site.key, _LOOK_AGAIN_SECONDS)
    return _finding(site, stored, Decision(Step.NOTHING), None, case.runtime)


async def _take_over(case: Case) -> StoredKey:
    """Use the key again that an earlier OceanSite of this name left in Vault."""
    await case.stores.database.audit(case.site.key, "key.return", "the clinic is back, its retained key is in use")
    await case.stores.vault.amend_key(case.site.key, retainedAt="")
    return await case.stores.vault.key(case.site.key)


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
    elif step is Step.SETTLE:
        how = "was changed since its key was taken, and is not taken again" if secret else "is gone after read-back"
        await database.audit(key, "key.intake", f"Secret {name} {how}")
        await vault.amend_key(key, intake="")


async def _remove(secret: Manifest, runtime: Runtime) -> None:
    """Delete this very version of the Secret. A changed one stays, and is looked at anew."""
    meta = secret["metadata"]
    await runtime.cluster.delete(
        "Secret", meta["namespace"], meta["name"], uid=meta["uid"], resource_version=meta["resourceVersion"]
    )


async def _secret(case: Case, *, content: bool) -> Manifest | None:
    """The Secret that the spec names; its content only where that matters."""
    name, namespace, cluster = case.spec.key.secret_name, case.site.key.namespace, case.runtime.cluster
    if name is None:
        return None
    try:
        return await (cluster.get if content else cluster.metadata)("Secret", namespace, name)
    except ClusterError as error:
        if error.code != _FORBIDDEN:
            raise
        raise SecretForbiddenError(namespace) from None


async def _late_secret(case: Case) -> Manifest | None:
    """A Secret that lies there although no key is awaited; None too where the namespace lets us look no more.

    No watch tells of it (docs/design/008-key-never-accepted.md), so it is found by the passes that are made anyway.
    """
    try:
        return await _secret(case, content=False)
    except SecretForbiddenError:
        return None


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


def _finding(
    site: Site, stored: StoredKey, decision: Decision, secret: Manifest | None, runtime: Runtime
) -> KeyFinding:
    status = KeyStatus(
        fingerprint=stored.fingerprint,
        version=stored.version,
        stored_at=stored.stored_at or None,
        source=stored.source,
        hand_over=hand_over(stored, secret),
    )
    problem = None
    if decision.step is Step.REPORT:
        problem = Problem(reason=decision.reason, message=decision.message, at=runtime.clock())
    return KeyFinding((site.uid, site.generation), status, problem)


def _unreachable(case: Case, error: VaultError | DatabaseError | SecretForbiddenError) -> KeyFinding:
    """Vault or database are away. A key that is known stays known: work goes on with what the pods can reach."""
    of, known = (case.site.uid, case.site.generation), case.runtime.facts(case.site).key or KeyStatus()
    if known.version:
        return KeyFinding(of, known)
    said = f"{error} {EXPLANATIONS[error.reason].remedy}"
    return KeyFinding(of, known, Problem(reason=error.reason, message=said, at=case.runtime.clock()))


def _note(case: Case, finding: KeyFinding) -> None:
    """Keep what was found, and have the clinic looked at where it is news, also to a status from before a restart."""
    site, before = case.site, case.runtime.key_finding(case.site)
    if before is None and key_was_well(site.status):
        before = KeyFinding(finding.site, site.status.key)
    case.runtime.keys[site.key] = finding
    if before is None or _meaning(before) != _meaning(finding):
        case.runtime.sites.add(site.key)


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
