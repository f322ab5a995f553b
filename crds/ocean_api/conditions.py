"""Conditions: a `Verdict` is what a check found, a `Condition` is a verdict with its time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from ocean_api.base import ApiModel, Moment
from ocean_api.reasons import Reason

Truth = Literal["True", "False", "Unknown"]


class ConditionType(StrEnum):
    """The conditions of an OceanSite.

    `Ready`, `Reconciling` and `Stalled` are kstatus'
    (https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md): `Reconciling` and
    `Stalled` are abnormal-true.
    """

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    CONFIG_VALID = "ConfigValid"
    KEY_STORED = "KeyStored"
    AUTHORIZED = "Authorized"
    SYNCED = "Synced"
    QUEUE_HEALTHY = "QueueHealthy"


class Verdict(ApiModel):
    """What a check found. It holds no time, so no check can stamp one."""

    type: ConditionType
    """Which question was asked."""
    status: Truth
    """The answer."""
    reason: Reason
    """One word for machines; docs/reasons.md explains each."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """For a person: what happened, where, what to do next."""


class Condition(Verdict):
    """A verdict as stored in status (metav1.Condition)."""

    last_transition_time: Moment
    """When `status` last changed."""
    observed_generation: int | None = None
    """The `metadata.generation` the check looked at."""


def with_verdict(
    conditions: Sequence[Condition], verdict: Verdict, *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """`conditions` with `verdict` in the place of its type, or at the end, in otherwise the same order.

    `last_transition_time` moves only when `status` does, never for another reason or wording. Source:
    Kubernetes API conventions, "Typical status properties".
    """
    old = next((c for c in conditions if c.type == verdict.type), None)
    since = old.last_transition_time if old and old.status == verdict.status else now
    new = Condition(
        type=verdict.type,
        status=verdict.status,
        reason=verdict.reason,
        message=verdict.message,
        observed_generation=generation,
        last_transition_time=since,
    )
    if old is None:
        return (*conditions, new)
    return tuple(new if c is old else c for c in conditions)
