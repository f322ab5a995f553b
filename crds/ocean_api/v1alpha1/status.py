"""The status of an OceanSite: what is. Written by the operator alone, coarse enough not to churn."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ocean_api.base import ApiModel, Moment
from ocean_api.conditions import Condition
from ocean_api.report import Counts, Problem, ProviderName


class Banner(StrEnum):
    """Ocean's coloured bar: both colours are healthy."""

    GREEN = "Green"
    BLUE = "Blue"
    NONE = "None"


class SyncStatus(ApiModel):
    """Where synchronisation stands."""

    running: str = ""
    """`Recent` or `Full` while one is under way, else empty."""
    banner: Banner = Banner.NONE
    """Green: the initial, changed or requested synchronisation succeeded. Blue: the last scheduled one did. None:
    neither; reconfigure."""
    last_recent: Moment | None = None
    """When a recent synchronisation last succeeded."""
    last_full: Moment | None = None
    """When a full synchronisation last succeeded."""
    next_recent: Moment | None = None
    """When the next recent one is due; absent while nothing is scheduled."""
    next_full: Moment | None = None
    """When the next full one is due; absent while nothing is scheduled."""
    counts: Counts | None = None
    """What the last full synchronisation did."""
    last_error: Problem | None = None
    """Why the last synchronisation failed or was not complete."""


class ProvidersStatus(ApiModel):
    """The EMR's providers, so that a person can choose among them."""

    known: int = 0
    """How many the EMR shows."""
    selected: int = 0
    """How many of them are synchronised."""
    unselected: Annotated[tuple[ProviderName, ...], Field(max_length=50)] = ()
    """Those that are not, at most 50."""
    unknown: tuple[str, ...] = ()
    """Chosen ids that the EMR does not show."""


class QueueStatus(ApiModel):
    """Messages from Ocean that have not reached the EMR. What takes no longer than a minute is not counted."""

    waiting: int = 0
    """How many wait to be delivered, once one of them has waited for more than a minute. Rounded down from 10 on, to
    1, 2 or 5 followed by zeros: the metric `ocean_messages_waiting` is exact."""
    oldest_at: Moment | None = None
    """When the oldest of them came; absent while none waits."""
    held: int = 0
    """How many could not be delivered and wait for a person: `oceanctl messages list` shows them."""
    held_since: Moment | None = None
    """When the oldest of those came; absent while none is held."""


class HandOver(StrEnum):
    """Whether the Secret that hands over the key lies in the cluster, with a key in the clear."""

    NONE = ""
    TAKEN = "Taken"
    NOT_TAKEN = "NotTaken"


class KeyStatus(ApiModel):
    """The key in Vault; never the key itself."""

    fingerprint: str = ""
    """A random id given when the key was stored. It says nothing about the key."""
    version: int = 0
    """Version in Vault's KV store."""
    stored_at: Moment | None = None
    """When this version was stored."""
    source: str = ""
    """How it came: `Generate` or `Secret`."""
    hand_over: HandOver = HandOver.NONE
    """Set while the Secret that the spec names lies in the cluster, with a key in the clear. `Taken`: its key is in
    Vault, and it is deleted once a check has read the key back. `NotTaken`: a key was accepted before; delete it."""


class ChildStatus(ApiModel):
    """One object the operator made for the clinic."""

    kind: str
    """Kubernetes kind."""
    name: str
    """Object name; the namespace is the site's."""
    hash: str = ""
    """Digest of the object as it was last applied; another digest means somebody edited it."""
    healthy: bool = True
    """False when it is missing, refused or failing."""
    reason: str = ""
    """Why not."""


class ActionsStatus(ApiModel):
    """The last handled token of each request annotation."""

    sync_recent: str = ""
    """Of `ocean.cloudconnect.dev/sync-recent`."""
    sync_full: str = ""
    """Of `ocean.cloudconnect.dev/sync-full`."""
    reauthorize: str = ""
    """Of `ocean.cloudconnect.dev/reauthorize`."""
    retry_held: str = ""
    """Of `ocean.cloudconnect.dev/retry-held`."""


class OceanSiteStatus(ApiModel):
    """What the operator found."""

    observed_generation: int = 0
    """The `metadata.generation` this status describes."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = ()
    """Answers to standing questions, each with its reason."""
    summary: str = ""
    """The reason to show in one column: that of the first condition that is not as it should be."""
    integration: str = ""
    """How the EMR's interface presented itself, and whether it rests on a vendor's document or on a profile of ours."""
    sync: SyncStatus = SyncStatus()
    """Where synchronisation stands."""
    providers: ProvidersStatus = ProvidersStatus()
    """The EMR's providers."""
    queue: QueueStatus = QueueStatus()
    """Messages from Ocean that have not reached the EMR."""
    key: KeyStatus = KeyStatus()
    """The key in Vault."""
    children: tuple[ChildStatus, ...] = ()
    """Objects made for the clinic."""
    actions: ActionsStatus = ActionsStatus()
    """Requests already handled."""
