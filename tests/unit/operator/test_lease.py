from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_operator.lease import Sight, may_take

SECONDS = 15.0


@pytest.mark.parametrize(
    ("sight", "now", "taken"),
    [
        (None, 0.0, True),
        (Sight("", "t1", 100.0), 100.0, True),
        (Sight("me", "t1", 100.0), 100.0, True),
        (Sight("other", "t1", 100.0), 100.0, False),
        (Sight("other", "t1", 100.0), 115.0, False),
        (Sight("other", "t1", 100.0), 115.1, True),
    ],
    ids=["never seen", "given back", "mine", "another's", "another's, to its last moment", "another's, run out"],
)
def test_who_may_take_a_lease(
    sight: Sight | None,
    now: float,
    taken: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert may_take(sight, "me", now, SECONDS) is taken


@given(renewed=st.text(max_size=30), since=st.floats(0, 1e9), waited=st.floats(0, 15))
def test_the_times_written_in_a_lease_decide_nothing(renewed: str, since: float, waited: float) -> None:
    """Another machine's clock may be wrong: only how long we have seen it unchanged counts."""
    now = since + waited

    assert may_take(Sight("other", renewed, since), "me", now, SECONDS) is (now - since > SECONDS)
