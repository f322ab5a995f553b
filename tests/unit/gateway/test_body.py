from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_emr.gateway.answers import Refusal, RefusedError
from ocean_emr.gateway.body import EventBody, RegistrationBody, read
from ocean_emr.store.arrivals import Event

EVENT = {"ref": "r1", "siteNum": "1001", "type": "notify-patient-note-added"}
SITTING = {"oceanSessionId": "s1", "noteCompletionSource": "TABLET"}


def event(**more: Any) -> Event:
    """What is taken of an event with those members."""
    found = read(json.dumps({**EVENT, **more}).encode())
    assert isinstance(found, EventBody)
    return found.event()


def is_malformed(content: bytes) -> bool:
    """Whether it is refused, and nothing is kept of it in the error."""
    try:
        read(content)
    except RefusedError as error:
        return error.refusal is Refusal.MALFORMED and error.__suppress_context__
    return False


def test_event_as_oceans_sample_receiver_gets_it() -> None:
    """Source: OceanMD's sample code; the rest of it is not looked at."""
    found = event(changeList=[{"field": "x"}], user="somebody", customProperties=SITTING)

    assert found == Event("1001", "notify-patient-note-added", "r1", "s1", "TABLET")


@pytest.mark.parametrize("more", [{}, {"customProperties": None}, {"customProperties": {"oceanSessionId": None}}])
def test_event_without_a_sitting(more: dict[str, Any]) -> None:
    assert event(**more) == Event("1001", "notify-patient-note-added", "r1", "", "")


def test_site_number_may_be_a_number() -> None:
    assert event(siteNum=1001).site_number == "1001"


def test_what_ocean_adds_later_is_no_reason_to_lose_a_message() -> None:
    assert event(type="some-new-type/2", customProperties={**SITTING, "noteCompletionSource": "KIOSK", "new": {}})
    assert event(challenge="x", extra=[1, {"a": None}]).ref == "r1"


def test_registration() -> None:
    found = read(b'{"challenge": "\\u00e9 \\" 1", "ref2": 1}')

    assert isinstance(found, RegistrationBody)
    assert found.challenge == 'é " 1'


def test_event_with_a_fault_is_never_taken_for_a_registration() -> None:
    """It would be answered with 200 and forgotten."""
    assert is_malformed(b'{"challenge": "x", "ref": "", "type": "t", "siteNum": "1"}')
    assert is_malformed(b'{"challenge": "x", "ref": "r"}')


def test_member_that_comes_twice_counts_once() -> None:
    """The last one, for the check of the site and for what is kept alike."""
    found = read(b'{"ref": "a", "ref": "b", "siteNum": "1", "siteNum": "2", "type": "t"}')

    assert isinstance(found, EventBody)
    assert (found.ref, found.site_num) == ("b", "2")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"{}",
        b"true",
        b'"x"',
        b'{"ref": "r"',
        b'{"ref": "r", "siteNum": "1", "type": "t"} x',
        b'{"ref": "r", "siteNum": "1", "type": "t"}{}',
        b'\xef\xbb\xbf{"ref": "r", "siteNum": "1", "type": "t"}',
        '{"ref": "r", "siteNum": "1", "type": "t"}'.encode("utf-16"),
        '{"ref": "ré", "siteNum": "1", "type": "t"}'.encode("latin-1"),
        b'{"ref": "\xed\xa0\x80", "siteNum": "1", "type": "t"}',
        b"{'ref': 'r', 'siteNum': '1', 'type': 't'}",
        b'{"ref": "r\x00", "siteNum": "1", "type": "t"}',
        b'{"ref": "r\\u0000", "siteNum": "1", "type": "t"}',
        b'{"ref": "r\\ud800", "siteNum": "1", "type": "t"}',
        b"[" * 60_000,
        b'{"a":' * 13_000,
        b'{"ref": ' + b"[" * 5_000 + b"]" * 5_000 + b', "siteNum": "1", "type": "t"}',
        b'{"challenge": ""}',
        b'{"challenge": 1}',
        b'{"challenge": "' + b"x" * 1025 + b'"}',
    ],
)
def test_malformed(content: bytes) -> None:
    assert is_malformed(content)


@pytest.mark.parametrize(
    "change",
    [
        {"ref": None},
        {"ref": 7},
        {"ref": ""},
        {"ref": "r" * 257},
        {"ref": "a b"},
        {"ref": "r\n"},
        {"ref": ["r"]},
        {"siteNum": None},
        {"siteNum": ""},
        {"siteNum": "12345678901"},
        {"siteNum": "1 "},
        {"siteNum": -1},
        {"siteNum": 1.0},
        {"siteNum": True},
        {"siteNum": 10**10},
        {"type": ""},
        {"type": "t" * 129},
        {"type": "t\u0000"},
        {"customProperties": []},
        {"customProperties": {"oceanSessionId": 1}},
        {"customProperties": {"oceanSessionId": "s" * 257}},
        {"customProperties": {"noteCompletionSource": "\u0000"}},
    ],
)
def test_event_out_of_bounds(change: dict[str, Any]) -> None:
    assert is_malformed(json.dumps({**EVENT, **change}).encode())


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(lambda some: json.dumps(some).encode())
)
def test_nothing_gets_through_that_is_no_object(content: bytes) -> None:
    assert is_malformed(content)


@given(
    st.fixed_dictionaries(
        {"ref": st.text(), "siteNum": st.text() | st.integers(), "type": st.text()},
        optional={"customProperties": st.none() | st.dictionaries(st.sampled_from(list(SITTING)), st.text())},
    )
)
def test_whatever_is_taken_can_be_kept(sent: dict[str, Any]) -> None:
    """PostgreSQL takes no NUL, and the row has bounds."""
    try:
        found = read(json.dumps(sent).encode())
    except RefusedError:
        return
    assert isinstance(found, EventBody)
    kept = found.event()
    texts = (kept.site_number, kept.type, kept.ref, kept.session, kept.source)
    assert all(text.isprintable() and text.isascii() for text in texts)
    assert len(json.dumps(texts)) < 2_000
