from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_emr.gateway.limits import Buckets
from unit.gateway.conftest import Clock


def test_full_bucket_serves_its_size_at_once_and_then_at_its_pace(clock: Clock) -> None:
    buckets: Buckets[str] = Buckets(per_second=2, size=3, clock=clock)

    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now += 0.5
    assert [buckets.take("a") for _ in range(2)] == [0, 0.5]
    clock.now += 1_000
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_asking_takes_nothing(clock: Clock) -> None:
    buckets: Buckets[str] = Buckets(per_second=1, size=1, clock=clock)

    assert [buckets.wait("a") for _ in range(3)] == [0, 0, 0]
    assert buckets.take("a") == 0
    assert buckets.wait("a") == 1


def test_keys_do_not_share(clock: Clock) -> None:
    buckets: Buckets[str] = Buckets(per_second=1, size=1, clock=clock)
    buckets.take("a")

    assert buckets.take("b") == 0
    assert buckets.take("a") == 1


def test_only_so_many_keys_are_remembered_and_those_asked_about_last(clock: Clock) -> None:
    buckets: Buckets[str] = Buckets(per_second=1, size=2, clock=clock, most_keys=2)
    for key in ("a", "b", "a", "c"):
        assert buckets.take(key) == 0

    assert len(buckets._levels) == 2
    assert buckets.take("a") == 1
    assert [buckets.take("b") for _ in range(3)] == [0, 0, 1]


@given(
    per_second=st.floats(0.1, 1_000),
    size=st.integers(1, 50),
    pauses=st.lists(st.floats(0, 10), min_size=1, max_size=60),
)
def test_no_more_is_served_than_size_and_pace_allow(per_second: float, size: int, pauses: list[float]) -> None:
    clock = Clock()
    buckets: Buckets[None] = Buckets(per_second=per_second, size=size, clock=clock)
    began, served = clock.now, 0
    for pause in pauses:
        clock.now += pause
        while (wait := buckets.take(None)) == 0:
            served += 1
        assert wait > 0
        assert served == pytest.approx(min(served, size + (clock.now - began) * per_second), abs=1e-3)
    # Whoever waits as long as he is told is served.
    clock.now += wait + 1e-6
    assert buckets.take(None) == 0
