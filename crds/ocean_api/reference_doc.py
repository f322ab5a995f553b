"""docs/reference/oceansite.md, made from the CRD.

`python -m ocean_api.reference_doc > docs/reference/oceansite.md`; a test compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

from ocean_api import names
from ocean_api.crdgen import crd
from ocean_api.reasons import Reason

_HEAD: Final = f"""\
<!-- Generated from crds/ocean_api by `make generate`. Do not edit. -->
# OceanSite

`apiVersion: {names.API_VERSION}`, `kind: {names.KIND}`. The same text is shown by `kubectl explain oceansite.spec`.
What a field may not be is refused at `kubectl apply`, with the message given here.
"""


def reference_doc() -> str:
    """The page: a table for each object of the resource, and the columns of `kubectl get`."""
    definition = crd()["spec"]
    version = definition["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    called = definition["names"]
    names_line = (
        f"\nShort name: {', '.join(f'`{n}`' for n in called['shortNames'])}; "
        f"category: {', '.join(f'`{c}`' for c in called['categories'])}; "
        f"longest name: {schema['metadata']['properties']['name']['maxLength']} characters.\n"
    )
    objects = [_section(*found) for part in ("spec", "status") for found in _objects(part, schema[part])]
    return _HEAD + names_line + "".join(objects) + _columns(version["additionalPrinterColumns"])


def _objects(path: str, node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object at or below `path`, each before those inside it."""
    if "properties" in node:
        yield path, node
        for name, child in node["properties"].items():
            yield from _objects(f"{path}.{name}", child)
    elif "items" in node:
        yield from _objects(f"{path}[]", node["items"])


def _section(path: str, node: dict[str, Any]) -> str:
    required = set(node.get("required", ()))
    rows = [_row(name, child, required=name in required) for name, child in node["properties"].items()]
    rules = [f"- {rule['message']}\n" for rule in node.get("x-kubernetes-validations", ())]
    head = f"\n## {path}\n\n{node.get('description', '')}\n\n"
    listed = "\nRefused with:\n\n" + "".join(rules) if rules else ""
    return head + "| Field | Type | Default | Meaning |\n|---|---|---|---|\n" + "".join(rows) + listed


def _row(name: str, node: dict[str, Any], *, required: bool) -> str:
    meaning = [node.get("description", "")]
    meaning += [f"Refused with: “{rule['message']}”." for rule in _validations(node)]
    default = "**required**" if required else _default(node)
    return f"| `{name}` | {_type(node)} | {default} | {_cell(' '.join(meaning))} |\n"


def _validations(node: dict[str, Any]) -> list[dict[str, Any]]:
    """A field's own rules; an object's stand in its section."""
    if "properties" in node:
        return []
    own: list[dict[str, Any]] = node.get("x-kubernetes-validations", [])
    return own + (_validations(node["items"]) if "items" in node else [])


def _default(node: dict[str, Any]) -> str:
    value = node.get("default", "")
    if value in ("", [], {}) or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(node: dict[str, Any]) -> str:
    if node.get("enum") == list(Reason):
        return "one of the [reasons](../reasons.md)"
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if node.get("type") == "array":
        return f"list{_at_most(node, 'maxItems')} of {_type(node['items'])}"
    if "type" not in node:
        return f"`{node['pattern'].strip('^$')}`, or list{_at_most(node, 'maxItems')} of string"
    if "minimum" in node:
        return f"{node['type']}, {node['minimum']} to {node['maximum']}"
    return str(node.get("format", node["type"])) + _at_most(node, "maxLength", " characters")


def _at_most(node: dict[str, Any], limit: str, unit: str = "") -> str:
    return f" (at most {node[limit]}{unit})" if limit in node else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").strip()


def _columns(columns: list[dict[str, Any]]) -> str:
    rows = [
        f"| {c['name'].upper()} | `{_cell(c['jsonPath'])}` | {'with `-o wide`' if c.get('priority') else 'always'} |\n"
        for c in columns
    ]
    head = "\n## Columns of `kubectl get oceansites`\n\n| Column | From | Shown |\n|---|---|---|\n"
    return head + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(reference_doc())
