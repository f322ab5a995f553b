from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from ocean_api import reasons
from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.reasons_doc import groups, reasons_doc

ROOT = Path(__file__).parents[3]


def test_every_reason_is_explained_in_the_order_of_its_definition() -> None:
    assert list(EXPLANATIONS) == list(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_one_word_made_from_its_name(reason: Reason) -> None:
    """Kubernetes API conventions: CamelCase. One word for one thing, in code and on the page."""
    assert re.fullmatch(r"([A-Z][a-z]+)+", reason.value)
    assert reason.value.lower() == reason.name.replace("_", "").lower()


@pytest.mark.parametrize("reason", Reason)
def test_an_explanation_is_whole_sentences_that_fit_into_a_table(reason: Reason) -> None:
    explanation = EXPLANATIONS[reason]

    for text in filter(None, (explanation.meaning, explanation.remedy)):
        assert text[0].isupper() or text[0] == "`", text
        assert text.endswith("."), text
        assert "|" not in text
        assert "\n" not in text
    assert explanation.meaning
    assert len(explanation.meaning) + len(explanation.remedy) < 500


def test_every_reason_is_used_by_somebody() -> None:
    """A reason is added when somebody does something else on seeing it; one that nobody gives is only noise."""
    source = [
        path.read_text()
        for folder in ("operator", "emr", "crds/ocean_api/v1alpha1")
        for path in (ROOT / folder).rglob("*.py")
    ]
    used = {node for text in source for node in re.findall(r"\bReason\.([A-Z_]+)", text)}

    assert {reason.name for reason in Reason} - used == NOT_USED_YET


NOT_USED_YET: set[str] = set()


# The page


def test_the_pages_groups_are_those_of_the_definition() -> None:
    """Each group of `Reason` begins with a comment; the page's headings are the same words."""
    source = inspect.getsource(reasons.Reason)
    comments = [line.strip("# .\n") for line in source.splitlines() if line.strip().startswith("#")]
    starts = []
    for before, line in zip(source.splitlines(), source.splitlines()[1:], strict=False):
        if before.strip().startswith("#"):
            starts.append(ast.parse(line.strip()).body[0].targets[0].id)  # type: ignore[attr-defined]
    found = [(heading, members[0].name) for heading, members in groups()]

    assert found == list(zip(comments, starts, strict=True))


def test_the_page_has_every_reason_once() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", reasons_doc(), re.MULTILINE)

    assert rows == [reason.value for reason in Reason]


def test_a_page_or_setting_that_a_remedy_names_is_there() -> None:
    """A person who follows a remedy must not meet an empty shelf."""
    named = {m for e in EXPLANATIONS.values() for m in re.findall(r"docs/[\w/.-]+\.md", e.meaning + e.remedy)}

    assert {path for path in named if not (ROOT / path).is_file()} == set()
