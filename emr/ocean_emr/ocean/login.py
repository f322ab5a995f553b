"""Who we are to Ocean: the site's key and credential as headers, or a token from client credentials."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode

import anyio

from ocean_emr.ocean.errors import Call, OceanAccessRefusedError, OceanAnswerUnreadableError
from ocean_emr.ocean.exchange import Answer, Exchange, expect_success

TOKEN_PATH = "/svc/oauth2/token"  # noqa: S105 - a path
_CLIENT_NOT_ACCEPTED = frozenset({400, 401})
_RENEW_BEFORE_SECONDS = 30.0
_TOKEN_SECONDS_IF_UNSAID = 60.0


@dataclass(frozen=True, slots=True)
class SiteCredential:
    """Key and credential of a site, made under Admin, Manage Credentials in Ocean's portal."""

    site_key: str = field(repr=False)
    site_credential: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A site's own OAuth 2 client."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)


class Login(Protocol):
    """What `OceanClient` needs of either kind."""

    async def headers(self, exchange: Exchange) -> Mapping[str, str]:
        """The headers that say who asks."""
        ...

    def renew(self) -> bool:
        """Note that Ocean did not accept the headers; whether asking again can give better ones."""
        ...


class HeaderLogin:
    """The three headers of Ocean's Open API.

    Source: `authHeaders` in OceanMD's sample clients (dougkavanagh/ocean-ts-integration, `open-api-client.ts`).
    """

    def __init__(self, site_number: str, credential: SiteCredential) -> None:
        self._headers = {
            "siteNum": _header("siteNumber", site_number),
            "siteKey": _header("siteKey", credential.site_key),
            "siteCredential": _header("siteCredential", credential.site_credential),
        }

    async def headers(self, exchange: Exchange) -> Mapping[str, str]:  # noqa: ARG002 - the other kind asks it
        """The same three each time."""
        return self._headers

    def renew(self) -> bool:
        """No: they are all there is."""
        return False


class TokenLogin:
    """A bearer token by OAuth 2 client credentials, kept until shortly before it expires.

    OceanMD's own clients differ: one sends the client in the form, one as Basic with the grant in the query. The form
    is tried first, and Basic only when the form was refused; what worked is kept.

    Source: oceanmdlabs/autorouter, `retrieveAccessToken` (form); dougkavanagh/ocean-ts-integration,
    `getOAuthBearerToken` (Basic).
    """

    def __init__(self, credentials: ClientCredentials) -> None:
        self._client_id = _given("clientId", credentials.client_id)
        self._client_secret = _given("clientSecret", credentials.client_secret)
        self._form_refused = False
        self._form_proven = False
        self._token = ""
        self._good_until = 0.0
        self._lock = anyio.Lock()

    async def headers(self, exchange: Exchange) -> Mapping[str, str]:
        """The token, fetched if there is none that will last.

        Raises:
            OceanError: `OceanAccessRefusedError` when neither form of login is accepted.
        """
        async with self._lock:
            if time.monotonic() >= self._good_until:
                self._keep(await self._ask(exchange))
            return {"authorization": f"Bearer {self._token}"}

    def renew(self) -> bool:
        """Forget the token, which may have been withdrawn before its time."""
        self._good_until = 0.0
        return True

    async def _ask(self, exchange: Exchange) -> Answer:
        """The token endpoint's acceptance."""
        if not self._form_refused:
            answer = await self._by_form(exchange)
            if answer.status not in _CLIENT_NOT_ACCEPTED or self._form_proven:
                _accepted(answer)
                self._form_proven = True
                return answer
        answer = await self._by_basic(exchange)
        _accepted(answer)
        self._form_refused = True
        return answer

    async def _by_form(self, exchange: Exchange) -> Answer:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
        }
        return await exchange.send(
            Call.LOG_IN,
            "POST",
            TOKEN_PATH,
            headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
            content=urlencode(form).encode(),
        )

    async def _by_basic(self, exchange: Exchange) -> Answer:
        pair = f"{self._client_id}:{self._client_secret}"
        return await exchange.send(
            Call.LOG_IN,
            "POST",
            f"{TOKEN_PATH}?grant_type=client_credentials",
            headers={
                "authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
                "content-type": "application/x-www-form-urlencoded",
                "accept": "application/json",
            },
        )

    def _keep(self, answer: Answer) -> None:
        """Keep the token and how long it lasts.

        Source: RFC 6749, section 5.1: `expires_in` is recommended, not required.
        """
        value = answer.json(Call.LOG_IN)
        token = value.get("access_token") if isinstance(value, dict) else None
        if not isinstance(token, str) or not _fits_header(token):
            raise OceanAnswerUnreadableError(
                "Ocean's answer holds no usable token", call=Call.LOG_IN, http_status=answer.status
            )
        lasts = value.get("expires_in")
        seconds = float(lasts) if isinstance(lasts, int | float) else _TOKEN_SECONDS_IF_UNSAID
        self._token = token
        self._good_until = time.monotonic() + seconds - min(_RENEW_BEFORE_SECONDS, seconds / 2)


def login_for(site_number: str, credential: SiteCredential | ClientCredentials) -> Login:
    """The way to log in that goes with `credential`.

    Raises:
        OceanAccessRefusedError: The credential cannot be sent at all.
    """
    if isinstance(credential, SiteCredential):
        return HeaderLogin(site_number, credential)
    return TokenLogin(credential)


def _accepted(answer: Answer) -> None:
    """Raise unless a token was granted; 400 is how OAuth refuses a client, too (RFC 6749, section 5.2)."""
    if answer.status in _CLIENT_NOT_ACCEPTED:
        raise OceanAccessRefusedError("Ocean refused the client", call=Call.LOG_IN, http_status=answer.status)
    expect_success(Call.LOG_IN, answer)


def _given(name: str, value: str) -> str:
    """`value` without the line end an editor leaves behind.

    Raises:
        OceanAccessRefusedError: Nothing is left.
    """
    stripped = value.strip()
    if not stripped:
        raise OceanAccessRefusedError(f"{name} is empty", remedy=f"Put `{name}` into the Secret.")
    return stripped


def _header(name: str, value: str) -> str:
    """`value`, if a header can carry it. The HTTP library would refuse it too, but quote it."""
    stripped = _given(name, value)
    if not _fits_header(stripped):
        raise OceanAccessRefusedError(
            f"{name} holds a space, a line break or an accented character", remedy=f"Correct `{name}` in the Secret."
        )
    return stripped


def _fits_header(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable() and " " not in value
