"""`ocean-check`: read the clinic's key back from Vault, try it at Ocean, try the credentials, list the providers.

It runs under the clinic's own account, because the operator may store a key and never read one.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.report import CheckReport, Problem, Process, ProviderName
from ocean_emr.errors import EmrAuthRefusedError, EmrError
from ocean_emr.observe import configure_logs
from ocean_emr.ocean.client import KeyTrial, OceanClient
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.ocean.errors import OceanAccessRefusedError, OceanError
from ocean_emr.pod import (
    KNOWN_ERRORS,
    Credentials,
    CredentialsError,
    Places,
    ocean_access,
    problem_of,
    read_credentials,
    read_settings,
    say_farewell,
    utc_now,
)
from ocean_emr.registry import open_adapter
from ocean_emr.store import audit, states
from ocean_emr.sync.run import open_data_key
from ocean_emr.vault.access import SiteAccess, site_access
from ocean_emr.vault.client import StoredKey
from ocean_emr.vault.errors import KeyMissingError

_MOST_PROVIDERS = 500
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Findings:
    """What the check has found so far."""

    key: Problem | None = None
    key_compared: bool = False
    access: Problem | None = None
    refused: str = ""
    providers: tuple[ProviderName, ...] = ()
    interface: str = ""
    verified: bool = True


async def check(access: SiteAccess, places: Places, *, token: str) -> CheckReport:
    """Try everything that a synchronisation needs, and say what stood in the way. Raises Vault's and the database's errors."""
    before = await _last(access)
    found, version = Findings(), None
    try:
        stored = await access.key()
        version = stored.version
        await _try_all(access, places, stored, found, before if before and before.token == token else None)
    except KeyMissingError as error:
        found.key = problem_of(error, utc_now())
    return CheckReport(
        token=token,
        at=utc_now(),
        key_version=version,
        key=found.key,
        key_compared=found.key_compared,
        access=found.access,
        refused=found.refused,
        providers=found.providers,
        interface=found.interface,
        verified=found.verified,
    )


async def _try_all(
    access: SiteAccess, places: Places, stored: StoredKey, found: Findings, same: CheckReport | None
) -> None:
    """Key, Ocean, EMR, in this order; the first that fails ends the check.

    Credentials that this very check has seen refused are not tried again: an account could be locked.
    """
    weak = stored.key.problems()
    if weak:
        said = f"The stored key {'; it '.join(weak)}."
        found.key = Problem(
            reason=Reason.KEY_WEAK, message=f"{said} {EXPLANATIONS[Reason.KEY_WEAK].remedy}", at=utc_now()
        )
        return
    digest = ""
    try:
        credentials = read_credentials(access.settings.spec, places)
        data_key = await open_data_key(access, stored.key, stored.fingerprint)
        digest = credentials.digest(data_key)
        if same and same.refused == digest:
            found.access, found.refused = same.access, digest
            found.key_compared = same.key_compared
            return
        await _try_ocean(access, credentials, stored.key, found)
        if found.key is None:
            await _try_emr(access, credentials, found)
    except (EmrError, OceanError, CredentialsError) as error:
        found.access = problem_of(error, utc_now())
        if isinstance(error, EmrAuthRefusedError | OceanAccessRefusedError):
            found.refused = digest


async def _try_ocean(access: SiteAccess, credentials: Credentials, sek: SharedEncryptionKey, found: Findings) -> None:
    async with OceanClient(ocean_access(access.settings.spec, credentials)) as ocean:
        await ocean.check()
        trial = await ocean.trial_decrypt(sek)
    found.key_compared = trial is not KeyTrial.OCEAN_HAS_NO_KEY
    if trial is KeyTrial.MISMATCH:
        explanation = EXPLANATIONS[Reason.SEK_MISMATCH]
        said = f"{explanation.meaning} {explanation.remedy}"
        found.key = Problem(reason=Reason.SEK_MISMATCH, message=said, at=utc_now())


async def _try_emr(access: SiteAccess, credentials: Credentials, found: Findings) -> None:
    spec = access.settings.spec
    if not spec.integrated:
        return
    async with open_adapter(spec.emr, credentials.emr) as adapter:
        found.verified = adapter.capabilities().verified
        report = await adapter.check_connection()
        providers = await adapter.list_providers()
    found.interface = report.interface
    found.providers = tuple(ProviderName(id=p.id, name=p.display_name) for p in providers[:_MOST_PROVIDERS])


async def _last(access: SiteAccess) -> CheckReport | None:
    async with access.database.transaction() as transaction:
        state = await states.read(transaction, site=access.site, process=Process.CHECK)
    return CheckReport.model_validate(state) if state else None


async def record(access: SiteAccess, report: CheckReport) -> None:
    """Write the report and its audit record in one transaction."""
    problem = report.key or report.access
    async with access.database.transaction() as transaction:
        document = report.model_dump(mode="json", by_alias=True)
        await states.write(transaction, site=access.site, process=Process.CHECK, state=document)
        await audit.append(
            transaction,
            site=access.site,
            actor="ocean-check",
            action="key.read-back",
            what={"version": report.key_version, "compared": report.key_compared},
            outcome=problem.reason.value if problem else "done",
        )


async def run(token: str, places: Places) -> int:
    """Check with what the pod was given. Returns the exit status: 0 reported, 1 to be tried again."""
    settings = read_settings(places)
    try:
        async with site_access(settings, application="ocean-check", token_file=places.token) as access:
            report = await check(access, places, token=token)
            await record(access, report)
    except KNOWN_ERRORS as error:
        problem = problem_of(error, utc_now())
        log.error("check not possible", reason=problem.reason.value, message=problem.message)  # noqa: TRY400
        say_farewell(problem, places)
        return 1
    problem_found = report.key or report.access
    log.info("checked", site=access.site, reason=problem_found.reason.value if problem_found else "accepted")
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
