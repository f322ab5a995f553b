"""`oceanctl messages`: the commands, and what each failure means for the person who gave one.

Registered by the entry point `oceanctl.commands`, since the command line's frame belongs to the other plane.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer
from rich.console import Console

from ocean_emr.envelope import StoredDataUnreadableError
from ocean_emr.people import desk, words
from ocean_emr.people.access import Person, Servers, reach, token_of
from ocean_emr.store.errors import DatabaseAccessRefusedError, MessageMovedError, StoreError
from ocean_emr.store.held import LONGEST_WHY
from ocean_emr.vault.errors import KeyMissingError, VaultAccessRefusedError, VaultError

FAILED: Final = 1
NOT_FOUND: Final = 3
NOT_POSSIBLE: Final = 4
_PAGE: Final = "docs/how-to/held-messages.md"
_T = TypeVar("_T")


class Output(StrEnum):
    """What is printed on standard output."""

    TEXT = "text"
    JSON = "json"


app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The OceanSite.", show_default=False)]
Numbers = Annotated[list[int], typer.Argument(metavar="ID...", help="From `list`.", show_default=False)]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Where the OceanSite is.")]
Format = Annotated[Output, typer.Option("--output", "-o", help="For a person, or for a script.")]
Why = Annotated[str, typer.Option("--reason", help="For the audit, without anything of the patient.", prompt=True)]


@app.callback()
def messages(  # noqa: PLR0913 - one for each place
    ctx: typer.Context,
    *,
    vault_address: Annotated[str, typer.Option(envvar="VAULT_ADDR", help="https address of Vault.")] = "",
    vault_ca_file: Annotated[Path | None, typer.Option(envvar="VAULT_CACERT", help="Its authority, PEM.")] = None,
    database_host: Annotated[str, typer.Option(envvar="OCEAN_DATABASE_HOST", help="PostgreSQL.")] = "",
    database_port: Annotated[int, typer.Option(envvar="OCEAN_DATABASE_PORT", help="Its port.")] = 5432,
    database_ca_file: Annotated[
        Path | None, typer.Option(envvar="OCEAN_DATABASE_CA_FILE", help="Its authority, PEM.")
    ] = None,
) -> None:
    """Messages from Ocean that wait or are held: look at them, have them tried again, dismiss them.

    You act as yourself: with your own Vault token (VAULT_TOKEN, or ~/.vault-token as `vault login` leaves it). Vault
    gives a short login in PostgreSQL for it, and both write down that it was you.

    Exit status: 0 done, 1 Vault or PostgreSQL refused or did not answer, 2 wrong usage, 3 no such message,
    4 the message is not in a state that allows this.
    """
    ctx.obj = Servers(vault_address, vault_ca_file, database_host, database_port, database_ca_file)


@app.command("list")
def list_messages(  # noqa: PLR0913 - one for each thing to say
    ctx: typer.Context,
    name: Name,
    *,
    namespace: Namespace = "default",
    waiting: Annotated[bool, typer.Option("--waiting", help="Those that wait, instead.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Those that wait, as well.")] = False,
    output: Format = Output.TEXT,
) -> None:
    """Say which messages of clinic NAME are held, since when, why, and what to do. Opens none of them."""

    async def act(person: Person) -> tuple[str, Any]:
        rows = await desk.listed(person, held_ones=everything or not waiting, waiting_ones=everything or waiting)
        return person.site, rows

    site, rows = _as_person(ctx, namespace, name, act)
    if output is Output.JSON:
        _print_json({"site": site, "messages": [words.as_json(row) for row in rows]})
    else:
        words.print_list(rows, Console())


@app.command()
def show(  # noqa: PLR0913 - likewise
    ctx: typer.Context,
    name: Name,
    number: Annotated[int, typer.Argument(metavar="ID", help="From `list`.", show_default=False)],
    *,
    reason: Why,
    namespace: Namespace = "default",
    save: Annotated[Path | None, typer.Option(help="Write the file that the message carries there.")] = None,
    output: Format = Output.TEXT,
) -> None:
    """Open message ID of clinic NAME and show what is in it: chart content. The audit has it before you see it."""
    why = _reason(reason)
    shown = _as_person(ctx, namespace, name, lambda person: desk.shown(person, number, why=why))
    if save is not None:
        _save(words.file_in(shown.content), save)
    if output is Output.JSON:
        _print_json({"site": f"{namespace}/{name}", **words.as_json(shown.row), "content": shown.content})
    else:
        words.print_one(shown, Console())


@app.command()
def retry(  # noqa: PLR0913 - likewise
    ctx: typer.Context,
    name: Name,
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[ID...]", help="From `list`.")] = None,
    *,
    all_held: Annotated[bool, typer.Option("--all-held", help="All that are held, instead of some.")] = False,
    looked: Annotated[
        bool, typer.Option("--not-in-chart", help="You have looked: the EMR does not have them.")
    ] = False,
    namespace: Namespace = "default",
    output: Format = Output.TEXT,
) -> None:
    """Have messages of clinic NAME tried again: all of those named, or none.

    Of a message whose outcome is unknown (EmrOutcomeUnknown) look into the chart first, and say so with
    --not-in-chart: otherwise it would be there twice. --all-held leaves those out.
    """
    if bool(numbers) == all_held:
        raise typer.BadParameter("name messages, or give --all-held", param_hint="ID")
    if all_held and looked:
        raise typer.BadParameter("look at them one by one, and name them", param_hint="--not-in-chart")
    if all_held:
        done, left = _as_person(ctx, namespace, name, desk.retry_all)
    else:
        chosen = tuple(numbers or ())
        _as_person(ctx, namespace, name, lambda person: desk.retry(person, chosen, looked=looked))
        done, left = chosen, ()
    if output is Output.JSON:
        _print_json({"site": f"{namespace}/{name}", "retried": done, "left": left})
    else:
        sys.stdout.write(_said("tried again", done))
        if left:
            sys.stdout.write(f"Left, because the EMR may have them already: {_listed(left)}. Look into the charts.\n")


@app.command()
def dismiss(  # noqa: PLR0913 - likewise
    ctx: typer.Context,
    name: Name,
    numbers: Numbers,
    *,
    reason: Why,
    namespace: Namespace = "default",
    output: Format = Output.TEXT,
) -> None:
    """Take held messages of clinic NAME out of the queue for ever: all of those named, or none.

    Their content is forgotten. The audit keeps who did it and why.
    """
    why, chosen = _reason(reason), tuple(numbers)
    _as_person(ctx, namespace, name, lambda person: desk.dismiss(person, chosen, why=why))
    if output is Output.JSON:
        _print_json({"site": f"{namespace}/{name}", "dismissed": chosen})
    else:
        sys.stdout.write(_said("dismissed", chosen))


def _as_person(ctx: typer.Context, namespace: str, name: str, act: Callable[[Person], Awaitable[_T]]) -> _T:
    servers: Servers = ctx.obj
    for value, option in ((servers.vault_address, "--vault-address"), (servers.database_host, "--database-host")):
        if not value:
            raise typer.BadParameter("is needed, before the command or in the environment", param_hint=option)
    if not servers.vault_address.startswith("https://"):
        raise typer.BadParameter("must begin with https://: keys travel over it", param_hint="--vault-address")

    async def run() -> _T:
        async with reach(servers, token_of(os.environ, Path.home()), namespace, name) as person:
            return await act(person)

    try:
        return asyncio.run(run())
    except desk.NoSuchMessageError as error:
        _give_up(error, "`oceanctl messages list` shows those there are.", NOT_FOUND)
    except desk.NotLookedError as error:
        _give_up(
            error,
            "Look into the chart. If it is there, dismiss it; if not, retry it with --not-in-chart.",
            NOT_POSSIBLE,
        )
    except MessageMovedError as error:
        _give_up(error, "Nothing was done. Look at it with `oceanctl messages list --all`.", NOT_POSSIBLE)
    except (VaultError, StoreError, StoredDataUnreadableError) as error:
        _give_up(error, _hint(error), FAILED)


def _hint(error: Exception) -> str:
    """What to do next."""
    if isinstance(error, VaultAccessRefusedError):
        return f"Log in with `vault login`, with a policy for this clinic: {_PAGE}."
    if isinstance(error, KeyMissingError | StoredDataUnreadableError):
        return "Was the clinic's key changed or deleted? An earlier version of it may have to be restored in Vault."
    if isinstance(error, VaultError):
        return "See that VAULT_ADDR and VAULT_CACERT are right, and that Vault is unsealed."
    if isinstance(error, DatabaseAccessRefusedError):
        return f"Compare the roles with docs/reference/database.md, and your policy with {_PAGE}."
    return f"From outside the cluster the way to PostgreSQL may have to be opened first: {_PAGE}."


def _give_up(error: Exception, hint: str, status: int) -> NoReturn:
    sys.stderr.write(f"{error} {hint}\n")
    raise typer.Exit(status)


def _reason(given: str) -> str:
    why = given.strip()
    if not why or len(why) > LONGEST_WHY or not why.isprintable():
        raise typer.BadParameter(f"give one line of at most {LONGEST_WHY} characters", param_hint="--reason")
    return why


def _save(file: bytes | None, path: Path) -> None:
    """Write what a message carries where only the person can read it, and over nothing."""
    if file is None:
        _give_up(ValueError("The message carries no file."), "Leave --save out.", NOT_POSSIBLE)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        _give_up(ValueError(f"{path}: {error.strerror}."), "Name another file.", FAILED)
    with os.fdopen(descriptor, "wb") as sink:
        sink.write(file)


def _said(what: str, numbers: tuple[int, ...]) -> str:
    if not numbers:
        return "No message is held.\n"
    return f"{'Message' if len(numbers) == 1 else 'Messages'} {_listed(numbers)}: {what}.\n"


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
