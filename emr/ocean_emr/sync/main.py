"""`ocean-sync recent|full`: one synchronisation, run by the clinic's CronJobs and by Jobs the operator starts."""

from __future__ import annotations

import sys

from ocean_api import lean


def main() -> None:
    """Exit status: 0 done or reported, 1 to be tried again, 2 wrong usage."""
    lean.begin("click")
    from ocean_emr.sync import program  # noqa: PLC0415 - after `begin`, or it would not be lean

    lean.ready()
    sys.exit(program.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
