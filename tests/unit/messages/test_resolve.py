"""From what a patient did at Ocean to what is in the EMR: simulated Ocean, real client, real adapters, real HTTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import time

import orjson
import pytest

from ocean_api.reasons import Reason
from ocean_emr.errors import EmrUnavailableError
from ocean_emr.messages.deliveries import MessageHeldError, write_key
from ocean_emr.messages.resolve import remember
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.ocean.errors import MessageGoneError, MessageUnreadableError, SekMismatchError
from ocean_emr.records import AppointmentStatus
from ocean_emr.testing.conformance import Clinic, Trouble
from ocean_emr.testing.conformance.clinic import ALICE, DAY, booking
from ocean_emr.testing.ocean_sim import Fault, FaultKind
from ocean_emr.testing.ocean_sim.mailbox import Form, Upload
from ocean_emr.writes import NewNote
from unit.messages.bridge import IMPORTING, KNOWN, NINE, SITE, WALK_INS, Bridge, a_note, a_patient, who
from unit.messages.pictures import jpeg


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
