"""What a synchronisation says about itself: the row `sync` of `site_state`, changed in pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ocean_api.reasons import Reason
from ocean_api.report import CheckReport, Problem, Run, Running, SyncKind, SyncReport
from ocean_emr.problems import problem
from ocean_emr.records import ProviderId
from ocean_emr.sync.decide import Selection

_REMEMBERED: Final = 10
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Reading:
    """What the EMR's answer leaves open."""

    unseen: tuple[ProviderId, ...]
    """Chosen providers whom the EMR does not show."""
    doubts: tuple[str, ...]
    """Why something may be missing, as sentences."""

    @property
    def complete(self) -> bool:
        """Whether what was not read is not there."""
        return not self.unseen and not self.doubts

    def reservation(self, at: datetime) -> Problem | None:
        """What a person should know about it."""
        if self.unseen:
            said = f"The EMR does not show {_some(self.unseen)}. Nothing was removed."
            return problem(Reason.PROVIDER_UNKNOWN, said, at)
        if self.doubts:
            return problem(Reason.SYNC_INCOMPLETE, f"{' '.join(self.doubts)} Nothing was removed.", at)
        return None


def nobody(chosen: Selection, at: datetime) -> Problem:
    """Why no schedule at all can be read."""
    if chosen.everybody:
        return problem(Reason.PROVIDER_UNKNOWN, "The EMR shows no active provider at all.", at)
    if chosen.unknown:
        said = f"The EMR shows none of the chosen providers ({_some(chosen.unknown)})."
        return problem(Reason.PROVIDER_UNKNOWN, said, at)
    return problem(Reason.NO_PROVIDER_SELECTED, "No provider is selected.", at)


def already_answered(report: SyncReport, kind: SyncKind, token: str, window: str) -> bool:
    """Whether a run that names the same request has come to its end: its pod was lost before it could say so.

    A full run that was asked for because of the settings counts only as long as they are the last ones used: they
    may have been changed and changed back.
    """
    return bool(token) and token in report.handled and (kind is SyncKind.RECENT or report.window == window)


def refusal_id(report: SyncReport) -> str:
    """Which refusal stands; empty when none does. One that has no name is known by its time."""
    if report.refusal is None:
        return ""
    return report.refusal_id or f"at {report.refusal.at.isoformat()}"


def known_to(check: CheckReport, report: SyncReport) -> bool:
    """Whether `check` was made in the knowledge of the refusal that stands.

    Only names tell: a check can be at work while a synchronisation is refused, and their clocks may differ. Rows from
    before there were names have nothing but their time.
    """
    if check.knew is None:
        return report.refusal is not None and not report.refusal_id and check.at > report.refusal.at
    return check.knew == refusal_id(report)


def refused_before(report: SyncReport, check: CheckReport | None, digest: str) -> Problem | None:
    """How a synchronisation was refused with the credentials of that digest; None if they may be shown.

    What was refused is refused until the Secret holds something else, or a check, which a person asks for, finds
    that it is accepted again. A check that found fault with the key did not ask the EMR.
    """
    if report.refused != digest or report.refusal is None:
        return None
    accepted = check is not None and check.access is None and check.key is None and known_to(check, report)
    return None if accepted else report.refusal


def begun(report: SyncReport, kind: SyncKind, at: datetime) -> SyncReport:
    """A run is under way."""
    return report.model_copy(update={"running": Running(kind=kind, since=at)})


def sealed_with(report: SyncReport, key: str) -> SyncReport:
    """What is remembered of Ocean is sealed under the clinic's key of that name from now on."""
    return report.model_copy(update={"key": key})


def succeeded(  # noqa: PLR0913 - keywords, the facts of one run
    report: SyncReport,
    run: Run,
    *,
    kind: SyncKind,
    window: str,
    token: str,
    reservation: Problem | None,
    held: int | None = None,
    held_by: str = "",
) -> SyncReport:
    """A run has come to its end.

    Args:
        report: As it was.
        run: The facts.
        kind: Of the run.
        window: Digest of the settings, if the operator gave one.
        token: Of the request, if there was one.
        reservation: What the run could not do all the same.
        held: How many removals it holds back; None when it could not tell, as after an incomplete answer. Then, and
            after a recent run, what was held before stays held.
        held_by: The run's id, to know them by.
    """
    full = kind is SyncKind.FULL
    if not full or held is None:
        held, held_by = report.held, report.held_by
    if reservation is None and held:
        reservation = _held_back(held, run.finished_at if full else _held_since(report, run))
    return report.model_copy(
        update={
            "running": None,
            "last_full": run if full else report.last_full,
            "last_recent": report.last_recent if full else run,
            "last_trigger": run.trigger,
            "window": (window or report.window) if full else report.window,
            "problem": reservation,
            "refused": "",
            "refusal": None,
            "refusal_id": "",
            "held": held,
            "held_by": held_by if held else "",
            "handled": (*report.handled, token)[-_REMEMBERED:] if token else report.handled,
        }
    )


def failed(report: SyncReport, trouble: Problem, *, refused: str = "", refusal_id: str = "") -> SyncReport:
    """A run has failed. `refused` is the digest of credentials that must not be used again, if so by `refusal_id`."""
    refusal = {"refused": refused, "refusal": trouble, "refusal_id": refusal_id} if refused else {}
    return report.model_copy(update={"running": None, "problem": trouble, **refusal})


def ended(report: SyncReport) -> SyncReport:
    """No run is under way any more, and nothing else is to be said."""
    return report.model_copy(update={"running": None})


def interrupted(report: SyncReport, at: datetime) -> SyncReport:
    """A run was told to stop."""
    said = "The run was told to stop before it was done."
    return failed(report, problem(Reason.SYNC_INTERRUPTED, said, at))


def _held_since(report: SyncReport, run: Run) -> datetime:
    return report.last_full.finished_at if report.last_full else run.finished_at


def _held_back(number: int, at: datetime) -> Problem:
    said = f"{number} appointments are gone from the EMR's schedule all at once; they were not removed from Ocean."
    return problem(Reason.REMOVAL_HELD, said, at)


def _some(names: Sequence[str]) -> str:
    """The first few of `names`."""
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest
