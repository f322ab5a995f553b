"""`ocean-sync` and `ocean-check` as a pod runs them, but for where their folders are.

python process.py FOLDER sync full --trigger Requested …
python process.py FOLDER check --token …
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ocean_api import lean

if TYPE_CHECKING:
    from ocean_emr.pod import Places


def places_in(folder: Path) -> Places:
    """The folders and files of a pod, below `folder`."""
    from ocean_emr.pod import Places  # noqa: PLC0415 - see `main`

    return Places(
        settings=folder / "site" / "site.json",
        ocean=folder / "ocean",
        emr=folder / "emr",
        token=folder / "vault" / "token",
        farewell=folder / "termination-log",
    )


def main() -> None:
    """Run the program that is named, importing what it imports in the order in which it does."""
    folder, name, *arguments = sys.argv[1:]
    if name == "sync":
        lean.begin("click")
        from ocean_emr.sync import program  # noqa: PLC0415 - as in ocean_emr/sync/main.py

        lean.ready()
        sys.exit(program.main(arguments, places_in(Path(folder))))
    from ocean_emr.jobs import check  # noqa: PLC0415 - the other program

    check.configure_logs()
    sys.exit(asyncio.run(check.run(check.parse(arguments), places_in(Path(folder)))))


if __name__ == "__main__":
    main()
