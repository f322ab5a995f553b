"""What `oceanctl messages` prints; who may see it is tried with real servers in tests/cluster/test_people.py."""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from ocean_emr.people.desk import Shown
from ocean_emr.people.words import as_json, file_in, print_list, print_one
from ocean_emr.store.held import Row
from ocean_emr.store.messages import State

NOW = datetime(2026, 3, 10, 15, 20, 30, tzinfo=UTC)


def row(number: int = 12, **changes: Any) -> Row:
    """A message that is held."""
    said: dict[str, Any] = {
        "id": number,
        "kind": "note",
        "state": State.HELD,
        "received_at": NOW,
        "due_at": NOW,
        "updated_at": NOW,
        "attempts": 2,
        "reason": "PatientNotFound",
        "note": "nobody has the health number",
        "source_id": "s1",
        "version": 1,
        "emr_ref": "",
        "place": (7, 1),
        **changes,
    }
    return Row(**said)


def printed(shown: Shown, width: int = 200) -> str:
    """What a person sees of one message."""
    console = Console(file=io.StringIO(), width=width)
    print_one(shown, console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def listed(*rows: Row, width: int = 200) -> str:
    """What a person sees of several."""
    console = Console(file=io.StringIO(), width=width)
    print_list(rows, console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_the_keys_for_scripts_stay() -> None:
    """They are API, as the status is."""
    assert as_json(row()) == {
        "id": 12,
        "kind": "note",
        "state": "held",
        "receivedAt": "2026-03-10T15:20:30Z",
        "dueAt": "2026-03-10T15:20:30Z",
        "attempts": 2,
        "reason": "PatientNotFound",
        "note": "nobody has the health number",
        "sourceId": "s1",
        "version": 1,
        "emrRef": "",
    }


def test_a_list_has_a_line_for_each_and_a_remedy_for_each_reason_once() -> None:
    said = listed(row(12), row(13), row(14, reason="EmrConflict"), row(15, reason="", note="", state=State.ACCEPTED))

    assert [line.split()[0] for line in said.splitlines() if line[:2].isdigit()] == ["12", "13", "14", "15"]
    assert said.count("Create or correct the chart") == 1
    assert said.count("Look into the chart and decide") == 1


def test_an_empty_list_says_so() -> None:
    assert listed() == "No messages.\n"


def test_a_reason_of_another_version_is_shown_as_it_is() -> None:
    assert "FutureReason: This version knows no remedy." in listed(row(reason="FutureReason"))


def test_brackets_are_not_taken_for_commands_of_the_console() -> None:
    assert "[red]not red[/red]" in listed(row(note="[red]not red[/red]"))


@pytest.mark.parametrize("text", ["\x1b[2J", "a\x07b", "\x9b31m", "\u202egnp.exe"])
def test_what_a_patient_typed_does_not_command_the_terminal(text: str) -> None:
    said = printed(Shown(row(), {"text": text}))

    assert text not in said
    assert not set("\x1b\x07\x9b\u202e") & set(said)


def test_accents_are_shown() -> None:
    assert "text: Hélène a mal à la tête" in printed(Shown(row(), {"text": "Hélène a mal à la tête"}))


def test_a_file_is_told_by_its_size() -> None:
    content = {"title": "scan", "data": base64.b64encode(b"x" * 1000).decode()}

    assert "1000 bytes; --save FILE writes them" in printed(Shown(row(), content))
    assert file_in(content) == b"x" * 1000
    assert file_in({"title": "scan"}) is None
    assert file_in({"data": ""}) is None
    assert file_in(None) is None


def test_a_message_without_content_says_so() -> None:
    assert "It has no content" in printed(Shown(row(kind="event"), None))
