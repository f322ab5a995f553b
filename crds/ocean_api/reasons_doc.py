"""docs/reasons.md, made from the reasons.

`python -m ocean_api.reasons_doc > docs/reasons.md`; a test compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from ocean_api.reasons import EXPLANATIONS, Reason

GROUPS: Final[tuple[tuple[Reason, str], ...]] = (
    (Reason.SITE_READY, "The clinic as a whole"),
    (Reason.SPEC_VALID, "Configuration"),
    (Reason.KEY_ACCEPTED, "The key"),
    (Reason.ACCESS_ACCEPTED, "Credentials and connections"),
    (Reason.SYNC_SUCCEEDED, "Synchronisation"),
    (Reason.QUEUE_EMPTY, "Messages"),
    (Reason.RELEASE_BLOCKED, "Deletion"),
)
"""The first reason of each group of `Reason`, in its order, and the group's heading."""

_HEAD: Final = """\
<!-- Generated from crds/ocean_api/reasons.py by `make generate`. Do not edit. -->
# Reasons

Every condition of an OceanSite, every event and every error of the product carries one of these words. They are
API: alerts may match on them, and none is ever renamed.

`kubectl get oceansites` shows, in the column REASON, that of the first thing that is not as it should be;
`kubectl describe oceansite NAME` shows all conditions with their messages. Nothing to do is written as a dash.
"""


def reasons_doc() -> str:
    """The page, with one table for each group."""
    return _HEAD + "".join(f"\n## {heading}\n\n{_table(members)}" for heading, members in groups())


def groups() -> Iterator[tuple[str, tuple[Reason, ...]]]:
    """Each heading with its reasons, in the order of their definition."""
    every = tuple(Reason)
    starts = [every.index(first) for first, _ in GROUPS]
    for (_, heading), start, end in zip(GROUPS, starts, [*starts[1:], len(every)], strict=True):
        yield heading, every[start:end]


def _table(members: tuple[Reason, ...]) -> str:
    rows = [f"| `{r}` | {EXPLANATIONS[r].meaning} | {EXPLANATIONS[r].remedy or '-'} |\n" for r in members]
    return "| Reason | What happened | What to do |\n|---|---|---|\n" + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(reasons_doc())
