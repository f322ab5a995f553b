"""POST /webhooks/{siteNumber}: the order of the checks, cheapest first, and nothing of a request in any log.

Only who shows the clinic's key has a body read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog
from starlette.types import Receive, Scope, Send

from ocean_emr.gateway import body, metrics
from ocean_emr.gateway.answers import MEANINGS, Answer, Refusal, RefusedError, accepted, refused
from ocean_emr.gateway.intake import Intake
from ocean_emr.gateway.limits import Buckets
from ocean_emr.gateway.request import ClientGoneError, Head, may_go_on, read_body, read_head, site_in
from ocean_emr.gateway.settings import GatewaySettings
from ocean_emr.gateway.verifiers import Verifiers
from ocean_emr.pod import utc_now
from ocean_emr.problems import problem_of
from ocean_emr.store.arrivals import Outcome, Verifier
from ocean_emr.store.errors import StatementRefusedError, StoreError
from ocean_emr.vault.errors import VaultError

_REFUSALS_TOLD: Final = (10.0, 100.0)
"""Log lines for refusals: so many a second, and so many at once. Metrics count all."""

log = structlog.get_logger("ocean-gateway")


class Gateway:
    """The ASGI application."""

    def __init__(
        self,
        settings: GatewaySettings,
        intake: Intake,
        verifiers: Verifiers,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._verifiers = verifiers
        self._failures: Buckets[tuple[str, str]] = Buckets(
            per_second=settings.failed_keys_per_minute / 60, size=settings.failed_keys_per_minute, clock=clock
        )
        self._paces: Buckets[str] = Buckets(
            per_second=settings.site_messages_per_second, size=settings.site_burst, clock=clock
        )
        told_per_second, told_at_once = _REFUSALS_TOLD
        self._told: Buckets[None] = Buckets(per_second=told_per_second, size=told_at_once, clock=clock)
        self._untold = 0
        metrics.WAITING.set_function(lambda: intake.waiting)
        self.stopping = False
        """Set when the process ends: what still comes is told to come again."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        try:
            answer = await self._answer(scope, receive, began)
        except ClientGoneError:
            metrics.GONE.inc()
            return
        except RefusedError as error:
            answer = self._refuse(error, scope, began)
        except Exception as error:  # noqa: BLE001 - the server would quote it
            log.error("fault", message=problem_of(error, utc_now()).message)  # noqa: TRY400 - likewise
            answer = self._refuse(RefusedError(Refusal.FAULT), scope, began)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})
        metrics.SECONDS.observe(time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, began: float) -> Answer:
        """What the webhook is answered with when it is accepted; raises RefusedError when it is not."""
        try:
            if self.stopping:
                raise RefusedError(Refusal.STOPPING)
            head = read_head(scope)
            verifier = self._verifiers.remembered(head.site_number)
            if verifier is None or not _shows_key(head, verifier):
                async with asyncio.timeout(self._settings.accept_seconds):
                    verifier = await self._check_key(head)
            sent = body.read(await read_body(receive))
            if isinstance(sent, body.RegistrationBody):
                metrics.REGISTERED.inc()
                _say("registered", 200, began, site=head.site_number)
                return accepted({"challenge": sent.challenge})
            if verifier.is_full:
                raise RefusedError(Refusal.QUEUE_FULL)
            async with asyncio.timeout(self._settings.accept_seconds):
                outcome = await self._keep(sent, head)
        except TimeoutError:
            raise RefusedError(Refusal.BUSY) from None
        except StatementRefusedError:
            raise
        except (StoreError, VaultError) as error:
            raise RefusedError(Refusal.UNAVAILABLE, cause=error.reason) from None
        _say(outcome, 200, began, site=head.site_number)
        return accepted({"result": outcome})

    async def _check_key(self, head: Head) -> Verifier:
        """How the clinic's key is known. Raises RefusedError unless its own was shown.

        Who shows the right key is never stopped because of wrong ones, since others may share the address: clients
        behind one proxy, or an old registration of the same clinic at Ocean. What is guessed has 24 characters.
        """
        site = head.site_number
        if not self._verifiers.knows(site):
            # Asked before the database is; afterwards it would not spare it anything.
            self._refuse_if(self._failures.wait((head.client, "")), Refusal.TOO_MANY_FAILURES)
        verifier = await self._verifiers.get(site)
        if verifier is None:
            self._refuse_if(self._failures.take((head.client, "")), Refusal.TOO_MANY_FAILURES)
            raise RefusedError(Refusal.UNKNOWN_SITE)
        if _shows_key(head, verifier):
            return verifier
        if len(head.keys) == 1:
            verifier = await self._verifiers.renewed(site)
            if verifier and _shows_key(head, verifier):
                return verifier
        self._refuse_if(self._failures.take((head.client, site)), Refusal.TOO_MANY_FAILURES)
        raise RefusedError(Refusal.KEY_WRONG if head.keys else Refusal.KEY_MISSING)

    async def _keep(self, sent: body.EventBody, head: Head) -> Outcome:
        """Keep the event; its outcome after the commit."""
        event = sent.event()
        if event.site_number != head.site_number:
            raise RefusedError(Refusal.SITE_MISMATCH)
        self._refuse_if(self._paces.take(event.site_number), Refusal.TOO_MANY_MESSAGES)
        outcome = await self._intake.accept(event)
        match outcome:
            case Outcome.UNKNOWN_SITE:
                raise RefusedError(Refusal.UNKNOWN_SITE)
            case Outcome.STORED:
                metrics.ACCEPTED.inc()
            case Outcome.REPLAY:
                metrics.REPLAYED.inc()
        return outcome

    def _refuse_if(self, wait: float, refusal: Refusal) -> None:
        if wait > 0:
            raise RefusedError(refusal, retry_after=wait)

    def _refuse(self, error: RefusedError, scope: Scope, began: float) -> Answer:
        """The answer, counted, and told unless there is too much to tell."""
        metrics.REFUSED.labels(error.refusal).inc()
        if self._told.take(None) > 0:
            self._untold += 1
        else:
            more = {"cause": error.cause} if error.cause else {}
            untold = {"untold": self._untold} if self._untold else {}
            self._untold = 0
            _say(error.refusal, MEANINGS[error.refusal].status, began, site=self._known_site(scope), **more, **untold)
        return refused(error, close=self.stopping or may_go_on(scope))

    def _known_site(self, scope: Scope) -> str | None:
        """The site number in the path, when it is one of ours and not only what somebody sent."""
        number = site_in(scope["path"])
        return number if number and self._verifiers.knows(number) else None


def _shows_key(head: Head, verifier: Verifier) -> bool:
    return len(head.keys) == 1 and verifier.accepts(head.keys[0])


def _say(result: str, status: int, began: float, *, site: str | None, **more: str | int) -> None:
    milliseconds = round((time.perf_counter() - began) * 1000, 1)
    log.info("webhook", result=result, status=status, site=site, milliseconds=milliseconds, **more)
