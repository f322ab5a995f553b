"""Where the local cluster keeps what it builds and what it runs. Nothing of it is in the work tree."""

from __future__ import annotations

import os
from pathlib import Path

DEV = Path(__file__).resolve().parent.parent
"""The `dev` folder of the repository."""

REPOSITORY = DEV.parent
"""The root of the work tree: what an image build may copy from."""


def cache_dir() -> Path:
    """The folder for everything that is made once and kept: `OCEAN_CACHE`, else the user's cache."""
    chosen = os.environ.get("OCEAN_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "ocean-operator"


def run_dir() -> Path:
    """The folder of the running node cluster: there is at most one for each cache."""
    return cache_dir() / "run"
