"""Credentials, and OAuth 2. OAuth 1.0a is in `oauth1.py`, so that nobody loads what their EMR does not need."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import anyio
import httpx
from pydantic import BaseModel, Field, ValidationError

from ocean_emr.answers import Answer, Asked, Read
from ocean_emr.errors import EmrAnswerError, EmrAuthRefusedError, EmrError
from ocean_emr.records import Operation
from ocean_emr.transport import Transport


def require(credentials: Mapping[str, str], keys: Sequence[str]) -> tuple[str, ...]:
    """The values of `keys` in their order, without the line end an editor leaves behind.

    Raises:
        EmrAuthRefusedError: Some are missing or empty; their names are in the text.
    """
    values = tuple(credentials.get(key, "").strip() for key in keys)
    missing = [key for key, value in zip(keys, values, strict=True) if not value]
    if missing:
        raise EmrAuthRefusedError(
            f"the credentials lack {', '.join(missing)}",
            op=Operation.CHECK_CONNECTION,
            remedy="Put them into the Secret that the EMR block's `credentialsSecret` names.",
        )
    return values


class _TokenAnswer(BaseModel):
    """Source: RFC 6749, 5.1."""

    access_token: str = Field(min_length=1)
    expires_in: float = 300.0


_RENEW_EARLY_SECONDS: Final = 30
# Source: RFC 6749, 5.2. Anything else in `error` is not shown: it is the server's own text.
_TOKEN_ERRORS: Final = (
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "invalid_scope",
    "unsupported_grant_type",
    "invalid_request",
)


class ClientCredentials:
    """OAuth 2.0 client credentials: a bearer token, fetched when needed and again when it has expired.

    Id and secret go in the form body. Source: Ocean Cloud Connect FHIR guide, Authorization.
    """

    signs_time: ClassVar[bool] = False

    def __init__(self, client_id: str, client_secret: str, scopes: str, *, endpoint: Transport) -> None:
        """Fetch nothing yet.

        Args:
            client_id: The clinic's.
            client_secret: The clinic's.
            scopes: Separated by spaces.
            endpoint: A transport whose base address is the token endpoint, made with `faults=token_faults`.
                Whoever made it closes it.
        """
        self._form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "scope": scopes,
        }
        self._endpoint = endpoint
        self._token: str | None = None
        self._good_until = 0.0
        self._lock = anyio.Lock()

    async def apply(self, request: httpx.Request, op: Operation) -> None:
        """Show the token."""
        async with self._lock:
            if self._token is None or time.monotonic() >= self._good_until:
                await self._fetch(op)
            request.headers["Authorization"] = f"Bearer {self._token}"

    async def renew(self) -> bool:
        """Forget the token, so that the next attempt fetches another."""
        self._token = None
        return True

    async def _fetch(self, op: Operation) -> None:
        raw = await self._endpoint.read_json(Read(op, "", form=self._form))
        try:
            answer = _TokenAnswer.model_validate(raw)
        except ValidationError:
            raise EmrAnswerError("the token endpoint answered without an access token", op=op) from None
        self._token = answer.access_token
        self._good_until = time.monotonic() + max(0.0, answer.expires_in - _RENEW_EARLY_SECONDS)


def token_faults(answer: Answer, asked: Asked) -> EmrError | None:
    """How a token endpoint refuses: 400 or 401 with an error code."""
    if answer.status not in {httpx.codes.BAD_REQUEST, httpx.codes.UNAUTHORIZED} or answer.markup:
        return None
    code = next((code for code in _TOKEN_ERRORS if f'"{code}"' in answer.text()), "no code it names")
    return EmrAuthRefusedError(f"the token endpoint refused the client: {code}", op=asked.op, http_status=answer.status)
