"""What every process of a clinic's pods begins with: its settings, its mounted credentials, and how it says goodbye."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from ocean_api import names
from ocean_api.reasons import Reason
from ocean_api.report import Problem
from ocean_api.settings import SiteSettings
from ocean_api.v1alpha1.spec import EmrType, OceanSiteSpec
from ocean_emr.envelope import DataKey
from ocean_emr.ocean.client import OceanAccess
from ocean_emr.ocean.login import ClientCredentials, SiteCredential
from ocean_emr.problems import CredentialsError, problem
from ocean_emr.store import data_keys
from ocean_emr.vault.access import SiteAccess
from ocean_emr.vault.client import StoredKey

_EMR_FIELDS: Final[Mapping[EmrType, Sequence[str]]] = {
    EmrType.OSCAR_PRO: ("consumerKey", "consumerSecret", "token", "tokenSecret"),
    EmrType.FHIR: ("clientId", "clientSecret"),
    EmrType.NONE: (),
}
_OCEAN_FIELDS: Final = (("siteKey", "siteCredential"), ("clientId", "clientSecret"))


@dataclass(frozen=True, slots=True)
class Credentials:
    """The mounted Secrets, each field by name."""

    ocean: Mapping[str, str]
    emr: Mapping[str, str]

    def __repr__(self) -> str:
        return "Credentials(<hidden>)"

    def digest(self, spec: OceanSiteSpec, key: DataKey) -> str:
        """Tells, to nobody but us, whether the same credentials would be shown at the same addresses as before."""
        where = [spec.ocean.model_dump(mode="json"), spec.emr.model_dump(mode="json")]
        content = orjson.dumps([dict(self.ocean), dict(self.emr), *where], option=orjson.OPT_SORT_KEYS)
        return key.digest(b"credentials:" + content).hex()[:32]


@dataclass(frozen=True, slots=True)
class Places:
    """Where a pod finds what it was given. Tests give other folders."""

    settings: Path = Path(names.SITE_SETTINGS_DIR) / names.SITE_SETTINGS_FILE
    ocean: Path = Path(names.OCEAN_CREDENTIALS_DIR)
    emr: Path = Path(names.EMR_CREDENTIALS_DIR)
    token: Path = Path(names.TOKEN_DIR) / names.TOKEN_FILE
    farewell: Path = Path("/dev/termination-log")


def read_settings(places: Places) -> SiteSettings:
    """The clinic's settings. Raises OSError or ValueError where the pod was not made by the operator."""
    return SiteSettings.model_validate_json(places.settings.read_bytes())


def read_credentials(spec: OceanSiteSpec, places: Places) -> Credentials:
    """The mounted Secrets.

    Raises:
        CredentialsError: One is missing, or lacks a field.
    """
    ocean = _read(places.ocean, spec.ocean.credentials_secret)
    if not any(all(ocean.get(f) for f in fields) for fields in _OCEAN_FIELDS):
        wanted = " or ".join(" and ".join(fields) for fields in _OCEAN_FIELDS)
        raise CredentialsError(
            Reason.CREDENTIALS_SECRET_INVALID, f"Secret {spec.ocean.credentials_secret} must hold {wanted}."
        )
    block = spec.emr.block
    if block is None:
        return Credentials(ocean, {})
    emr = _read(places.emr, block.credentials_secret)
    missing = [name for name in _EMR_FIELDS[spec.emr.type] if not emr.get(name)]
    if missing:
        raise CredentialsError(
            Reason.CREDENTIALS_SECRET_INVALID, f"Secret {block.credentials_secret} lacks {', '.join(missing)}."
        )
    return Credentials(ocean, emr)


def _read(folder: Path, secret: str) -> dict[str, str]:
    """Each field of a mounted Secret, without blanks and line ends around it. One that is no text counts as empty."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else ()
    # The kubelet keeps the files themselves in folders whose names begin with two dots.
    fields = {path.name: _text(path.read_bytes()) for path in paths if path.is_file() and path.name[0] != "."}
    if not fields:
        raise CredentialsError(Reason.CREDENTIALS_SECRET_MISSING, f"Secret {secret} is not there, or empty.")
    return fields


def _text(content: bytes) -> str:
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        return ""


def ocean_access(settings: SiteSettings, credentials: Credentials) -> OceanAccess:
    """How to reach the clinic's Ocean. Key and credential of the site come before a client's."""
    spec, given = settings.spec, credentials.ocean
    login: SiteCredential | ClientCredentials
    if given.get("siteKey") and given.get("siteCredential"):
        login = SiteCredential(given["siteKey"], given["siteCredential"])
    else:
        login = ClientCredentials(given["clientId"], given["clientSecret"])
    return OceanAccess(spec.ocean.url, spec.site_number, login, spec.ocean.ca_bundle, settings.addresses)


def key_name(stored: StoredKey) -> str:
    """A name for exactly this key. The fingerprint alone is not: it stays when somebody puts another key over it."""
    return f"{stored.fingerprint}/{stored.version}"


def weakness(stored: StoredKey) -> Problem | None:
    """Why nothing may be encrypted under the key, if it breaks Ocean's rules: somebody put it into Vault by hand."""
    weak = stored.key.problems()
    return problem(Reason.KEY_WEAK, f"The stored key {'; it '.join(weak)}.", utc_now()) if weak else None


async def open_data_key(access: SiteAccess, stored: StoredKey) -> DataKey:
    """The key that seals the clinic's rows: the one kept for `stored`, or a new one.

    Raises:
        StoreError: As listed in `store/errors.py`, without those of leases.
        StoredDataUnreadableError: What is kept does not open.
    """
    fresh, name = DataKey.new(), key_name(stored)
    wrapped = fresh.wrap(stored.key, fingerprint=name, site=access.site)
    async with access.database.transaction() as transaction:
        kept = await data_keys.put(transaction, site=access.site, sek_fingerprint=name, envelope=wrapped)
    return fresh if kept == wrapped else DataKey.unwrap(kept, stored.key, site=access.site)


def stop_when_told() -> None:
    """Have SIGTERM cancel the current task. A container's first process would otherwise not even notice it."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("There is no task to stop.")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def say_farewell(problem: Problem, places: Places) -> None:
    """Leave `problem` where Kubernetes shows it: the only way when the database cannot be reached."""
    if places.farewell.exists():
        with contextlib.suppress(OSError):
            places.farewell.write_text(problem.model_dump_json(by_alias=True))


def utc_now() -> datetime:
    """Now, as reports take it."""
    return datetime.now(UTC).replace(microsecond=0)
