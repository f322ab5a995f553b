"""What the simulator can be told to do wrong, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Any, Self


class FaultKind(StrEnum):
    """One way to go wrong."""

    # Strikes before OSCAR has seen the request.
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    RATE_LIMITED = "429"
    """With `retry_after` or without."""
    FIREWALL_PAGE = "firewall-403-html"
    REDIRECT = "redirect"
    """To a login page on another host."""
    SILENCE = "silence"
    """No answer at all."""
    BAD_REQUEST = "400"
    TOO_LARGE = "413"

    # Strikes on the login, whatever was signed.
    BARE_401 = "bare-401"
    TOKEN_EXPIRED = "token-expired"
    """The token is deleted, then the request is judged."""
    SCOPE_403 = "scope-403"
    """As the fork CARLOS refuses: 403 with a JSON error code."""

    # Strikes inside OSCAR.
    SERVER_ERROR_PAGE = "500-html"
    NOT_ACCEPTABLE = "406"
    FOREIGN_CHART = "foreign-chart"
    """`demographics` answers with another patient's chart."""

    # Strikes on the way back: the answer was right.
    WEB_PAGE = "html"
    """A portal's page of status 200 that quotes what was asked for."""
    XML = "xml"
    CUT_JSON = "cut-json"
    RESET = "reset-mid-body"
    DRIP = "slow-drip"
    ENDLESS = "endless"
    BARE_ARRAY = "bare-array"
    """The list without its wrapper."""
    NO_CONTENT = "no-content"
    """The wrapper without its list, when the list is empty."""
    SILENCE_AFTER = "silence-after"
    """What was asked is done, and nothing is answered."""
    RESET_AFTER = "reset-after"
    """Likewise, and the connection breaks off before the first byte."""
    FAILED_AFTER = "500-after"
    """Likewise, and the answer is a page about an exception, which quotes `detail`."""

    # Conditions, which last as long as the fault is there.
    CLOCK_AHEAD = "clock-ahead"
    """OSCAR's clock is an hour ahead, in its Date header and its checks."""
    OTHER_HOST = "other-host"
    """OSCAR believes to have another name than it is called by: no signature fits."""
    NAMED_CODES = "named-codes"
    """A refused signature is told as 400 or 401 with a code, as the source of Open-O intends."""
    USER_DISABLED = "user-disabled"
    """The token is good, and its provider is gone."""
    NO_APPOINTMENT_RIGHT = "no-appointment-right"
    NO_DEMOGRAPHIC_RIGHT = "no-demographic-right"
    NO_WRITE_RIGHT = "no-write-right"
    """Everything may be read."""
    NO_PROGRAMME = "no-programme"
    """The provider belongs to none, so that no patient can be admitted."""
    NOTES_HIDDEN = "notes-hidden"
    """The provider's programme is not the patient's: the chart looks empty."""
    UUID_IGNORED = "uuid-ignored"
    """Notes get a uuid of the server's own."""
    NAMES_IN_CAPITALS = "names-in-capitals"
    """New patients' names are stored in capitals."""
    STATUS_IGNORED = "status-ignored"
    """A new status is taken, and the old one stays."""
    BIRTHS_WITHOUT_ZERO = "births-without-zero"
    """Charts hold the day of birth as it was once typed: 5 for the fifth."""
    CHART_GONE = "chart-gone"
    """Whoever is found has been deleted since."""
    STATUS_MOVES = "status-moves"
    """Each appointment gets the status in `detail` just after it has been read: the front desk is quicker."""
    CHART_MOVES = "chart-moves"
    """Each chart gets the phone number in `detail` just after it has been read."""
    REST_OFF = "rest-module-off"
    PROVIDER_HIDDEN = "provider-hidden"
    """The provider whose number is in `detail` is not shown, nor is their schedule."""
    MISSING_IS_NULL = "missing-null"
    MISSING_IS_404 = "missing-404"
    """Otherwise a missing patient is 204."""
    DAYS_AS_MOMENTS = "days-as-epoch-ms"
    DAYS_AS_UTC_MOMENTS = "days-as-utc-epoch-ms"
    """Likewise, by a server that runs on UTC."""
    CLOCKS_WITH_AM_PM = "clocks-am-pm"
    DAYS_WITH_TIME = "days-iso-datetime"
    DAYS_UNKNOWN = "days-unknown-shape"
    ROW_SPOILED = "one-row-empty"
    """The last row of each list of bookings says nothing."""
    CAPPED = "lists-capped-at-50"
    """Nobody is told that a list was longer."""
    CAPPED_AND_TOLD = "lists-capped-at-50-with-total"


CONDITIONS = frozenset(list(FaultKind)[list(FaultKind).index(FaultKind.CLOCK_AHEAD) :])


@dataclass(frozen=True, slots=True)
class Fault:
    """Something to go wrong."""

    kind: FaultKind
    path: str = "/ws/"
    """Strikes only requests whose path contains this."""
    writes_only: bool = False
    """Strikes only requests that would change something."""
    skip: int = 0
    """How many of those are spared first."""
    times: int | None = None
    """How many are struck after that; None for all until it is cleared."""
    retry_after: str | None = None
    detail: str = ""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The fault in a JSON object whose keys are ours in camel case; only the kind is needed."""
        return cls(
            FaultKind(value["kind"]),
            path=value.get("path", "/ws/"),
            writes_only=value.get("writesOnly", False),
            skip=value.get("skip", 0),
            times=value.get("times"),
            retry_after=value.get("retryAfter"),
            detail=value.get("detail", ""),
        )


class Faults:
    """What goes wrong at present. May be used from any thread."""

    def __init__(self) -> None:
        self._strikes: list[tuple[Fault, int]] = []
        self._conditions: dict[FaultKind, Fault] = {}
        self._lock = Lock()

    def add(self, *faults: Fault | FaultKind) -> None:
        """Let them begin; a kind alone goes on until cleared. Of strikes that fit, the first one added counts."""
        with self._lock:
            for fault in (Fault(f) if isinstance(f, FaultKind) else f for f in faults):
                if fault.kind in CONDITIONS:
                    self._conditions[fault.kind] = fault
                else:
                    self._strikes.append((fault, 0))

    def clear(self) -> None:
        """Let everything be well again. A token that is gone stays gone."""
        with self._lock:
            self._strikes.clear()
            self._conditions.clear()

    def condition(self, kind: FaultKind) -> Fault | None:
        """The condition, if it holds."""
        return self._conditions.get(kind)

    def strike(self, path: str, *, writes: bool) -> Fault | None:
        """The fault that strikes a request for `path`, which `writes` or only reads; counts it."""
        with self._lock:
            struck = None
            for place, (fault, met) in enumerate(self._strikes):
                if fault.path not in path or (fault.writes_only and not writes):
                    continue
                self._strikes[place] = (fault, met + 1)
                last = float("inf") if fault.times is None else fault.skip + fault.times
                if struck is None and fault.skip <= met < last:
                    struck = fault
            return struck
