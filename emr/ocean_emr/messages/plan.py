"""What is to be written, as it is kept (sealed) from before the first write until the last one is settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, get_args

import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError

from ocean_emr.records import Operation
from ocean_emr.writes import Arrival, Write

_CONFIG: Final = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
_FORMS: Final[dict[Operation, TypeAdapter[Any]]] = {
    form.operation: TypeAdapter(tuple[form], config=_CONFIG)  # type: ignore[valid-type]
    for form in get_args(Write)
}


class PlanUnreadableError(Exception):
    """What was kept is not in a form that this version knows. Whether it was written, a person must see."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Writes in their order."""

    writes: tuple[Write, ...]

    def dump(self) -> bytes:
        """For `load`."""
        return orjson.dumps(
            [[write.operation, orjson.Fragment(_FORMS[write.operation].dump_json((write,)))] for write in self.writes]
        )

    @classmethod
    def load(cls, dumped: bytes) -> Plan:
        """What was dumped.

        Raises:
            PlanUnreadableError: Another version of this product dumped it, in a form that is not known here.
        """
        try:
            parts: Sequence[Any] = orjson.loads(dumped)
            return cls(tuple(_FORMS[Operation(name)].validate_json(orjson.dumps(body))[0] for name, body in parts))
        except (ValidationError, ValueError, TypeError, KeyError):
            # `from None`: the error names what it could not read.
            raise PlanUnreadableError("the kept plan is in a form that this version does not know") from None


def digest(dumped: bytes) -> bytes:
    """By which it is known that the plan which is opened later is the one that was begun."""
    return sha256(dumped).digest()


def harmless(write: Write) -> bool:
    """Whether writing it twice is the same as writing it once, as `writes.py` says of it."""
    return isinstance(write, Arrival)
