"""What every part of the OSCAR adapter asks for, and how answers and failures are taken. The parts: oscar.py says."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import quote

from pydantic import ValidationError

from ocean_emr.adapters.oscar_rows import AppointmentRow, PatientRow, Row, content_of
from ocean_emr.answers import Read
from ocean_emr.errors import (
    EmrAnswerError,
    EmrError,
    EmrNotFoundError,
    EmrOutcomeUnknownError,
    EmrRecordError,
    EmrWriteRefusedError,
)
from ocean_emr.records import Operation
from ocean_emr.transport import Transport

SERVICES: Final = "ws/services"

COMMON_CAPS: Final = frozenset({50, 100, 200, 250, 500, 1000, 2000, 5000})
"""Sizes at which servers cut lists without saying so."""

PROBE_LAG_SECONDS: Final = 15.0
"""How long a request that nobody waits for any more may still be at work. Ours: nobody published one."""

_SomeRow = TypeVar("_SomeRow", bound=Row)


def parsed(model: type[_SomeRow], raw: Any) -> _SomeRow | None:
    """`raw` as a row; None if it is none."""
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None


def content(answer: Any, keys: Sequence[str], op: Operation) -> list[Any]:
    """The rows of a list.

    Raises:
        EmrAnswerError: It is in no form that is known.
    """
    rows = content_of(answer, keys)
    if not isinstance(rows, list):
        raise EmrAnswerError("the EMR's list is in no form that OSCAR is known to use", op=op)
    return rows


def number(text: str, op: Operation) -> int:
    """A patient's or a booking's number.

    Raises:
        EmrNotFoundError: It is none, so OSCAR has nothing under it.
    """
    if not (text.isascii() and text.isdigit()):
        raise EmrNotFoundError("OSCAR's patients and bookings have numbers, and this is none", op=op)
    return int(text)


def patient_read(op: Operation, patient: str) -> Read:
    """One chart."""
    return Read(op, f"{SERVICES}/demographics/{quote(patient, safe='')}", record=True)


def history_read(op: Operation, patient: str) -> Read:
    """Every booking of a patient that is not deleted, the newest first."""
    return Read(op, f"{SERVICES}/schedule/{quote(patient, safe='')}/appointmentHistory", json={})


async def chart(transport: Transport, op: Operation, patient: str) -> tuple[Mapping[str, Any], PatientRow]:
    """A chart as it was answered, and as far as we read it.

    Raises:
        EmrNotFoundError: There is none.
        EmrRecordError: It is in no form of a chart.
        EmrAnswerError: It is somebody else's.
    """
    number(patient, op)
    raw = await transport.read_json(patient_read(op, patient))
    row = parsed(PatientRow, raw)
    if row is None:
        raise EmrRecordError("a chart is not in the form of a chart", op=op)
    if row.demographicNo != patient:
        raise EmrAnswerError("the EMR answered with another patient's chart", op=op)
    return raw, row


async def booking(transport: Transport, op: Operation, appointment: str) -> AppointmentRow:
    """One booking.

    Raises:
        EmrNotFoundError: There is none; most builds tell a failure instead.
        EmrRecordError: OSCAR failed on it, or it is in no form of a booking.
    """
    read = Read(op, f"{SERVICES}/schedule/getAppointment", json={"id": number(appointment, op)}, record=True)
    answer = await transport.read_json(read)
    row = parsed(AppointmentRow, answer.get("appointment") if isinstance(answer, dict) else None)
    if row is None or row.id != appointment:
        raise EmrRecordError("an appointment is not in the form of one", op=op)
    return row


@contextmanager
def proving(op: Operation) -> Generator[None, None, None]:
    """For reading back what has just been sent: whatever fails in here, the write may be there."""
    try:
        yield
    except EmrOutcomeUnknownError:
        raise
    except EmrError as error:
        what = f"it was sent and could not be read back: {error.what}"
        raise EmrOutcomeUnknownError(what, op=op, http_status=error.http_status) from None


def refused(what: str, op: Operation, remedy: str) -> EmrWriteRefusedError:
    """The error for what OSCAR cannot take; nothing was sent."""
    return EmrWriteRefusedError(what, op=op, remedy=remedy)


def milliseconds(moment: datetime, skew_seconds: float | None) -> int:
    """`moment` as OSCAR takes it, the number of milliseconds since 1970, and not in its future: it would be moved.

    Args:
        moment: Aware.
        skew_seconds: OSCAR's clock less ours, as far as known.
    """
    now = datetime.now(UTC) + timedelta(seconds=skew_seconds or 0.0)
    return int(min(moment, now).timestamp() * 1000)
