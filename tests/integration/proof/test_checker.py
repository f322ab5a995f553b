"""The checker notices what it is there for: a checker that cannot fail proves nothing."""

from __future__ import annotations

import pytest

from integration.proof.checker import Accepted, Seen, findings

ONE, TWO = Accepted("a", "1", "marker-1"), Accepted("a", "1", "marker-2")
SEEN = [Seen("a", "1", "about marker-1"), Seen("a", "1", "about marker-2")]


def test_what_stands_once_in_its_chart_is_right() -> None:
    found = findings([ONE, TWO], SEEN, {})

    assert (found.wrong, found.delivered, found.held) == ({}, 2, 0)


def test_what_is_held_with_a_reason_is_right() -> None:
    found = findings([ONE, TWO], SEEN[:1], {"marker-2": "EmrWriteRefused"})

    assert (found.wrong, found.delivered, found.held) == ({}, 1, 1)


@pytest.mark.parametrize(
    ("seen", "held", "wrong"),
    [
        (SEEN[:1], {}, {"lost": ["marker-2"]}),
        (SEEN[:1], {"marker-2": ""}, {"lost": ["marker-2"]}),
        ([*SEEN, SEEN[1]], {}, {"doubled": ["marker-2"]}),
        ([SEEN[0], Seen("b", "1", "marker-2")], {}, {"lost": ["marker-2"], "misplaced": ["marker-2"]}),
        ([*SEEN, Seen("a", "2", "marker-2")], {}, {"misplaced": ["marker-2"]}),
        (SEEN, {"marker-2": "EmrWriteRefused"}, {"both": ["marker-2"]}),
        (SEEN[::-1], {}, {"out_of_order": ["marker-1"]}),
    ],
)
def test_whatever_else_is_wrong(seen: list[Seen], held: dict[str, str], wrong: dict[str, list[str]]) -> None:
    assert findings([ONE, TWO], seen, held).wrong == wrong
