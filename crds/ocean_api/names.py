"""Every name two processes must agree on: labels, annotations, paths in pods, Vault's paths and PostgreSQL's roles.

Whoever needs one of these imports it from here. A copy elsewhere is a bug, and the chart's copies are
compared by a test.
"""

from __future__ import annotations

import hashlib
from typing import Final

GROUP: Final = "ocean.cloudconnect.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "OceanSite"
PLURAL: Final = "oceansites"

# Labels and annotations on our children (https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/).
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "ocean-operator"
PART_OF_LABEL: Final = "app.kubernetes.io/part-of"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
SITE_LABEL: Final = f"{GROUP}/site"
HASH_ANNOTATION: Final = f"{GROUP}/hash"
"""SHA-256 over what we asked for, on every child: a restarted operator compares instead of writing."""
RUN_ANNOTATION: Final = f"{GROUP}/run"
"""On a Job: which request it answers (`initial:…`, `sync-full:…`), so that each is answered once."""

# Requests that are not intent: the value is a token, echoed in `status.actions` when handled.
SYNC_RECENT_REQUEST: Final = f"{GROUP}/sync-recent"
SYNC_FULL_REQUEST: Final = f"{GROUP}/sync-full"
REAUTHORIZE_REQUEST: Final = f"{GROUP}/reauthorize"
RETRY_HELD_REQUEST: Final = f"{GROUP}/retry-held"

KEY_INTAKE_LABEL: Final = f"{GROUP}/key-intake"
"""On a one-shot Secret that hands a key over, with the value `true`; without it the operator touches no Secret."""
KEY_INTAKE_FIELD: Final = "sek"

FINALIZER: Final = f"{GROUP}/release"
RELEASE_ANNOTATION: Final = f"{GROUP}/force-release"
"""Its value is the reason a person gives for letting a site go although Vault or the database could not be asked."""

FIELD_MANAGER: Final = "ocean-operator"
STATUS_FIELD_MANAGER: Final = "ocean-operator-status"
FINALIZER_FIELD_MANAGER: Final = "ocean-operator-finalizer"

# Inside the site's pods.
SITE_SETTINGS_DIR: Final = "/etc/ocean/site"
SITE_SETTINGS_FILE: Final = "site.json"
EMR_CREDENTIALS_DIR: Final = "/etc/ocean/emr"
OCEAN_CREDENTIALS_DIR: Final = "/etc/ocean/ocean"
TOKEN_DIR: Final = "/var/run/secrets/ocean"  # noqa: S105 - a path, not a token
TOKEN_FILE: Final = "token"  # noqa: S105 - a file name

# Vault.
VAULT_AUDIENCE: Final = "ocean-vault"
VAULT_AUTH_MOUNT: Final = "kubernetes"
VAULT_KV_MOUNT: Final = "ocean"
VAULT_DATABASE_MOUNT: Final = "database"
VAULT_SITE_ROLE: Final = "ocean-site"
VAULT_OPERATOR_ROLE: Final = "ocean-operator"
VAULT_OPERATOR_DATABASE_ROLE: Final = "ocean-operator"
VAULT_MIGRATE_ROLE: Final = "ocean-migrate"
VAULT_GATEWAY_ROLE: Final = "ocean-gateway"
VAULT_GATEWAY_DATABASE_ROLE: Final = "ocean-gateway"
VAULT_DATABASE_CONNECTION: Final = "ocean"
SEK_FIELD: Final = "sek"

# PostgreSQL.
DATABASE_NAME: Final = "ocean"
DATABASE_SCHEMA: Final = "ocean"
STATE_CHANNEL: Final = "site_state"
"""NOTIFY channel: an empty hint that a row of `site_state` changed. NOTIFY ignores row-level security."""


def site_id(namespace: str, name: str) -> str:
    """The site's name wherever one string must do: `<namespace>/<name>`. Neither part can hold a slash."""
    return f"{namespace}/{name}"


def service_account(name: str) -> str:
    """The account the site's pods run under.

    No other account begins like it, so a site called `operator` cannot get the operator's rights in Vault.
    """
    return f"ocean-site-{name}"


def child(name: str, part: str) -> str:
    """A child's object name. Site names are at most 39 characters, so a CronJob's stays within its 52."""
    return f"ocean-{name}-{part}"


def sek_path(namespace: str, name: str) -> str:
    """The key's path below the KV mount.

    It holds the service account's name, since that is what Vault's templated policy can compare with.
    """
    return f"sites/{namespace}/{service_account(name)}/sek"


def vault_database_role(namespace: str, name: str) -> str:
    """Vault's database role of the site, in a form that a templated policy can express."""
    return f"{namespace}.{service_account(name)}"


def postgres_role(namespace: str, name: str) -> str:
    """The site's group role in PostgreSQL: an identifier of 25 characters, well under the limit of 63 bytes."""
    return "site_" + hashlib.sha256(site_id(namespace, name).encode()).hexdigest()[:20]


def message_channel(namespace: str, name: str) -> str:
    """NOTIFY channel of the site's worker: an empty hint that a message came. Names no clinic to whoever listens."""
    return postgres_role(namespace, name).replace("site_", "message_", 1)
