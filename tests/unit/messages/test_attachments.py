"""Files and records as PDF for the chart; what cannot be one is held, and its name shown to nobody."""

from __future__ import annotations

import re
import traceback
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader

from ocean_api.reasons import Reason
from ocean_emr.messages.attachments import as_pdf, title_of
from ocean_emr.messages.deliveries import DocumentContent, MessageHeldError, RecordPart
from ocean_emr.messages.words import Words
from unit.messages.people import AT, person
from unit.messages.pictures import gif, jpeg, mpo, png

TORONTO = ZoneInfo("America/Toronto")
NAME = "results of p0001.pdf"
PDF = b"%PDF-1.7\n...\n%%EOF"


def document(data: bytes = b"", content_type: str = "application/pdf", **more: Any) -> DocumentContent:
    return DocumentContent(
        **({"person": person(), "title": NAME, "content_type": content_type, "data": data, "observed_at": AT} | more)
    )


def made(content: DocumentContent, most_bytes: int | None = None) -> bytes:
    return as_pdf(content, "fr", TORONTO, most_bytes=most_bytes)


def held(content: DocumentContent, most_bytes: int | None = None) -> MessageHeldError:
    with pytest.raises(MessageHeldError) as caught:
        made(content, most_bytes)
    assert "p0001" not in "".join(traceback.format_exception(caught.value))
    return caught.value


def page(pdf: bytes) -> Any:
    (only,) = PdfReader(BytesIO(pdf)).pages
    return only


@pytest.mark.parametrize("content_type", ["application/pdf", "", "application/octet-stream", "image/png"])
def test_a_pdf_passes_as_it_is_whatever_it_is_called(content_type: str) -> None:
    assert made(document(PDF, content_type)) == PDF
    assert made(document(b"\xef\xbb\xbf\n" + PDF, content_type)) == b"\xef\xbb\xbf\n" + PDF


@pytest.mark.parametrize(
    "picture",
    [jpeg(), png(), png(mode="RGB"), png(mode="LA"), png(mode="P"), png(mode="1"), png(mode="I;16"), jpeg(3_000, 20)],
    ids=["jpeg", "rgba", "rgb", "la", "p", "1", "i16", "wide"],
)
def test_a_picture_becomes_one_page_within_its_margins(picture: bytes) -> None:
    only = page(made(document(picture, "image/jpeg")))

    (image,) = only.images
    width, height = re.findall(rb"q ([\d.]+) 0 0 ([\d.]+) [\d.]+ [\d.]+ cm", only.get_contents().get_data())[0]
    assert float(width) <= 612 - 2 * 56
    assert float(height) <= 792 - 2 * 56
    assert float(width) / float(height) == pytest.approx(image.image.width / image.image.height, rel=0.01)
    assert "2026-11-23 09:00" in only.extract_text()


@pytest.mark.parametrize("picture", [jpeg(), mpo()], ids=["jpeg", "with a second picture"])
def test_a_jpeg_is_not_packed_again(picture: bytes) -> None:
    assert picture[200:] in made(document(picture))


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [(1, b"1 0 0 1"), (3, b"-1 -0 0 -1"), (6, b"0 -1 1 0"), (8, b"-0 1 -1 -0"), (99, b"1 0 0 1")],
)
def test_a_picture_stands_upright(orientation: int, turned: bytes) -> None:
    """The matrices are those by which a page's content is turned to the right by 0, 180, 90 and 270 degrees."""
    only = page(made(document(jpeg(orientation=orientation))))

    assert re.search(rb"q\n(\S+ \S+ \S+ \S+) \S+ \S+ cm\nq ", only.get_contents().get_data())[1] == turned  # type: ignore[index]


@pytest.mark.parametrize("picture", [jpeg()[:-40], png()[:-30], jpeg()[:30], b"\x89PNG\r\n\x1a\n"])
def test_a_picture_that_is_cut_short_is_held(picture: bytes) -> None:
    error = held(document(picture, "image/png"))

    assert (error.reason, error.words) == (Reason.MESSAGE_UNREADABLE, "the picture is damaged or cut short")


@pytest.mark.parametrize("side", [4_000, 20_000])
def test_a_picture_that_would_fill_the_memory_is_held(side: int) -> None:
    """A few kilobytes that unpack to a gigabyte."""
    assert "too large" in held(document(png(side, side, mode="1"))).words


@pytest.mark.parametrize(
    ("content_type", "named"),
    [
        ("image/gif", "image/gif"),
        ("IMAGE/HEIC; name=p0001", "image/heic"),
        ("p0001", "an unnamed type"),
        ("", "an unnamed type"),
    ],
)
def test_another_type_is_held_and_named(content_type: str, named: str) -> None:
    error = held(document(gif(), content_type))

    assert (error.reason, named in error.words) == (Reason.MESSAGE_UNREADABLE, True)


def test_plain_text_becomes_a_pdf() -> None:
    only = page(made(document("Élève à l'école".encode("utf-8-sig"), "text/plain; charset=utf-8")))

    assert only.extract_text().splitlines()[:2] == ["results of p0001", "Élève à l'école"]
    assert held(document(b"\xe9t\xe9", "text/plain")).reason is Reason.MESSAGE_UNREADABLE


def test_what_the_emr_does_not_take_is_held() -> None:
    assert made(document(PDF), most_bytes=len(PDF)) == PDF
    error = held(document(PDF), most_bytes=len(PDF) - 1)

    assert (error.reason, f"{len(PDF)} bytes" in error.words) == (Reason.EMR_WRITE_REFUSED, True)


@pytest.mark.parametrize("trouble", [Reason.MESSAGE_GONE, Reason.MESSAGE_UNREADABLE])
def test_a_file_that_could_not_be_had_says_so(trouble: Reason) -> None:
    assert held(document(trouble=trouble)).reason is trouble


def test_a_record_is_printed_below_headings_in_the_clinic_s_language_and_time() -> None:
    record = (
        RecordPart(heading=Words.REFERRAL, text="Cardiologie"),
        RecordPart(heading=Words.APPOINTMENT, at=datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        RecordPart(heading=Words.MESSAGE, at=AT, text="Dr Alder\nÀ jeun, svp."),
    )
    content = document(record=record, title="Cardiologie")

    assert title_of(content, "fr") == "Dossier d'aiguillage: Cardiologie"
    assert page(made(content)).extract_text().splitlines() == [
        "Dossier d'aiguillage: Cardiologie",
        "Dossier d'aiguillage",
        "Cardiologie",
        "Rendez-vous",
        "2026-11-01 01:30",
        "Message",
        "2026-11-23 09:00",
        "Dr Alder",
        "À jeun, svp.",
        "2026-11-23 09:00 · 1/1",
    ]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        (NAME, "results of p0001"),
        ("photo.JPEG", "photo"),
        ("a.b", "a.b"),
        ("", "Fichier reçu d'Ocean"),
        (".pdf", "Fichier reçu d'Ocean"),
    ],
)
def test_a_document_is_called_as_its_file(name: str, title: str) -> None:
    assert title_of(document(title=name), "fr") == title
