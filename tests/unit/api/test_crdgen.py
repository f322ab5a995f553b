from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from ocean_api import names
from ocean_api.base import EmailAddress, HttpsUrl
from ocean_api.crdgen import crd, crd_yaml, structural
from ocean_api.reasons import Reason
from ocean_api.v1alpha1.oceansite import MAX_NAME
from ocean_api.v1alpha1.spec import OceanSiteSpec

CRD = crd()
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SPEC, STATUS = (SCHEMA["properties"][part] for part in ("spec", "status"))

Node = dict[str, Any]


def nodes(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every schema at or below `node`."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")


def rules(node: Node) -> list[tuple[str, str]]:
    """A schema's CEL rules with their messages."""
    return [(rule["rule"], rule["message"]) for rule in node.get("x-kubernetes-validations", ())]


def at(node: Node, path: str) -> Node:
    """The schema at a JSON path such as `.sync.banner`."""
    for name in path.strip(".").split("."):
        node = node["properties"][name]
    return node


# What the API server takes


def test_nothing_of_json_schema_is_left_that_a_structural_schema_may_not_hold() -> None:
    """Kubernetes, "Specifying a structural schema"; the API server would refuse the CRD."""
    for path, node in nodes(SCHEMA):
        assert not {"$ref", "$defs", "title", "discriminator", "const", "anyOf", "allOf", "oneOf", "not"} & set(node), (
            path
        )
        assert None not in node.values(), path
        assert node.get("type") or node.get("x-kubernetes-preserve-unknown-fields"), path
        assert node.get("type") != "null", path


def test_only_the_providers_are_left_open() -> None:
    opened = [path for path, node in nodes(SCHEMA) if node.get("x-kubernetes-preserve-unknown-fields")]

    assert opened == [".spec.schedule.providers"]


def test_every_text_and_list_of_the_spec_ends_somewhere() -> None:
    """The API server refuses a CEL rule whose cost it cannot bound."""
    for path, node in nodes(SPEC):
        if node.get("type") == "string":
            assert "maxLength" in node or "enum" in node, path
        if node.get("type") == "array":
            assert "maxItems" in node, path


def test_every_field_is_described() -> None:
    without = [p for p, node in nodes(SCHEMA) if p.startswith((".spec", ".status")) and not node.get("description")]

    assert [path for path in without if not path.endswith("[]")] == []


def test_every_rule_has_a_message() -> None:
    found = [rule for _, node in nodes(SCHEMA) for rule in rules(node)]

    assert len(found) >= 12
    assert all(message and not message.endswith(".") for _, message in found)


SAMPLES = (
    "1001",
    "12a",
    "",
    "https://a.example/x",
    "https://[2001:db8::1]:8443/x",
    "https://user@a.example",
    "https://a.example?x",
    "http://a.example",
    "a@b.example",
    "a@b",
    "a b@c.example",
)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (".ocean.url", HttpsUrl),
        (".emr.oscarPro.url", HttpsUrl),
        (".emr.fhir.url", HttpsUrl),
        (".emr.fhir.tokenUrl", HttpsUrl),
        (".contacts.siteCreator", EmailAddress),
        (".contacts.clinicalAdministrators[]", EmailAddress),
        (".siteNumber", OceanSiteSpec.model_fields["site_number"].rebuild_annotation()),
    ],
)
def test_the_api_server_and_pydantic_take_the_same_texts(path: str, kind: Any) -> None:
    """One checks the rule, with a remedy in its message; the other the pattern. They must not drift apart."""
    node = dict(nodes(SPEC))[path]
    found = [(re.fullmatch(r"self\.matches\('(.*)'\)", rule), message) for rule, message in rules(node)]
    ((expression, message),) = [(match.group(1).replace("\\\\", "\\"), message) for match, message in found if match]

    assert message.startswith("must be ")
    assert "pattern" not in node
    for sample in SAMPLES:
        assert bool(re.search(expression, sample)) == accepts(kind, sample), sample


def accepts(kind: Any, value: str) -> bool:
    """Whether pydantic takes `value`."""
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


def test_what_is_fixed_once_set_says_so() -> None:
    fixed = [path for path, node in nodes(SCHEMA) if any("oldSelf" in rule for rule, _ in rules(node))]

    assert fixed == [".spec.siteNumber", ".spec.emr"]


# Defaults


def test_the_crds_defaults_are_the_models() -> None:
    """Or an object would mean one thing to the API server and another to a pod."""
    small = {
        "siteNumber": "1",
        "displayName": "x",
        "timeZone": "Etc/UTC",
        "contacts": {"siteCreator": "a@b.example"},
        "ocean": {"credentialsSecret": "o"},
        "emr": {"type": "FHIR", "fhir": {"url": "https://a.b", "tokenUrl": "https://a.b", "credentialsSecret": "e"}},
        "key": {"source": "Generate"},
    }
    filled = OceanSiteSpec.model_validate(small).model_dump(mode="json", by_alias=True, exclude_none=True)

    assert with_defaults(small, SPEC) == filled


def with_defaults(value: Any, node: Node) -> Any:
    """`value` as the API server stores it."""
    if not isinstance(value, dict):
        return value
    given = {n: child["default"] for n, child in node.get("properties", {}).items() if "default" in child}
    return {name: with_defaults(inner, node["properties"][name]) for name, inner in {**given, **value}.items()}


def test_status_has_no_defaults() -> None:
    """What the operator did not write must not appear: its next comparison would find a difference."""
    assert [path for path, node in nodes(STATUS) if "default" in node] == []


# What people see


def test_every_column_shows_a_field_that_is_there() -> None:
    for column in VERSION["additionalPrinterColumns"]:
        path = column["jsonPath"]
        if path.startswith(".metadata"):
            continue
        if "conditions[?" in path:
            assert path == '.status.conditions[?(@.type=="Ready")].status'
            continue
        part, field = path.strip(".").split(".", 1)
        node = at(SCHEMA["properties"][part], field)

        assert node["type"] == {"date": "string"}.get(column["type"], column["type"]), column["name"]
        assert (column["type"] == "date") <= (node.get("format") == "date-time"), column["name"]


def test_one_line_tells_whether_a_clinic_is_well() -> None:
    """Requirement C3: without `-o wide`."""
    shown = {c["jsonPath"] for c in VERSION["additionalPrinterColumns"] if not c.get("priority")}

    assert {".status.summary", ".status.sync.banner", ".status.sync.lastRecent", ".status.sync.lastFull"} <= shown


def test_a_status_condition_may_have_any_reason_there_is() -> None:
    condition = at(STATUS, "conditions")["items"]

    assert condition["properties"]["reason"]["enum"] == list(Reason)
    assert at(STATUS, "conditions")["x-kubernetes-list-map-keys"] == ["type"]


def test_the_crd_is_found_by_its_names() -> None:
    assert CRD["metadata"]["name"] == f"{names.PLURAL}.{names.GROUP}"
    assert CRD["spec"]["names"]["shortNames"] == ["osite"]
    assert CRD["spec"]["names"]["categories"] == ["ocean"]
    assert SCHEMA["properties"]["metadata"]["properties"]["name"]["maxLength"] == MAX_NAME


def test_uninstalling_the_chart_keeps_the_clinics() -> None:
    assert CRD["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_the_yaml_holds_the_same() -> None:
    assert yaml.safe_load(crd_yaml()) == CRD


def test_making_it_twice_gives_the_same() -> None:
    assert crd_yaml() == crd_yaml()


def test_the_yaml_is_plain() -> None:
    assert "&id" not in crd_yaml()


# The conversion itself


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, {"type": "string"}),
        (
            {"$ref": "#/$defs/A", "description": "here", "$defs": {"A": {"type": "string", "description": "there"}}},
            {"type": "string", "description": "here"},
        ),
        (
            {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}], "$defs": {"A": {"type": "integer", "title": "A"}}},
            {"type": "integer"},
        ),
        ({"const": "x", "type": "string"}, {"enum": ["x"], "type": "string"}),
        ({"type": "array", "items": {"title": "T", "type": "string"}}, {"type": "array", "items": {"type": "string"}}),
        ({"description": "two\n  lines", "type": "string"}, {"description": "two lines", "type": "string"}),
        ({"type": "string", "default": ""}, {"type": "string", "default": ""}),
    ],
    ids=["optional", "reference", "optional reference", "constant", "list", "description", "empty default"],
)
def test_a_schema_as_the_api_server_takes_it(given: Node, made: Node) -> None:
    assert structural(given) == made


def test_a_property_that_is_called_like_a_word_of_schema_stays() -> None:
    node = {"type": "object", "properties": {"title": {"type": "string", "title": "Title"}}}

    assert structural(node) == {"type": "object", "properties": {"title": {"type": "string"}}}
