"""How OSCAR says no. It keeps to HTTP's status codes so loosely that the body is looked at first."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

import orjson

from ocean_emr.answers import Answer, Asked, Read, Send
from ocean_emr.errors import (
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrError,
    EmrPermissionDeniedError,
    EmrRecordError,
)

_OAUTH_CODES: Final = (
    "missing_consumer_key",
    "missing_access_token",
    "invalid_consumer",
    "invalid_signature",
    "unknown_provider",
    "oauth_authentication_failed",
)
"""Source: open-osp/Open-O OAuthInterceptor. They come with 400 and 401, and as faults of status 500 labelled JSON."""

_MISSING_RIGHTS: Final = ("access denied", "missing required sec")
"""Source: open-osp/Open-O and scoophealth/oscar, the managers' checks: thrown, so the status is 500."""

_REFUSED_REMEDY: Final = (
    "Authorise the integration in OSCAR again and put the new credentials into the Secret; work resumes by itself. If "
    "new ones are refused as well, compare the address with the one OSCAR's Tomcat believes to have (scheme, "
    "`proxyName`, `proxyPort`): the signature covers it."
)


def oscar_faults(answer: Answer, asked: Asked) -> EmrError | None:
    """What OSCAR means by `answer` where HTTP's own rules would mislead; None where they do not."""
    op, status = asked.op, answer.status
    if status < HTTPStatus.BAD_REQUEST and not answer.markup:
        return _refusal_in_a_200(answer, asked)
    text = _own_words(answer, asked)
    code = next((code for code in _OAUTH_CODES if code in text), None)
    if code is not None or status == HTTPStatus.UNAUTHORIZED:
        what = f"the EMR refused the login: {code}" if code else "the EMR refused the login and says no more"
        return EmrAuthRefusedError(what, op=op, http_status=status, remedy=_REFUSED_REMEDY)
    if "No service was found" in text:
        return EmrAnswerError(
            "OSCAR has no REST interface at this address",
            op=op,
            http_status=status,
            remedy="See that the address ends with OSCAR's context path, such as /oscar, and that its `ModuleNames` "
            "property holds REST.",
        )
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        if any(sign in text.lower() for sign in _MISSING_RIGHTS):
            return EmrPermissionDeniedError("the EMR denied the right to do this", op=op, http_status=status)
        if isinstance(asked, Read) and asked.record:
            # One chart or booking that OSCAR trips over must not keep all the others from being read.
            return EmrRecordError("the EMR failed on this one record", op=op, http_status=status)
    return None


def _own_words(answer: Answer, asked: Asked) -> str:
    """The answer's text, without the signs of a refusal that we sent ourselves: a page about an exception may quote."""
    text = answer.text()
    if isinstance(asked, Send):
        sent = orjson.dumps(asked.json).decode().lower()
        for sign in (*_OAUTH_CODES, *_MISSING_RIGHTS):
            if sign in sent:
                text = re.sub(re.escape(sign), "", text, flags=re.IGNORECASE)
    return text


def _refusal_in_a_200(answer: Answer, asked: Asked) -> EmrError | None:
    """`oauth/info` of classic builds: an apology in plain text when the login has no user (any more)."""
    if answer.body.startswith(b"Sorry, there was an error"):
        what = "the EMR took the signature and names no user for it"
        return EmrAuthRefusedError(what, op=asked.op, http_status=answer.status, remedy=_REFUSED_REMEDY)
    return None
