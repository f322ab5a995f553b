"""How a call to an EMR can fail, cut by what the caller does next.

EmrError
├── EmrUnavailableError        nothing was answered: end this run, the next one tries again
│   ├── EmrRateLimitedError      likewise, not before the time the EMR named
│   ├── EmrTlsError              likewise; heals when the certificate or the trusted authority changes
│   ├── EmrAddressError          likewise; heals when the name leads elsewhere or its address is allowed
│   ├── EmrBlockedError          likewise; heals when the firewall or portal in front lets us through
│   └── EmrClockSkewError        likewise; nothing signed was sent, so no credential was spent
├── EmrAccessError             end this run; a person must act
│   ├── EmrAuthRefusedError      no further call with this credential: it could lock the account
│   └── EmrPermissionDeniedError the login holds; the next run may look again
├── EmrOutcomeUnknownError     a write may have happened: probe before any other attempt
├── EmrAnswerError             end this run, remove nothing: the EMR or our adapter changed
├── EmrNotSupportedError       do not ask: `capabilities()` said so
└── EmrRecordError             set this record aside, go on with the next
    ├── EmrNotFoundError         it is not in the EMR (any more)
    ├── EmrWriteRefusedError     the EMR takes others and not this one; a person must act
    └── EmrConflictError         what the write rests on has changed at the EMR; a person must look

Short trouble never gets here: `transport.py` has already repeated what a repetition can mend.
"""

from __future__ import annotations

from typing import ClassVar

from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_emr.records import Operation


class EmrError(Exception):
    """A call to an EMR failed. Its text is safe to show: codes and our own words, never what the EMR answered.

    Raise one of the classes below; this one is for catching.
    """

    reason: ClassVar[Reason] = Reason.EMR_UNAVAILABLE
    """The condition reason. Public: alerts match on it."""

    def __init__(self, what: str, *, op: Operation, http_status: int | None = None, remedy: str | None = None) -> None:
        """Say `what` happened, in words that hold no chart content, no body, no query and no secret.

        Args:
            what: One clause without a full stop, such as "the EMR answered HTML where JSON was due".
            op: What was being done.
            http_status: The answer's status, if there was an answer.
            remedy: What to do next, when this adapter knows better than the reason's own remedy.
        """
        super().__init__(what)
        self.what = what
        self.op = op
        self.http_status = http_status
        self.remedy = EXPLANATIONS[self.reason].remedy if remedy is None else remedy

    @property
    def safe_message(self) -> str:
        """What happened and where, as one sentence; `remedy` says what to do next."""
        status = f" (HTTP {self.http_status})" if self.http_status is not None else ""
        return f"{self.op}: {self.what}{status}."

    def __str__(self) -> str:
        return self.safe_message


class EmrUnavailableError(EmrError):
    """The EMR did not answer, or said that it cannot at present."""

    reason = Reason.EMR_UNAVAILABLE

    def __init__(  # noqa: PLR0913 - keywords, all of them facts of one answer
        self,
        what: str,
        *,
        op: Operation,
        http_status: int | None = None,
        remedy: str | None = None,
        retry_after: float | None = None,
        momentary: bool = False,
    ) -> None:
        """As `EmrError`, and when a repetition may help.

        Args:
            what: See `EmrError`.
            op: See `EmrError`.
            http_status: See `EmrError`.
            remedy: See `EmrError`.
            retry_after: Seconds the EMR asked us to wait.
            momentary: Whether this is the kind of trouble that passes in seconds.
        """
        super().__init__(what, op=op, http_status=http_status, remedy=remedy)
        self.retry_after = retry_after
        self.momentary = momentary


class EmrRateLimitedError(EmrUnavailableError):
    """The EMR asked for fewer calls; `retry_after` holds its time, if it named one."""

    reason = Reason.EMR_RATE_LIMITED


class EmrTlsError(EmrUnavailableError):
    """The server's certificate is not to be trusted, or no common TLS version exists."""

    reason = Reason.EMR_TLS_FAILED


class EmrAddressError(EmrUnavailableError):
    """The EMR's host leads to an address that may not be called from here. Nothing was sent."""

    reason = Reason.ADDRESS_FORBIDDEN


class EmrBlockedError(EmrUnavailableError):
    """Something in front of the EMR refused the call; the EMR never saw it."""

    reason = Reason.EMR_BLOCKED


class EmrClockSkewError(EmrUnavailableError):
    """The EMR's clock and ours differ so much that what we sign would be refused."""

    reason = Reason.EMR_CLOCK_SKEW


class EmrAccessError(EmrError):
    """The EMR knows who asks and says no."""

    reason = Reason.EMR_PERMISSION_DENIED


class EmrAuthRefusedError(EmrAccessError):
    """The credential is wrong, expired, withdrawn or incomplete."""

    reason = Reason.EMR_AUTH_REFUSED


class EmrPermissionDeniedError(EmrAccessError):
    """The login was accepted and lacks a right."""

    reason = Reason.EMR_PERMISSION_DENIED


class EmrAnswerError(EmrError):
    """The answer is not what the interface promises: another type, cut short, too large, an unknown shape."""

    reason = Reason.EMR_ANSWER_UNREADABLE


class EmrNotSupportedError(EmrError):
    """The EMR, or our adapter to it, cannot do this at all."""

    reason = Reason.EMR_NOT_SUPPORTED


class EmrRecordError(EmrError):
    """One record could not be read; others can."""

    reason = Reason.EMR_RECORD_UNREADABLE


class EmrNotFoundError(EmrRecordError):
    """There is no such record, or none that this login may see."""


class EmrOutcomeUnknownError(EmrError):
    """A write was sent, and whether the EMR carried it out is not known."""

    reason = Reason.EMR_OUTCOME_UNKNOWN


class EmrWriteRefusedError(EmrRecordError):
    """The EMR does not take this write, and sending it again would change nothing."""

    reason = Reason.EMR_WRITE_REFUSED


class EmrConflictError(EmrRecordError):
    """Somebody changed what the write rests on, for instance cancelled the appointment."""

    reason = Reason.EMR_CONFLICT
