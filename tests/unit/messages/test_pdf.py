"""What a note looks like as a PDF, read back by another library."""

from __future__ import annotations

import io
import logging
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from ocean_emr.messages.pdf import text_pdf

_WHEN = datetime(2026, 11, 23, 9, 30, tzinfo=ZoneInfo("America/Toronto"))


def _pages(pdf: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]


def test_french_and_other_alphabets_print() -> None:
    said = "Suivi d'été, à jeun — œdème, Ÿ, « ça » · Łódź, Ђорђе, Ελένη, Nguyễn €"
    (page,) = _pages(text_pdf("Évaluation", said, written_at=_WHEN))

    assert page.splitlines() == ["Évaluation", said, "2026-11-23 09:30 · 1/1"]


def test_an_accent_written_apart_is_the_same_letter() -> None:
    apart = "e\N{COMBINING ACUTE ACCENT}te\N{COMBINING ACUTE ACCENT}"  # codespell:ignore te
    (page,) = _pages(text_pdf("", apart, written_at=_WHEN))

    assert page.splitlines()[0] == "été"


def test_ticks_of_a_questionnaire_are_spelled_and_the_rest_is_marked() -> None:
    (page,) = _pages(text_pdf("", "☐ no ☑ yes ✓ 漢\N{OBJECT REPLACEMENT CHARACTER}{nb}", written_at=_WHEN))

    assert page.splitlines()[0] == "[ ] no [x] yes [x] \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}{nb}"


def test_all_lines_come_in_order_over_as_many_pages_as_it_takes() -> None:
    lines = [f"answer {number}" for number in range(200)]
    pages = _pages(text_pdf("Form", "\n".join(lines), written_at=_WHEN))
    body = [line for page in pages for line in page.splitlines()[:-1]]

    assert body == ["Form", *lines]
    assert [page.splitlines()[-1] for page in pages] == [f"2026-11-23 09:30 · {n}/{len(pages)}" for n in range(1, 6)]


def test_a_word_longer_than_a_line_loses_nothing() -> None:
    (page,) = _pages(text_pdf("", "x" * 500, written_at=_WHEN))

    assert page.splitlines()[:-1] == [line for line in page.splitlines() if line.startswith("x")]
    assert sum(map(len, page.splitlines()[:-1])) == 500


def test_the_same_note_is_the_same_file() -> None:
    assert text_pdf("a", "b", written_at=_WHEN) == text_pdf("a", "b", written_at=_WHEN)


@settings(max_examples=30, deadline=None)
@given(title=st.text(max_size=40), text=st.text(max_size=200))
def test_no_text_breaks_it(title: str, text: str) -> None:
    assert _pages(text_pdf(title, text, written_at=_WHEN))


def test_no_letter_of_a_chart_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Both libraries would: one the letters it lacks, the other those it keeps."""
    with caplog.at_level(logging.INFO):
        text_pdf("Zoë", "漢字", written_at=_WHEN)

    assert not caplog.records
