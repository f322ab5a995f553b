"""What the data plane tells the control plane: the documents in the table `site_state`, one row per site and process.

They hold counts, names of providers and our own words; never anything of a patient, never a secret.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ocean_api.base import ApiModel, Moment
from ocean_api.reasons import Reason


class Process(StrEnum):
    """Who writes a row."""

    CHECK = "check"
    SYNC = "sync"
    WORKER = "worker"


class Trigger(StrEnum):
    """Why a synchronisation ran. The banner is green after the first three and blue after the last."""

    INITIAL = "Initial"
    CHANGED = "Changed"
    REQUESTED = "Requested"
    SCHEDULED = "Scheduled"


class SyncKind(StrEnum):
    """How much a synchronisation looks at."""

    RECENT = "Recent"
    FULL = "Full"


class Problem(ApiModel):
    """Something that went wrong, in words that are safe to show."""

    reason: Reason
    """One of the published reasons."""
    message: Annotated[str, Field(max_length=1024)]
    """What happened, where, and what to do next."""
    at: Moment
    """When it was last seen."""


class ProviderName(ApiModel):
    """One provider of the EMR. Staff, not patients: shown in status so that a person can choose."""

    id: str
    """The EMR's own id, as `spec.schedule.providers` takes it."""
    name: str = ""
    """As the EMR displays it."""


class Counts(ApiModel):
    """What one synchronisation did."""

    appointments: int = 0
    """Read from the EMR within the window."""
    sent: int = 0
    """Appointments and patients sent to Ocean because they were new or changed."""
    removed: int = 0
    """Appointments taken from Ocean because they had left the schedule."""
    patients: int = 0
    """Different patients among the appointments."""
    rejected: int = 0
    """Single records that the EMR or Ocean spoilt or refused."""


class Run(ApiModel):
    """One finished synchronisation that succeeded."""

    started_at: Moment
    """When its process began to read."""
    finished_at: Moment
    """When its last record was stored."""
    trigger: Trigger
    """Why it ran."""
    counts: Counts = Counts()
    """What it did."""


class Running(ApiModel):
    """A synchronisation under way."""

    kind: SyncKind
    """How much it looks at."""
    since: Moment
    """When it began."""


class SyncReport(ApiModel):
    """Row `sync`: where synchronisation stands."""

    running: Running | None = None
    """Set while a run is under way; a reader believes it only as long as a run may last."""
    last_recent: Run | None = None
    """The last recent run that succeeded."""
    last_full: Run | None = None
    """The last full run that succeeded."""
    last_trigger: Trigger | None = None
    """Why the last run that succeeded ran."""
    window: str = ""
    """Digest of the settings (days, providers, EMR, key) that the last successful full run was made under."""
    problem: Problem | None = None
    """Why the last run failed or what it could not do; none after a complete one."""
    refused: str = ""
    """Keyed digest of the credentials that were refused, and of where; while they stay so, nobody is called."""
    refusal: Problem | None = None
    """How they were refused."""
    refusal_id: str = ""
    """Names this very refusal, whatever clocks say; empty in rows of versions that gave none."""
    held: int = 0
    """How many removals the last full run held back; the next full run that agrees makes them."""
    held_by: str = ""
    """Id of that full run: only what it missed can be agreed on."""
    key: str = ""
    """Name (fingerprint and version) of the key under which it is remembered what Ocean was told."""
    handled: tuple[str, ...] = ()
    """The last few run tokens whose runs came to their end, oldest first."""


class CheckReport(ApiModel):
    """Row `check`: whether key and credentials are accepted. Written by the Job `ocean-check`."""

    token: str
    """The run token of the Job: tells the operator which settings were looked at."""
    at: Moment
    """When it finished."""
    key_version: int | None = None
    """The version in Vault that was tried."""
    key_fingerprint: str = ""
    """Its random id: a key that took the place of another may have the same version."""
    key: Problem | None = None
    """Why the key is not accepted."""
    key_tried: bool = False
    """True when Ocean was asked whether it knows the key; until then nothing is known about it."""
    key_compared: bool = False
    """True when Ocean had something to try the key on."""
    access: Problem | None = None
    """Why Ocean's or the EMR's credentials are not accepted."""
    refused: str = ""
    """Keyed digest of the credentials that were refused, and of where; while they stay so, nobody is called."""
    knew: str | None = None
    """Name of the synchronisation's refusal of these credentials that was known when it was decided whether to try
    them; empty: of none. None in rows of versions that did not say."""
    providers: tuple[ProviderName, ...] = ()
    """Those the EMR shows, in the EMR's order, at most 500."""
    interface: str = ""
    """How the EMR's interface presented itself, for instance `OSCAR open-o-2026`."""
    verified: bool = True
    """False when the adapter rests on a profile of our own instead of a vendor's document."""
    receives: bool | None = None
    """Whether Ocean's webhooks are taken: its Secret has a `webhookKey`. None in rows of versions that did not say."""


class WorkerReport(ApiModel):
    """Row `worker`: whether messages can be delivered. Written by `ocean-worker` when it changes.

    How many wait or are held is not in here: the operator counts the queue itself, also while no worker runs.
    """

    problem: Problem | None = None
    """Why deliveries are paused for the whole clinic; none while they go on."""
    refused: str = ""
    """Keyed digest of the credentials that were refused, and of where; while they stay so, nobody is called."""
    refusal: Problem | None = None
    """How they were refused."""
    refused_after: str = ""
    """The run token of the last check before that; empty if there was none. A check with another token that finds the
    credentials accepted was asked for since, and ends the refusal."""
