"""Several notes of one sitting as one, and what the chart shows of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ocean_emr.messages.deliveries import NoteContent
from ocean_emr.messages.words import Language, Words, say

LONGEST_TITLE: Final = 200
"""Characters of a title that is made of several: a list of notes shows one line. The text has each of them whole."""


def merge(notes: Sequence[NoteContent]) -> NoteContent:
    """One note that holds all parts of `notes`, in their order; about the person as the last of them knows it.

    Merging some first and the rest later comes to the same.

    Args:
        notes: At least one, all of one patient.
    """
    return NoteContent(
        person=notes[-1].person,
        parts=tuple(part for note in notes for part in note.parts),
        observed_at=min(note.observed_at for note in notes),
    )


def title_and_text(note: NoteContent, untitled: Words, language: Language) -> tuple[str, str]:
    """What stands in the chart: of one part, as Ocean wrote it; of several, each below its own heading.

    Args:
        note: What to show.
        untitled: What a part without a title is called.
        language: The clinic's.
    """
    titles = [part.title or say(untitled, language) for part in note.parts]
    if len(titles) == 1:
        return titles[0], note.parts[0].text
    different = "; ".join(dict.fromkeys(titles))
    title = different if len(different) <= LONGEST_TITLE else f"{different[: LONGEST_TITLE - 1].rstrip()}…"
    return title, "\n\n".join(f"{title}\n\n{part.text}" for title, part in zip(titles, note.parts, strict=True))
