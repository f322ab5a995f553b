"""The OpenAPI document of the gateway, made from what it answers with: `python -m ocean_emr.gateway.openapi`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

import orjson
from pydantic.json_schema import models_json_schema

from ocean_emr.gateway.answers import MEANINGS, PROBLEM_TYPE, Refusal, problem_document
from ocean_emr.gateway.body import EventBody, RegistrationBody
from ocean_emr.gateway.request import KEY_HEADER, KEY_PARAMETER, SITE_NUMBER
from ocean_emr.store.arrivals import Outcome

_SCHEMA: Final = "#/components/schemas/"
_DESCRIPTION: Final = """\
What Ocean sends to tell that something is there to be fetched. An event holds nothing of a patient; it is answered
with 200 when it is kept, and never before. Made by `make generate`."""


def document() -> dict[str, Any]:
    """The whole document, as JSON."""
    _, bodies = models_json_schema(
        [(EventBody, "validation"), (RegistrationBody, "validation")], ref_template=_SCHEMA + "{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "ocean-gateway", "version": "1", "description": _DESCRIPTION},
        "paths": {"/webhooks/{siteNumber}": {"post": _operation()}},
        "components": {
            "schemas": {**bodies["$defs"], **_answers()},
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": KEY_HEADER},
                "query": {"type": "apiKey", "in": "query", "name": KEY_PARAMETER},
            },
        },
    }


def _operation() -> dict[str, Any]:
    refusals: dict[int, list[Refusal]] = {}
    for refusal, meaning in MEANINGS.items():
        refusals.setdefault(meaning.status, []).append(refusal)
    forms = [{"$ref": f"{_SCHEMA}{model}"} for model in ("EventBody", "RegistrationBody")]
    return {
        "operationId": "receiveWebhook",
        "summary": "Receive an event or a registration of one clinic's Ocean.",
        "security": [{"header": []}, {"query": []}],
        "parameters": [
            {
                "name": "siteNumber",
                "in": "path",
                "required": True,
                "description": "The clinic's number at Ocean.",
                "schema": {"type": "string", "pattern": f"^{SITE_NUMBER}$"},
            }
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"anyOf": forms}}}},
        "responses": {
            "200": {
                "description": "Kept, or echoed.",
                "content": {
                    "application/json": {"schema": {"oneOf": [{"$ref": f"{_SCHEMA}Kept"}, {"$ref": f"{_SCHEMA}Echo"}]}}
                },
            },
            **{str(status): _response(which) for status, which in sorted(refusals.items())},
        },
    }


def _response(refusals: Iterable[Refusal]) -> dict[str, Any]:
    meanings = [MEANINGS[refusal] for refusal in refusals]
    answer: dict[str, Any] = {
        "description": " Or: ".join(f"{meaning.title} {meaning.detail}" for meaning in meanings),
        "content": {PROBLEM_TYPE: {"schema": {"enum": [problem_document(refusal) for refusal in refusals]}}},
    }
    if meanings[0].status in {429, 503}:
        seconds = {"type": "integer", "minimum": 1}
        answer["headers"] = {"Retry-After": {"description": "Seconds.", "required": True, "schema": seconds}}
    return answer


def _answers() -> dict[str, Any]:
    kept = sorted(outcome for outcome in Outcome if outcome is not Outcome.UNKNOWN_SITE)
    return {
        "Kept": {
            "description": "`stored`: it is kept. `replay`: the same event waits already.",
            "type": "object",
            "properties": {"result": {"enum": kept}},
            "required": ["result"],
            "additionalProperties": False,
        },
        "Echo": {
            "description": "The challenge of the registration.",
            "type": "object",
            "properties": {"challenge": {"type": "string"}},
            "required": ["challenge"],
            "additionalProperties": False,
        },
    }


def main() -> None:
    """Print it."""
    sys.stdout.write(orjson.dumps(document(), option=orjson.OPT_INDENT_2).decode() + "\n")


if __name__ == "__main__":
    main()
