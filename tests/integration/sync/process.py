"""`ocean-sync` and `ocean-check` as a pod runs them, but for where their folders are.

python process.py FOLDER sync full --trigger Requested …
python process.py FOLDER check --token …
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from ocean_emr.jobs import check
from ocean_emr.observe import configure_logs
from ocean_emr.pod import Places
from ocean_emr.sync import main as sync


def places_in(folder: Path) -> Places:
    """The folders and files of a pod, below `folder`."""
    return Places(
        settings=folder / "site" / "site.json",
        ocean=folder / "ocean",
        emr=folder / "emr",
        token=folder / "vault" / "token",
        farewell=folder / "termination-log",
    )


def main() -> None:
    """Run the program that is named."""
    folder, program, *arguments = sys.argv[1:]
    places = places_in(Path(folder))
    configure_logs()
    work = sync.run(sync.parse(arguments), places) if program == "sync" else check.run(check.parse(arguments), places)
    sys.exit(asyncio.run(work))


if __name__ == "__main__":
    main()
