"""`ocean-operator`: turns OceanSites into objects, and answers admission and probes."""

from __future__ import annotations

from ocean_api import lean


def main() -> None:
    """Exit status: 0 stopped, 1 leadership lost or a part failed."""
    lean.begin()
    from ocean_operator import program  # noqa: PLC0415 - after `begin`, or it would not be lean

    lean.ready()
    program.main()


if __name__ == "__main__":
    main()
