from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ocean_emr.gateway.answers import MEANINGS, Refusal, RefusedError, accepted, refused

PAGE = Path(__file__).parents[3] / "docs/reference/gateway.md"


def test_every_refusal_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Refusal)
    assert {meaning.status for meaning in MEANINGS.values()} == {400, 401, 403, 404, 405, 413, 415, 429, 500, 503}


@pytest.mark.parametrize("refusal", Refusal)
def test_a_refusal_is_a_problem_document(refusal: Refusal) -> None:
    answer = refused(RefusedError(refusal))
    headers = dict(answer.headers)
    document = json.loads(answer.body)

    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"content-length"] == str(len(answer.body)).encode()
    assert set(document) == {"type", "title", "status", "detail"}
    assert (document["type"], document["status"]) == (f"urn:ocean-gateway:{refusal}", answer.status)
    assert (b"www-authenticate" in headers) == (answer.status == 401)
    assert (b"allow" in headers) == (answer.status == 405)
    assert (b"retry-after" in headers) == (answer.status == 503)
    assert b"connection" not in headers


@pytest.mark.parametrize(("seconds", "shown"), [(0.001, b"1"), (1.0, b"1"), (1.2, b"2"), (59.0, b"59")])
def test_time_to_wait_is_whole_seconds_and_never_too_short(seconds: float, shown: bytes) -> None:
    answer = refused(RefusedError(Refusal.TOO_MANY_FAILURES, retry_after=seconds))

    assert dict(answer.headers)[b"retry-after"] == shown


def test_connection_can_be_ended_with_a_refusal() -> None:
    assert (b"connection", b"close") in refused(RefusedError(Refusal.TOO_LARGE), close=True).headers


def test_what_was_accepted() -> None:
    answer = accepted({"challenge": 'é"\u2028'})

    assert answer.status == 200
    assert json.loads(answer.body) == {"challenge": 'é"\u2028'}


def test_page_lists_every_refusal_as_it_is_answered() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE)

    assert rows == [(str(m.status), r.value, f"{m.title} {m.detail}") for r, m in MEANINGS.items()]
