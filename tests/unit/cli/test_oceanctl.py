from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ocean_emr.people.access import token_of
from ocean_emr.vault.errors import VaultAccessRefusedError
from ocean_operator.cli.main import commands

SERVERS = {"VAULT_ADDR": "https://vault.example", "OCEAN_DATABASE_HOST": "db.example", "VAULT_TOKEN": "t"}


def run(*args: str) -> Result:
    """The command, with servers that nobody reaches."""
    return CliRunner().invoke(commands(), list(args), env={**SERVERS, "COLUMNS": "200"})


def test_the_groups_of_the_other_plane_are_there() -> None:
    said = run("--help")

    assert said.exit_code == 0
    assert "messages" in said.output


@pytest.mark.parametrize("command", ["list", "show", "retry", "dismiss"])
def test_each_command_explains_itself(command: str) -> None:
    said = run("messages", command, "--help")

    assert said.exit_code == 0
    assert "--namespace" in said.output


def test_exit_statuses_are_explained() -> None:
    said = " ".join(run("messages", "--help").output.split())

    assert "Exit status: 0 done, 1 Vault or PostgreSQL refused" in said


@pytest.mark.parametrize(
    "args",
    [
        ("list",),
        ("list", "maple", "--output", "yaml"),
        ("show", "maple", "--reason", "x"),
        ("show", "maple", "twelve", "--reason", "x"),
        ("retry", "maple"),
        ("dismiss", "maple", "--reason", "x"),
        ("dismiss", "maple", "12", "--reason", " "),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_refused_before_anybody_is_asked(args: tuple[str, ...]) -> None:
    assert run("messages", *args).exit_code == 2


# The token


def test_a_token_comes_from_the_environment_or_else_the_home_folder(tmp_path: Path) -> None:
    (tmp_path / ".vault-token").write_text("from-the-file\n")

    assert token_of({"VAULT_TOKEN": " from-the-environment "}, tmp_path) == "from-the-environment"
    assert token_of({"VAULT_TOKEN": ""}, tmp_path) == "from-the-file"
    assert token_of({}, tmp_path) == "from-the-file"


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_without_a_token_it_is_said_where_one_is_looked_for(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / ".vault-token").write_text(content)

    with pytest.raises(VaultAccessRefusedError, match="neither in VAULT_TOKEN nor in"):
        token_of({}, tmp_path)
