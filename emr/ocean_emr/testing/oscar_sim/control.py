"""Looking and breaking from outside: plain JSON below `/_sim`, for the demo and for tests of whole pods.

GET    /_sim/ledger             requests received, records shown, changes made      DELETE forgets them
GET    /_sim/visible            notes, documents, bookings and patients as the clinic sees them, each with our key
POST   /_sim/faults             a fault begins: {"kind", "path", "writesOnly", "skip", "times", "retryAfter", "detail"}
DELETE /_sim/faults             all faults end
GET    /_sim/clinic             how much of everything there is
PUT    /_sim/patients/{no}      {"lastName", "firstName", "birth", "sex", "hin", "province", "phone", "email", "status"}
POST   /_sim/notes/{uuid}       a clinician edits the note: {"text"}
PUT    /_sim/statuses/{code}    {"description", "active"}
PUT    /_sim/appointments/{no}  {"providerNo", "day", "clock", "minutes", "demographicNo", "status", "reason"}
DELETE /_sim/appointments/{no}
POST   /_sim/token              a token that was withdrawn is good again  DELETE withdraws it
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ocean_emr.testing.oscar_sim.clinic import SimAppointment, SimClinic, SimPatient, SimStatus, next_number
from ocean_emr.testing.oscar_sim.faults import Fault, Faults
from ocean_emr.testing.oscar_sim.ledger import Ledger, visible
from ocean_emr.testing.oscar_sim.signatures import Logins
from ocean_emr.testing.oscar_sim.spoiling import json_answer


class Control:
    """The endpoints."""

    def __init__(self, clinic: SimClinic, logins: Logins, faults: Faults, ledger: Ledger) -> None:
        """Look at these, and break these."""
        self._clinic = clinic
        self._logins = logins
        self._faults = faults
        self._ledger = ledger

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/_sim/ledger", self._read_ledger, methods=["GET"]),
            Route("/_sim/ledger", self._clear_ledger, methods=["DELETE"]),
            Route("/_sim/faults", self._add_fault, methods=["POST"]),
            Route("/_sim/faults", self._clear_faults, methods=["DELETE"]),
            Route("/_sim/clinic", self._read_clinic, methods=["GET"]),
            Route("/_sim/visible", self._visible, methods=["GET"]),
            Route("/_sim/patients/{no:int}", self._put_patient, methods=["PUT"]),
            Route("/_sim/notes/{uuid}", self._edit_note, methods=["POST"]),
            Route("/_sim/statuses/{code}", self._put_status, methods=["PUT"]),
            Route("/_sim/appointments/{no:int}", self._put_appointment, methods=["PUT"]),
            Route("/_sim/appointments/{no:int}", self._delete_appointment, methods=["DELETE"]),
            Route("/_sim/token", self._token, methods=["POST", "DELETE"]),
        ]

    async def _read_ledger(self, _request: Request) -> Response:
        return json_answer(self._ledger.as_json())

    async def _clear_ledger(self, _request: Request) -> Response:
        self._ledger.clear()
        return Response(status_code=204)

    async def _add_fault(self, request: Request) -> Response:
        try:
            fault = Fault.from_json(orjson.loads(await request.body()))
        except (ValueError, KeyError, TypeError) as error:
            return json_answer({"error": str(error)}, 400)
        self._faults.add(fault)
        return Response(status_code=204)

    async def _clear_faults(self, _request: Request) -> Response:
        self._faults.clear()
        return Response(status_code=204)

    async def _read_clinic(self, _request: Request) -> Response:
        clinic = self._clinic
        return json_answer(
            {
                "providers": sorted(clinic.providers),
                "appointments": len(clinic.appointments),
                "patients": len(clinic.patients),
                "notes": len(clinic.notes),
                "documents": len(clinic.documents),
            }
        )

    async def _visible(self, _request: Request) -> Response:
        return json_answer(visible(self._clinic))

    async def _put_patient(self, request: Request) -> Response:
        try:
            row = _patient(request.path_params["no"], orjson.loads(await request.body()))
        except (ValueError, KeyError, TypeError) as error:
            return json_answer({"error": str(error)}, 400)
        self._clinic.add(row)
        return Response(status_code=204)

    async def _edit_note(self, request: Request) -> Response:
        try:
            text = orjson.loads(await request.body())["text"]
        except (ValueError, KeyError, TypeError) as error:
            return json_answer({"error": str(error)}, 400)
        return Response(status_code=204 if edit_note(self._clinic, request.path_params["uuid"], text) else 404)

    async def _put_status(self, request: Request) -> Response:
        try:
            value = orjson.loads(await request.body())
            row = SimStatus(request.path_params["code"], value["description"], active=value.get("active", True))
        except (ValueError, KeyError, TypeError) as error:
            return json_answer({"error": str(error)}, 400)
        self._clinic.add(row)
        return Response(status_code=204)

    async def _put_appointment(self, request: Request) -> Response:
        try:
            row = _appointment(request.path_params["no"], orjson.loads(await request.body()))
        except (ValueError, KeyError, TypeError) as error:
            return json_answer({"error": str(error)}, 400)
        self._clinic.add(row)
        return Response(status_code=204)

    async def _delete_appointment(self, request: Request) -> Response:
        gone = self._clinic.delete(request.path_params["no"])
        return Response(status_code=204 if gone else 404)

    async def _token(self, request: Request) -> Response:
        self._logins.token_exists = request.method == "POST"
        return Response(status_code=204)


def edit_note(clinic: SimClinic, uuid: str, text: str) -> bool:
    """Let a clinician change a note, which makes another revision of it; False if there is no such note."""
    revisions = [note for note in clinic.notes.values() if note.uuid == uuid]
    if revisions:
        clinic.add(replace(revisions[-1], no=next_number(clinic.notes), text=text, provider_no="101"))
    return bool(revisions)


def _patient(number: int, value: dict[str, Any]) -> SimPatient:
    return SimPatient(
        number,
        last_name=value["lastName"],
        first_name=value["firstName"],
        birth=date.fromisoformat(value["birth"]),
        sex=value.get("sex", "F"),
        hin=value.get("hin", ""),
        province=value.get("province", "ON"),
        phone=value.get("phone", ""),
        email=value.get("email", ""),
        status=value.get("status", "AC"),
    )


def _appointment(number: int, value: dict[str, Any]) -> SimAppointment:
    return SimAppointment(
        number,
        provider_no=value["providerNo"],
        day=date.fromisoformat(value["day"]),
        clock=time.fromisoformat(value["clock"]),
        minutes=value.get("minutes", 15),
        demographic_no=value.get("demographicNo", 0),
        status=value.get("status", "t"),
        reason=value.get("reason", ""),
    )
