"""What a synchronisation says about itself: the row `sync` of `site_state`, changed in pure functions."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ocean_api.report import Counts, Problem, Run, Running, SyncKind, SyncReport, Trigger

_REMEMBERED: Final = 10


def begun(report: SyncReport, kind: SyncKind, at: datetime) -> SyncReport:
    """A run is under way."""
    return report.model_copy(update={"running": Running(kind=kind, since=at)})


def succeeded(  # noqa: PLR0913 - keywords, the facts of one run
    report: SyncReport,
    *,
    kind: SyncKind,
    trigger: Trigger,
    counts: Counts,
    started_at: datetime,
    finished_at: datetime,
    window: str,
    token: str,
    problem: Problem | None,
    held: int,
) -> SyncReport:
    """A run has come to its end.

    `problem` is what it could not do all the same, such as removals held back. A recent run without one does
    not take back what the last full run said of its own: held removals stay held until a full run agrees.
    """
    run = Run(started_at=started_at, finished_at=finished_at, trigger=trigger, counts=counts)
    full = kind is SyncKind.FULL
    keeps = problem is None and not full and report.held > 0
    return report.model_copy(
        update={
            "running": None,
            "last_full": run if full else report.last_full,
            "last_recent": report.last_recent if full else run,
            "last_trigger": trigger,
            "window": window if full else report.window,
            "problem": report.problem if keeps else problem,
            "refused": "",
            "held": held if full else report.held,
            "handled": _handled(report, token),
        }
    )


def failed(report: SyncReport, problem: Problem, *, token: str, refused: str = "") -> SyncReport:
    """A run has failed. `refused` is the digest of credentials that must not be tried again."""
    return report.model_copy(
        update={
            "running": None,
            "problem": problem,
            "refused": refused or report.refused,
            "handled": _handled(report, token),
        }
    )


def ended(report: SyncReport) -> SyncReport:
    """No run is under way any more, and nothing else is to be said."""
    return report.model_copy(update={"running": None})


def _handled(report: SyncReport, token: str) -> tuple[str, ...]:
    return (*report.handled, token)[-_REMEMBERED:] if token else report.handled
