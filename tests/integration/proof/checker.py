"""Compares what Ocean was told is accepted with what a clinic's people see, by ledgers that the product cannot write.

The claim: whatever was accepted stands exactly once in the right chart, or is held with a reason, never both, and
never in another clinic's EMR; and a chart holds things in the order in which they were taken.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Accepted:
    """One text that Ocean handed over with an event which the gateway took."""

    clinic: str
    chart: str
    marker: str


@dataclass(frozen=True)
class Seen:
    """One text that a person sees in a chart."""

    clinic: str
    chart: str
    text: str


@dataclass
class Findings:
    """What is wrong, by marker. All empty: the claim holds."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    both: list[str] = field(default_factory=list)
    """Held for a person and in the chart as well."""
    out_of_order: list[str] = field(default_factory=list)
    delivered: int = 0
    held: int = 0

    @property
    def wrong(self) -> dict[str, list[str]]:
        """What is wrong, by its kind."""
        kinds = ("lost", "doubled", "misplaced", "both", "out_of_order")
        return {kind: getattr(self, kind) for kind in kinds if getattr(self, kind)}


def findings(
    accepted: Sequence[Accepted],
    seen: Sequence[Seen],
    held: Mapping[str, str],
) -> Findings:
    """Compare.

    Args:
        accepted: In the order in which it was taken.
        seen: Of all clinics, each chart's in the order in which the EMR shows it.
        held: Marker to reason, of what waits for a person.
    """
    found = Findings()
    places: dict[str, list[tuple[str, str]]] = {}
    for row in seen:
        for one in accepted:
            if one.marker in row.text:
                places.setdefault(one.marker, []).append((row.clinic, row.chart))
    for one in accepted:
        there = Counter(places.get(one.marker, []))
        right = there.pop((one.clinic, one.chart), 0)
        if there:
            found.misplaced.append(one.marker)
        if right > 1:
            found.doubled.append(one.marker)
        if right and one.marker in held:
            found.both.append(one.marker)
        if not right and not held.get(one.marker):
            found.lost.append(one.marker)
        found.delivered += right == 1
        found.held += not right and bool(held.get(one.marker))
    found.out_of_order = _out_of_order(accepted, seen)
    return found


def _out_of_order(accepted: Sequence[Accepted], seen: Sequence[Seen]) -> list[str]:
    wrong = []
    for clinic, chart in {(one.clinic, one.chart) for one in accepted}:
        wanted = [one.marker for one in accepted if (one.clinic, one.chart) == (clinic, chart)]
        texts = "\n".join(row.text for row in seen if (row.clinic, row.chart) == (clinic, chart))
        places = [(texts.find(marker), marker) for marker in wanted if marker in texts]
        wrong += [marker for (place, marker), (following, _) in itertools.pairwise(places) if following < place]
    return wrong
