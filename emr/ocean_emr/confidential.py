"""Models of what is a patient's: nothing of them shows in a log line, a traceback or a failed assertion."""

from __future__ import annotations

from ocean_api.base import ApiModel


class Confidential(ApiModel):
    """A model whose `repr` and whose errors hold none of its values."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<hidden>)"

    __str__ = __repr__
