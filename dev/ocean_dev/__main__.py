"""Makes `python -m ocean_dev` the command line."""

from __future__ import annotations

from ocean_dev.cli import main

main()
