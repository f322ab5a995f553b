"""OAuth 1.0a, as OSCAR wants it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

import httpx
import oauthlib.oauth1

from ocean_emr.records import Operation

# It logs at DEBUG what is signed: the address, which may name a patient, and the signature.
logging.getLogger("oauthlib").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True, repr=False)
class OAuth1:
    """OAuth 1.0a, HMAC-SHA1 (RFC 5849): a signature with its own nonce and time on every attempt.

    JSON bodies are not part of the signature.
    """

    consumer_key: str
    consumer_secret: str
    token: str
    token_secret: str

    signs_time: ClassVar[bool] = True

    async def apply(self, request: httpx.Request, op: Operation) -> None:  # noqa: ARG002 - the protocol's
        """Sign method and address."""
        client = oauthlib.oauth1.Client(
            self.consumer_key,
            client_secret=self.consumer_secret,
            resource_owner_key=self.token,
            resource_owner_secret=self.token_secret,
        )
        # The types name every method there is; ours is one of them.
        _, headers, _ = client.sign(str(request.url), http_method=request.method)  # type: ignore[arg-type]
        request.headers.update(headers)

    async def renew(self) -> bool:
        """Every attempt is signed afresh, which rules out a nonce that was spent on the way."""
        return True
