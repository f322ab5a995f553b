"""Several notes as one: every form keeps its heading and its text, in order."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from ocean_emr.messages.deliveries import NoteContent, NotePart
from ocean_emr.messages.notes import LONGEST_TITLE, merge, title_and_text
from ocean_emr.messages.words import Words
from unit.messages.people import AT, person

parts = st.builds(NotePart, title=st.text(max_size=40), text=st.text(min_size=1, max_size=60))
contents = st.builds(
    lambda several, minutes: NoteContent(
        person=person(), parts=tuple(several), observed_at=AT + timedelta(minutes=minutes)
    ),
    st.lists(parts, min_size=1, max_size=3),
    st.integers(0, 90),
)
several = st.lists(contents, min_size=1, max_size=5)


def note(*forms: tuple[str, str], minutes: int = 0) -> NoteContent:
    return NoteContent(
        person=person(),
        parts=tuple(NotePart(title=title, text=text) for title, text in forms),
        observed_at=AT + timedelta(minutes=minutes),
    )


def test_one_form_s_note_is_as_ocean_wrote_it() -> None:
    assert title_and_text(note(("PHQ-9", "Score: 3")), Words.NOTE, "en") == ("PHQ-9", "Score: 3")
    assert title_and_text(note(("", "Ça va")), Words.NOTE, "fr") == ("Réponses du patient", "Ça va")


def test_several_forms_stand_below_their_headings() -> None:
    whole = merge([note(("PHQ-9", "Score: 3")), note(("Allergies", "Aucune")), note(("PHQ-9", "Score: 4"))])

    title, text = title_and_text(whole, Words.NOTE, "en")

    assert title == "PHQ-9; Allergies"
    assert text == "PHQ-9\n\nScore: 3\n\nAllergies\n\nAucune\n\nPHQ-9\n\nScore: 4"


def test_a_combined_note_is_of_the_first_form_s_time_and_the_last_one_s_knowledge() -> None:
    early, late = note(("A", "a"), minutes=3), note(("B", "b"), minutes=9)
    late = late.model_copy(update={"person": person(chart_id="1002")})

    whole = merge([early, late])

    assert (whole.observed_at, whole.person.chart_id) == (early.observed_at, "1002")


def test_a_long_title_is_one_short_line_and_the_text_has_it_whole() -> None:
    whole = merge([note((f"Form {number} {'x' * 30}", "answer")) for number in range(20)])

    title, text = title_and_text(whole, Words.NOTE, "en")

    assert len(title) <= LONGEST_TITLE
    assert title.endswith("…")
    assert all(f"Form {number} " in text for number in range(20))


@given(several)
def test_nothing_is_dropped_and_the_order_is_kept(notes: list[NoteContent]) -> None:
    _, text = title_and_text(merge(notes), Words.NOTE, "en")

    whole = [part for each in notes for part in each.parts]
    place = 0
    for part in whole:
        for piece in ([part.title] if len(whole) > 1 else []) + [part.text]:
            found = text.find(piece, place)
            assert found >= place
            place = found + len(piece)


@given(several, st.data())
def test_it_does_not_matter_which_are_merged_first(notes: list[NoteContent], data: st.DataObject) -> None:
    """A crash between two mergings leaves a merged note that is merged again."""
    cut = data.draw(st.integers(0, len(notes)))
    pieces = [merge(piece) for piece in (notes[:cut], notes[cut:]) if piece]

    assert merge(pieces) == merge(notes)
