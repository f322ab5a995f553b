"""Everything between a simulated Ocean and an EMR but the queue, and the one patient who uses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any, Final

import pytest

from ocean_api.v1alpha1.spec import MessagesSpec, WalkInsSpec
from ocean_emr.contract import EmrAdapter
from ocean_emr.messages.deliveries import Delivery, Event, MessageHeldError, write_key
from ocean_emr.messages.expand import expand
from ocean_emr.messages.fetch import fetch
from ocean_emr.messages.resolve import Context, remember, resolve
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.ocean.inbox import OceanInbox
from ocean_emr.records import PatientId
from ocean_emr.testing.conformance.clinic import ALICE, DAY, PATIENTS, ZONE
from ocean_emr.testing.conformance.rig import Rig
from ocean_emr.testing.ocean_sim import OceanSim
from ocean_emr.testing.ocean_sim.mailbox import Form, Mailbox, Notice
from ocean_emr.writes import Write

SITE: Final = "1001"
SEK: Final = SharedEncryptionKey("TestKey1!2345678")
KNOWN: Final = PATIENTS[0]
IMPORTING: Final = MessagesSpec(import_attachments=True)
NINE: Final = datetime.combine(DAY, time(9), ZONE)
WALK_INS: Final = WalkInsSpec(enabled=True, provider_id=ALICE, allow_new_patients=True, location="Salle 2")


@dataclass
class Links:
    """Which chart is whose, in memory."""

    known: dict[str, PatientId] = field(default_factory=dict)

    async def get(self, ref: str) -> PatientId | None:
        return self.known.get(ref)

    async def put(self, ref: str, patient_id: PatientId) -> None:
        self.known[ref] = patient_id


@dataclass
class Bridge:
    """Everything between Ocean and the EMR that is not the queue."""

    sim: OceanSim
    inbox: OceanInbox
    adapter: EmrAdapter
    rig: Rig
    links: Links = field(default_factory=Links)
    settings: MessagesSpec = field(default_factory=MessagesSpec)
    now: datetime = NINE

    @property
    def ocean(self) -> Mailbox:
        return self.sim.site(SITE).mailbox

    async def deliveries(self, notice: Notice) -> Sequence[Delivery]:
        event = Event(notice.type, notice.ref, notice.session, notice.source, NINE.astimezone(UTC))
        return expand(event, await fetch(event, self.inbox, [SEK], self.settings), self.settings)

    async def resolve(self, delivery: Delivery) -> tuple[Write, ...]:
        context = Context(self.settings, ZONE, "fr", self.links, lambda: self.now)
        return await resolve(delivery, self.adapter, context)

    async def writes(self, notice: Notice) -> list[Write]:
        """What `notice` asks for, while nothing is written."""
        return [write for each in await self.deliveries(notice) for write in await self.resolve(each)]

    async def deliver(self, notice: Notice) -> None:
        """Bring it into the EMR, as the worker does when nothing goes wrong."""
        for each in await self.deliveries(notice):
            for place, write in enumerate(await self.resolve(each)):
                outcome = await self.adapter.write(write, write_key("n/s", each.source_id, each.version, place))
                await remember(each, write, outcome.ref, self.links)


def who(**more: Any) -> dict[str, Any]:
    """The patient of the clinic, as Ocean knows it."""
    known = {
        "firstName": KNOWN.first_name,
        "surname": KNOWN.last_name,
        "birthDate": "1980-02-29",
        "sex": "F",
        "hn": "9876543217",
        "hnProv": "ON",
        "hnVC": "AB",
    }
    return {name: value for name, value in (known | more).items() if value is not None}


def a_patient(bridge: Bridge, ref: str = "p0001", chart: str | None = KNOWN.id, **more: Any) -> None:
    bridge.ocean.put_patient(ref, {"externalPatientRef": chart, "demographics": who(**more)})


def a_note(bridge: Bridge, form: Form | None = None) -> Notice:
    (notice,) = bridge.ocean.complete("p0001", form or Form("Santé", "Ça va\nbien"))
    return notice


async def held(bridge: Bridge, notice: Notice) -> MessageHeldError:
    before = bridge.rig.writes()
    with pytest.raises(MessageHeldError) as caught:
        await bridge.writes(notice)
    assert bridge.rig.writes() == before
    assert "p1001" not in str(caught.value)
    return caught.value
