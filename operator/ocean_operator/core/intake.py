"""How a key comes into Vault: the next step, from the spec, what Vault holds, and the Secret that hands a key over."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ocean_api import names
from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.sek import problems_with
from ocean_api.v1alpha1.spec import KeySource, KeySpec
from ocean_api.v1alpha1.status import HandOver
from ocean_operator.core.site import Manifest

_MARKS: Final = (
    "argocd.argoproj.io/",
    "kubectl.kubernetes.io/last-applied-configuration",
    "app.kubernetes.io/instance",
    "meta.helm.sh/",
    "helm.sh/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
)
"""Labels and annotations of tools that bring manifests from git, or keep a copy of what was applied."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What Vault says about a key without showing it (KV v2 metadata)."""

    version: int = 0
    """0: there is none."""
    fingerprint: str = ""
    stored_at: str = ""
    """RFC 3339, UTC."""
    source: str = ""
    intake: str = ""
    """uid and resourceVersion of the Secret it came from, while that Secret may still be there."""
    accepted: bool = False
    """Whether a check has ever accepted it."""
    retained: bool = False
    """Whether it was kept when an earlier OceanSite of this name was deleted."""


class Step(StrEnum):
    """What to do next about a clinic's key."""

    NOTHING = "nothing"
    GENERATE = "generate"
    STORE = "store"
    REPLACE = "replace"
    """A key that no check ever accepted makes room for a new hand-over."""
    REMOVE_SECRET = "remove-secret"  # noqa: S105 - a step
    SETTLE = "settle"
    """The Secret that handed the key over is gone, or another has its name: none is awaited any more."""
    COMPLETE_METADATA = "complete-metadata"
    """A key was stored, and the process died before it said where it came from."""
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Decision:
    """The next step, and what to say when there is none."""

    step: Step
    reason: Reason = Reason.AS_EXPECTED
    message: str = ""


def wants_secret(key: KeySpec, stored: StoredKey) -> bool:
    """Whether the Secret's content must be looked at: no key was accepted, or the hand-over has not come to its end."""
    return key.source is KeySource.SECRET and (not stored.accepted or bool(stored.intake))


def decide(key: KeySpec, stored: StoredKey, secret: Manifest | None, *, read_back: bool) -> Decision:
    """The next step for a clinic's key.

    Args:
        key: From the spec.
        stored: What Vault holds.
        secret: The Secret named in the spec, where `wants_secret` asked for it and it is there.
        read_back: Whether a Job under the clinic's own account has read the stored version.
    """
    if stored.version and not stored.fingerprint:
        return Decision(Step.COMPLETE_METADATA)
    if key.source is KeySource.GENERATE:
        return Decision(Step.NOTHING if stored.version else Step.GENERATE)
    if secret is None:
        if stored.version:
            return Decision(Step.SETTLE if stored.intake and read_back else Step.NOTHING)
        return _report(Reason.KEY_SECRET_MISSING, f"Secret {key.secret_name} is not in the clinic's namespace.")
    return _with_secret(key, stored, secret, read_back=read_back)


def _with_secret(key: KeySpec, stored: StoredKey, secret: Manifest, *, read_back: bool) -> Decision:
    if stored.version and stored.intake == identity(secret):
        return Decision(Step.REMOVE_SECRET if read_back else Step.NOTHING)
    if stored.version and stored.accepted:
        return Decision(Step.SETTLE)
    refused = _refusal(key, secret)
    if refused:
        return refused
    return Decision(Step.REPLACE if stored.version else Step.STORE)


def _refusal(key: KeySpec, secret: Manifest) -> Decision | None:
    meta, data = secret["metadata"], secret.get("data") or {}
    annotations, labels = meta.get("annotations") or {}, meta.get("labels") or {}
    marks = [name for name in (*annotations, *labels) if name.startswith(_MARKS)]
    if marks:
        return _report(Reason.KEY_SECRET_EXPOSED, f"Secret {key.secret_name} carries {marks[0]}.")
    if labels.get(names.KEY_INTAKE_LABEL) != "true":
        return _report(Reason.KEY_SECRET_INVALID, f"Secret {key.secret_name} lacks the label.")
    if set(data) != {names.KEY_INTAKE_FIELD}:
        return _report(Reason.KEY_SECRET_INVALID, f"Secret {key.secret_name} has {len(data)} fields, not `sek` alone.")
    text = key_in(secret)
    if text is None:
        return _report(Reason.KEY_SECRET_INVALID, f"Secret {key.secret_name}: the field `sek` is not text.")
    wrong = problems_with(text)
    if wrong:
        return _report(Reason.KEY_WEAK, f"Secret {key.secret_name}: the key {'; '.join(wrong)}.")
    return None


def key_in(secret: Manifest) -> str | None:
    """The key a Secret hands over; None where it is not text. One line end at its end is an editor's, not the key's."""
    try:
        text = base64.b64decode(secret["data"][names.KEY_INTAKE_FIELD], validate=True).decode()
    except (KeyError, binascii.Error, UnicodeDecodeError, TypeError):
        return None
    return text.removesuffix("\n").removesuffix("\r")


def identity(secret: dict[str, Any]) -> str:
    """This very Secret in this very version."""
    return f"{secret['metadata']['uid']}/{secret['metadata']['resourceVersion']}"


def hand_over(stored: StoredKey, secret: Manifest | None) -> HandOver:
    """How the Secret that is there stands to the stored key. For one that was refused, the reason says it."""
    if secret is None or not stored.version:
        return HandOver.NONE
    if stored.intake == identity(secret):
        return HandOver.TAKEN
    return HandOver.NOT_TAKEN if stored.accepted else HandOver.NONE


def not_taken(secret_name: str | None) -> str:
    """What to tell of a Secret that came after a key was accepted."""
    remedy = EXPLANATIONS[Reason.KEY_ALREADY_STORED].remedy
    return f"Secret {secret_name} was not taken, since a key was accepted before. It holds a key in the clear. {remedy}"


def _report(reason: Reason, what: str) -> Decision:
    return Decision(Step.REPORT, reason, f"{what} {EXPLANATIONS[reason].remedy}")
