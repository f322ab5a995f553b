"""Finding charts in OSCAR, whose search matches patterns, and either active charts or the others.

Source: open-osp/Open-O DemographicService and DemographicDaoImpl; scoophealth/oscar alike.
"""

from __future__ import annotations

from typing import Any, Final

from ocean_emr.adapters.oscar_calls import COMMON_CAPS, SERVICES, chart, content, parsed
from ocean_emr.adapters.oscar_rows import FoundRow
from ocean_emr.answers import Read
from ocean_emr.errors import EmrAnswerError, EmrNotFoundError, EmrNotSupportedError
from ocean_emr.fitting import bare_number, fits, same_name
from ocean_emr.records import Operation, Patient
from ocean_emr.transport import Transport
from ocean_emr.writes import PatientQuery

_AT_A_TIME: Final = 100
_MOST: Final = 1_000
"""Of one search. More fit no question about one person."""


class Search:
    """The charts of one clinic, by who they are about."""

    def __init__(self, transport: Transport) -> None:
        """Ask nobody yet."""
        self._transport = transport

    async def find(self, query: PatientQuery, op: Operation = Operation.FIND_PATIENTS) -> tuple[Patient, ...]:
        """Every chart that fits.

        Raises:
            EmrNotSupportedError: Neither a health number nor a birth date is given.
            EmrAnswerError: The list may have been cut short.
        """
        found: dict[str, Patient] = {}
        for kind, term in _terms(query, op):
            for active in (True, False):
                for row in await self._rows(kind, term, op, active=active):
                    if row.demographicNo in found or not _may_fit(query, row):
                        continue
                    try:
                        _, whole = await chart(self._transport, op, row.demographicNo)
                    except EmrNotFoundError:
                        continue  # Deleted in between.
                    if fits(query, whole.record()):
                        found[row.demographicNo] = whole.record()
        return tuple(found.values())

    async def _rows(self, kind: str, term: str, op: Operation, *, active: bool) -> list[FoundRow]:
        rows: list[Any] = []
        while True:
            params = (("startIndex", str(len(rows))), ("itemsToReturn", str(_AT_A_TIME)))
            # `params` may not be missing on classic builds; by number, so that pages meet.
            body = {"type": kind, "term": term, "active": active, "integrator": False, "outofdomain": True}
            body |= {"params": {"sorting[DemographicNo]": "asc"}}
            read = Read(op, f"{SERVICES}/demographics/search", params=params, json=body)
            answer = await self._transport.read_json(read)
            page = content(answer, (), op)
            rows += page
            total = answer.get("total") if isinstance(answer, dict) else None
            if not isinstance(total, int) or len(rows) >= total:
                break
            if not page or len(rows) >= _MOST:
                raise EmrAnswerError("the EMR announced more charts than it listed", op=op)
        if len(rows) in COMMON_CAPS:
            raise EmrAnswerError("the EMR may have cut the list of charts short", op=op)
        found = [parsed(FoundRow, row) for row in rows]
        if None in found:
            raise EmrAnswerError("the EMR listed a chart in no form of one", op=op)
        return [row for row in found if row is not None]


def _terms(query: PatientQuery, op: Operation) -> tuple[tuple[str, str], ...]:
    """What to search for, by kind; together they find at least what fits."""
    if query.health_number is not None:
        digits = bare_number(query.health_number.value)
        # Some builds take a pattern and some the beginning of the number as it is written.
        return ("HIN", digits), ("HIN", "[ -]?".join(digits))
    if query.birth_date is not None:
        # Year and month are compared, the day is a pattern: without its zero, since some charts have none.
        return (("DOB", f"{query.birth_date:%Y-%m}-{query.birth_date.day}"),)
    raise EmrNotSupportedError("OSCAR is searched by health number or by birth date, and neither is known", op=op)


def _may_fit(query: PatientQuery, row: FoundRow) -> bool:
    """Whether the chart is worth a look."""
    number = query.health_number
    if number is not None and row.hin is not None and bare_number(row.hin) != bare_number(number.value):
        return False
    return query.last_name is None or row.lastName is None or same_name(query.last_name, row.lastName)
