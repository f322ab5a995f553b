"""The end of a clinic: stop its work, take its rights away, keep or destroy its key, then let the object go."""

from __future__ import annotations

import structlog

from ocean_api import names
from ocean_api.conditions import ConditionType, Verdict, with_verdict
from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.v1alpha1.spec import DeletionPolicy
from ocean_operator.cluster import ClusterError
from ocean_operator.core.report import event
from ocean_operator.core.site import Site
from ocean_operator.database import DatabaseError
from ocean_operator.runtime import Runtime, Stores
from ocean_operator.vault import VaultError

log = structlog.get_logger(__name__)

_WORK = ("CronJob", "Deployment", "Job")


async def release(site: Site, runtime: Runtime) -> float | None:
    """Let `site` go. Children without work follow by owner reference once the object is gone.

    Each step may be repeated: a crash anywhere means the next pass does it again. Raises what Vault or the
    database raised, so that the queue tries again, unless a person has forced the release. Runs in the queue of
    the stores: never beside a pass that prepares Vault and the database for the same clinic.
    """
    if not site.has_finalizer:
        return None
    await _stop_work(site, runtime)
    forced = site.requests.get(names.RELEASE_ANNOTATION, "").strip()
    try:
        await _revoke(site, runtime.stores)
    except (VaultError, DatabaseError) as error:
        if not forced:
            await _say_blocked(site, runtime, error)
            raise
        await _record_force(site, runtime, forced, error)
    await _drop_finalizer(site, runtime)
    # Now, not at its event: another pass before that would do and record it all once more.
    for other in runtime.observed.lost_site(site.key, site.uid, site.resource_version):
        runtime.sites.add(other)
    runtime.forget(site.key)
    runtime.departed.pop(site.key, None)  # The watch may have told of the end before it was told here.
    return None


async def release_departed(site: Site, runtime: Runtime) -> None:
    """Take away what is left outside Kubernetes of a clinic that is gone although our finalizer was on it.

    A DELETE that began before the finalizer was set does not look for it again (k8s.io/apiserver,
    pkg/registry/generic/registry/store.go), and a person may have taken it off. Raises as `release` does.
    """
    await _revoke(site, runtime.stores)
    runtime.departed.pop(site.key, None)


async def _stop_work(site: Site, runtime: Runtime) -> None:
    for ident, child in list(runtime.observed.children(site.key).items()):
        if ident.kind in _WORK and not child.deleting:
            await runtime.cluster.delete(ident.kind, site.key.namespace, ident.name, uid=child.uid)


async def _revoke(site: Site, stores: Stores | None) -> None:
    """Rights first, then the key, and last the record that both are done."""
    if stores is None:
        raise VaultError(Reason.VAULT_NOT_CONFIGURED, "No Vault and no database are declared.")
    await stores.vault.remove_database_role(site.key)
    destroy = site.spec is not None and site.spec.deletion_policy is DeletionPolicy.DELETE
    if destroy:
        await stores.vault.delete_key(site.key)
    else:
        await stores.vault.mark_retained(site.key)
    what = "its key was destroyed" if destroy else "its key was retained in Vault"
    await stores.database.retire_site(site.key)
    await stores.database.audit(site.key, "site.delete", f"the OceanSite was deleted; {what}")


async def _say_blocked(site: Site, runtime: Runtime, error: VaultError | DatabaseError) -> None:
    message = f"{error} {EXPLANATIONS[Reason.RELEASE_BLOCKED].remedy}"
    verdict = Verdict(type=ConditionType.STALLED, status="True", reason=Reason.RELEASE_BLOCKED, message=message)
    conditions = with_verdict(site.status.conditions, verdict, generation=site.generation, now=runtime.clock())
    if conditions == site.status.conditions:
        return
    status = site.status.model_copy(update={"conditions": conditions, "summary": Reason.RELEASE_BLOCKED.value})
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": site.key.name, "namespace": site.key.namespace, "uid": site.uid},
        "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    answer = await runtime.cluster.apply(body, manager=names.STATUS_FIELD_MANAGER, subresource="status")
    runtime.observed.saw_site(answer)


async def _record_force(site: Site, runtime: Runtime, why: str, error: VaultError | DatabaseError) -> None:
    """Leave a trace of a forced release wherever one can be left: log, event, and the audit table if it answers."""
    log.warning("site force-released", site=str(site.key), reason=error.reason.value, why=why[:200])
    note = f"Released although {error.reason.value}: {why[:200]}"
    await runtime.cluster.create(event(site, "Warning", Reason.FORCE_RELEASED, note, now=runtime.clock()))
    if runtime.stores is not None:
        try:
            await runtime.stores.database.audit(site.key, "site.force-release", note)
        except DatabaseError:
            log.warning("force-release not in the audit table; the event and this log have it", site=str(site.key))


async def _drop_finalizer(site: Site, runtime: Runtime) -> None:
    """By not applying it any more, which no other change of the object can hinder.

    By a patch where it is another manager's as well: a backup was restored, or a manifest names it.
    """
    meta = {"name": site.key.name, "namespace": site.key.namespace, "uid": site.uid}
    body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": meta}
    try:
        answer = await runtime.cluster.apply(body, manager=names.FINALIZER_FIELD_MANAGER)
        left = answer["metadata"].get("finalizers") or []
        if names.FINALIZER in left:
            others = [name for name in left if name != names.FINALIZER]
            patch = {"finalizers": others, "resourceVersion": answer["metadata"]["resourceVersion"]}
            await runtime.cluster.merge(names.KIND, site.key.namespace, site.key.name, {"metadata": patch})
    except ClusterError as error:
        if not error.is_missing:
            raise
