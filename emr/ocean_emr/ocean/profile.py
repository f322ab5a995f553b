"""How records reach Ocean: a profile of our own. UNVERIFIED.

OceanMD publishes no interface for uploading a schedule (what Cloud Connect itself uses is not public), so this is ours,
whole, and in one file: paths, forms, limits and what an answer means. It has been tried against our simulator only,
which is no evidence about Ocean. The paths are named so that no real Ocean answers them by accident. When OceanMD
publishes an interface, this file and `payloads.py` change and nothing else does. docs/explanation/ocean-boundary.md
describes it for readers.

Requests, all with the site's login:

    PUT  {ROOT}/patients              {"items": [{"ref", "oneTimeKey": {data, iv}, "payload": {data, iv}}, …]}
    PUT  {ROOT}/appointments          likewise
    POST {ROOT}/appointments/removals {"refs": ["…", …]}

Answer to each: {"results": [{"ref", "status": "accepted"} | {"ref", "status": "rejected", "code"}, …]}, one result for
each item, in any order. An upsert replaces whatever is there under the same `ref`; removing what is not there is
accepted. So every request may be sent twice, and is, when its answer was lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ocean_emr.ocean.crypto import SealedPayload, SharedEncryptionKey
from ocean_emr.ocean.errors import Call, OceanAnswerUnreadableError, OceanRecordRejectedError

ROOT = "/svc/ocean-operator/v0"
PATIENTS_PATH = f"{ROOT}/patients"
APPOINTMENTS_PATH = f"{ROOT}/appointments"
REMOVALS_PATH = f"{ROOT}/appointments/removals"

MAX_BATCH = 100
"""Items in one request."""
MAX_PAYLOAD_BYTES = 64 * 1024
"""Of one record before encryption; with `MAX_BATCH` this keeps a request under 10 MiB."""
MAX_REF_LENGTH = 128

WRONG_KEY = "WrongKey"
"""Ocean's code for an item that its key for the site does not open."""
REF_UNUSABLE = "RefUnusable"
NOT_TEXT = "NotText"
TOO_LARGE = "TooLarge"
UNNAMED = "Unnamed"
"""For a rejection whose code is not one we may show."""

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,39}\Z")


@dataclass(frozen=True, slots=True)
class Upload:
    """One record on its way to Ocean. `ref` travels in clear, `plaintext` only encrypted."""

    ref: str
    """The EMR's id for the record, opaque."""
    plaintext: bytes = field(repr=False)
    """JSON with sorted keys: the same record gives the same bytes, so a digest of them tells whether it changed."""

    @classmethod
    def of(cls, ref: str, payload: object) -> Upload:
        """The upload of `payload` under `ref`.

        Raises:
            OceanRecordRejectedError: It cannot be sent, whoever asks; the others can.
        """
        if not 0 < len(ref) <= MAX_REF_LENGTH or not ref.isprintable():
            # Not quoted: whatever stands in the place of an id may be something else.
            raise OceanRecordRejectedError("(unusable)", REF_UNUSABLE)
        try:
            plaintext = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            # `from None`: the error may hold the text, for instance half a surrogate pair in a name.
            raise OceanRecordRejectedError(ref, NOT_TEXT) from None
        if len(plaintext) > MAX_PAYLOAD_BYTES:
            raise OceanRecordRejectedError(ref, TOO_LARGE)
        return cls(ref, plaintext)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of each item of a batch, in the batch's order."""

    accepted: tuple[str, ...]
    rejected: tuple[OceanRecordRejectedError, ...] = ()


def upsert_body(batch: Sequence[Upload], sek: SharedEncryptionKey) -> bytes:
    """The request for `batch`, each item under a one-time key of its own."""
    return orjson.dumps({"items": [_item(upload.ref, sek.seal(upload.plaintext)) for upload in batch]})


def removal_body(refs: Sequence[str]) -> bytes:
    """The request to remove `refs`."""
    return orjson.dumps({"refs": list(refs)})


def _item(ref: str, sealed: SealedPayload) -> dict[str, Any]:
    return {"ref": ref, "oneTimeKey": sealed.one_time_key.to_json(), "payload": sealed.payload.to_json()}


def check_batch(refs: Sequence[str]) -> None:
    """Refuse a batch that cannot be answered clearly.

    Raises:
        ValueError: More than `MAX_BATCH` items, or two with one ref. The caller's mistake.
    """
    if len(refs) > MAX_BATCH:
        raise ValueError(f"A batch holds at most {MAX_BATCH} items, not {len(refs)}.")
    if len(set(refs)) != len(refs):
        raise ValueError("A batch holds each ref once.")


def read_results(answer: Any, refs: Sequence[str], call: Call) -> BatchResult:
    """What `answer`, already parsed, says about each of `refs`.

    Raises:
        OceanAnswerUnreadableError: Not exactly one result for each item. Then nothing is known to be accepted.
    """
    results = answer.get("results") if isinstance(answer, dict) else None
    verdicts: dict[str, str | None] = {}
    for result in results if isinstance(results, list) else []:
        ref, code = _verdict(result, call)
        if ref in verdicts:
            raise OceanAnswerUnreadableError("Ocean answered twice about one record", call=call)
        verdicts[ref] = code
    if verdicts.keys() != set(refs):
        raise OceanAnswerUnreadableError(
            f"Ocean answered about {len(verdicts.keys() & set(refs))} of {len(refs)} records"
            f" and about {len(verdicts.keys() - set(refs))} others",
            call=call,
        )
    return BatchResult(
        accepted=tuple(ref for ref in refs if verdicts[ref] is None),
        rejected=tuple(
            OceanRecordRejectedError(ref, code, call=call) for ref in refs if (code := verdicts[ref]) is not None
        ),
    )


def _verdict(result: Any, call: Call) -> tuple[str, str | None]:
    """One result's ref, and why it was rejected or `None`."""
    match result:
        case {"ref": str(ref), "status": "accepted"}:
            return ref, None
        case {"ref": str(ref), "status": "rejected", **rest}:
            code = rest.get("code")
            return ref, code if isinstance(code, str) and _CODE.match(code) else UNNAMED
        case _:
            raise OceanAnswerUnreadableError("a result in Ocean's answer has an unknown form", call=call)
