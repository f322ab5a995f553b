"""Notes and documents in OSCAR charts, where builds differ from the contract's plain words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

import pytest

from ocean_emr.adapters.oscar_calls import milliseconds
from ocean_emr.errors import (
    EmrNotSupportedError,
    EmrOutcomeUnknownError,
    EmrPermissionDeniedError,
    EmrWriteRefusedError,
)
from ocean_emr.records import PatientId
from ocean_emr.testing.oscar_sim import Fault, FaultKind, OscarSim, Profile, SimNote
from ocean_emr.writes import NewDocument, NewNote, NoteKind, Probe, ProbeResult, WriteStatus
from unit.emr.oscar_clinic import BOTH, PATIENT, ZONE, writer_to

KEY: Final = UUID("12345678-1234-5678-1234-567812345678")
SEEN: Final = datetime(2024, 5, 6, 22, 5, tzinfo=ZONE)
NOTE: Final = NewNote(PATIENT, NoteKind.PROGRESS_NOTE, "Santé", "Ça va, p1001.\n- oui", SEEN)
PDF: Final = NewDocument(PATIENT, "Référence", b"%PDF-1.4 ...", SEEN)
CLASSIC: Final = pytest.mark.parametrize("profile", [Profile.CLASSIC])


def shown(sim: OscarSim) -> list[str]:
    return [note.text for note in sim.clinic.shown_notes(1001)]


@BOTH
async def test_a_note_is_a_draft_under_its_key(sim: OscarSim) -> None:
    """Its title stands first, since OSCAR's notes have none, and it belongs to no appointment."""
    async with writer_to(sim) as adapter:
        outcome = await adapter.write(NOTE, KEY)
    (note,) = sim.clinic.notes.values()

    assert (outcome.status, outcome.ref) == (WriteStatus.CREATED, str(note.no))
    assert note.text == "Santé\nÇa va, p1001.\n- oui"
    assert (note.uuid, note.signed, note.observed) == (str(KEY), False, SEEN)
    assert {row.status for row in sim.clinic.appointments.values()} == {"t", "C"}


async def test_a_note_without_a_title_begins_with_its_text(sim: OscarSim) -> None:
    async with writer_to(sim) as adapter:
        await adapter.write(replace(NOTE, title=" "), KEY)

    assert shown(sim) == [NOTE.text]


async def test_a_note_from_the_future_is_dated_now(sim: OscarSim) -> None:
    """OSCAR would move it without a word."""
    async with writer_to(sim) as adapter:
        await adapter.write(replace(NOTE, observed_at=datetime.now(UTC) + timedelta(hours=3)), KEY)
    (note,) = sim.clinic.notes.values()

    assert abs(note.observed - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["", " \n\t"])
async def test_a_blank_note_is_refused_before_anybody_is_asked(sim: OscarSim, text: str) -> None:
    """OSCAR answers 204 and keeps nothing."""
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrWriteRefusedError, match="blank"):
            await adapter.write(replace(NOTE, text=text), KEY)

    assert sim.ledger.total == 0


async def test_a_note_is_found_behind_many_others(sim: OscarSim) -> None:
    """Also behind what was observed later, and whoever changed it."""
    later = datetime(2025, 1, 1, tzinfo=ZONE)
    async with writer_to(sim) as adapter:
        await adapter.write(NOTE, KEY)
        sim.clinic.add(*(SimNote(100 + n, 1001, f"u{n}", "p1001", later, "101") for n in range(250)))
        sim.clinic.add(SimNote(900, 1001, str(KEY), "changed", SEEN, "101"))

        assert await adapter.probe(NOTE, KEY) == ProbeResult(Probe.APPLIED, "900")
        assert (await adapter.write(NOTE, KEY)).status is WriteStatus.ALREADY_PRESENT


async def test_a_list_of_notes_without_end_proves_nothing(sim: OscarSim) -> None:
    later = datetime(2025, 1, 1, tzinfo=ZONE)
    sim.clinic.add(*(SimNote(n, 1001, f"u{n}", "p1001", later, "101") for n in range(1, 5102)))
    async with writer_to(sim) as adapter:
        assert (await adapter.probe(NOTE, KEY)).probe is Probe.CANNOT_TELL


async def test_a_note_in_another_chart_is_another_note(sim: OscarSim) -> None:
    sim.clinic.add(SimNote(1, 1002, str(KEY), "p1002", SEEN, "104"))
    async with writer_to(sim) as adapter:
        assert (await adapter.probe(NOTE, KEY)).probe is Probe.NOT_APPLIED


@CLASSIC
async def test_a_classic_build_shows_no_notes_and_takes_each_one_once(sim: OscarSim) -> None:
    """Its list fails for us, so nobody can tell; sent again by a person's decision, the chart still shows one."""
    async with writer_to(sim) as adapter:
        before = await adapter.probe(NOTE, KEY)
        first = await adapter.write(NOTE, KEY)
        after = await adapter.probe(NOTE, KEY)
        again = await adapter.write(NOTE, KEY)

    assert (before.probe, after.probe) == (Probe.CANNOT_TELL, Probe.CANNOT_TELL)
    assert (first.status, again.status) == (WriteStatus.CREATED, WriteStatus.CREATED)
    assert (len(sim.clinic.notes), len(shown(sim))) == (2, 1)


@pytest.mark.parametrize("why", [FaultKind.NOTES_HIDDEN, FaultKind.UUID_IGNORED])
async def test_where_a_saved_note_does_not_come_back_nothing_is_concluded(sim: OscarSim, why: FaultKind) -> None:
    """A chart of another programme looks empty; a build may give notes keys of its own."""
    sim.faults.add(why)
    async with writer_to(sim) as adapter:
        outcome = await adapter.write(NOTE, KEY)
        after = await adapter.probe(NOTE, KEY)

    assert (outcome.status, outcome.ref) == (WriteStatus.CREATED, "1")
    assert after.probe is Probe.CANNOT_TELL


async def test_a_note_that_may_not_be_read_is_a_missing_right(sim: OscarSim) -> None:
    async with writer_to(sim) as adapter:
        sim.faults.add(Fault(FaultKind.NO_DEMOGRAPHIC_RIGHT))
        with pytest.raises(EmrPermissionDeniedError):
            await adapter.probe(NOTE, KEY)


async def test_trouble_while_reading_back_leaves_the_outcome_unknown(sim: OscarSim) -> None:
    """It was sent, and the error does not say that nothing was written."""
    sim.faults.add(Fault(FaultKind.UNAVAILABLE, path="/all", skip=1))
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrOutcomeUnknownError, match="could not be read back"):
            await adapter.write(NOTE, KEY)

    assert len(shown(sim)) == 1


@pytest.mark.parametrize("words", ["Access Denied", "missing required sec object", "invalid_signature"])
async def test_a_page_that_quotes_the_patient_is_no_refusal(sim: OscarSim, words: str) -> None:
    """The server failed after it had saved, and its page shows what it was given."""
    sim.faults.add(Fault(FaultKind.FAILED_AFTER, writes_only=True, detail=words))
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrOutcomeUnknownError):
            await adapter.write(replace(NOTE, text=f"I was told: {words}"), KEY)

    assert len(shown(sim)) == 1


def test_a_moment_is_not_in_oscars_future() -> None:
    """By its own clock, which may be behind ours."""
    now = datetime.now(UTC)
    past = now - timedelta(hours=2)

    assert milliseconds(past, None) == int(past.timestamp() * 1000)
    assert milliseconds(now + timedelta(hours=2), 0.0) < (now + timedelta(hours=1)).timestamp() * 1000
    assert milliseconds(now - timedelta(seconds=1), -200.0) < (now - timedelta(seconds=100)).timestamp() * 1000


# Documents


async def test_a_document_comes_with_a_marked_title_and_a_plain_name(sim: OscarSim) -> None:
    """The name is ASCII and holds the whole key; the day is the patient's, although it is night in Greenwich."""
    async with writer_to(sim) as adapter:
        outcome = await adapter.write(PDF, KEY)
    (document,) = sim.clinic.documents.values()

    assert (outcome.status, outcome.ref) == (WriteStatus.CREATED, str(document.no))
    assert document.description == "Référence [BR:12345678]"
    assert document.file_name.endswith(f"_ocean-{KEY}.pdf")
    assert document.content == PDF.pdf
    assert document.observed == date(2024, 5, 6)


async def test_a_long_title_keeps_its_mark(sim: OscarSim) -> None:
    async with writer_to(sim) as adapter:
        await adapter.write(replace(PDF, title="Référence " * 50), KEY)
    (document,) = sim.clinic.documents.values()

    assert len(document.description) == 255
    assert document.key == "12345678"


async def test_a_document_is_for_the_inbox_of_the_patients_provider(sim: OscarSim) -> None:
    sim.clinic.add(replace(sim.clinic.patients[1001], provider_no="101"))
    async with writer_to(sim) as adapter:
        await adapter.write(PDF, KEY)
        await adapter.write(replace(PDF, patient_id=PatientId("1002")), KEY)

    assert [document.routed_to for document in sim.clinic.documents.values()] == ["101", ""]


@CLASSIC
async def test_a_classic_build_takes_no_documents(sim: OscarSim) -> None:
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrNotSupportedError, match="takes no documents") as caught:
            await adapter.write(PDF, KEY)

    assert "importAttachments" in caught.value.remedy


async def test_a_document_that_is_too_large_is_refused(sim: OscarSim) -> None:
    sim.faults.add(Fault(FaultKind.TOO_LARGE, path="/document/"))
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrWriteRefusedError, match="413"):
            await adapter.write(PDF, KEY)


async def test_eight_megabytes_arrive_whole(sim: OscarSim) -> None:
    large = b"%PDF-1.4" + bytes(range(256)) * 32_768
    async with writer_to(sim) as adapter:
        await adapter.write(replace(PDF, pdf=large), KEY)
    (document,) = sim.clinic.documents.values()

    assert document.content == large
