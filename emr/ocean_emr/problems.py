"""Problems as reports tell them: what happened, where, and what to do next, in words that are safe to show."""

from __future__ import annotations

import traceback
from datetime import datetime
from pathlib import PurePath
from typing import Final

from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.report import Problem
from ocean_emr.errors import EmrError
from ocean_emr.ocean.errors import OceanError
from ocean_emr.store.errors import StoreError
from ocean_emr.vault.errors import VaultError

KNOWN_ERRORS: Final = (EmrError, OceanError, StoreError, VaultError)
"""Errors whose text is made by us and safe to show."""

_LONGEST: Final = 1024
_PACKAGE: Final = "ocean_emr"


class CredentialsError(Exception):
    """A Secret that the spec names is missing or incomplete. The text names fields, never what they hold."""

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(what)
        self.reason = reason


def problem(reason: Reason, what: str, at: datetime, *, remedy: str | None = None) -> Problem:
    """`what` happened, as a sentence, with the reason's remedy or a better one."""
    advice = EXPLANATIONS[reason].remedy if remedy is None else remedy
    # Cut what happened, not what to do.
    room = _LONGEST - len(advice) - 1
    said = " ".join(what.split())
    if len(said) > room:
        said = f"{said[: room - 1]}…"
    return Problem(reason=reason, message=f"{said} {advice}".strip(), at=at)


def problem_of(error: Exception, at: datetime) -> Problem:
    """`error` as a problem. Of one that is not ours only its class and the place in our code are told."""
    if isinstance(error, EmrError | OceanError):
        return problem(error.reason, error.safe_message, at, remedy=error.remedy)
    if isinstance(error, StoreError | VaultError | CredentialsError):
        return problem(error.reason, str(error), at)
    return problem(Reason.INTERNAL_ERROR, f"{type(error).__name__} at {_place(error)}.", at)


def _place(error: Exception) -> str:
    """The innermost line of ours that `error` went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = next((f for f in reversed(frames) if _PACKAGE in PurePath(f.filename).parts), None)
    if ours is None:
        return "an unknown place"
    parts = PurePath(ours.filename).parts
    return f"{'/'.join(parts[parts.index(_PACKAGE) :])}:{ours.lineno}"
