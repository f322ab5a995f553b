"""Verification of OAuth 1.0a signatures by oauthlib, and how each family of OSCAR refuses one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from oauthlib.oauth1.rfc5849 import signature, utils
from starlette.requests import Request
from starlette.responses import Response

SKEW_SECONDS: Final = 300


class Profile(StrEnum):
    """Which family of builds is imitated."""

    CLASSIC = "classic"
    """After scoophealth/oscar of 2019 and CXF 2.7."""
    OPEN_O_2026 = "open-o-2026"
    """After open-osp/Open-O of March 2026."""


class Refusal(StrEnum):
    """Why a signature is not accepted, by Open-O's own codes."""

    NO_CONSUMER_KEY = "missing_consumer_key"
    NO_TOKEN = "missing_access_token"
    CONSUMER = "invalid_consumer"
    SIGNATURE = "invalid_signature"
    """Also for a stale timestamp and an unknown token."""
    PROVIDER = "unknown_provider"


@dataclass(frozen=True, slots=True)
class SimCredentials:
    """What a clinic's Secret holds, by its keys."""

    consumer_key: str = field(default_factory=lambda: secrets.token_hex(8))
    consumer_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    token_secret: str = field(default_factory=lambda: secrets.token_hex(16))

    def as_secret(self) -> dict[str, str]:
        """As the Secret that a site's `credentialsSecret` names."""
        return {
            "consumerKey": self.consumer_key,
            "consumerSecret": self.consumer_secret,
            "token": self.token,
            "tokenSecret": self.token_secret,
        }


@dataclass(frozen=True, slots=True)
class _Signed:
    """A request as oauthlib's verification wants to see it."""

    uri: str
    http_method: str
    params: list[tuple[str, str]]
    signature: str


@dataclass(slots=True)
class Logins:
    """The tables of clients and tokens, and the memory of nonces."""

    credentials: SimCredentials
    token_exists: bool = True
    nonces: set[tuple[str, str]] = field(default_factory=set)

    def judge(self, request: Request, profile: Profile, *, now: float, host: str | None) -> Refusal | None:
        """Why `request` is refused; None if it is accepted.

        Args:
            request: Signed in its Authorization header.
            profile: Whether nonces are remembered, and whether a failure costs the token.
            now: Unix time as this OSCAR sees it.
            host: The host it believes to have; None for the one it was called by.
        """
        header = utils.parse_authorization_header(request.headers["authorization"])
        shown = {name: utils.unescape(value) for name, value in header}
        refusal = self._known(shown) or self._signed(request, shown, host)
        if refusal is None and abs(now - int(shown.get("oauth_timestamp") or 0)) > SKEW_SECONDS:
            refusal = Refusal.SIGNATURE
        if refusal is None and profile is Profile.CLASSIC:
            nonce = (shown["oauth_timestamp"], shown["oauth_nonce"])
            refusal = Refusal.SIGNATURE if nonce in self.nonces else None
            self.nonces.add(nonce)
        if refusal is not None and profile is Profile.CLASSIC and shown.get("oauth_token") == self.credentials.token:
            # Source: apache/cxf OAuthUtils: whatever fails after the token was found removes it.
            self.token_exists = False
        return refusal

    def _known(self, shown: dict[str, str]) -> Refusal | None:
        if not shown.get("oauth_consumer_key"):
            return Refusal.NO_CONSUMER_KEY
        if not shown.get("oauth_token"):
            return Refusal.NO_TOKEN
        if shown["oauth_consumer_key"] != self.credentials.consumer_key:
            return Refusal.CONSUMER
        if not self.token_exists or shown["oauth_token"] != self.credentials.token:
            return Refusal.SIGNATURE
        return None

    def _signed(self, request: Request, shown: dict[str, str], host: str | None) -> Refusal | None:
        url = request.url.replace(hostname=host) if host else request.url
        signed = _Signed(
            uri=str(url.replace(query="")),
            http_method=request.method,
            params=[
                *request.query_params.multi_items(),
                *((k, v) for k, v in shown.items() if k not in {"oauth_signature", "realm"}),
            ],
            signature=shown.get("oauth_signature", ""),
        )
        ours = self.credentials
        # It reads these four attributes, which its own class has only after parsing a request by itself.
        fits = signature.verify_hmac_sha1(signed, ours.consumer_secret, ours.token_secret)  # type: ignore[arg-type]
        return None if fits else Refusal.SIGNATURE


def refused(refusal: Refusal, profile: Profile, *, named: bool) -> Response:
    """The answer to a request whose signature is not accepted."""
    if named:
        status = 400 if refusal in {Refusal.NO_CONSUMER_KEY, Refusal.NO_TOKEN} else 401
        return Response(f'{{"error":"{refusal}"}}', status, media_type="application/json")
    if profile is Profile.CLASSIC:
        return Response(status_code=401, headers={"WWW-Authenticate": "OAuth"})
    fault = f'<ns1:XMLFault xmlns:ns1="http://cxf.apache.org/bindings/xformat"><ns1:faultstring>{refusal}</ns1:faultstring></ns1:XMLFault>'
    return Response(fault, 500, media_type="application/json")
