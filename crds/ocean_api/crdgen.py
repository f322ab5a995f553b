"""The CRD, made from the models. `python -m ocean_api.crdgen > crds/oceansites.yaml`; a test compares the two.

Pydantic writes JSON Schema 2020-12; the API server wants a structural OpenAPI v3 schema without references,
nulls or titles. Source: Kubernetes, "Specifying a structural schema".
"""

from __future__ import annotations

import sys
from typing import Any

import yaml

from ocean_api import names
from ocean_api.v1alpha1.oceansite import MAX_NAME, NAMES, PRINTER_COLUMNS, OceanSite

_DROPPED = ("title", "$defs", "discriminator", "examples")


def structural(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` as the API server takes it: references inlined, `X | null` read as optional, Python's words dropped."""
    return _convert(schema, schema.get("$defs", {}))


def _convert(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    node = _inlined(node, definitions)
    options = [o for o in node.pop("anyOf", None) or [] if o.get("type") != "null"]
    if len(options) == 1:
        node = {**_inlined(options[0], definitions), **node}
    if "const" in node:
        node["enum"] = [node.pop("const")]
    out = {key: value for key, value in node.items() if key not in _DROPPED and value is not None}
    if "properties" in out:
        out["properties"] = {k: _convert(v, definitions) for k, v in out["properties"].items()}
    if isinstance(out.get("items"), dict):
        out["items"] = _convert(out["items"], definitions)
    if "default" in out:
        out["default"] = _without_nulls(out["default"])
    if "description" in out:
        out["description"] = " ".join(out["description"].split())
    return out


def _without_nulls(value: Any) -> Any:
    """What is left out by default is not there, to the API server as to people."""
    if not isinstance(value, dict):
        return value
    return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}


def _inlined(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """`node` with its reference replaced by what it names; what stands beside the reference wins."""
    if "$ref" not in node:
        return dict(node)
    beside = {k: v for k, v in node.items() if k != "$ref"}
    return {**_inlined(definitions[node["$ref"].rsplit("/", 1)[1]], definitions), **beside}


def _forget_defaults(node: Any) -> None:
    """Take every default out: what the operator did not write must not appear in status."""
    if isinstance(node, dict):
        node.pop("default", None)
        for value in node.values():
            _forget_defaults(value)
    elif isinstance(node, list):
        for value in node:
            _forget_defaults(value)


def crd() -> dict[str, Any]:
    """The whole CustomResourceDefinition, as it is applied."""
    schema = structural(OceanSite.model_json_schema(by_alias=True, mode="validation"))
    schema["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": MAX_NAME}}},
        **schema["properties"],
    }
    _forget_defaults(schema["properties"]["status"])
    version = {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "selectableFields": [{"jsonPath": ".spec.siteNumber"}],
        "additionalPrinterColumns": list(PRINTER_COLUMNS),
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{names.PLURAL}.{names.GROUP}",
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {"group": names.GROUP, "scope": "Namespaced", "names": NAMES, "versions": [version]},
    }


def crd_yaml() -> str:
    """The CRD as the file `crds/oceansites.yaml` holds it."""
    head = "# Generated from crds/ocean_api by `make generate`. Do not edit.\n"
    return head + yaml.dump(crd(), Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """Writes everything where it belongs: not every tool that reads a CRD follows YAML's anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        del data
        return True


if __name__ == "__main__":
    sys.stdout.write(crd_yaml())
