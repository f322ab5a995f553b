"""The clinic as the core sees it: one OceanSite, read from what the API server holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pydantic

from ocean_api import names
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_api.v1alpha1.status import OceanSiteStatus

Manifest = dict[str, Any]
"""A Kubernetes object as JSON."""


class SiteKey(NamedTuple):
    """Which clinic."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return names.site_id(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class Site:
    """One OceanSite. `spec` is None where it cannot be read; `spec_problem` then says why."""

    key: SiteKey
    uid: str
    generation: int
    resource_version: int
    deleting: bool
    finalizers: tuple[str, ...]
    requests: dict[str, str]
    """Our own annotations, by their full name."""
    creation: str
    spec: OceanSiteSpec | None
    spec_problem: str
    status: OceanSiteStatus

    @property
    def has_finalizer(self) -> bool:
        """Whether deletion waits for us."""
        return names.FINALIZER in self.finalizers


def read_site(body: Manifest) -> Site:
    """The clinic in `body`, an OceanSite as the API server sent it.

    Never raises for its content: the CRD may be older or newer than this operator.
    """
    meta = body["metadata"]
    spec, problem = _read_spec(body.get("spec") or {})
    return Site(
        key=SiteKey(meta["namespace"], meta["name"]),
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        resource_version=int(meta["resourceVersion"]),
        deleting="deletionTimestamp" in meta,
        finalizers=tuple(meta.get("finalizers", ())),
        requests=requests_in(meta),
        creation=meta.get("creationTimestamp", ""),
        spec=spec,
        spec_problem=problem,
        status=read_status(body.get("status") or {}),
    )


def requests_in(meta: Manifest) -> dict[str, str]:
    """Our own annotations among an object's."""
    return {k: v for k, v in (meta.get("annotations") or {}).items() if k.startswith(names.GROUP + "/")}


def _read_spec(raw: Manifest) -> tuple[OceanSiteSpec | None, str]:
    try:
        return OceanSiteSpec.model_validate(raw), ""
    except pydantic.ValidationError as error:
        return None, in_words(error)


def read_status(raw: Manifest) -> OceanSiteStatus:
    """The status in `raw`, without what cannot be read: a newer operator may have written it.

    What is lost is made anew, but for the requests handled, which would be carried out again: so each part is
    read by itself.
    """
    try:
        return OceanSiteStatus.model_validate(raw)
    except pydantic.ValidationError:
        readable = {**raw, "conditions": [c for c in raw.get("conditions") or () if _reads(conditions=[c])]}
        return OceanSiteStatus.model_validate({k: v for k, v in readable.items() if _reads(**{k: v})})


def _reads(**part: Any) -> bool:
    try:
        OceanSiteStatus.model_validate(part)
    except pydantic.ValidationError:
        return False
    return True


def in_words(error: pydantic.ValidationError) -> str:
    """`error` as a person would say it: each field by its path in the YAML, without the value it holds."""
    said = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        path = "spec" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in problem["loc"] if _in_yaml(p))
        said.append(f"{path}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(dict.fromkeys(said))


def _in_yaml(part: int | str) -> bool:
    """Whether a part of pydantic's path is one of the YAML's too, rather than the name of a union's branch."""
    return isinstance(part, int) or part.isidentifier()
