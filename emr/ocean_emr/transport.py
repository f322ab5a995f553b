"""HTTP to one EMR, once for all adapters: limits, TLS, repeated reads, and every failure as an `EmrError`.

`read` repeats, since repeating a question does no harm; a read may be a POST, since some EMRs search that way. `write`
never does: whether something came of what failed is the caller's to find out.
Nothing an EMR answered, and no address with its query, gets into an error or a log.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar, Protocol, Self, TypeVar
from urllib.parse import quote, urlencode

import anyio
import httpx
import orjson
import stamina

from ocean_api.addresses import PUBLIC_ONLY, AddressRules
from ocean_emr.answers import Answer, Asked, Read, Send, http_moment, json_value, problem, unreadable_outcome
from ocean_emr.connections import AddressForbiddenError, GuardedTransport
from ocean_emr.errors import (
    EmrAddressError,
    EmrAnswerError,
    EmrAuthRefusedError,
    EmrClockSkewError,
    EmrError,
    EmrOutcomeUnknownError,
    EmrTlsError,
    EmrUnavailableError,
)
from ocean_emr.records import Operation

# httpx logs every URL and httpcore every header; ours hold patients' ids and signatures.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

MAX_CLOCK_SKEW_SECONDS = 300
"""Beyond this a signature is refused. Source: open-osp/Open-O OAuth1SignatureVerifierImplementation; CXF alike."""

_Error = TypeVar("_Error", bound=BaseException)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much, for one read and its repetitions, or for one write."""

    connect_seconds: float = 10.0
    silence_seconds: float = 30.0
    """Longest wait for the next byte."""
    attempt_seconds: float = 60.0
    """Longest time for one whole answer, however steadily it drips."""
    body_bytes: int = 16 * 1024 * 1024
    attempts: int = 4
    total_seconds: float = 150.0
    """No repetition begins after this."""
    pause_seconds: float = 0.5
    """Before the first repetition; doubled each time, with jitter on top."""
    pause_max_seconds: float = 8.0
    wait_max_seconds: float = 30.0
    """Longest Retry-After that is waited for; a longer one ends the run instead."""
    connections: int = 8


class Auth(Protocol):
    """Proves to the EMR who asks."""

    signs_time: ClassVar[bool]
    """Whether our clock goes into the proof: then it is compared with the EMR's before the first use."""

    async def apply(self, request: httpx.Request, op: Operation) -> None:
        """Put the proof into `request`, made anew for each attempt."""
        ...

    async def renew(self) -> bool:
        """After a refusal: prepare a fresh proof. False if another attempt can only be refused again."""
        ...


class NoAuth:
    """For servers that ask for nothing, and for token endpoints."""

    signs_time: ClassVar[bool] = False

    async def apply(self, request: httpx.Request, op: Operation) -> None:
        """Add nothing."""

    async def renew(self) -> bool:
        """Nothing to renew."""
        return False


Faults = Callable[[Answer, Asked], EmrError | None]


def no_faults(_answer: Answer, _asked: Asked) -> EmrError | None:
    """For EMRs whose status codes mean what they say."""
    return None


class Transport:
    """The way to one EMR, for one clinic. An async context manager.

    A credential that was refused, and refused again when freshly signed, is not used any more: every later
    call raises the refusal without asking the EMR, so no account gets locked.
    """

    def __init__(  # noqa: PLR0913 - keywords, all of them settings of one EMR
        self,
        base_url: str,
        *,
        auth: Auth,
        ca_bundle: str | None = None,
        faults: Faults = no_faults,
        limits: Limits | None = None,
        addresses: AddressRules = PUBLIC_ONLY,
    ) -> None:
        """Open nothing yet.

        Args:
            base_url: Where the interface begins; the one host that is ever asked.
            auth: Signs each attempt.
            ca_bundle: Authorities to trust instead of the public ones, PEM.
            faults: This EMR's own way to say no, looked at before the general rules, for every status.
            limits: Other bounds than the usual ones.
            addresses: Where connections may lead.
        """
        self._base = httpx.URL(base_url)
        self._auth = auth
        self._faults = faults
        self._limits = limits or Limits()
        self._refusal: EmrAuthRefusedError | None = None
        self._refusal_lock = anyio.Lock()
        self.clock_skew_seconds: float | None = None
        """The EMR's clock less ours, as its last answer told; None until one did."""
        self._clock_compared = not auth.signs_time
        self._client = httpx.AsyncClient(
            transport=GuardedTransport(addresses, tls=_tls(ca_bundle), connections=self._limits.connections),
            timeout=httpx.Timeout(self._limits.silence_seconds, connect=self._limits.connect_seconds),
            follow_redirects=False,
            headers={"User-Agent": "ocean-operator"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._client.aclose()

    @property
    def encrypted(self) -> bool:
        """Whether the way is TLS."""
        return self._base.scheme == "https"

    async def read(self, read: Read) -> Answer:
        """The EMR's answer, of a 2xx status.

        Raises:
            EmrError: For everything else, after repeating what a repetition can mend.
        """
        limits = self._limits
        async for attempt in stamina.retry_context(
            on=self._pause_after,
            attempts=limits.attempts,
            timeout=limits.total_seconds,
            wait_initial=limits.pause_seconds,
            wait_max=limits.pause_max_seconds,
            wait_jitter=limits.pause_seconds,
        ):
            with attempt:
                return await self._authorised(read)
        raise AssertionError("stamina ends by a result or an error")  # pragma: no cover

    async def read_json(self, read: Read) -> Any:
        """The JSON value the EMR answered; never None.

        Raises:
            EmrNotFoundError: Nothing was answered, and `read.record`.
            EmrAnswerError: The body is not JSON, whatever its label says.
            EmrError: As `read`.
        """
        return json_value(await self.read(read), read)

    async def write(self, send: Send) -> Answer:
        """The EMR's answer to a write, of a 2xx status. Sent once; after a refused login once more, signed afresh.

        Raises:
            EmrUnavailableError: It never left, or was refused unread (429, a firewall): nothing was written.
            EmrOutcomeUnknownError: It may have been written: no answer, half of one, a page for people, or a failure.
            EmrNotFoundError: `send.record`, and the EMR has no such record.
            EmrConflictError: 409 or 412.
            EmrWriteRefusedError: Another 4xx.
            EmrAccessError: As for reads.
            EmrAnswerError: The interface has nothing at this address, or not in this form; nothing was written.
        """
        return await self._authorised(send)

    async def write_json(self, send: Send) -> Any:
        """The JSON value the EMR answered to a write; never None.

        Raises:
            EmrOutcomeUnknownError: The body is empty, `null` or not JSON; and as `write`.
            EmrError: As `write`.
        """
        answer = await self.write(send)
        try:
            return json_value(answer, send)
        except EmrError:
            raise unreadable_outcome(answer, send) from None

    def _pause_after(self, error: Exception) -> bool | float:
        """Whether to repeat, and after how many seconds if the EMR named them."""
        if not isinstance(error, EmrUnavailableError) or not error.momentary:
            return False
        if error.retry_after is None:
            return True
        return error.retry_after if error.retry_after <= self._limits.wait_max_seconds else False

    async def _authorised(self, asked: Asked) -> Answer:
        """One attempt; and after a refusal one more, freshly signed, for the life of this transport's credential."""
        self._raise_if_refused(asked)
        await self._compare_clocks(asked)
        try:
            return await self._attempt(asked)
        except EmrAuthRefusedError as refusal:
            async with self._refusal_lock:
                self._raise_if_refused(asked)
                if self._auth.signs_time:
                    self._raise_if_clocks_differ(asked)
                if not await self._auth.renew():
                    self._refusal = refusal
                    raise
                try:
                    return await self._attempt(asked)
                except EmrAuthRefusedError as again:
                    self._refusal = again
                    raise again from None

    def _raise_if_refused(self, asked: Asked) -> None:
        if self._refusal:
            first = self._refusal
            raise EmrAuthRefusedError(first.what, op=asked.op, http_status=first.http_status, remedy=first.remedy)

    async def _compare_clocks(self, asked: Asked) -> None:
        """Ask without a signature first: some servers destroy a token whose signature carries a wrong time."""
        if self._clock_compared:
            return
        await self._send(self._client.build_request("GET", self._base), asked.op)
        self._raise_if_clocks_differ(asked)
        self._clock_compared = True

    def _raise_if_clocks_differ(self, asked: Asked) -> None:
        skew = self.clock_skew_seconds
        if skew is not None and abs(skew) > MAX_CLOCK_SKEW_SECONDS:
            direction = "ahead of" if skew > 0 else "behind"
            raise EmrClockSkewError(f"the EMR's clock is {abs(skew):.0f} seconds {direction} ours", op=asked.op)

    async def _attempt(self, asked: Asked) -> Answer:
        request = self._request(asked)
        await self._auth.apply(request, asked.op)
        answer = await (self._deliver(request, asked.op) if isinstance(asked, Send) else self._send(request, asked.op))
        error = self._faults(answer, asked) or problem(answer, asked)
        if error is not None:
            raise error
        return answer

    def _request(self, asked: Asked) -> httpx.Request:
        if "://" in asked.path:
            url = self._same_host(asked)
        else:
            # `%20`, not `+`: a space written `+` breaks OAuth 1.0a signatures on some servers.
            query = "?" + urlencode(asked.params, quote_via=quote) if asked.params else ""
            below = f"{str(self._base).rstrip('/')}/{asked.path.lstrip('/')}" if asked.path else str(self._base)
            url = httpx.URL(below + query)
        body: dict[str, Any] = {}
        if asked.json is not None:
            body = {"content": orjson.dumps(asked.json), "headers": {"Content-Type": "application/json"}}
        elif asked.form is not None:
            body = {"data": asked.form}
        request = self._client.build_request(asked.method, url, **body)
        request.headers["Accept"] = asked.accept
        request.headers.update(asked.headers)
        return request

    def _same_host(self, asked: Asked) -> httpx.URL:
        try:
            link = httpx.URL(asked.path)
        except httpx.InvalidURL:
            raise EmrAnswerError("the EMR gave a page link that is no address", op=asked.op) from None
        if not _same_origin(link, self._base):
            raise EmrAnswerError("the EMR gave a page link to another host; it was not followed", op=asked.op)
        return link

    async def _deliver(self, request: httpx.Request, op: Operation) -> Answer:
        """As `_send`, for a write: what fails once its first byte may have left, may have been carried out."""
        left = False

        async def watch(event: str, _info: object) -> None:
            nonlocal left
            left = left or event.endswith("send_request_headers.started")

        request.extensions["trace"] = watch
        try:
            return await self._send(request, op)
        except EmrError as error:
            if not left:
                raise
            raise EmrOutcomeUnknownError(error.what, op=op, http_status=error.http_status) from None

    async def _send(self, request: httpx.Request, op: Operation) -> Answer:
        limits = self._limits
        try:
            with anyio.fail_after(limits.attempt_seconds):
                response = await self._client.send(request, stream=True)
                try:
                    body = await _body(response, limits.body_bytes, op)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException):
            raise EmrUnavailableError("the EMR did not answer in time", op=op, momentary=True) from None
        except AddressForbiddenError as error:
            raise EmrAddressError(f"the EMR was not called, since {error}", op=op) from None
        except httpx.HTTPError as error:
            raise _no_answer(error, op) from None
        self._note_clock(response.headers)
        return Answer(response.status_code, response.headers, body)

    def _note_clock(self, headers: httpx.Headers) -> None:
        theirs = http_moment(headers.get("Date"))
        if theirs is not None:
            self.clock_skew_seconds = (theirs - datetime.now(UTC)).total_seconds()


async def _body(response: httpx.Response, most: int, op: Operation) -> bytes:
    chunks, size = [], 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > most:
            what = f"the EMR's answer is larger than {most // (1024 * 1024)} MiB"
            raise EmrAnswerError(what, op=op, http_status=response.status_code)
        chunks.append(chunk)
    return b"".join(chunks)


def _no_answer(error: httpx.HTTPError, op: Operation) -> EmrError:
    """The failure of a call that got no whole answer. httpx' own text is left out: it can quote what was received."""
    certificate = _cause(error, ssl.SSLCertVerificationError)
    if certificate is not None:
        return EmrTlsError(f"the EMR's certificate is not to be trusted: {certificate.verify_message}", op=op)
    if isinstance(error, httpx.ConnectError):
        if _cause(error, ssl.SSLError) is not None:
            return EmrTlsError("the EMR's side speaks no TLS at this address, or too old a one", op=op)
        return EmrUnavailableError("the EMR could not be reached", op=op, momentary=True)
    if isinstance(error, httpx.DecodingError):
        return EmrAnswerError("the EMR's answer is compressed in a way that cannot be undone", op=op)
    if isinstance(error, httpx.UnsupportedProtocol):
        return EmrAnswerError("the EMR's address is neither http nor https", op=op)
    return EmrUnavailableError("the connection broke off before the answer was whole", op=op, momentary=True)


def _cause(error: BaseException | None, kind: type[_Error]) -> _Error | None:
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__cause__ or error.__context__
    return None


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    def origin(url: httpx.URL) -> tuple[str, str, int | None]:
        return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)

    return origin(one) == origin(other)


@cache
def _tls(ca_bundle: str | None) -> ssl.SSLContext:
    """Made once per bundle: the public authorities take long to load and half a megabyte to hold."""
    context = ssl.create_default_context(cadata=ca_bundle) if ca_bundle else httpx.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
