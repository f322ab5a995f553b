"""What `oceanctl messages` prints: for a person, or as JSON with keys that stay."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_emr.people.desk import Shown
from ocean_emr.store.held import Row


def as_json(row: Row) -> dict[str, Any]:
    """A message without its content."""
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state.value,
        "receivedAt": _moment(row.received_at),
        "dueAt": _moment(row.due_at),
        "attempts": row.attempts,
        "reason": row.reason,
        "note": row.note,
        "sourceId": row.source_id,
        "version": row.version,
        "emrRef": row.emr_ref,
    }


def print_list(rows: Sequence[Row], console: Console) -> None:
    """One line for each message, and below what to do about each reason."""
    if not rows:
        console.print("No messages.")
        return
    table = Table("ID", "KIND", "STATE", "SINCE", "TRIED", "REASON", "NOTE", box=None, pad_edge=False, header_style="")
    for row in rows:
        cells = (str(row.id), row.kind, row.state.value, _moment(row.received_at), str(row.attempts), row.reason)
        table.add_row(*cells, Text(row.note))
    console.print(table)
    for reason in dict.fromkeys(row.reason for row in rows if row.reason):
        console.print(Text(f"\n{reason}: {_explained(reason)}"))


def print_one(shown: Shown, console: Console) -> None:
    """A message and what is in it. A patient may have typed anything, so nothing in it commands the terminal."""
    row = shown.row
    head: dict[str, Any] = {key: value for key, value in as_json(row).items() if value not in ("", 0)}
    console.print(Text(yaml.safe_dump(head, sort_keys=False, allow_unicode=True).rstrip()))
    if row.reason:
        console.print(Text(f"\n{_explained(row.reason)}"))
    if shown.content is None:
        console.print("\nIt has no content: nothing was fetched yet, or it has ended.")
        return
    text = yaml.safe_dump(_without_file(shown.content), sort_keys=False, allow_unicode=True, width=100)
    console.print(Text(f"\ncontent:\n{_harmless(text)}".rstrip()), soft_wrap=True)


def file_in(content: dict[str, Any] | None) -> bytes | None:
    """The file that a message carries, if it carries one."""
    data = (content or {}).get("data")
    return base64.b64decode(data) if isinstance(data, str) and data else None


def _harmless(yaml_text: str) -> str:
    """YAML has written control characters as escapes; this does the same for those that turn text around or hide it."""
    return "".join(f"\\u{ord(c):04x}" if unicodedata.category(c) == "Cf" else c for c in yaml_text)


def _without_file(content: dict[str, Any]) -> dict[str, Any]:
    file = file_in(content)
    return content if file is None else {**content, "data": f"{len(file)} bytes; --save FILE writes them"}


def _explained(reason: str) -> str:
    explanation = EXPLANATIONS[Reason(reason)] if reason in set(Reason) else None
    return f"{explanation.meaning} {explanation.remedy}".rstrip() if explanation else "This version knows no remedy."


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
