"""`ocean-check`: read the clinic's key back from Vault, try it at Ocean, try the credentials, list the providers.

It also tells the gateway how the clinic's webhooks are known, since only the clinic's pods see its Secret.

It runs under the clinic's own account, because the operator may store a key and never read one.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import orjson
import structlog
from pydantic import ValidationError

from ocean_api.base import ApiModel
from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.report import CheckReport, Problem, Process, ProviderName, SyncReport
from ocean_emr.errors import EmrAuthRefusedError
from ocean_emr.observe import configure_logs
from ocean_emr.ocean.client import KeyTrial, OceanClient
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.ocean.errors import OceanAccessRefusedError
from ocean_emr.pod import (
    Credentials,
    Places,
    ocean_access,
    open_data_key,
    read_credentials,
    read_settings,
    say_farewell,
    stop_when_told,
    utc_now,
    weakness,
)
from ocean_emr.problems import CredentialsError, problem, problem_of
from ocean_emr.records import Provider
from ocean_emr.registry import open_adapter
from ocean_emr.store import audit, states, webhooks
from ocean_emr.store.errors import StoreError
from ocean_emr.sync import progress
from ocean_emr.vault.access import SiteAccess, site_access
from ocean_emr.vault.client import StoredKey
from ocean_emr.vault.errors import KeyMissingError, VaultError

_MOST_PROVIDERS: Final = 500
_LONGEST_NAME: Final = 80
_ROOM: Final = 48 * 1024
"""Bytes for providers in a report: a row of `site_state` holds 64 KiB."""
_SPACES: Final = 8
"""PostgreSQL writes JSON with blanks between its parts."""
_WEBHOOK_KEY: Final = re.compile("[!-~]{24,}")
"""It travels in a header or an address, and its digest is quick to compute: a short one could be found by trying."""

log = structlog.get_logger(__name__)
_Report = TypeVar("_Report", bound=ApiModel)


@dataclass(slots=True)
class Findings:
    """What the check has found so far. What it did not get to stays as the last check found it."""

    version: int | None = None
    fingerprint: str = ""
    key: Problem | None = None
    key_tried: bool = False
    key_compared: bool = False
    access: Problem | None = None
    refused: str = ""
    knew: str = ""
    providers: tuple[ProviderName, ...] = ()
    interface: str = ""
    verified: bool = True
    receives: bool | None = None

    def report(self, token: str) -> CheckReport:
        """For the operator."""
        return CheckReport(
            token=token,
            at=utc_now(),
            key_version=self.version,
            key_fingerprint=self.fingerprint,
            key=self.key,
            key_tried=self.key_tried,
            key_compared=self.key_compared,
            access=self.access,
            refused=self.refused,
            knew=self.knew,
            providers=self.providers,
            interface=self.interface,
            verified=self.verified,
            receives=self.receives,
        )


def refused_before(token: str, digest: str, last: CheckReport | None, sync: SyncReport | None) -> Problem | None:
    """Why the credentials of that digest are not tried again: an account could be locked.

    They are when a person asks for it, which changes the token; but the token also changes, by itself, when a
    synchronisation meets a refusal, and then they are not: the first check that knows of it only tells of it.
    """
    if last is not None and last.refused == digest and last.token == token:
        return last.access
    if sync is None or sync.refusal is None or sync.refused != digest:
        return None
    # An older version's check that tells of a refusal did not say which one.
    told = last is not None and (progress.known_to(last, sync) or (last.knew is None and last.refused == digest))
    return None if told else sync.refusal


async def check(access: SiteAccess, places: Places, *, token: str) -> CheckReport:
    """Try everything that a synchronisation needs, and say what stood in the way.

    Raises:
        VaultError: The key could not be asked for.
        StoreError: The database could not be asked.
    """
    last = await _last(access, Process.CHECK, CheckReport)
    found = Findings()
    if last is not None:
        found.providers, found.interface, found.verified = last.providers, last.interface, last.verified
        found.knew, found.receives = last.knew or "", last.receives
    try:
        stored = await access.key()
    except KeyMissingError as error:
        found.key = problem_of(error, utc_now())
        return found.report(token)
    found.version, found.fingerprint = stored.version, stored.fingerprint
    if last is not None and last.key_fingerprint == stored.fingerprint:
        found.key_tried, found.key_compared = last.key_tried, last.key_compared
    found.key = weakness(stored)
    if found.key is None:
        await _try_credentials(access, places, stored, found, token=token, last=last)
    return found.report(token)


async def _try_credentials(  # noqa: PLR0913 - what is tried, and what is known
    access: SiteAccess, places: Places, stored: StoredKey, found: Findings, *, token: str, last: CheckReport | None
) -> None:
    """Ocean, then the EMR; the first that fails ends the check."""
    shown = ""
    try:
        credentials = read_credentials(access.settings.spec, places)
        # First, so that messages are kept while Ocean or the EMR is away.
        found.receives = await _register_webhook(access, credentials)
        shown = credentials.digest(access.settings.spec, await open_data_key(access, stored))
        sync = await _last(access, Process.SYNC, SyncReport)
        found.access = refused_before(token, shown, last, sync)
        found.knew = progress.refusal_id(sync) if sync is not None and sync.refused == shown else ""
        if found.access is not None:
            found.refused = shown
            return
        await _try_ocean(access, credentials, stored.key, found)
        if found.key is None:
            await _try_emr(access, credentials, found)
    except (StoreError, VaultError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the clinic's status tells of it
        found.access = problem_of(error, utc_now())
        if isinstance(error, EmrAuthRefusedError | OceanAccessRefusedError):
            found.refused = shown


async def _register_webhook(access: SiteAccess, credentials: Credentials) -> bool:
    """Have the gateway know the clinic's webhooks by the key in its Secret. Returns whether it takes any.

    Raises:
        CredentialsError: The key could be guessed, or cannot be sent. No webhooks are taken then.
    """
    spec = access.settings.spec
    key = credentials.ocean.get("webhookKey", "") if spec.integrated else ""
    usable = _WEBHOOK_KEY.fullmatch(key) is not None
    async with access.database.transaction() as transaction:
        if usable:
            news = await webhooks.keep(transaction, site=access.site, key=key)
        else:
            news = await webhooks.forget(transaction, site=access.site)
        if news:
            outcome = "registered" if usable else "forgotten"
            await audit.append(
                transaction, site=access.site, actor="ocean-check", action="webhook.key", what={}, outcome=outcome
            )
    if key and not usable:
        raise CredentialsError(
            Reason.CREDENTIALS_SECRET_INVALID,
            f"In Secret {spec.ocean.credentials_secret}, webhookKey must have at least 24 visible ASCII characters.",
        )
    return usable


async def _try_ocean(access: SiteAccess, credentials: Credentials, sek: SharedEncryptionKey, found: Findings) -> None:
    async with OceanClient(ocean_access(access.settings, credentials)) as ocean:
        await ocean.check()
        trial = await ocean.trial_decrypt(sek)
    found.key_tried, found.key_compared = True, trial is not KeyTrial.OCEAN_HAS_NO_KEY
    if trial is KeyTrial.MISMATCH:
        found.key = problem(Reason.SEK_MISMATCH, EXPLANATIONS[Reason.SEK_MISMATCH].meaning, utc_now())


async def _try_emr(access: SiteAccess, credentials: Credentials, found: Findings) -> None:
    spec = access.settings.spec
    if not spec.integrated:
        return
    async with open_adapter(spec.emr, credentials.emr, access.settings.addresses) as adapter:
        found.verified = adapter.capabilities().verified
        report = await adapter.check_connection()
        providers = await adapter.list_providers()
    found.interface = report.interface
    found.providers = listed(providers)


def listed(providers: Sequence[Provider]) -> tuple[ProviderName, ...]:
    """The first of `providers`, as many as a report has room for."""
    found, room = [], _ROOM
    for provider in providers[:_MOST_PROVIDERS]:
        named = ProviderName(id=provider.id, name=provider.display_name[:_LONGEST_NAME])
        room -= len(orjson.dumps(named.model_dump())) + _SPACES
        if room < 0:
            break
        found.append(named)
    return tuple(found)


async def _last(access: SiteAccess, process: Process, form: type[_Report]) -> _Report | None:
    async with access.database.transaction() as transaction:
        state = await states.read(transaction, site=access.site, process=process)
    try:
        return form.model_validate(state) if state else None
    except ValidationError:
        return None


async def record(access: SiteAccess, report: CheckReport) -> None:
    """Write the report and its audit record in one transaction."""
    trouble = report.key or report.access
    async with access.database.transaction() as transaction:
        document = report.model_dump(mode="json", by_alias=True)
        await states.write(transaction, site=access.site, process=Process.CHECK, state=document)
        await audit.append(
            transaction,
            site=access.site,
            actor="ocean-check",
            action="key.read-back",
            what={"version": report.key_version, "compared": report.key_compared},
            outcome=trouble.reason.value if trouble else "done",
        )


async def run(token: str, places: Places) -> int:
    """Check with what the pod was given. Returns the exit status, as `main`."""
    stop_when_told()
    try:
        settings = read_settings(places)
        async with site_access(settings, application="ocean-check", token_file=places.token) as access:
            report = await check(access, places, token=token)
            await record(access, report)
    except asyncio.CancelledError:
        log.info("stopped before anything was reported")
        return 1
    except Exception as error:  # noqa: BLE001 - nobody above could say it better
        trouble = problem_of(error, utc_now())
        log.error("check not possible", reason=trouble.reason.value, message=trouble.message)  # noqa: TRY400
        say_farewell(trouble, places)
        return 1
    found = report.key or report.access
    log.info("checked", site=access.site, reason=found.reason.value if found else "accepted")
    return 0


def parse(arguments: Sequence[str]) -> str:
    """The run token in a command line. Exits with status 2 for a wrong one."""
    parser = argparse.ArgumentParser(prog="ocean-check", description=__doc__)
    parser.add_argument("--token", required=True, help="names the settings that are checked")
    token: str = parser.parse_args(arguments).token
    return token


def main() -> None:
    """Exit status: 0 reported, 1 to be tried again."""
    configure_logs()
    sys.exit(asyncio.run(run(parse(sys.argv[1:]), Places())))


if __name__ == "__main__":
    main()
