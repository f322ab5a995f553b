"""Who may go on and who has to wait: token buckets, with the clock as an argument."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)


class Buckets(Generic[_Key]):
    """A bucket of tokens for each key. It fills evenly, up to its size; who takes from an empty one has to wait."""

    def __init__(self, *, per_second: float, size: float, clock: Callable[[], float], most_keys: int = 10_000) -> None:
        """All are full.

        Args:
            per_second: How fast they fill.
            size: Tokens in a full one.
            clock: Seconds since whenever.
            most_keys: Beyond that the key that was not asked about for longest counts as new.
        """
        self._per_second = per_second
        self._size = size
        self._clock = clock
        self._most_keys = most_keys
        self._levels: OrderedDict[_Key, tuple[float, float]] = OrderedDict()

    def wait(self, key: _Key) -> float:
        """Seconds until there is a token for `key`; 0 when there is one."""
        return max(0.0, (1 - self._level(key)) / self._per_second)

    def take(self, key: _Key) -> float:
        """Take a token. Returns 0, or, when there was none, the seconds until there is."""
        level = self._level(key)
        if level < 1:
            return (1 - level) / self._per_second
        self._levels[key] = (level - 1, self._clock())
        self._levels.move_to_end(key)
        if len(self._levels) > self._most_keys:
            self._levels.popitem(last=False)
        return 0.0

    def _level(self, key: _Key) -> float:
        level, since = self._levels.get(key, (self._size, 0.0))
        return min(self._size, level + (self._clock() - since) * self._per_second)
