"""`oceanctl`: the frame. Each group of commands is registered under the entry point `oceanctl.commands`.

So the data plane's commands are here without this plane importing them (design record 013).
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Final

import typer

GROUPS: Final = "oceanctl.commands"


def commands() -> typer.Typer:
    """Every group of commands that is installed."""
    app = typer.Typer(
        name="oceanctl",
        help="Ocean Cloud Connect for people: what the status tells of, and what it asks of a person.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )

    @app.callback()
    def oceanctl() -> None:
        """Have even a single group called by its name."""

    for group in sorted(entry_points(group=GROUPS), key=lambda found: found.name):
        app.add_typer(group.load(), name=group.name)
    return app


def main() -> None:
    """Exit status: each command's help says it."""
    commands()()


if __name__ == "__main__":
    main()
