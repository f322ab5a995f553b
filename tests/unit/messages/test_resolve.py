"""From what a patient did at Ocean to what is in the EMR: simulated Ocean, real client, real adapters, real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import orjson
import pytest

from conformance.rigs.fhir import FhirRig
from conformance.rigs.oscar import OscarRig
from ocean_api.reasons import Reason
from ocean_api.v1alpha1.spec import MessagesSpec, SlotPolicy, WalkInsSpec
from ocean_emr.contract import EmrAdapter
from ocean_emr.errors import EmrUnavailableError
from ocean_emr.messages.deliveries import Delivery, Event, MessageHeldError, write_key
from ocean_emr.messages.expand import expand
from ocean_emr.messages.fetch import fetch
from ocean_emr.messages.resolve import Context, remember, resolve
from ocean_emr.ocean.client import OceanAccess
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.ocean.errors import MessageGoneError, MessageUnreadableError, SekMismatchError
from ocean_emr.ocean.inbox import OceanInbox
from ocean_emr.ocean.login import SiteCredential
from ocean_emr.records import Appointment, AppointmentStatus, HealthNumber, PatientId
from ocean_emr.testing.conformance import Clinic, Trouble
from ocean_emr.testing.conformance.clinic import ALICE, CLOCK_CHANGE, DAY, PATIENTS, ZOE, ZONE, booking
from ocean_emr.testing.conformance.rig import Rig
from ocean_emr.testing.ocean_sim import Fault, FaultKind, OceanSim, SimSite
from ocean_emr.testing.ocean_sim.mailbox import Form, Mailbox, Notice, Upload
from ocean_emr.testing.serving import LOOPBACK
from ocean_emr.writes import Arrival, NewAppointment, NewDocument, NewNote, NewPatient, NoteKind, Write
from unit.messages.pictures import jpeg

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


@pytest.fixture(scope="module")
def running_sim() -> Iterator[OceanSim]:
    with OceanSim() as running:
        yield running


@pytest.fixture(scope="module")
async def fhir() -> AsyncIterator[Rig]:
    async with FhirRig() as rig:
        yield rig


@pytest.fixture(scope="module")
async def oscar() -> AsyncIterator[Rig]:
    async with OscarRig() as rig:
        yield rig


@pytest.fixture
def rig(fhir: Rig) -> Rig:
    return fhir


@pytest.fixture
async def bridge(running_sim: OceanSim, rig: Rig) -> AsyncIterator[Bridge]:
    running_sim.start_over(SimSite(SITE, "k", "c", sek=SEK))
    rig.suffer(None)
    rig.hold(Clinic())
    access = OceanAccess(running_sim.url, SITE, SiteCredential("k", "c"), addresses=LOOPBACK)
    async with OceanInbox(access) as inbox, rig.adapter() as adapter:
        yield Bridge(running_sim, inbox, adapter, rig)


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


# The whole way, for every EMR that can be written to.


@pytest.fixture(params=["fhir", "oscar"])
async def whole(running_sim: OceanSim, fhir: Rig, oscar: Rig, request: pytest.FixtureRequest) -> AsyncIterator[Bridge]:
    rig = {"fhir": fhir, "oscar": oscar}[request.param]
    running_sim.start_over(SimSite(SITE, "k", "c", sek=SEK))
    rig.suffer(None)
    rig.hold(Clinic((booking(1, DAY, time(9, 30)), booking(2, DAY, time(11)), booking(3, DAY, time(12)))))
    access = OceanAccess(running_sim.url, SITE, SiteCredential("k", "c"), addresses=LOOPBACK)
    async with OceanInbox(access) as inbox, rig.adapter() as adapter:
        yield Bridge(running_sim, inbox, adapter, rig, settings=IMPORTING.model_copy(update={"walk_ins": WALK_INS}))


async def test_what_a_patient_does_is_seen_in_the_chart(whole: Bridge) -> None:
    a_patient(whole)
    form = Form(
        "Santé",
        "Ça va\nbien",
        {"address.email": "new@example.org", "surname": "Tremblay"},
        [Upload("photo.jpg", "image/jpeg", jpeg())],
    )

    await whole.deliver(a_note(whole, form))

    notes = "\n".join(whole.rig.notes(KNOWN.id))
    assert "Ça va\nbien" in notes
    assert "Nom de famille: Tremblay (au dossier: p1001-Côté)" in notes
    ((title, pdf),) = whole.rig.documents(KNOWN.id)
    assert "photo" in title
    assert pdf.startswith(b"%PDF-")
    chart = await whole.adapter.get_patient(KNOWN.id)
    assert (chart.email, chart.last_name) == ("new@example.org", "p1001-Côté")


async def test_a_check_in_is_seen_in_the_schedule(whole: Bridge) -> None:
    a_patient(whole)

    await whole.deliver(whole.ocean.check_in("p0001", at=NINE))

    statuses = {each.id: each.status for each in whole.rig.bookings(KNOWN.id)}
    assert statuses == {
        "1": AppointmentStatus.ARRIVED,
        "2": AppointmentStatus.ARRIVED,
        "3": AppointmentStatus.BOOKED,
    }


async def test_a_walk_in_nobody_knew_has_a_chart_and_a_booking_and_the_next_note_finds_it(whole: Bridge) -> None:
    stranger = {"hn": None, "hnProv": None, "hnVC": None, "surname": "p0003-Bélanger", "firstName": "Zoé"}
    a_patient(whole, chart=None, **stranger)
    before = set(whole.rig.charts())

    await whole.deliver(whole.ocean.walk_in("p0001", reason="Toux", at=NINE))
    # Later messages have no health number to go by.
    await whole.deliver(whole.ocean.transcript("p0001", title="Échange", text="Bonjour", at=NINE))

    (created,) = set(whole.rig.charts()) - before
    (appointment,) = whole.rig.bookings(created)
    assert appointment.start == NINE
    assert (appointment.provider_id, appointment.status) == (ALICE, AppointmentStatus.ARRIVED)
    assert ["Bonjour" in note for note in whole.rig.notes(created)] == [True]


async def test_a_chart_that_was_created_is_known_at_once(whole: Bridge) -> None:
    """A worker that is killed behind the write looks for it, and then knows the chart as well."""
    a_patient(whole, chart=None, hn=None, hnProv=None, hnVC=None, surname="p0003-Bélanger")
    before = set(whole.rig.charts())
    patient, _ = await whole.deliveries(whole.ocean.walk_in("p0001", at=NINE))
    (write,) = await whole.resolve(patient)
    key = write_key("n/s", patient.source_id, patient.version, 0)

    await whole.adapter.write(write, key)
    found = await whole.adapter.probe(write, key)
    await remember(patient, write, found.ref, whole.links)

    assert {*whole.links.known.values()} == set(whole.rig.charts()) - before


async def test_a_referral_s_record_is_a_document(whole: Bridge) -> None:
    about = {"demographics": who()}
    upload = Upload("lettre.pdf", "application/pdf", b"%PDF-1.4 p0001")
    notice = whole.ocean.referral(about, {"description": "Cardiologie"}, [upload], message="À jeun")

    await whole.deliver(notice)

    titles = [title for title, _ in whole.rig.documents(KNOWN.id)]
    assert len(titles) == 2
    assert any("Cardiologie" in title for title in titles)


# Which chart.


@pytest.mark.parametrize("chart", [KNOWN.id, None, "4004"], ids=["named", "not named", "named and gone"])
async def test_the_chart_is_the_named_one_or_the_one_with_the_number(bridge: Bridge, chart: str | None) -> None:
    a_patient(bridge, chart=chart)

    (note,) = await bridge.writes(a_note(bridge))

    assert note == NewNote(KNOWN.id, NoteKind.PROGRESS_NOTE, "Santé", "Ça va\nbien", NINE.astimezone(UTC))
    assert bridge.links.known == ({} if chart == KNOWN.id else {"p0001": KNOWN.id})


async def test_a_merged_chart_s_messages_go_where_it_went(bridge: Bridge) -> None:
    away = replace(KNOWN, id=PatientId("1009"), active=False)
    bridge.rig.hold(Clinic(patients=(KNOWN, away)))
    a_patient(bridge, chart="1009")

    (note,) = await bridge.writes(a_note(bridge))

    assert note.patient_id == KNOWN.id  # type: ignore[union-attr]


@pytest.mark.parametrize("by", ["name", "link", "number"])
async def test_a_chart_that_was_put_away_takes_nothing(bridge: Bridge, by: str) -> None:
    bridge.rig.hold(Clinic(patients=(replace(KNOWN, active=False),)))
    if by == "link":
        bridge.links.known["p0001"] = KNOWN.id
    number = {} if by == "number" else {"hn": None, "hnProv": None, "hnVC": None}
    a_patient(bridge, chart=KNOWN.id if by == "name" else None, **number)

    assert (await held(bridge, a_note(bridge))).reason is Reason.PATIENT_NOT_FOUND


@pytest.mark.parametrize("chart", [KNOWN.id, None], ids=["named", "by number"])
async def test_another_birth_date_is_a_mismatch(bridge: Bridge, chart: str | None) -> None:
    a_patient(bridge, chart=chart, birthDate="1981-02-28")

    assert (await held(bridge, a_note(bridge))).reason is Reason.PATIENT_MISMATCH


async def test_an_earlier_finding_is_looked_at_again(bridge: Bridge) -> None:
    """The chart has become another person's."""
    bridge.links.known["p0001"] = KNOWN.id
    a_patient(bridge, chart=None, hn="1234567897", hnVC=None)

    assert (await held(bridge, a_note(bridge))).reason is Reason.PATIENT_MISMATCH


async def test_two_charts_with_one_number_are_for_a_person(bridge: Bridge) -> None:
    bridge.rig.hold(Clinic(patients=(KNOWN, replace(KNOWN, id=PatientId("1009")))))
    a_patient(bridge, chart=None)

    assert (await held(bridge, a_note(bridge))).reason is Reason.PATIENT_AMBIGUOUS


@pytest.mark.parametrize("number", ["1234567897", None])
async def test_only_who_stands_at_the_kiosk_is_found_by_name(bridge: Bridge, number: str | None) -> None:
    """A web form's sender says who he is, and nobody has seen him."""
    bridge.rig.hold(Clinic(patients=(replace(KNOWN, health_number=None),)))
    bridge.settings = MessagesSpec(walk_ins=WALK_INS)
    a_patient(bridge, chart=None, hn=number, hnVC=None)

    assert (await held(bridge, a_note(bridge))).reason is Reason.PATIENT_NOT_FOUND
    (booked,) = await bridge.writes(bridge.ocean.walk_in("p0001", at=NINE))
    assert isinstance(booked, NewAppointment)
    assert booked.patient_id == KNOWN.id


async def test_a_referral_from_elsewhere_does_not_name_a_chart_here(bridge: Bridge) -> None:
    """Its external reference is a chart of the other clinic's EMR."""
    bridge.settings = IMPORTING
    other = replace(KNOWN, id=PatientId("1009"), health_number=HealthNumber("1234567897", "ON"))
    bridge.rig.hold(Clinic(patients=(KNOWN, other)))
    about = {"ref": "x", "siteNum": "9999", "externalPatientRef": "1009", "demographics": who()}

    (document,) = await bridge.writes(bridge.ocean.referral(about, {"description": "Cardiologie"}))

    assert isinstance(document, NewDocument)
    assert document.patient_id == KNOWN.id
    assert bridge.links.known == {}


# Arrivals.


async def test_all_appointments_within_the_hours_are_marked_whoever_the_provider_is(bridge: Bridge) -> None:
    off = AppointmentStatus.CANCELLED
    bridge.rig.hold(
        Clinic(
            (
                booking(1, DAY, time(8, 59)),
                booking(2, DAY, time(9)),
                booking(3, DAY, time(10), provider=ZOE),
                booking(4, DAY, time(10, 30), status=off),
                booking(5, DAY, time(10, 40), patient=PATIENTS[1].id),
                booking(6, DAY, time(11)),
                booking(7, DAY, time(11, 1)),
            )
        )
    )
    a_patient(bridge)

    marked = await bridge.writes(bridge.ocean.check_in("p0001", at=NINE + timedelta(seconds=40)))

    assert marked == [Arrival(each) for each in ("2", "3", "6")]  # type: ignore[arg-type]


async def test_on_the_day_of_25_hours_the_second_half_past_one_is_an_hour_later(bridge: Bridge) -> None:
    first = booking(1, CLOCK_CHANGE, time(1, 30))
    second = replace(first, id="2", start=first.start.replace(fold=1))  # type: ignore[arg-type]
    bridge.rig.hold(Clinic((first, second)))
    bridge.settings = MessagesSpec(arrived_within_hours=1)
    a_patient(bridge)

    late = await bridge.writes(bridge.ocean.check_in("p0001", at=second.start))
    early = await bridge.writes(bridge.ocean.check_in("p0001", at=first.start))

    assert late == [Arrival(second.id)]
    assert early == [Arrival(first.id), Arrival(second.id)]


async def test_who_has_no_appointment_near_is_for_a_person(bridge: Bridge) -> None:
    a_patient(bridge)

    assert (await held(bridge, bridge.ocean.check_in("p0001", at=NINE))).reason is Reason.NO_APPOINTMENT_NEAR


async def test_nothing_is_marked_where_the_setting_was_changed_to_zero_meanwhile(bridge: Bridge) -> None:
    a_patient(bridge)
    (arrived,) = await bridge.deliveries(bridge.ocean.check_in("p0001", at=NINE))
    bridge.settings = MessagesSpec(arrived_within_hours=0)

    assert await bridge.resolve(arrived) == ()


# Walk-ins.


async def test_walk_ins_are_off_unless_they_are_set(bridge: Bridge) -> None:
    a_patient(bridge)
    patient, appointment = await bridge.deliveries(bridge.ocean.walk_in("p0001", at=NINE))

    for delivery in (patient, appointment):
        with pytest.raises(MessageHeldError) as caught:
            await bridge.resolve(delivery)
        assert caught.value.reason is Reason.WALK_INS_OFF


async def test_a_known_walk_in_needs_no_chart(bridge: Bridge) -> None:
    bridge.settings = MessagesSpec(walk_ins=WALK_INS)
    a_patient(bridge)
    patient, appointment = await bridge.deliveries(bridge.ocean.walk_in("p0001", reason="Toux", at=NINE))

    assert await bridge.resolve(patient) == ()
    assert await bridge.resolve(appointment) == (NewAppointment(KNOWN.id, ALICE, NINE, 15, "Toux", location="Salle 2"),)


async def test_no_chart_is_created_where_none_may_be(bridge: Bridge) -> None:
    bridge.settings = MessagesSpec(walk_ins=WALK_INS.model_copy(update={"allow_new_patients": False}))
    a_patient(bridge, chart=None, hn="1234567897", hnVC=None, surname="p0003")

    assert (await held(bridge, bridge.ocean.walk_in("p0001", at=NINE))).reason is Reason.WALK_INS_OFF


@pytest.mark.parametrize("named", ["4004", "1009"], ids=["out of sight", "put away"])
async def test_no_chart_is_created_beside_one_that_ocean_names(bridge: Bridge, named: str) -> None:
    away = replace(PATIENTS[1], id=PatientId("1009"), active=False)
    bridge.rig.hold(Clinic(patients=(away,)))
    bridge.settings = MessagesSpec(walk_ins=WALK_INS)
    a_patient(bridge, chart=named, hn="1234567897", hnVC=None, surname="p0003")
    patient, _ = await bridge.deliveries(bridge.ocean.walk_in("p0001", at=NINE))

    with pytest.raises(MessageHeldError) as caught:
        await bridge.resolve(patient)

    assert caught.value.reason is Reason.PATIENT_NOT_FOUND


def at(hour: int, minute: int = 0) -> datetime:
    return NINE.replace(hour=hour, minute=minute)


@pytest.mark.parametrize(
    ("booked", "now", "expected"),
    [
        ((), at(9), at(9)),
        (((9, 0), (9, 15)), at(9), at(9, 30)),
        (((9, 0), (9, 25)), at(9), at(9, 40)),
        # The EMR was away for a while, and nobody is booked in the past.
        (((9, 0),), at(10, 20), at(10, 20)),
    ],
)
async def test_the_next_free_time_of_the_provider_s_day(
    bridge: Bridge, booked: Sequence[tuple[int, int]], now: datetime, expected: datetime
) -> None:
    appointments: list[Appointment] = [booking(n, DAY, time(*clock)) for n, clock in enumerate(booked, start=1)]
    appointments += [booking(9, DAY, time(9), provider=ZOE), booking(10, DAY + timedelta(days=1), time(9))]
    bridge.rig.hold(Clinic(tuple(appointments)))
    bridge.settings = MessagesSpec(walk_ins=WALK_INS.model_copy(update={"slot_policy": SlotPolicy.NEXT_FREE}))
    bridge.now = now
    a_patient(bridge)

    (appointment,) = await bridge.writes(bridge.ocean.walk_in("p0001", at=NINE))

    assert isinstance(appointment, NewAppointment)
    assert (appointment.start, appointment.start.tzinfo) == (expected, ZONE)


async def test_a_day_that_the_emr_does_not_show_is_not_free(bridge: Bridge) -> None:
    chosen = {"slot_policy": SlotPolicy.NEXT_FREE, "provider_id": "nobody"}
    bridge.settings = MessagesSpec(walk_ins=WALK_INS.model_copy(update=chosen))
    a_patient(bridge)

    assert (await held(bridge, bridge.ocean.walk_in("p0001", at=NINE))).reason is Reason.PROVIDER_UNKNOWN


async def test_a_new_chart_begins_with_all_that_ocean_knows(bridge: Bridge) -> None:
    bridge.settings = MessagesSpec(walk_ins=WALK_INS)
    more = {"address": {"line1": "3 rue X", "city": "Québec", "phone": "418-555-0103"}, "language": "fr"}
    a_patient(bridge, chart=None, hn="1234567897", hnVC=None, surname="p0003", **more)

    patient, _ = await bridge.deliveries(bridge.ocean.walk_in("p0001", at=NINE))
    (created,) = await bridge.resolve(patient)

    assert isinstance(created, NewPatient)
    assert (created.last_name, created.birth_date, created.home_phone) == ("p0003", date(1980, 2, 29), "418-555-0103")


# What may go wrong on the way.


async def test_a_message_that_was_deleted_at_ocean_is_gone(bridge: Bridge) -> None:
    a_patient(bridge)
    notice = a_note(bridge)
    bridge.ocean.forget_patient("p0001")

    with pytest.raises(MessageGoneError):
        await bridge.deliveries(notice)


async def test_the_end_of_a_sitting_without_a_note_is_nothing(bridge: Bridge) -> None:
    a_patient(bridge)
    _, last = bridge.ocean.complete("p0001", Form("", "x"), last=True)

    assert await bridge.deliveries(replace(last, session="1759442545187t415674")) == ()
    with pytest.raises(MessageGoneError):
        await bridge.deliveries(replace(last, type="notify-patient-note-added", session="1759442545187t415674"))


async def test_a_file_that_is_gone_does_not_keep_the_note_back(bridge: Bridge) -> None:
    bridge.settings = IMPORTING
    a_patient(bridge)
    notice = a_note(bridge, Form("Santé", "x", files=[Upload("a.pdf", "application/pdf", b"%PDF-")]))
    bridge.sim.faults.add(Fault(FaultKind.NOT_FOUND, path="/svc/ocean-operator"))

    note, document = await bridge.deliveries(notice)

    assert [type(write) for write in await bridge.resolve(note)] == [NewNote]
    with pytest.raises(MessageHeldError) as caught:
        await bridge.resolve(document)
    assert caught.value.reason is Reason.MESSAGE_GONE


async def test_a_file_that_is_named_twice_is_fetched_once(bridge: Bridge) -> None:
    bridge.settings = IMPORTING
    notice = bridge.ocean.referral({"demographics": who()}, {}, [Upload("a.pdf", "application/pdf", b"%PDF-")])
    record = orjson.loads(bridge.ocean._referrals[notice.ref])
    record["externalConversation"] = [{"message": "x", "attachmentRefDtos": record["bookingFileRefs"]}]
    bridge.ocean._referrals[notice.ref] = orjson.dumps(record)

    deliveries = await bridge.deliveries(notice)

    assert [each.source_id for each in deliveries[1:]] == [f"referral/{notice.ref}/file/{notice.files[0]}"]
    assert sum("attachments" in request.path for request in bridge.sim.site(SITE).requests) == 1


async def test_files_are_not_even_fetched_where_they_are_not_wanted(bridge: Bridge) -> None:
    a_patient(bridge)
    notice = a_note(bridge, Form("Santé", "x", files=[Upload("a.pdf", "application/pdf", b"%PDF-")]))

    await bridge.deliveries(notice)

    assert not any("attachments" in request.path for request in bridge.sim.site(SITE).requests)


async def test_a_note_under_another_key_is_the_key_s_fault(bridge: Bridge) -> None:
    a_patient(bridge)
    bridge.sim.site(SITE).sek = SharedEncryptionKey("Another!Key12345")
    notice = a_note(bridge)

    with pytest.raises(SekMismatchError):
        await bridge.deliveries(notice)


async def test_a_session_without_its_moment_is_unreadable(bridge: Bridge) -> None:
    a_patient(bridge)
    notice = bridge.ocean.check_in("p0001")
    note = a_note(bridge)

    with pytest.raises(MessageUnreadableError):
        await bridge.deliveries(replace(notice, session=""))
    with pytest.raises(MessageGoneError):
        await bridge.deliveries(replace(notice, session=note.session))


async def test_an_emr_that_is_away_says_so(bridge: Bridge) -> None:
    a_patient(bridge)
    (delivery,) = await bridge.deliveries(a_note(bridge))
    bridge.rig.suffer(Trouble.UNAVAILABLE)

    with pytest.raises(EmrUnavailableError):
        await bridge.resolve(delivery)


async def test_resolving_writes_nothing(bridge: Bridge) -> None:
    bridge.rig.hold(Clinic((booking(1, DAY, time(9)),)))
    bridge.settings = IMPORTING.model_copy(update={"walk_ins": WALK_INS})
    a_patient(bridge)
    before = bridge.rig.writes()
    notices = [
        a_note(bridge, Form("x", "y", {"address.email": "new@example.org"}, [Upload("a", "", jpeg())])),
        bridge.ocean.check_in("p0001", at=NINE),
        bridge.ocean.walk_in("p0001", at=NINE),
        bridge.ocean.transcript("p0001", title="", text="x", at=NINE),
        bridge.ocean.referral({"demographics": who()}, {"description": "x"}),
    ]

    for notice in notices:
        assert await bridge.writes(notice)

    assert bridge.rig.writes() == before


async def test_asked_again_it_says_the_same(bridge: Bridge) -> None:
    """A worker that was killed before it wrote asks again."""
    bridge.rig.hold(Clinic((booking(1, DAY, time(9)),)))
    bridge.settings = IMPORTING
    a_patient(bridge)
    for notice in (
        a_note(bridge, Form("x", "y", {"surname": "Roy"}, [Upload("a", "", jpeg())])),
        bridge.ocean.check_in("p0001", at=NINE),
    ):
        first = await bridge.writes(notice)
        assert first == await bridge.writes(notice)
