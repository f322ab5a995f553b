"""From what is desired and what was observed to what must be written: nothing, for most passes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any, Final, NamedTuple

import orjson

from ocean_api import names
from ocean_operator.core.children import KINDS
from ocean_operator.core.pods import Away
from ocean_operator.core.site import Manifest, Site

_OURS: Final = (names.FIELD_MANAGER, "Apply")
_COUNTED_BY_OTHERS: Final = "deployment.kubernetes.io/revision"
"""An annotation with which the Deployments' controller numbers what was rolled out."""
_LEFT_ALONE: Final = {"ServiceAccount": ("f:secrets", "f:imagePullSecrets")}
"""OpenShift's controllers write these into every account and would do so again, for ever."""


class ChildId(NamedTuple):
    """Which child, within the site's namespace."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class ObservedChild:
    """A child as a watch or the answer to a write last showed it. Never its body: a fleet has thousands."""

    uid: str
    owner: str
    """uid of the controlling OceanSite; of an earlier one with the same name while old children are collected;
    empty for a copy that a person made, which is never deleted."""
    resource_version: int
    hash: str
    """Our annotation: what was asked for."""
    digest: str
    """What stands there, defaults and other people's edits included."""
    deleting: bool = False
    away: Away | None = None
    """Of a Deployment: since when none of its pods is ready."""


@dataclass(frozen=True, slots=True)
class Removal:
    """An object to delete, only if it is still this very one."""

    id: ChildId
    namespace: str
    uid: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What must be written, in order."""

    apply: tuple[Manifest, ...]
    remove: tuple[Removal, ...]


def with_hash(child: Manifest) -> Manifest:
    """`child` with the annotation that says what was asked for."""
    annotations = {**child["metadata"].get("annotations", {}), names.HASH_ANNOTATION: _sha(child)}
    return {**child, "metadata": {**child["metadata"], "annotations": annotations}}


def live_digest(body: Manifest) -> str:
    """A digest of an object as the API server holds it: all but bookkeeping and status.

    Compared with the digest of the answer to our own write, it tells whether anybody changed the object
    since: by hand, by another controller, or by a newer API server's defaults (which costs one write).
    """
    meta = body["metadata"]
    kept = {k: v for k, v in body.items() if k not in {"metadata", "status", "apiVersion", "kind"}}
    kept["metadata"] = {k: meta[k] for k in ("labels", "annotations", "ownerReferences", "finalizers") if meta.get(k)}
    if _COUNTED_BY_OTHERS in meta.get("annotations", ()):
        kept["metadata"]["annotations"] = {k: v for k, v in meta["annotations"].items() if k != _COUNTED_BY_OTHERS}
    return _sha(kept)


def _sha(value: object) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:20]


def foreign_fields(body: Manifest) -> tuple[str, ...]:
    """Which of `spec`, `data` and their like hold something that others put into a child of ours.

    Server-side apply leaves standing what it was not told of: a container or an entry that somebody added.
    Labels and annotations are not looked at, since tools that mark every object they meet do no harm.

    Source: Kubernetes, "Server-Side Apply", field management (`managedFields`, FieldsV1).
    """
    entries = body["metadata"].get("managedFields") or ()
    asked: Mapping[str, Any] = next((e["fieldsV1"] for e in entries if (e["manager"], e["operation"]) == _OURS), {})
    others = [e["fieldsV1"] for e in entries if (e["manager"], e["operation"]) != _OURS and not e.get("subresource")]
    left_alone = {"f:metadata", *_LEFT_ALONE.get(body.get("kind", ""), ())}
    found = (name for held in others for name in held if name not in left_alone)
    return tuple(dict.fromkeys(n[2:] for n in found if any(_beyond(held.get(n), asked.get(n)) for held in others)))


def _beyond(held: Mapping[str, Any] | None, asked: Mapping[str, Any] | None) -> bool:
    """Whether a set of fields has one that another set lacks. An empty one is owned with all that is in it."""
    if held is None or asked == {}:
        return False
    return asked is None or any(_beyond(inner, asked.get(name)) for name, inner in held.items())


def child_id(body: Manifest) -> ChildId:
    """Which child `body` is."""
    return ChildId(intern(body["kind"]), body["metadata"]["name"])


def plan(
    site: Site,
    desired: Iterable[Manifest],
    observed: Mapping[ChildId, ObservedChild],
    recorded: Mapping[ChildId, str],
) -> Plan:
    """What to write so that `observed` becomes `desired`.

    Args:
        site: Whose children they are.
        desired: From `desired_children`.
        observed: Everything of the site that exists.
        recorded: `live_digest` of each child's state after our last write.

    A child under deletion is left alone: its end is an event, and brings the next pass.
    """
    apply, wanted = [], set()
    for bare in desired:
        child = with_hash(bare)
        ident = child_id(child)
        wanted.add(ident)
        seen = observed.get(ident)
        if seen is None or (not seen.deleting and _differs(site, child, seen, recorded.get(ident, ""))):
            apply.append(child)
    remove = tuple(
        Removal(ident, site.key.namespace, seen.uid)
        for ident, seen in observed.items()
        if ident.kind in KINDS and ident not in wanted and seen.owner and not seen.deleting
    )
    return Plan(tuple(apply), remove)


def _differs(site: Site, child: Manifest, seen: ObservedChild, recorded: str) -> bool:
    asked = child["metadata"]["annotations"][names.HASH_ANNOTATION]
    return seen.owner != site.uid or seen.hash != asked or seen.digest != recorded
