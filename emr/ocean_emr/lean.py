"""For programs that live for seconds, a thousand of them every half hour: start fast and stay small.

Call `begin` before anything large is imported. Measured by tests/benchmarks/sync_cold_start.py: a quarter of the
processor time of all imports, and nine megabytes.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from typing import Final

_FOR_TERMINALS: Final = ("click", "colorama", "pygments", "rich")
"""httpx and structlog load these where they are installed, for people in front of a terminal."""

_FOR_UNKNOWN_TEXTS: Final = ("chardet", "charset_normalizer")
"""requests loads one of these, to guess in which encoding a text is. Vault answers JSON, which is UTF-8."""


def begin() -> None:
    """Import less, and without looking for garbage meanwhile: modules are none."""
    gc.disable()
    # pydantic would read the entry points of every installed package, in search of plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    warnings.filterwarnings("ignore", message="Unable to find acceptable character detection dependency")
    for name in (*_FOR_TERMINALS, *_FOR_UNKNOWN_TEXTS):
        # Source: Python's reference, "The import system": None here makes the import fail, for which all are ready.
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def ready() -> None:
    """Everything is imported: look for garbage again, but not among the modules."""
    gc.freeze()
    gc.enable()
