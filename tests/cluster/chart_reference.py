"""docs/reference/chart-values.md, made from the comments in values.yaml and the types in values.schema.json.

`python -m cluster.chart_reference > docs/reference/chart-values.md` in the folder `tests`; a test compares the two.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from cluster.chart import CHART

_KEY: Final = re.compile(r"^( *)([A-Za-z]+):")
_HEAD: Final = """\
<!-- Made from charts/ocean-operator/values.yaml by tests/cluster/chart_reference.py. Do not edit. -->
# Values of the Helm chart

What an installation may be told, as `helm install --set name=value` or in a file given with `--values`. A name that
is not here is refused. How to choose: [install](../how-to/install.md).

| Value | Type | Default | Meaning |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value: its path, the comment above it and above the groups it is in, and its default."""

    path: str
    comment: str
    default: Any


def settings() -> list[Setting]:
    """Every value that is not just a group of others, in the file's order."""
    text = (CHART / "values.yaml").read_text()
    comments = _comments(text)
    return [Setting(path, comments.get(path, ""), default) for path, default in _leaves(yaml.safe_load(text))]


def groups() -> dict[str, str]:
    """The comment above each group of values that has one."""
    leaves = {setting.path for setting in settings()}
    return {p: c for p, c in _comments((CHART / "values.yaml").read_text()).items() if p not in leaves}


def schema_paths() -> set[str]:
    """Every value the schema knows, in the same form."""
    return {path for path, _ in _typed(_schema(), "")} - {"global"}


def document() -> str:
    """The whole page."""
    types, about = dict(_typed(_schema(), "")), groups()
    rows, told = [], set[str]()
    for setting in settings():
        above = [g for g in _ancestors(setting.path) if g in about and g not in told]
        rows += [f"| **`{g}`** | | | {about[g]} |" for g in above]
        told |= set(above)
        default = json.dumps(setting.default)
        rows.append(f"| `{setting.path}` | {types[setting.path]} | `{default}` | {setting.comment} |")
    return _HEAD + "\n".join(rows) + "\n"


def _comments(text: str) -> dict[str, str]:
    """The comment directly above each key. An empty line ends a comment."""
    found: dict[str, str] = {}
    above: list[str] = []
    stack: list[tuple[int, str]] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            above.append(line.strip(" #"))
        elif match := _KEY.match(line):
            indent = len(match[1])
            stack = [*(place for place in stack if place[0] < indent), (indent, match[2])]
            if above:
                found[".".join(name for _, name in stack)] = " ".join(above)
            above = []
        else:
            above = []
    return found


def _leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value and name != "resources":
            yield from _leaves(value, f"{path}.")
        else:
            yield path, value


def _ancestors(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return schema


def _typed(node: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Path and type of each value in the schema."""
    node = _resolved(node)
    name = path.rsplit(".", 1)[-1]
    if "properties" in node and name not in {"resources", "affinity"}:
        for key, child in node["properties"].items():
            yield from _typed(child, f"{path}.{key}".strip("."))
    else:
        yield path, _type(node)


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    name = node.get("$ref", "").rsplit("/", 1)[-1]
    return _schema()["definitions"][name] if name else node


def _type(node: dict[str, Any]) -> str:
    if "enum" in node:
        return ", ".join(f"`{choice}`" for choice in node["enum"])
    kind = node["type"]
    if kind == "array":
        return f"list of {_type(_resolved(node['items']))}"
    if "minimum" in node:
        return f"{kind}, {node['minimum']} to {node['maximum']}"
    return kind if isinstance(kind, str) else " or ".join(kind)


if __name__ == "__main__":
    sys.stdout.write(document())
