"""`ocean-worker`: brings the clinic's messages from Ocean into its EMR, for as long as its pod lives."""

from __future__ import annotations

import sys

from ocean_api import lean


def main() -> None:
    """Exit status: 0 told to stop, 1 the pod was not made by the operator."""
    lean.begin("click")
    from ocean_emr.messages import program  # noqa: PLC0415 - after `begin`, or it would not be lean

    lean.ready()
    sys.exit(program.main())


if __name__ == "__main__":
    main()
