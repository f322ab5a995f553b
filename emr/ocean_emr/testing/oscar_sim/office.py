"""What all of the simulator's services share: the clinic, what is wrong with it, and how it writes and complains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from starlette.responses import Response

from ocean_emr.testing.oscar_sim.clinic import SimClinic
from ocean_emr.testing.oscar_sim.faults import FaultKind, Faults
from ocean_emr.testing.oscar_sim.ledger import Ledger, Written
from ocean_emr.testing.oscar_sim.signatures import Profile
from ocean_emr.testing.oscar_sim.spoiling import page
from ocean_emr.testing.oscar_sim.wire import Writer

PRINCIPAL = "104"
"""The provider who authorised the token."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    path: str
    """Below `ws/services/`."""
    method: str
    body: bytes
    nobody: bool
    """Whether it was let in without a user."""
    foreign_chart: bool
    query: dict[str, str] = field(default_factory=dict)
    accept: str = "*/*"

    def json(self) -> dict[str, Any]:
        """The body, which is an object.

        Raises:
            ValueError: It is not.
        """
        value = orjson.loads(self.body)
        if not isinstance(value, dict):
            raise TypeError("not an object")
        return value


Route = tuple[str, str, Callable[..., Response]]
"""Method, pattern of the path below `ws/services/`, and who answers."""


@dataclass(frozen=True, slots=True)
class Office:
    """One clinic, as its services see it."""

    clinic: SimClinic
    faults: Faults
    ledger: Ledger
    profile: Profile
    zone: ZoneInfo
    write: Writer

    def holds(self, condition: FaultKind) -> bool:
        """Whether something goes wrong for as long as nobody mends it."""
        return self.faults.condition(condition) is not None

    def shows(self, provider_no: str) -> bool:
        """Whether the login may see this provider."""
        hidden = self.faults.condition(FaultKind.PROVIDER_HIDDEN)
        return hidden is None or hidden.detail != provider_no

    def enter(self, what: str, patient: int, ref: object, key: str = "") -> None:
        """Tell the ledger that something was written just now."""
        at = datetime.now(UTC).isoformat()
        self.ledger.write(Written(what, patient, str(ref), key, PRINCIPAL, at))

    def moment(self, value: object) -> datetime | None:
        """A moment as Java reads one from JSON: a number of milliseconds, or text, of UTC where no offset is given."""
        if value is None:
            return None
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000, UTC).astimezone(self.zone)
        read = datetime.fromisoformat(str(value))
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(self.zone)

    def day(self, value: object) -> date | None:
        """A date as it is stored: a date alone is UTC's midnight, so in this country the evening before."""
        moment = self.moment(value)
        return moment.date() if moment else None


def crash(what: str) -> Response:
    """Tomcat's page about an exception that nobody caught. It quotes what it likes."""
    return page("HTTP Status 500", f"{what} while handling p1001, Zoë-Ünlü", 500)


def denied() -> Response:
    """How a missing right is told."""
    return crash("java.lang.RuntimeException: Access Denied")


def masked() -> Response:
    """How the list services tell every failure. Source: ScheduleService, "Internal server error"."""
    return Response("Internal server error", 500, media_type="application/json")
