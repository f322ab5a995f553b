"""The status of a clinic: computed anew from what is observed on every pass, never patched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from ocean_api import names
from ocean_api.conditions import Condition, ConditionType, Truth, Verdict, with_verdict
from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.report import CheckReport, SyncReport, Trigger
from ocean_api.v1alpha1.spec import ALL_PROVIDERS, OceanSiteSpec, warnings_for
from ocean_api.v1alpha1.status import (
    ActionsStatus,
    Banner,
    ChildStatus,
    HandOver,
    KeyStatus,
    OceanSiteStatus,
    ProvidersStatus,
    SyncStatus,
)
from ocean_operator.core.facts import (
    Facts,
    check_is_current,
    check_waits_until,
    key_accepted,
    may_work,
    refused,
)
from ocean_operator.core.intake import not_taken
from ocean_operator.core.platform import Platform
from ocean_operator.core.queue import health, late_at
from ocean_operator.core.schedule import RECENT_INTERVAL, next_full, next_recent, slots
from ocean_operator.core.site import Site
from ocean_operator.core.validate import Finding

STALE_AFTER: Final = 2 * RECENT_INTERVAL + timedelta(minutes=10)
_LONGEST_RUN: Final = timedelta(minutes=55)
_SHOWN_UNSELECTED: Final = 50

_WAITING: Final = frozenset(
    {
        Reason.NOT_CHECKED,
        Reason.KEY_PENDING,
        Reason.SYNC_PENDING,
        Reason.SYNC_RUNNING,
        Reason.RECONCILING,
    }
)
"""Reasons that pass by themselves within seconds or minutes."""

_NEEDS_A_PERSON: Final = frozenset(
    {
        Reason.SPEC_INVALID,
        Reason.ADDRESS_FORBIDDEN,
        Reason.SITE_NUMBER_TAKEN,
        Reason.KEY_SECRET_INVALID,
        Reason.KEY_SECRET_EXPOSED,
        Reason.KEY_SECRET_FORBIDDEN,
        Reason.KEY_WEAK,
        Reason.KEY_ALREADY_STORED,
        Reason.SEK_MISMATCH,
        Reason.CREDENTIALS_SECRET_INVALID,
        Reason.EMR_AUTH_REFUSED,
        Reason.EMR_PERMISSION_DENIED,
        Reason.OCEAN_ACCESS_REFUSED,
        Reason.NO_PROVIDER_SELECTED,
        Reason.REMOVAL_HELD,
    }
)
"""Reasons that stay until a person acts: kstatus calls such an object failed."""

_BESIDE: Final = frozenset({Reason.MESSAGES_HELD})
"""Reasons that ask for a person while the clinic is served all the same: Ready stays True (design record 012)."""

_AT_REST: Final = {
    ConditionType.KEY_STORED: "No check reads the key back",
    ConditionType.AUTHORIZED: "The credentials are not tried",
    ConditionType.SYNCED: "Nothing is synchronised",
}
"""What a clinic that is switched off waits with."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a pass found, in the form the status is made from."""

    facts: Facts
    findings: Sequence[Finding] = ()
    children: Sequence[ChildStatus] = ()
    answered: Mapping[str, str] = field(default_factory=dict)
    """Requests handled in this pass: annotation to token."""


def next_status(site: Site, platform: Platform, seen: Observation, *, now: datetime) -> OceanSiteStatus:
    """The status to write; equal to `site.status` when nothing of meaning changed.

    Conditions keep their order and their times (see `with_verdict`).
    """
    verdicts = _verdicts(site, platform, seen, now)
    conditions: tuple[Condition, ...] = site.status.conditions
    for verdict in verdicts:
        conditions = with_verdict(conditions, verdict, generation=site.generation, now=now)
    report = seen.facts.check
    return OceanSiteStatus(
        observed_generation=site.generation,
        conditions=conditions,
        summary=_summary(verdicts),
        integration=_integration(report.interface, verified=report.verified) if report and report.interface else "",
        sync=_sync(site, platform, seen.facts, now),
        providers=_providers(site, seen.facts),
        queue=seen.facts.queue,
        key=seen.facts.key or KeyStatus(),
        children=tuple(seen.children),
        actions=_actions(site, seen.answered),
    )


def look_again(site: Site, platform: Platform, facts: Facts, now: datetime) -> datetime | None:
    """When this status may have to change although nothing happens: a run is overdue, or messages are late."""
    moments = [late_at(facts), facts.worker_missed_at, check_waits_until(site, facts)]
    if may_work(site, facts):
        slot = slots(site.key, full_window_minutes=platform.full_window_minutes)
        moments.append(next_recent(slot, now) + timedelta(minutes=10))
    return min((moment for moment in moments if moment and moment > now), default=None)


def key_was_well(status: OceanSiteStatus) -> bool:
    """Whether `status` is a good memory of the key: why one is wrong or missing, only Vault and its Secret tell."""
    return status.key.version > 0 and _stored(status) in {"True", "Unknown"}


def is_settled(status: OceanSiteStatus, generation: int) -> bool:
    """Whether nothing is left to do in Vault and database for a spec of this generation, as far as `status` knows."""
    key = status.key
    settled = key.version > 0 and key.hand_over is HandOver.NONE and _stored(status) == "True"
    return settled and status.observed_generation == generation


def _stored(status: OceanSiteStatus) -> Truth | None:
    return next((c.status for c in status.conditions if c.type == ConditionType.KEY_STORED), None)


def _verdicts(site: Site, platform: Platform, seen: Observation, now: datetime) -> list[Verdict]:
    """Ready, Reconciling, Stalled, then the checks in the order in which a person should look at them."""
    checks = [
        _config_valid(site, seen),
        _key_stored(site, platform, seen),
        _authorized(site, seen.facts),
        _synced(site, seen.facts, now),
        _verdict(ConditionType.QUEUE_HEALTHY, *health(site, seen.facts, now)),
    ]
    worst = _worst([check for check in checks if check.reason not in _BESIDE])
    beside = next((check.message for check in checks if check.reason in _BESIDE), "")
    return [_ready(site, worst, seen.facts, beside), _reconciling(site, worst), _stalled(worst), *checks]


def _worst(checks: Sequence[Verdict]) -> Verdict:
    """The first check that is False; without one, the first that is not yet known; the last one if all are True.

    What is known to be wrong comes first: a key often waits only because of a Secret that is not there.
    """
    for status in ("False", "Unknown"):
        for check in checks:
            if check.status == status:
                return check
    return checks[-1]


def _summary(verdicts: Sequence[Verdict]) -> Reason:
    """The one word of the column REASON: what keeps the clinic from being served, or what it needs beside that."""
    ready, _, _, *checks = verdicts
    if ready.reason is Reason.SITE_NOT_READY:
        return _worst([check for check in checks if check.reason not in _BESIDE]).reason
    if ready.status == "True":
        return next((check.reason for check in checks if check.reason in _BESIDE), ready.reason)
    return ready.reason


def _verdict(kind: ConditionType, status: Truth, reason: Reason, message: str = "") -> Verdict:
    """Where nothing particular is to be said of what is not True, a person still reads what it means and what to do."""
    said = message if message or status == "True" else _explained(reason)
    return Verdict.model_construct(type=kind, status=status, reason=reason, message=said[:1024])


def _explained(reason: Reason) -> str:
    explanation = EXPLANATIONS[reason]
    return f"{explanation.meaning} {explanation.remedy}".rstrip()


def _rest(site: Site) -> str:
    """Until when no pod of the clinic runs, or an empty string."""
    if site.spec is not None and not site.spec.is_enabled:
        return "spec.enabled is true"
    return "spec.suspend is false" if site.spec is not None and site.spec.suspend else ""


def _ready(site: Site, worst: Verdict, facts: Facts, beside: str) -> Verdict:
    rest = _rest(site)
    if rest:
        reason = Reason.SUSPENDED if site.spec is not None and site.spec.is_enabled else Reason.NOT_ENABLED
        left = " A Secret with its key in the clear is left: see KeyStored." if _left(facts) else ""
        return _verdict(ConditionType.READY, "False", reason, f"Nothing runs until {rest}.{left}")
    if worst.status == "True":
        return _verdict(ConditionType.READY, "True", Reason.SITE_READY, beside)
    message = f"{worst.type} is {worst.status}, {worst.reason}: {worst.message}"
    return _verdict(ConditionType.READY, "False", Reason.SITE_NOT_READY, message)


def _reconciling(site: Site, worst: Verdict) -> Verdict:
    if not _rest(site) and worst.status == "Unknown" and worst.reason in _WAITING:
        return _verdict(ConditionType.RECONCILING, "True", Reason.RECONCILING, f"{worst.type}: {worst.message}")
    return _verdict(ConditionType.RECONCILING, "False", Reason.UP_TO_DATE)


def _stalled(worst: Verdict) -> Verdict:
    if worst.status != "True" and worst.reason in _NEEDS_A_PERSON:
        return _verdict(ConditionType.STALLED, "True", worst.reason, worst.message)
    return _verdict(ConditionType.STALLED, "False", Reason.AS_EXPECTED)


def _config_valid(site: Site, seen: Observation) -> Verdict:
    kind = ConditionType.CONFIG_VALID
    if site.spec is None:
        return _verdict(kind, "False", Reason.SPEC_INVALID, site.spec_problem)
    if seen.findings:
        said = "; ".join(f.message for f in seen.findings)
        return _verdict(kind, "False", seen.findings[0].reason, said)
    spoilt = [c for c in seen.children if not c.healthy]
    if spoilt:
        said = "; ".join(f"{c.kind} {c.name}: {c.reason}" for c in spoilt)
        return _verdict(kind, "False", Reason.CHILD_REFUSED, said)
    return _verdict(kind, "True", Reason.SPEC_VALID, "; ".join(warnings_for(site.spec)))


def _key_stored(site: Site, platform: Platform, seen: Observation) -> Verdict:
    """Whatever becomes of the key, a Secret that holds one in the clear is told of as well."""
    verdict = _key(site, platform, seen)
    left, secret = _left(seen.facts), site.spec.key.secret_name if site.spec else None
    if left is HandOver.NOT_TAKEN:
        reason = Reason.KEY_ALREADY_STORED if verdict.status == "True" else verdict.reason
        said = not_taken(secret)
    elif left is HandOver.TAKEN:
        reason, rest = verdict.reason, _rest(site)
        way = f"Go on so that {rest}, or delete it yourself" if rest else "If it stays, see KeySecretForbidden"
        said = f"Secret {secret} holds the key in the clear; it is deleted once a check has read the key back. {way}."
    else:
        return verdict
    return _verdict(verdict.type, verdict.status, reason, f"{verdict.message} {said}".lstrip())


def _left(facts: Facts) -> HandOver:
    return facts.key.hand_over if facts.key else HandOver.NONE


def _key(site: Site, platform: Platform, seen: Observation) -> Verdict:  # noqa: PLR0911 - one line each
    kind, facts = ConditionType.KEY_STORED, seen.facts
    if not platform.has_stores:
        return _verdict(kind, "False", Reason.VAULT_NOT_CONFIGURED)
    if facts.key_problem:
        return _verdict(kind, "False", facts.key_problem.reason, facts.key_problem.message)
    if facts.key is None:
        blocked = site.spec is None or seen.findings
        said = "Vault is asked once ConfigValid is True." if blocked else "Vault was not asked yet. It takes seconds."
        return _verdict(kind, "Unknown", Reason.NOT_CHECKED, said)
    if facts.key.version == 0:
        return _verdict(kind, "False", Reason.KEY_MISSING)
    if facts.check is None or _tried(facts.check) not in {(None, ""), (facts.key.version, facts.key.fingerprint)}:
        return _pending(kind, Reason.KEY_PENDING, site, facts)
    if facts.check.key:
        return _verdict(kind, "False", facts.check.key.reason, facts.check.key.message)
    if not facts.check.key_tried:
        said = "The key was read back, and could not be tried at Ocean yet; the condition Authorized says why."
        return _verdict(kind, "Unknown", Reason.KEY_PENDING, said)
    if not facts.check.key_compared:
        said = "Ocean has nothing encrypted with a key yet; enter the key at Ocean."
        return _verdict(kind, "True", Reason.KEY_NOT_KNOWN_TO_OCEAN, said)
    return _verdict(kind, "True", Reason.KEY_ACCEPTED)


def _tried(check: CheckReport) -> tuple[int | None, str]:
    """Which key a check has looked at; none where Vault had none or was not reached."""
    return check.key_version, check.key_fingerprint


def _pending(kind: ConditionType, reason: Reason, site: Site, facts: Facts, message: str = "") -> Verdict:
    """Waiting for a pod, for a person because the pod cannot start, or for the clinic to be switched on."""
    if facts.pod_problem:
        return _verdict(kind, "False", Reason.POD_NOT_STARTING, facts.pod_problem)
    rest = _rest(site)
    return _verdict(kind, "Unknown", reason, f"{_AT_REST[kind]} until {rest}." if rest else message)


def _authorized(site: Site, facts: Facts) -> Verdict:
    kind = ConditionType.AUTHORIZED
    problem = refused(site, facts)
    if problem:
        return _verdict(kind, "False", problem.reason, problem.message)
    if not key_accepted(site, facts) or not check_is_current(site, facts):
        wrong = facts.key_problem or (facts.check and facts.check.key)
        untried = wrong or facts.key is None or facts.key.version == 0
        said = "Credentials are tried once the key is right: see KeyStored." if untried else ""
        return _pending(kind, Reason.NOT_CHECKED, site, facts, said)
    return _verdict(kind, "True", Reason.ACCESS_ACCEPTED)


def _synced(site: Site, facts: Facts, now: datetime) -> Verdict:  # noqa: PLR0911 - one line each
    kind = ConditionType.SYNCED
    spec = site.spec
    if spec is None:
        return _verdict(kind, "Unknown", Reason.NOT_CHECKED, "Nothing is synchronised until ConfigValid is True.")
    if not spec.integrated:
        return _verdict(kind, "True", Reason.NOT_APPLICABLE, "This clinic has no EMR to synchronise with.")
    if not spec.schedule.providers:
        return _verdict(kind, "False", Reason.NO_PROVIDER_SELECTED, _choose(facts))
    report = facts.sync
    if report and report.problem:
        return _verdict(kind, "False", report.problem.reason, report.problem.message)
    if report is None or report.last_full is None:
        if report is not None and report.running is not None:
            return _pending(kind, Reason.SYNC_RUNNING, site, facts)
        said = "" if may_work(site, facts) else "It begins once KeyStored and Authorized are True."
        return _pending(kind, Reason.SYNC_PENDING, site, facts, said)
    last = _newest(report)
    if may_work(site, facts) and now - last > STALE_AFTER:
        said = f"The last synchronisation that succeeded was at {last:%Y-%m-%dT%H:%M:%SZ}. Ask for a whole one."
        return _verdict(kind, "False", Reason.SYNC_STALE, said)
    return _verdict(kind, "True", Reason.SYNC_SUCCEEDED)


def _newest(report: SyncReport) -> datetime:
    return max(run.finished_at for run in (report.last_recent, report.last_full) if run)


def _choose(facts: Facts) -> str:
    known = facts.check.providers if facts.check else ()
    listed = ", ".join(f"{p.id} ({p.name})" for p in known[:10])
    hint = f" The EMR knows: {listed}{', …' if len(known) > 10 else ''}." if listed else ""  # noqa: PLR2004
    return f"Set spec.schedule.providers to the EMR's ids, or to All.{hint}"


def _integration(interface: str, *, verified: bool) -> str:
    return interface if verified else f"{interface} (unverified profile)"


def _sync(site: Site, platform: Platform, facts: Facts, now: datetime) -> SyncStatus:
    report, spec = facts.sync, site.spec
    slot = slots(site.key, full_window_minutes=platform.full_window_minutes)
    planned = may_work(site, facts) and spec is not None
    running = report.running if report else None
    return SyncStatus(
        running=running.kind if running and now - running.since < _LONGEST_RUN else "",
        banner=_banner(report),
        last_recent=report.last_recent.finished_at if report and report.last_recent else None,
        last_full=report.last_full.finished_at if report and report.last_full else None,
        next_recent=next_recent(slot, now) if planned else None,
        next_full=next_full(slot, ZoneInfo(spec.time_zone), now) if planned and spec else None,
        counts=report.last_full.counts if report and report.last_full else None,
        last_error=report.problem if report else None,
    )


def _banner(report: SyncReport | None) -> Banner:
    if report is None or report.problem or report.last_trigger is None:
        return Banner.NONE
    return Banner.BLUE if report.last_trigger is Trigger.SCHEDULED else Banner.GREEN


def _providers(site: Site, facts: Facts) -> ProvidersStatus:
    known = facts.check.providers if facts.check else ()
    chosen = _chosen(site.spec, [p.id for p in known]) if site.spec else ()
    ids = {p.id for p in known}
    return ProvidersStatus(
        known=len(known),
        selected=len([c for c in chosen if c in ids]),
        unselected=tuple(p for p in known if p.id not in chosen)[:_SHOWN_UNSELECTED],
        unknown=tuple(c for c in chosen if known and c not in ids),
    )


def _chosen(spec: OceanSiteSpec, known: list[str]) -> tuple[str, ...]:
    chosen = spec.schedule.providers
    return tuple(known) if isinstance(chosen, str) and chosen == ALL_PROVIDERS else tuple(chosen)


def _actions(site: Site, answered: Mapping[str, str]) -> ActionsStatus:
    old = site.status.actions
    return ActionsStatus(
        sync_recent=answered.get(names.SYNC_RECENT_REQUEST, old.sync_recent),
        sync_full=answered.get(names.SYNC_FULL_REQUEST, old.sync_full),
        reauthorize=answered.get(names.REAUTHORIZE_REQUEST, old.reauthorize),
        retry_held=answered.get(names.RETRY_HELD_REQUEST, old.retry_held),
    )
