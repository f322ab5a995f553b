"""How a call to Ocean can fail, cut by what the caller does next.

OceanError
├── OceanUnavailableError         nothing was answered: end this run, the next one tries again
│   ├── OceanRateLimitedError       likewise, not before the time Ocean named
│   ├── OceanTlsError               likewise; heals when the certificate or the trusted authority changes
│   └── OceanAddressError           likewise; heals when the name leads elsewhere or its address is allowed
├── OceanAccessRefusedError       end this run; no further call with this credential
├── OceanAnswerUnreadableError    end this run, remove nothing: Ocean, its address or our profile changed
│   └── OceanAnswerTooLargeError    likewise; where one message was asked for, it alone is unreadable
├── OceanRecordRejectedError      set this record aside, go on with the next
├── OceanMessageError             hold this message, go on with the next
│   ├── MessageGoneError            Ocean has nothing (any more) under its references
│   └── MessageUnreadableError      something it needs is missing or of an unknown form
└── SekMismatchError              end this run until the clinic hands over the right key

Short trouble never gets here: the client has already repeated what a repetition can mend.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from ocean_api.reasons import EXPLANATIONS, Reason


class Call(StrEnum):
    """What Ocean was asked. Named in errors."""

    LOG_IN = "log in"
    CHECK = "check access"
    READ_PRIVATE_KEY = "read the site's private key"
    UPSERT_PATIENTS = "upsert patients"
    UPSERT_APPOINTMENTS = "upsert appointments"
    REMOVE_APPOINTMENTS = "remove appointments"
    READ_PATIENT = "read a patient"
    READ_NOTE = "read a note"
    READ_SESSION = "read a session"
    READ_REFERRAL = "read a referral"
    READ_ATTACHMENT = "read an attachment"


class OceanError(Exception):
    """A call to Ocean failed. Its text is safe to show: codes and our own words, never what Ocean answered.

    Raise one of the classes below; this one is for catching.
    """

    reason: ClassVar[Reason] = Reason.OCEAN_UNAVAILABLE
    """The condition reason. Public: alerts match on it."""

    def __init__(
        self, what: str, *, call: Call | None = None, http_status: int | None = None, remedy: str | None = None
    ) -> None:
        """Say `what` happened, in words that hold nothing of a patient, no body, no header and no secret.

        Args:
            what: One clause without a full stop, such as "Ocean answered with a web page".
            call: What was being done; None where only bytes were looked at.
            http_status: The answer's status, if there was an answer.
            remedy: What to do next, when the reason's own remedy would mislead.
        """
        super().__init__(what)
        self.what = what
        self.call = call
        self.http_status = http_status
        self.remedy = EXPLANATIONS[self.reason].remedy if remedy is None else remedy

    @property
    def safe_message(self) -> str:
        """What happened and where, as one sentence; `remedy` says what to do next."""
        call = f"{self.call}: " if self.call else ""
        status = f" (HTTP {self.http_status})" if self.http_status is not None else ""
        return f"{call}{self.what}{status}."

    def __str__(self) -> str:
        return self.safe_message


class OceanUnavailableError(OceanError):
    """Ocean was not reached, or did not answer as a working server does."""

    reason = Reason.OCEAN_UNAVAILABLE

    def __init__(  # noqa: PLR0913 - keywords, all of them facts of one answer
        self,
        what: str,
        *,
        call: Call | None = None,
        http_status: int | None = None,
        remedy: str | None = None,
        retry_after: float | None = None,
        momentary: bool = False,
    ) -> None:
        """As `OceanError`, and when a repetition may help.

        Args:
            what: See `OceanError`.
            call: See `OceanError`.
            http_status: See `OceanError`.
            remedy: See `OceanError`.
            retry_after: Seconds Ocean asked us to wait.
            momentary: Whether this is the kind of trouble that passes in seconds.
        """
        super().__init__(what, call=call, http_status=http_status, remedy=remedy)
        self.retry_after = retry_after
        self.momentary = momentary


class OceanRateLimitedError(OceanUnavailableError):
    """Ocean asked for fewer calls; `retry_after` holds its time, if it named one."""

    reason = Reason.OCEAN_RATE_LIMITED


class OceanTlsError(OceanUnavailableError):
    """The server's certificate is not to be trusted, or there is no encryption to be had."""

    reason = Reason.OCEAN_TLS_FAILED


class OceanAddressError(OceanUnavailableError):
    """Ocean's host leads to an address that may not be called from here. Nothing was sent."""

    reason = Reason.ADDRESS_FORBIDDEN


class OceanAccessRefusedError(OceanError):
    """The credential is wrong, withdrawn or lacks a right."""

    reason = Reason.OCEAN_ACCESS_REFUSED


class OceanAnswerUnreadableError(OceanError):
    """Something answered, but not in a form this client knows."""

    reason = Reason.OCEAN_ANSWER_UNREADABLE


class OceanAnswerTooLargeError(OceanAnswerUnreadableError):
    """The answer is larger than anything we would take."""


class OceanRecordRejectedError(OceanError):
    """One record was not taken; the others of its batch are not touched by that."""

    reason = Reason.OCEAN_RECORD_REJECTED

    def __init__(self, ref: str, code: str, *, call: Call | None = None) -> None:
        """`ref` is the record's external reference, `code` one word that says why."""
        super().__init__(f"record {ref} was not accepted, {code}", call=call)
        self.ref = ref
        self.code = code


class OceanMessageError(OceanError):
    """One message cannot be had; others can. Raise one of the classes below."""

    reason = Reason.MESSAGE_UNREADABLE


class MessageGoneError(OceanMessageError):
    """Ocean has nothing under the reference: never had it, deleted it, or does not show it to this site."""

    reason = Reason.MESSAGE_GONE


class MessageUnreadableError(OceanMessageError):
    """What Ocean has for this message is not in a form we know, or lacks something that is needed."""


class SekMismatchError(OceanError):
    """The Shared Encryption Key at hand is not the one the material was encrypted under.

    Raised with the same text whatever gave it away (padding, text encoding, JSON): which one it was would help
    nobody but somebody who alters ciphertext to learn what is in it.
    """

    reason = Reason.SEK_MISMATCH

    def __init__(self, *, call: Call | None = None) -> None:
        super().__init__("the clinic's Shared Encryption Key and the one in use at Ocean are not the same", call=call)
