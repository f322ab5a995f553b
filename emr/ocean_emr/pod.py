"""What every process of a clinic's pods begins with: its settings, its mounted credentials, and how it says goodbye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from ocean_api import names
from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.report import Problem
from ocean_api.settings import SiteSettings
from ocean_api.v1alpha1.spec import EmrType, OceanSiteSpec
from ocean_emr.envelope import DataKey
from ocean_emr.errors import EmrError
from ocean_emr.ocean.client import OceanAccess
from ocean_emr.ocean.errors import OceanError
from ocean_emr.ocean.login import ClientCredentials, SiteCredential
from ocean_emr.store.errors import StoreError
from ocean_emr.vault.errors import VaultError

KNOWN_ERRORS: Final = (EmrError, OceanError, StoreError, VaultError)
"""Errors whose text is made by us and safe to show."""

_EMR_FIELDS: Final[Mapping[EmrType, Sequence[str]]] = {
    EmrType.OSCAR_PRO: ("consumerKey", "consumerSecret", "token", "tokenSecret"),
    EmrType.FHIR: ("clientId", "clientSecret"),
    EmrType.NONE: (),
}
_OCEAN_FIELDS: Final = (("siteKey", "siteCredential"), ("clientId", "clientSecret"))


class CredentialsError(Exception):
    """A Secret that the spec names is missing or incomplete. The text names fields, never what they hold."""

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(f"{what} {EXPLANATIONS[reason].remedy}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Credentials:
    """The mounted Secrets, each field by name."""

    ocean: Mapping[str, str]
    emr: Mapping[str, str]

    def __repr__(self) -> str:
        return "Credentials(<hidden>)"

    def digest(self, key: DataKey) -> str:
        """Tells whether the credentials are the same as before, to nobody but us."""
        content = orjson.dumps([dict(self.ocean), dict(self.emr)], option=orjson.OPT_SORT_KEYS)
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


def ocean_access(spec: OceanSiteSpec, credentials: Credentials) -> OceanAccess:
    """How to reach the clinic's Ocean. Key and credential of the site come before a client's."""
    given = credentials.ocean
    login: SiteCredential | ClientCredentials
    if given.get("siteKey") and given.get("siteCredential"):
        login = SiteCredential(given["siteKey"], given["siteCredential"])
    else:
        login = ClientCredentials(given["clientId"], given["clientSecret"])
    return OceanAccess(spec.ocean.url, spec.site_number, login, spec.ocean.ca_bundle)


def _read(folder: Path, secret: str) -> dict[str, str]:
    """Each field of a mounted Secret. A file that is no text counts as empty; a trailing line end is an editor's."""
    files = (
        [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
        if folder.is_dir()
        else []
    )
    if not files:
        raise CredentialsError(Reason.CREDENTIALS_SECRET_MISSING, f"Secret {secret} is not there, or empty.")
    return {path.name: path.read_bytes().decode(errors="ignore").strip("\r\n") for path in files}


def problem_of(error: Exception, at: datetime) -> Problem:
    """`error` in words that are safe to show, with the remedy."""
    if isinstance(error, EmrError | OceanError):
        return Problem(reason=error.reason, message=f"{error.safe_message} {error.remedy}"[:1024], at=at)
    if isinstance(error, CredentialsError):
        return Problem(reason=error.reason, message=str(error)[:1024], at=at)
    if isinstance(error, StoreError | VaultError):
        return Problem(reason=error.reason, message=f"{error} {EXPLANATIONS[error.reason].remedy}"[:1024], at=at)
    said = f"{type(error).__name__}. {EXPLANATIONS[Reason.INTERNAL_ERROR].remedy}"
    return Problem(reason=Reason.INTERNAL_ERROR, message=said, at=at)


def say_farewell(problem: Problem, places: Places) -> None:
    """Leave `problem` where Kubernetes shows it: the only way when the database cannot be reached."""
    if places.farewell.exists():
        places.farewell.write_text(problem.model_dump_json(by_alias=True))


def utc_now() -> datetime:
    """Now, as reports take it."""
    return datetime.now(UTC).replace(microsecond=0)
