"""What becomes of a message, and of the others, after whatever happened. Pure: no clock, no chance, no database.

One attempt at a delivery is a walk: `next_action` says what to do, somebody does it, and `after_error` says what a
failure means. The rules that must hold, whatever breaks off the walk and wherever:

- the EMR has everything exactly once, or a person is told; so what was sent and not answered is looked for before
  anything else is done with it, and only once the EMR's search can be believed;
- what belongs to one patient goes in order;
- a trouble of the EMR's, or of Ocean's, is none of the message's: then one after the other tries, ever more rarely;
- credentials that were refused are not shown again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from ocean_api.reasons import Reason
from ocean_emr.errors import (
    EmrAuthRefusedError,
    EmrError,
    EmrNotSupportedError,
    EmrOutcomeUnknownError,
    EmrPermissionDeniedError,
    EmrRecordError,
    EmrUnavailableError,
)
from ocean_emr.messages.deliveries import MessageHeldError
from ocean_emr.ocean.errors import (
    OceanAccessRefusedError,
    OceanError,
    OceanMessageError,
    OceanUnavailableError,
    SekMismatchError,
)

SETTLE_SECONDS: Final = 5.0
"""Beyond the EMR's own lag: for what was still on its way there when we stopped listening."""

_FIRST_PAUSE: Final = 2.0
_LONGEST_EARLY_PAUSE: Final = 300.0
_EARLY: Final = 17
"""So many failures in a row fill about the first hour."""
_LATER_PAUSE: Final = 3600.0
_JITTER: Final = 0.2

_PATIENCE: Final = 12
"""So often a message is tried that fails in a way of its own, for about half an hour; then a person is asked."""
_PATIENCE_FOR_THE_KEY: Final = 40
"""For a day: at Ocean and here a key is changed at different times."""


def pause(failures: int, chance: float) -> float:
    """How many seconds to wait after so many failures in a row: seconds, then minutes, after an hour hourly, for ever.

    Args:
        failures: At least 1.
        chance: From 0 up to 1, drawn anew each time, so that a thousand clinics don't come back at once.
    """
    early = min(_FIRST_PAUSE * 2.0 ** min(failures - 1, _EARLY), _LONGEST_EARLY_PAUSE)
    return (early if failures <= _EARLY else _LATER_PAUSE) * (1 - _JITTER + 2 * _JITTER * chance)


@dataclass(frozen=True, slots=True)
class Breaker:
    """Whether somebody, Ocean or the EMR, may be called. Times are seconds on a clock that only goes forward."""

    failures: int = 0
    """In a row."""
    retry_at: float = 0.0
    proven: bool = False
    """Whether the present credentials have been accepted once: until then they are shown by one call at a time."""

    @property
    def closed(self) -> bool:
        """Whether everybody may call."""
        return self.proven and not self.failures

    def room(self, *, now: float, under_way: int, most: int) -> int:
        """How many further calls may begin when so many are under way."""
        if self.closed:
            return max(0, most - under_way)
        return int(under_way == 0 and now >= self.retry_at)

    def wait(self, *, now: float) -> float | None:
        """Seconds until a call may be tried; None when waiting changes nothing."""
        return None if self.closed else max(0.0, self.retry_at - now)

    def failed(self, *, now: float, chance: float, at_least: float = 0.0) -> Breaker:
        """After a call that found nobody there."""
        if self.failures and now < self.retry_at:
            # A call that was under way when another one failed: the same trouble.
            return replace(self, retry_at=max(self.retry_at, now + at_least))
        failures = self.failures + 1
        return replace(self, failures=failures, retry_at=now + max(pause(failures, chance), at_least))

    def answered(self) -> Breaker:
        """After a call that was answered, whatever the answer was."""
        return Breaker(proven=True)


class Phase(StrEnum):
    """What was being done when an error came."""

    FETCH = "fetch"
    """Reading from Ocean."""
    RESOLVE = "resolve"
    """Reading from the EMR; nothing is sent."""
    WRITE = "write"
    PROBE = "probe"
    """Looking for what may have been written."""


class Bearing(StrEnum):
    """What an error says of whoever was called."""

    ANSWERED = "answered"
    AWAY = "away"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Hold:
    """A person must decide."""

    reason: Reason
    note: str


@dataclass(frozen=True, slots=True)
class Postpone:
    """It is tried again later."""

    seconds: float
    reason: Reason
    note: str
    settled: bool
    """Whether it is certain that the EMR has none of what was sent last."""
    tried: bool = True
    """Whether it counts as an attempt of the message's own."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an error means: for the message, and for whoever was called."""

    row: Hold | Postpone
    bearing: Bearing | None = None
    """None: nobody was called, as far as it tells."""
    at_least: float = 0.0
    """Seconds that whoever was called asked us to wait."""


class Action(StrEnum):
    """The next thing to do with a delivery."""

    RESOLVE = "resolve"
    """Find out what is to be written."""
    WRITE = "write"
    """Write down that it is sent, then send it."""
    PROBE = "probe"
    """Look for it at the EMR."""
    WAIT = "wait"
    """The EMR's search cannot be believed yet."""
    ASK = "ask"
    """Nobody but a person can tell whether the EMR has it."""
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class View:
    """A delivery as far as the next action depends on it."""

    planned: int | None
    """How many writes it takes; None while that is not known."""
    written: int = 0
    """How many of them are in the EMR."""
    in_doubt: bool = False
    """Whether the next one may be there too."""
    known_for: float = 0.0
    """Seconds that this process, by a clock that only goes forward, has known of the doubt."""
    lag: float | None = None
    """Seconds for which the EMR's search may miss what was written; None: it cannot be searched for it."""
    harmless: bool = False
    """Whether writing it twice is the same as writing it once."""


def next_action(view: View) -> Action:
    """What to do now."""
    if view.planned is None:
        return Action.RESOLVE
    if view.written >= view.planned:
        return Action.FINISH
    if not view.in_doubt or view.harmless:
        return Action.WRITE
    if view.lag is None:
        return Action.ASK
    return Action.PROBE if doubt_left(view.lag, view.known_for) <= 0 else Action.WAIT


def doubt_left(lag: float, known_for: float) -> float:
    """Seconds until the EMR's search can be believed.

    They are counted from when this process learnt of the doubt, not from when it was sent: clocks jump.
    """
    return lag + SETTLE_SECONDS - known_for


UNKNOWN: Final = Hold(
    Reason.EMR_OUTCOME_UNKNOWN, "It was sent, and neither the EMR's answer nor a search says whether it is there."
)


def after_error(  # noqa: PLR0911 - one line for each kind of error
    phase: Phase, error: Exception, view: View, *, attempts: int, chance: float
) -> Verdict:
    """What `error` means.

    Args:
        phase: What was being done.
        error: What came. Not the database's and not Vault's: those say nothing of a message.
        view: The delivery, if it is one.
        attempts: How often the message was tried in vain before.
        chance: From 0 up to 1.
    """
    again = pause(attempts + 1, chance)
    settled = phase is not Phase.PROBE
    match error:
        case EmrUnavailableError() | OceanUnavailableError():
            return Verdict(
                Postpone(again, error.reason, str(error), settled), Bearing.AWAY, at_least=error.retry_after or 0.0
            )
        case EmrAuthRefusedError() | OceanAccessRefusedError():
            # Due at once: as soon as the credentials are accepted, it goes before those that came later.
            return Verdict(Postpone(0.0, error.reason, str(error), settled, tried=False), Bearing.REFUSED)
        case EmrOutcomeUnknownError() if phase is Phase.WRITE:
            return Verdict(_doubt(error, view, attempts, again), Bearing.AWAY)
        case EmrPermissionDeniedError() | SekMismatchError():
            return Verdict(_patiently(phase, error, attempts, again), Bearing.ANSWERED)
        case MessageHeldError():
            return Verdict(Hold(error.reason, f"{error.words}."))
        case EmrRecordError() | EmrNotSupportedError() | OceanMessageError():
            hold = UNKNOWN if phase is Phase.PROBE else Hold(error.reason, str(error))
            return Verdict(hold, Bearing.ANSWERED)
        case _ if phase is Phase.WRITE:
            # Whatever it is, it is no proof that nothing was written.
            return Verdict(_doubt(error, view, attempts, again), Bearing.ANSWERED)
        case _:
            return Verdict(_patiently(phase, error, attempts, again), Bearing.ANSWERED)


def _doubt(error: Exception, view: View, attempts: int, again: float) -> Hold | Postpone:
    if attempts + 1 >= _PATIENCE or (view.lag is None and not view.harmless):
        return UNKNOWN
    if view.harmless:
        return Postpone(again, Reason.EMR_OUTCOME_UNKNOWN, _words(error), settled=True)
    return Postpone(
        max(again, doubt_left(view.lag or 0.0, 0.0)), Reason.EMR_OUTCOME_UNKNOWN, _words(error), settled=False
    )


def _patiently(phase: Phase, error: Exception, attempts: int, again: float) -> Hold | Postpone:
    patience = _PATIENCE_FOR_THE_KEY if isinstance(error, SekMismatchError) else _PATIENCE
    if attempts + 1 >= patience:
        return UNKNOWN if phase is Phase.PROBE else Hold(reason_of(error), _words(error))
    return Postpone(again, reason_of(error), _words(error), settled=phase is not Phase.PROBE)


def reason_of(error: Exception) -> Reason:
    """The published reason of `error`."""
    return error.reason if isinstance(error, EmrError | OceanError | MessageHeldError) else Reason.INTERNAL_ERROR


def _words(error: Exception) -> str:
    """What is safe to show. Of an error that is not ours, its kind."""
    return str(error) if isinstance(error, EmrError | OceanError) else f"{type(error).__name__}."


class _Versioned(Protocol):
    @property
    def source_id(self) -> str: ...

    @property
    def version(self) -> int: ...


_V = TypeVar("_V", bound=_Versioned)


def newest(notes: Sequence[_V]) -> tuple[_V, ...]:
    """A sitting's notes, of each only its latest version, in the order of what they come from."""
    latest = {note.source_id: note for note in sorted(notes, key=lambda note: note.version)}
    return tuple(note for note in notes if latest[note.source_id] is note)
