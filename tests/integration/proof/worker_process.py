"""`ocean-worker` as a pod runs it, but for where its folders are.

python worker_process.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from integration.sync.process import places_in
from ocean_api import lean


def main() -> None:
    """Work until told to stop."""
    lean.begin("click")
    from ocean_emr.messages import program  # noqa: PLC0415 - as in ocean_emr/messages/main.py

    lean.ready()
    sys.exit(program.main(places_in(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
