from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api import names
from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.v1alpha1.spec import KeySource, KeySpec
from ocean_api.v1alpha1.status import HandOver
from ocean_operator.core.intake import (
    Decision,
    Step,
    StoredKey,
    decide,
    hand_over,
    identity,
    key_in,
    not_taken,
    wants_secret,
)
from ocean_operator.core.site import Manifest

GENERATE = KeySpec(source=KeySource.GENERATE)
HANDED = KeySpec(source=KeySource.SECRET, secret_name="hand-over")
SEK = "TestKey1!2345678"
LABEL = {names.KEY_INTAKE_LABEL: "true"}

NONE = StoredKey()
STORED = StoredKey(version=1, fingerprint="f1", source="Secret", intake="uid-1/5")
ACCEPTED = StoredKey(version=1, fingerprint="f1", source="Secret", accepted=True)
TAKEN = StoredKey(version=1, fingerprint="f1", source="Secret", intake="uid-1/5", accepted=True)
INTERRUPTED = StoredKey(version=1)


def secret(key: str = SEK, **meta: Any) -> Manifest:
    """A Secret that hands `key` over."""
    return {
        "metadata": {
            "name": "hand-over",
            "namespace": "clinic-a",
            "uid": "uid-1",
            "resourceVersion": "5",
            "labels": LABEL,
            **meta,
        },
        "data": {"sek": base64.b64encode(key.encode()).decode()},
    }


GOOD = secret()
OTHER = secret(uid="uid-2", resourceVersion="9")


@pytest.mark.parametrize(
    ("key", "stored", "given_secret", "read_back", "step"),
    [
        (GENERATE, NONE, None, False, Step.GENERATE),
        (GENERATE, STORED, None, True, Step.NOTHING),
        (GENERATE, INTERRUPTED, None, False, Step.COMPLETE_METADATA),
        (HANDED, NONE, GOOD, False, Step.STORE),
        (HANDED, NONE, None, False, Step.REPORT),
        (HANDED, STORED, None, False, Step.NOTHING),
        (HANDED, STORED, None, True, Step.SETTLE),
        (HANDED, STORED, GOOD, False, Step.NOTHING),
        (HANDED, STORED, GOOD, True, Step.REMOVE_SECRET),
        (HANDED, STORED, OTHER, False, Step.REPLACE),
        (HANDED, INTERRUPTED, GOOD, False, Step.COMPLETE_METADATA),
        (HANDED, ACCEPTED, None, True, Step.NOTHING),
        (HANDED, TAKEN, GOOD, True, Step.REMOVE_SECRET),
        (HANDED, TAKEN, OTHER, True, Step.SETTLE),
    ],
    ids=[
        "generate",
        "generated",
        "generated, process died before its metadata",
        "hand-over",
        "hand-over awaited",
        "stored, Secret gone",
        "stored and read back, Secret gone",
        "stored, not read back",
        "stored and read back",
        "another hand-over before any was accepted",
        "stored, process died before its metadata",
        "accepted",
        "accepted, Secret not gone yet",
        "accepted, another Secret in its place",
    ],
)
def test_the_next_step(
    key: KeySpec,
    stored: StoredKey,
    given_secret: Manifest | None,
    read_back: bool,  # noqa: FBT001 - a column of the table
    step: Step,
) -> None:
    assert decide(key, stored, given_secret, read_back=read_back).step is step


def test_a_step_needs_no_words() -> None:
    assert decide(HANDED, NONE, GOOD, read_back=False) == Decision(Step.STORE)


@pytest.mark.parametrize(
    ("stored", "given_secret", "reason", "says"),
    [
        (NONE, None, Reason.KEY_SECRET_MISSING, "Secret hand-over is not in the clinic's namespace."),
        (
            NONE,
            secret(annotations={"argocd.argoproj.io/tracking-id": "x"}),
            Reason.KEY_SECRET_EXPOSED,
            "Secret hand-over carries argocd.argoproj.io/tracking-id.",
        ),
        (
            NONE,
            secret(labels={**LABEL, "argocd.argoproj.io/instance": "x"}),
            Reason.KEY_SECRET_EXPOSED,
            "Secret hand-over carries argocd.argoproj.io/instance.",
        ),
        (
            NONE,
            secret(annotations={"kubectl.kubernetes.io/last-applied-configuration": SEK}),
            Reason.KEY_SECRET_EXPOSED,
            "Secret hand-over carries kubectl.kubernetes.io/last-applied-configuration.",
        ),
        (NONE, secret(labels={}), Reason.KEY_SECRET_INVALID, "Secret hand-over lacks the label."),
        (
            NONE,
            secret(labels={names.KEY_INTAKE_LABEL: "yes"}),
            Reason.KEY_SECRET_INVALID,
            "Secret hand-over lacks the label.",
        ),
        (NONE, {**GOOD, "data": {}}, Reason.KEY_SECRET_INVALID, "Secret hand-over has 0 fields, not `sek` alone."),
        (NONE, {**GOOD, "data": None}, Reason.KEY_SECRET_INVALID, "Secret hand-over has 0 fields, not `sek` alone."),
        (
            NONE,
            {**GOOD, "data": {**GOOD["data"], "other": ""}},
            Reason.KEY_SECRET_INVALID,
            "Secret hand-over has 2 fields, not `sek` alone.",
        ),
        (
            NONE,
            {**GOOD, "data": {"key": GOOD["data"]["sek"]}},
            Reason.KEY_SECRET_INVALID,
            "Secret hand-over has 1 fields, not `sek` alone.",
        ),
        (
            NONE,
            {**GOOD, "data": {"sek": base64.b64encode(b"\xff\xfe").decode()}},
            Reason.KEY_SECRET_INVALID,
            "Secret hand-over: the field `sek` is not text.",
        ),
        (
            NONE,
            secret("TestKey1!234567"),
            Reason.KEY_WEAK,
            "Secret hand-over: the key must be exactly 16, 24 or 32 characters long.",
        ),
        (
            NONE,
            secret("testkey1!2345678"),
            Reason.KEY_WEAK,
            "Secret hand-over: the key needs an upper-case letter.",
        ),
        (
            StoredKey(version=1, fingerprint="f1"),
            secret(""),
            Reason.KEY_WEAK,
            (
                "Secret hand-over: the key must be exactly 16, 24 or 32 characters long; needs a digit; "
                "needs an upper-case letter; needs a lower-case letter; needs a punctuation character."
            ),
        ),
    ],
    ids=[
        "missing",
        "Argo CD annotation",
        "Argo CD label",
        "kubectl apply",
        "no label",
        "label not true",
        "empty",
        "no data",
        "two fields",
        "wrong field",
        "not text",
        "15 characters",
        "no capital",
        "empty key",
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(
    stored: StoredKey, given_secret: Manifest | None, reason: Reason, says: str
) -> None:
    decision = decide(HANDED, stored, given_secret, read_back=False)

    assert decision == Decision(Step.REPORT, reason, f"{says} {EXPLANATIONS[reason].remedy}")


@pytest.mark.parametrize(
    "meta",
    [
        {"labels": {**LABEL, "app.kubernetes.io/instance": "clinics"}},
        {"annotations": {"meta.helm.sh/release-name": "clinics"}},
        {"labels": {**LABEL, "kustomize.toolkit.fluxcd.io/name": "clinics"}},
    ],
    ids=["Argo CD with label tracking, or Helm", "Helm", "Flux"],
)
def test_a_secret_that_another_tool_brought_from_git_is_not_used(meta: dict[str, Any]) -> None:
    """Helm keeps the whole manifest, key and all, in its release Secret."""
    assert decide(HANDED, NONE, secret(**meta), read_back=False).reason is Reason.KEY_SECRET_EXPOSED


def test_exposure_is_told_before_anything_else() -> None:
    """A label can be put right; a key that git has seen cannot."""
    exposed = secret("weak", labels={}, annotations={"argocd.argoproj.io/sync-wave": "1"})

    assert decide(HANDED, NONE, exposed, read_back=False).reason is Reason.KEY_SECRET_EXPOSED


# When the Secret must be looked at


@pytest.mark.parametrize(
    ("key", "stored", "wanted"),
    [
        (GENERATE, NONE, False),
        (GENERATE, STORED, False),
        (HANDED, NONE, True),
        (HANDED, STORED, True),
        (HANDED, TAKEN, True),
        (HANDED, ACCEPTED, False),
    ],
    ids=["generate", "generated", "awaited", "stored", "accepted, Secret not yet gone", "accepted"],
)
def test_a_secret_is_read_only_while_it_matters(
    key: KeySpec,
    stored: StoredKey,
    wanted: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert wants_secret(key, stored) is wanted


# What a Secret that lies there is to a person


@pytest.mark.parametrize(
    ("stored", "lying", "expected"),
    [
        (STORED, GOOD, HandOver.TAKEN),
        (TAKEN, GOOD, HandOver.TAKEN),
        (TAKEN, OTHER, HandOver.NOT_TAKEN),
        (ACCEPTED, GOOD, HandOver.NOT_TAKEN),
        (STORED, OTHER, HandOver.NONE),
        (NONE, GOOD, HandOver.NONE),
        (ACCEPTED, None, HandOver.NONE),
    ],
    ids=[
        "on its way",
        "accepted",
        "changed on its way",
        "a second one",
        "refused beside a key that may still be replaced",
        "refused",
        "gone",
    ],
)
def test_a_secret_that_holds_a_key_in_the_clear_is_known(
    stored: StoredKey, lying: Manifest | None, expected: HandOver
) -> None:
    assert hand_over(stored, lying) is expected


def test_a_secret_that_was_not_taken_is_told_with_its_remedy() -> None:
    said = not_taken("hand-over")

    assert "Secret hand-over was not taken" in said
    assert said.endswith(EXPLANATIONS[Reason.KEY_ALREADY_STORED].remedy)


# The key in it


@pytest.mark.parametrize(
    ("handed", "key"),
    [
        (SEK, SEK),
        (f"{SEK}\n", SEK),
        (f"{SEK}\r\n", SEK),
        (f"{SEK}\n\n", f"{SEK}\n"),
        (f"{SEK} ", f"{SEK} "),
        ("clé", "clé"),
        ("", ""),
    ],
)
def test_one_line_end_is_the_editors_and_the_rest_is_the_keys(handed: str, key: str) -> None:
    assert key_in(secret(handed)) == key


@pytest.mark.parametrize("data", [{}, {"sek": "not base64!"}, {"sek": None}, {"sek": "//79"}], ids=str)
def test_what_is_not_text_is_no_key(data: dict[str, Any]) -> None:
    assert key_in({**GOOD, "data": data}) is None


def test_a_secret_is_known_by_uid_and_version() -> None:
    """Another Secret of the same name, or an edited one, is another hand-over."""
    assert identity(GOOD) == "uid-1/5"
    assert identity(secret(resourceVersion="6")) != identity(GOOD)
    assert identity(secret(uid="uid-2")) != identity(GOOD)


# Nothing secret in words


MARK = "Zq7#"
"""Stands in no word of ours."""


@given(
    middle=st.one_of(st.text(st.characters(codec="utf-8"), max_size=30), st.from_regex(r"\A[A-Za-z0-9!]{8}\Z")),
    stored=st.sampled_from([NONE, STORED, ACCEPTED, INTERRUPTED]),
    label=st.sampled_from(["true", "false"]),
    marked=st.booleans(),
    extra=st.booleans(),
)
def test_no_message_ever_holds_the_key(
    middle: str,
    stored: StoredKey,
    label: str,
    marked: bool,  # noqa: FBT001 - an example's part
    extra: bool,  # noqa: FBT001 - an example's part
) -> None:
    """Neither end of it, whatever is wrong, in no form in which it was handed over."""
    key = f"{MARK}{middle}{MARK}"
    meta: dict[str, Any] = {"labels": {names.KEY_INTAKE_LABEL: label}, "uid": "uid-3"}
    if marked:
        meta["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": key}
    handed = secret(key, **meta)
    if extra:
        handed["data"]["more"] = handed["data"]["sek"]
    decision = decide(HANDED, stored, handed, read_back=False)

    assert MARK not in repr(decision)
    assert handed["data"]["sek"] not in repr(decision)
