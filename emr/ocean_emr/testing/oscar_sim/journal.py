"""What the simulator holds, in a file: killed at any moment and started again, it goes on where it was.

Each change is a line, written before it is answered; a line that broke off is a change that never was.
"""

from __future__ import annotations

import base64
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import TypeAdapter

from ocean_emr.testing.oscar_sim.clinic import (
    Row,
    SimAppointment,
    SimClinic,
    SimDocument,
    SimNote,
    SimPatient,
    SimProvider,
    SimStatus,
)
from ocean_emr.testing.oscar_sim.ledger import Ledger, Written

_KINDS: Final[dict[str, TypeAdapter[Any]]] = {
    kind.__name__: TypeAdapter(kind)
    for kind in (SimProvider, SimAppointment, SimPatient, SimNote, SimDocument, SimStatus, Written)
}


class Journal:
    """One file, for one simulator at a time."""

    def __init__(self, path: Path) -> None:
        """Write to `path`, behind what is there."""
        self._path = path
        # Without a buffer of our own: what was handed to the kernel outlives the process.
        self._file = path.open("ab", buffering=0)

    def resume(self, clinic: SimClinic, ledger: Ledger) -> None:
        """Do again what an earlier run wrote down, and write down what is done from now on."""
        whole = self._path.read_bytes().rpartition(b"\n")[0]
        self._file.truncate(len(whole) + 1 if whole else 0)
        for line in whole.splitlines():
            kind, values = orjson.loads(line)
            if kind == "gone":
                clinic.appointments.pop(values, None)
                continue
            if "content" in values:
                values["content"] = base64.b64decode(values["content"])
            row = _KINDS[kind].validate_python(values)
            if isinstance(row, Written):
                ledger.written.append(row)
            else:
                clinic.add(row)
        clinic.watch, ledger.watch = self.note, self.note

    def note(self, row: Row | Written | int) -> None:
        """One change; a number is that of an appointment that was deleted."""
        entry: list[Any] = ["gone", row] if isinstance(row, int) else [type(row).__name__, asdict(row)]
        self._file.write(orjson.dumps(entry, default=_text) + b"\n")


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError
