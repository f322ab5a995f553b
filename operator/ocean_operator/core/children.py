"""Which objects a clinic has: the whole truth, from its spec and whether its work may run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ocean_operator.core.parts.config_map import config_map
from ocean_operator.core.parts.cron_jobs import full_cron_job, recent_cron_job
from ocean_operator.core.parts.network_policy import network_policy
from ocean_operator.core.parts.service_account import service_account
from ocean_operator.core.parts.worker import worker
from ocean_operator.core.platform import Platform
from ocean_operator.core.site import Manifest, Site

KINDS: Final = ("ServiceAccount", "ConfigMap", "NetworkPolicy", "CronJob", "Deployment")
"""Every kind `desired_children` may contain: what is found of these and not desired is deleted."""


def desired_children(
    site: Site, platform: Platform, *, may_work: bool, may_deliver: bool = False
) -> tuple[Manifest, ...]:
    """Every object the cluster must hold for `site`, in the order to apply them.

    What is not in the answer is deleted. A clinic whose key or credentials are not accepted has its CronJobs
    suspended rather than left out, so that `kubectl get cronjobs` shows when they will run. Its worker is left out, and
    its messages wait in the queue.

    Args:
        site: With a readable spec.
        platform: What the installation adds.
        may_work: Whether synchronisations may start by the clock.
        may_deliver: Whether messages may be written to the EMR.
    """
    spec = site.spec
    if spec is None:
        raise ValueError("a clinic without a readable spec has no desired children")
    children: Sequence[Manifest] = (
        service_account(site),
        network_policy(site, spec, platform),
        config_map(site, spec, platform),
    )
    if not spec.integrated:
        return tuple(children)
    return (
        *children,
        recent_cron_job(site, spec, platform, suspended=not may_work),
        full_cron_job(site, spec, platform, suspended=not may_work),
        *((worker(site, spec, platform),) if may_deliver and platform.has_stores else ()),
    )
