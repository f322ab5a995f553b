"""What the watches and the answers to our own writes have shown: the operator's picture of the cluster.

Only what decisions need is kept, a few hundred bytes an object. Older news never overwrites newer: resource
versions of one resource can be compared as numbers (Kubernetes, "Resource versions", KEP-5504).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ocean_api import names
from ocean_api.v1alpha1.status import QueueStatus
from ocean_operator.core.parts.worker import WORKER_COMPONENT
from ocean_operator.core.plan import ChildId, ObservedChild, child_id, live_digest
from ocean_operator.core.pods import Away, away
from ocean_operator.core.site import Manifest, Site, SiteKey, read_site, requests_in
from ocean_operator.core.validate import Neighbours
from ocean_operator.packed import pack, unpack

_REMEMBERED_DEAD: Final = 10_000
_NOTHING: Final[Mapping[ChildId, ObservedChild]] = {}


@dataclass(frozen=True, slots=True)
class _Kept:
    """What must be at hand of a site; the rest is read from `packed` when a pass asks for it."""

    key: SiteKey
    uid: str
    resource_version: int
    creation: str
    site_number: str
    asks: tuple[Any, ...]
    """Everything but the status: when it changes, somebody wants something."""
    packed: bytes


class Observed:
    """Sites and their children. Every method that takes news says whether it meant anything."""

    def __init__(self) -> None:
        self._sites: dict[SiteKey, _Kept] = {}
        self._children: dict[SiteKey, dict[ChildId, ObservedChild]] = {}
        self._homes: dict[str, SiteKey] = {}
        self._recorded: dict[SiteKey, dict[ChildId, str]] = {}
        self._numbers: dict[str, set[SiteKey]] = {}
        self._pods: dict[SiteKey, dict[str, tuple[str, str]]] = {}
        """Component and problem of each pod that has one, by its name."""
        self._gone: dict[str, int] = {}
        """uid and version of what was lost last: a late answer must not bring it back. A newer one does, since an
        object is also lost to a watch when somebody takes our labels away."""

    # Sites

    def site(self, key: SiteKey) -> Site | None:
        """The clinic as last seen, read anew: a fleet of parsed specs would be the operator's largest possession."""
        kept = self._sites.get(key)
        return read_site(unpack(kept.packed)) if kept else None

    def queue_in_status(self, key: SiteKey) -> QueueStatus:
        """What the clinic's status says of its messages. Read by itself: this is asked of a whole fleet at once."""
        kept = self._sites.get(key)
        raw = (unpack(kept.packed)["status"] or {}).get("queue") if kept else None
        return QueueStatus.model_validate(raw or {})

    def site_keys(self) -> tuple[SiteKey, ...]:
        """Every clinic."""
        return tuple(self._sites)

    def saw_site(self, body: Manifest) -> bool:
        """Take news of a site; False when it is old, or nothing but our own status."""
        news = _keep(body)
        key = news.key
        before = self._sites.get(key)
        if self._is_old(news.uid, news.resource_version, before):
            return False
        self._sites[key] = news
        if before and before.uid != news.uid:
            self._recorded.pop(key, None)
        self._index_number(key, before, news)
        return before is None or before.asks != news.asks

    def lost_site(self, key: SiteKey, uid: str, version: int) -> tuple[SiteKey, ...]:
        """A site is gone. Returns the clinics that had been refused its site number."""
        self._bury(uid, version)
        site = self._sites.get(key)
        if site is None or site.uid != uid:
            return ()
        del self._sites[key]
        self._recorded.pop(key, None)
        self._index_number(key, site, None)
        return tuple(self._numbers.get(site.site_number, ()))

    def neighbours(self, site_number: str) -> Neighbours:
        """Who has `site_number`, the oldest first."""
        holders = self._numbers.get(site_number, ())
        return Neighbours({site_number: tuple(sorted(holders, key=self._age))})

    def _age(self, key: SiteKey) -> tuple[str, SiteKey]:
        return (self._sites[key].creation, key)

    def _index_number(self, key: SiteKey, before: _Kept | None, after: _Kept | None) -> None:
        if before:
            self._numbers.get(before.site_number, set()).discard(key)
        if after:
            self._numbers.setdefault(after.site_number, set()).add(key)

    # Children

    def children(self, key: SiteKey) -> Mapping[ChildId, ObservedChild]:
        """Every child of the clinic, Jobs included."""
        return self._children.get(key, _NOTHING)

    def recorded(self, site: Site) -> Mapping[ChildId, str]:
        """The digest of each child after our last write: remembered, or else what the status says."""
        found = self._recorded.get(site.key)
        if found is None:
            found = {ChildId(c.kind, c.name): c.hash for c in site.status.children}
            self._recorded[site.key] = found
        return found

    def saw_child(self, body: Manifest, key: SiteKey) -> tuple[SiteKey, ...]:
        """Take news of a child, and say to which clinics it means something.

        To none when it is old, or changed nothing that decisions look at; to two when somebody has made it
        another clinic's.
        """
        key, child = self._shared(key, body)
        return self._take_child(child_id(body), child, key)

    def wrote_child(self, body: Manifest, key: SiteKey) -> None:
        """Take the API server's answer to our own write as the state to compare with from now on."""
        key, child = self._shared(key, body)
        self._take_child(child_id(body), child, key)
        self._recorded.setdefault(key, {})[child_id(body)] = child.digest

    def _shared(self, key: SiteKey, body: Manifest) -> tuple[SiteKey, ObservedChild]:
        """With the texts that the site has already: JSON that is read brings new ones each time."""
        site = self._sites.get(key)
        return (site.key, _read_child(body, site.uid)) if site else (key, _read_child(body, ""))

    def _take_child(self, ident: ChildId, child: ObservedChild, key: SiteKey) -> tuple[SiteKey, ...]:
        home = self._homes.get(child.uid, key)
        before = self._children.get(home, _NOTHING).get(ident)
        if self._is_old(child.uid, child.resource_version, before):
            return ()
        if home != key:
            self._remove(ident, child.uid, home)
        self._homes[child.uid] = key
        self._children.setdefault(key, {})[ident] = child
        if home != key:
            return home, key
        return (key,) if before is None or _meaning(before) != _meaning(child) else ()

    def lost_child(self, ident: ChildId, uid: str, key: SiteKey, version: int) -> bool:
        """A child is gone; False when another with its name stands there already."""
        self._bury(uid, version)
        return self._remove(ident, uid, self._homes.pop(uid, key))

    def _remove(self, ident: ChildId, uid: str, key: SiteKey) -> bool:
        children = self._children.get(key, {})
        if ident not in children or children[ident].uid != uid:
            return False
        del children[ident]
        if not children:
            del self._children[key]
        return True

    # Order of news

    def _is_old(self, uid: str, version: int, before: _Kept | ObservedChild | None) -> bool:
        return version <= max(self._gone.get(uid, 0), before.resource_version if before else 0)

    def _bury(self, uid: str, version: int) -> None:
        self._gone[uid] = version
        if len(self._gone) > _REMEMBERED_DEAD:
            del self._gone[next(iter(self._gone))]

    # Pods

    def saw_pod(self, key: SiteKey, name: str, problem: str, *, component: str = "") -> bool:
        """Remember why a pod does not start; an empty problem forgets it."""
        pods = self._pods.setdefault(key, {})
        before = pods.pop(name, None)
        if problem:
            pods[name] = (component, problem)
        if not pods:
            del self._pods[key]
        return (before[1] if before else "") != problem

    def pod_problem(self, key: SiteKey, *, worker: bool = False) -> str:
        """Why the clinic's worker, or one of its other pods, does not start; or an empty string."""
        found = self._pods.get(key, {}).values()
        return next((problem for component, problem in found if (component == WORKER_COMPONENT) is worker), "")

    # For comparison with a LIST

    def versions(self, kind: str) -> dict[tuple[str, str], int]:
        """Resource versions of everything of `kind`, by namespace and name."""
        if kind == names.KIND:
            return {(k.namespace, k.name): site.resource_version for k, site in self._sites.items()}
        return {
            (key.namespace, ident.name): child.resource_version
            for key, children in self._children.items()
            for ident, child in children.items()
            if ident.kind == kind
        }


def owner_key(body: Mapping[str, Any]) -> SiteKey | None:
    """The clinic that `body` belongs to, by its owner or else its label; None for an object without either.

    The label may be empty: no clinic is called that, so nothing follows, but the object is known.
    """
    meta = body["metadata"]
    owner = next((o["name"] for o in meta.get("ownerReferences") or () if o.get("kind") == names.KIND), None)
    name = owner if owner is not None else (meta.get("labels") or {}).get(names.SITE_LABEL)
    return SiteKey(meta["namespace"], name) if name is not None and "namespace" in meta else None


def _keep(body: Manifest) -> _Kept:
    meta = body["metadata"]
    finalizers, requests = tuple(meta.get("finalizers") or ()), requests_in(meta)
    deleting = "deletionTimestamp" in meta
    wanted = ("namespace", "name", "uid", "generation", "resourceVersion", "creationTimestamp", "deletionTimestamp")
    head = {k: meta[k] for k in wanted if k in meta}
    head |= {"finalizers": list(finalizers), "annotations": requests}
    return _Kept(
        key=SiteKey(meta["namespace"], meta["name"]),
        uid=meta["uid"],
        resource_version=int(meta["resourceVersion"]),
        creation=meta.get("creationTimestamp", ""),
        site_number=str((body.get("spec") or {}).get("siteNumber", "")),
        asks=(meta["uid"], meta.get("generation", 0), deleting, finalizers, tuple(sorted(requests.items()))),
        packed=pack({"metadata": head, "spec": body.get("spec"), "status": body.get("status")}),
    )


def _read_child(body: Manifest, expected: str) -> ObservedChild:
    meta = body["metadata"]
    owners = meta.get("ownerReferences") or ()
    owner = next((o["uid"] for o in owners if o.get("kind") == names.KIND), "")
    return ObservedChild(
        uid=meta["uid"],
        owner=expected if owner == expected else owner,
        resource_version=int(meta["resourceVersion"]),
        hash=(meta.get("annotations") or {}).get(names.HASH_ANNOTATION, ""),
        digest="" if body["kind"] == "Job" else live_digest(body),
        deleting="deletionTimestamp" in meta,
        away=away(dict(body)) if body["kind"] == "Deployment" else None,
    )


def _meaning(child: ObservedChild) -> tuple[str, str, str, str, bool, Away | None]:
    return child.uid, child.owner, child.hash, child.digest, child.deleting, child.away
