"""One request to Ocean and its answer: limits, repetitions, and what a failure means.

The only place where HTTP becomes `OceanError`; `ocean_emr.transport` is its sister for EMRs, which only reads. Nothing
of a request, a header or an answer gets into an error or a log.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

import anyio
import httpx
import orjson
import stamina

from ocean_api.addresses import PUBLIC_ONLY, AddressRules
from ocean_emr.answers import http_moment
from ocean_emr.connections import AddressForbiddenError, GuardedTransport
from ocean_emr.ocean.errors import (
    Call,
    OceanAccessRefusedError,
    OceanAddressError,
    OceanAnswerTooLargeError,
    OceanAnswerUnreadableError,
    OceanRateLimitedError,
    OceanTlsError,
    OceanUnavailableError,
)

# httpx logs every URL, and httpcore the headers of every answer, a session's cookie and wrapped keys among them.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Far above any answer but a file's; a larger one is not read to its end."""

_ATTEMPTS = 3
_CONNECTIONS = 4
_MOMENTARY = frozenset({408, 425, 500, 502, 503, 504})
_LONGEST_PAUSE_SECONDS = 30.0
_HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Answer:
    """What Ocean sent back, whole. The body may hold anything: it is not shown."""

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_page(self) -> bool:
        """Whether a web page came where a program's answer was due."""
        return "html" in self.headers.get("content-type", "") or self.body.lstrip()[:1] == b"<"

    def json(self, call: Call) -> Any:
        """The body as JSON.

        Raises:
            OceanAnswerUnreadableError: It is not.
        """
        if self.is_page:
            raise OceanAnswerUnreadableError("Ocean answered with a web page", call=call, http_status=self.status)
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            # `from None`: the parser's error holds the document.
            raise OceanAnswerUnreadableError(
                "Ocean's answer is not JSON, or only a part of it", call=call, http_status=self.status
            ) from None


class Exchange:
    """A line to one Ocean server. Repeats what a repetition can mend, so send only what may arrive twice."""

    def __init__(
        self, url: str, *, ca_bundle: str | None, deadline_seconds: float, addresses: AddressRules = PUBLIC_ONLY
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            url: Ocean's root. `https`, but for a loopback address.
            ca_bundle: PEM text of the authorities to trust instead of the public ones.
            deadline_seconds: For one attempt from connecting to the answer's last byte, however slowly it drips.
            addresses: Where connections may lead.
        """
        self._root = url.rstrip("/")
        self._deadline = deadline_seconds
        self._http = httpx.AsyncClient(
            transport=GuardedTransport(addresses, tls=_tls(url, ca_bundle), connections=_CONNECTIONS),
            timeout=httpx.Timeout(deadline_seconds, connect=min(5.0, deadline_seconds)),
            # A small compressed answer could unpack to one that fills the memory.
            headers={"accept-encoding": "identity", "user-agent": "ocean-operator"},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(  # noqa: PLR0913 - keywords, all of them parts of one request
        self,
        call: Call,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        most_bytes: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        """Ocean's answer to one request, whatever its status below 500 but 429 and redirections.

        Args:
            call: What is asked, for errors.
            method: Of HTTP.
            path: With its query, already quoted.
            headers: Of the request.
            content: Its body.
            most_bytes: How much of an answer is read; a larger one is an error.

        Raises:
            OceanUnavailableError: Not reached, out of order, or asking for a pause, after up to three tries.
            OceanAnswerTooLargeError: Larger than `most_bytes`.
            OceanAnswerUnreadableError: Sent elsewhere, or compressed.
        """
        # Not stamina's decorator or caller: those log the arguments, and ours hold credentials.
        async for attempt in stamina.retry_context(on=_pause_after, attempts=_ATTEMPTS, wait_initial=0.2, wait_max=3.0):
            with attempt:
                request = self._http.build_request(method, self._root + path, headers=headers, content=content)
                answer = await self._attempt(call, request, most_bytes)
                refuse_status(call, answer)
                return answer
        raise AssertionError("stamina ends by a result or an error")  # pragma: no cover

    async def _attempt(self, call: Call, request: httpx.Request, most_bytes: int) -> Answer:
        try:
            with anyio.fail_after(self._deadline):
                response = await self._http.send(request, stream=True)
                try:
                    return await _read(call, response, most_bytes)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException):
            raise OceanUnavailableError("Ocean did not answer in time", call=call, momentary=True) from None
        except AddressForbiddenError as error:
            raise OceanAddressError(f"Ocean was not called, since {error}", call=call) from None
        except httpx.HTTPError as error:
            raise _no_answer(call, error) from None


def _tls(url: str, ca_bundle: str | None) -> ssl.SSLContext:
    """What to trust at `url`: the bundle alone where there is one, else the public authorities."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise OceanAnswerUnreadableError("Ocean's address is not a URL") from None
    if not parsed.host or (parsed.port or 0) > _HIGHEST_PORT:
        raise OceanAnswerUnreadableError("Ocean's address has no host, or a port that cannot be")
    if parsed.scheme == "http" and _is_loopback(parsed.host):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and is not used
    if parsed.scheme != "https":
        raise OceanTlsError("Ocean's address is not https", remedy="Set `spec.ocean.url` to an https address.")
    try:
        context = ssl.create_default_context(cadata=ca_bundle) if ca_bundle else httpx.create_ssl_context()
    except (ssl.SSLError, ValueError):
        raise OceanTlsError(
            "the authority for Ocean's certificate is not PEM", remedy="Correct `spec.ocean.caBundle`."
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _is_loopback(host: str) -> bool:
    """Whether requests to `host` stay on this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _read(call: Call, response: httpx.Response, most_bytes: int) -> Answer:
    """The whole answer, if it is of a size and form to be read."""
    if "content-encoding" in response.headers:
        raise OceanAnswerUnreadableError("Ocean's answer is compressed, unasked", call=call)
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > most_bytes:
            raise OceanAnswerTooLargeError(
                f"Ocean's answer is larger than {most_bytes} bytes", call=call, http_status=response.status_code
            )
    return Answer(response.status_code, response.headers, bytes(body))


def _pause_after(error: Exception) -> bool | float:
    """Whether to repeat, and after how many seconds if Ocean named them."""
    if not isinstance(error, OceanUnavailableError) or not error.momentary:
        return False
    if error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= _LONGEST_PAUSE_SECONDS else False


def _no_answer(call: Call, error: httpx.HTTPError) -> OceanUnavailableError:
    """What a failed exchange means. httpx' own text is left out: it can quote what was sent."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return OceanTlsError("Ocean's certificate is not to be trusted, or its side speaks no TLS", call=call)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError):
        return OceanUnavailableError("Ocean could not be reached", call=call, momentary=True)
    return OceanUnavailableError("the connection broke off before the answer was whole", call=call, momentary=True)


def refuse_status(call: Call, answer: Answer) -> None:
    """Raise for a status that means the same whatever was asked.

    Raises:
        OceanUnavailableError: 429, 5xx, or a firewall's page.
        OceanAnswerUnreadableError: A redirection. It is never followed: it would carry the credential elsewhere.
    """
    status = answer.status
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = retry_after_seconds(answer.headers.get("retry-after"), now=datetime.now(UTC))
        what = "Ocean asked for fewer calls"
        raise OceanRateLimitedError(what, call=call, http_status=status, retry_after=wait, momentary=True)
    if status == HTTPStatus.FORBIDDEN and answer.is_page:
        raise OceanUnavailableError(
            "a web page came instead of Ocean's answer",
            call=call,
            http_status=status,
            remedy="A firewall seems to stand in front of Ocean: have the cluster's outgoing address allowed there.",
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _MOMENTARY:
        raise OceanUnavailableError(
            "Ocean is out of order", call=call, http_status=status, momentary=status in _MOMENTARY
        )
    if httpx.codes.is_redirect(status):
        raise OceanAnswerUnreadableError("Ocean sent us to another address", call=call, http_status=status)


def expect_success(call: Call, answer: Answer, *, remedy: str | None = None) -> None:
    """Raise unless the request was accepted.

    Args:
        call: What was asked.
        answer: Its answer, which `refuse_status` has let through.
        remedy: What to do next, when the caller knows better than the reason's own remedy.

    Raises:
        OceanAccessRefusedError: 401 or 403.
        OceanAnswerUnreadableError: Any other refusal: this client and the server disagree about the interface.
    """
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise OceanAccessRefusedError(
            "Ocean refused the credential", call=call, http_status=answer.status, remedy=remedy
        )
    if not httpx.codes.is_success(answer.status):
        raise OceanAnswerUnreadableError(
            "Ocean does not know this request", call=call, http_status=answer.status, remedy=remedy
        )


def retry_after_seconds(value: str | None, *, now: datetime) -> float | None:
    """The pause in a `Retry-After` header; `None` if there is none that can be read.

    Source: RFC 9110, section 10.2.3: seconds, or a date.
    """
    if value is not None and value.isascii() and value.isdigit():
        return float(value[:9])
    moment = http_moment(value)
    return max(0.0, (moment - now).total_seconds()) if moment else None
