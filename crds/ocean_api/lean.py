"""For programs of which many run, or which must stay small: import less, and start fast.

Call `begin` before anything large is imported, and `ready` when everything is.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from typing import Final

_FOR_TERMINALS: Final = ("colorama", "pygments", "rich")
"""httpx and structlog load these where they are installed, for people in front of a terminal."""

_FOR_UNKNOWN_TEXTS: Final = ("chardet", "charset_normalizer")
"""requests loads one of these, to guess in which encoding a text is. Vault answers JSON, which is UTF-8."""


def begin(*also: str) -> None:
    """Import less, and without looking for garbage meanwhile: modules are none.

    Args:
        also: More packages to leave out, which whoever imports them can do without.
    """
    gc.disable()
    # pydantic would read the entry points of every installed package, in search of plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    warnings.filterwarnings("ignore", message="Unable to find acceptable character detection dependency")
    for name in (*_FOR_TERMINALS, *_FOR_UNKNOWN_TEXTS, *also):
        # Source: Python's reference, "The import system": None here makes the import fail, for which all are ready.
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def ready() -> None:
    """Everything is imported: look for garbage again, but not among the modules."""
    gc.freeze()
    gc.enable()
