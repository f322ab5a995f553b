"""What HTTP answers mean."""

from __future__ import annotations

import pytest
from httpx import Headers
from hypothesis import given
from hypothesis import strategies as st

from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_emr.answers import Answer, Read, json_value, problem
from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrBlockedError,
    EmrError,
    EmrNotFoundError,
    EmrPermissionDeniedError,
    EmrRateLimitedError,
    EmrUnavailableError,
)
from ocean_emr.records import Operation

LIST = Read(Operation.LIST_PROVIDERS, "providers")
RECORD = Read(Operation.GET_PATIENT, "patients/p1001", record=True)
PAGE = b"\n<!DOCTYPE html><html><body>p1001</body></html>"
HTML = {"Content-Type": "text/html"}


def answer(status: int, body: bytes = b"{}", **headers: str) -> Answer:
    return Answer(status, Headers({name.replace("_", "-"): value for name, value in headers.items()}), body)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (301, b"", EmrAnswerError),
        (304, b"", EmrAnswerError),
        (400, b"{}", EmrAnswerError),
        (401, b"", EmrAuthRefusedError),
        (401, PAGE, EmrAuthRefusedError),
        (403, b"{}", EmrPermissionDeniedError),
        (403, PAGE, EmrBlockedError),
        (404, b"{}", EmrAnswerError),
        (406, PAGE, EmrAnswerError),
        (407, b"", EmrBlockedError),
        (408, b"", EmrUnavailableError),
        (410, b"", EmrAnswerError),
        (413, b"", EmrAnswerError),
        (429, b"", EmrRateLimitedError),
        (500, b"oops", EmrUnavailableError),
        (500, b"java.lang.RuntimeException: Access Denied", EmrPermissionDeniedError),
        (501, b"", EmrUnavailableError),
        (502, PAGE, EmrUnavailableError),
        (503, PAGE, EmrUnavailableError),
        (522, PAGE, EmrUnavailableError),
    ],
)
def test_a_status_becomes_the_error_its_caller_can_act_on(status: int, body: bytes, kind: type[EmrError]) -> None:
    error = problem(answer(status, body), LIST)

    assert type(error) is kind
    assert error.http_status == status
    assert error.op is Operation.LIST_PROVIDERS


@pytest.mark.parametrize("status", [200, 201, 204, 206])
def test_2xx_is_no_problem(status: int) -> None:
    assert problem(answer(status), LIST) is None


@pytest.mark.parametrize("status", [404, 410])
def test_a_missing_record_is_not_a_wrong_address(status: int) -> None:
    assert type(problem(answer(status), RECORD)) is EmrNotFoundError


@pytest.mark.parametrize(("status", "momentary"), [(500, False), (501, False), (502, True), (503, True), (408, True)])
def test_only_what_passes_in_seconds_is_momentary(status: int, *, momentary: bool) -> None:
    error = problem(answer(status), LIST)

    assert isinstance(error, EmrUnavailableError)
    assert error.momentary is momentary


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3.0), ("0", 0.0), ("soon", None), ("-5", None), ("²", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    for status in (429, 503):
        error = problem(Answer(status, Headers([(b"Retry-After", value.encode())]), b""), LIST)

        assert isinstance(error, EmrUnavailableError)
        assert error.retry_after == seconds


@pytest.mark.parametrize("body", [b"", b"  \n", b"null", b"\xef\xbb\xbfnull"])
def test_nothing_is_a_missing_record_or_a_wrong_address(body: bytes) -> None:
    with pytest.raises(EmrNotFoundError):
        json_value(answer(200, body), RECORD)
    with pytest.raises(EmrAnswerError):
        json_value(answer(200, body), LIST)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (PAGE, "HTML where JSON was due"),
        (b'<?xml version="1.0"?><ns1:XMLFault>p1001</ns1:XMLFault>', "XML where JSON was due"),
        (b'{"lastName": "p10', "JSON cut short"),
        (b'{"a": NaN}', "not JSON"),
        (b"\xff\xfe{", "not JSON"),
        ("{'Zoé'}".encode("latin-1"), "not JSON"),
    ],
)
def test_a_body_that_is_not_json_is_named_and_not_quoted(body: bytes, what: str) -> None:
    with pytest.raises(EmrAnswerError, match=what) as caught:
        json_value(answer(200, body, Content_Type="application/json"), LIST)

    assert "p10" not in str(caught.value)
    assert "Zo" not in str(caught.value)


def test_json_is_read_whatever_its_label_says() -> None:
    assert json_value(answer(200, b'\xef\xbb\xbf {"a": "\xc3\xa9"}', Content_Type="text/html"), LIST) == {"a": "é"}


@given(st.integers(300, 599), st.binary(max_size=200), st.sampled_from([LIST, RECORD]))
def test_every_answer_is_a_problem_with_a_reason_and_a_remedy(status: int, body: bytes, read: Read) -> None:
    error = problem(answer(status, body), read)

    assert error is not None
    assert error.reason in Reason
    assert error.remedy == EXPLANATIONS[error.reason].remedy
    assert error.safe_message.endswith(f"(HTTP {status}).")


def test_nothing_of_an_exchange_is_in_a_repr() -> None:
    assert "p1001" not in repr(RECORD) + repr(answer(200, PAGE))
