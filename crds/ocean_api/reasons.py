"""Every reason a condition, an event or an error can carry: one definition, from which docs/reasons.md is written.

Reasons are API: alerts match on them and people search for them. A reason is added when somebody does
something else on seeing it, and is never renamed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """What happened, in one word (Kubernetes API conventions: CamelCase, stable)."""

    # The clinic as a whole.
    SITE_READY = "SiteReady"
    SITE_NOT_READY = "SiteNotReady"
    RECONCILING = "Reconciling"
    UP_TO_DATE = "UpToDate"
    SUSPENDED = "Suspended"
    NOT_ENABLED = "NotEnabled"
    AS_EXPECTED = "AsExpected"
    NOT_CHECKED = "NotChecked"
    NOT_APPLICABLE = "NotApplicable"

    # Configuration.
    SPEC_VALID = "SpecValid"
    SPEC_INVALID = "SpecInvalid"
    ADDRESS_FORBIDDEN = "AddressForbidden"
    SITE_NUMBER_TAKEN = "SiteNumberTaken"
    CHILD_REFUSED = "ChildRefused"
    POD_NOT_STARTING = "PodNotStarting"

    # The key.
    KEY_ACCEPTED = "KeyAccepted"
    KEY_NOT_KNOWN_TO_OCEAN = "KeyNotKnownToOcean"
    KEY_PENDING = "KeyPending"
    KEY_SECRET_MISSING = "KeySecretMissing"
    KEY_SECRET_INVALID = "KeySecretInvalid"
    KEY_SECRET_EXPOSED = "KeySecretExposed"
    KEY_SECRET_FORBIDDEN = "KeySecretForbidden"
    KEY_WEAK = "KeyWeak"
    KEY_ALREADY_STORED = "KeyAlreadyStored"
    KEY_MISSING = "KeyMissing"
    SEK_MISMATCH = "SekMismatch"
    VAULT_NOT_CONFIGURED = "VaultNotConfigured"
    VAULT_UNAVAILABLE = "VaultUnavailable"
    VAULT_ACCESS_REFUSED = "VaultAccessRefused"
    DATABASE_UNAVAILABLE = "DatabaseUnavailable"
    DATABASE_ACCESS_REFUSED = "DatabaseAccessRefused"

    # Credentials and connections.
    ACCESS_ACCEPTED = "AccessAccepted"
    CREDENTIALS_SECRET_MISSING = "CredentialsSecretMissing"
    CREDENTIALS_SECRET_INVALID = "CredentialsSecretInvalid"
    EMR_AUTH_REFUSED = "EmrAuthRefused"
    EMR_PERMISSION_DENIED = "EmrPermissionDenied"
    EMR_UNAVAILABLE = "EmrUnavailable"
    EMR_RATE_LIMITED = "EmrRateLimited"
    EMR_ANSWER_UNREADABLE = "EmrAnswerUnreadable"
    EMR_TLS_FAILED = "EmrTlsFailed"
    EMR_BLOCKED = "EmrBlocked"
    EMR_NOT_SUPPORTED = "EmrNotSupported"
    EMR_RECORD_UNREADABLE = "EmrRecordUnreadable"
    EMR_CLOCK_SKEW = "EmrClockSkew"
    OCEAN_ACCESS_REFUSED = "OceanAccessRefused"
    OCEAN_UNAVAILABLE = "OceanUnavailable"
    OCEAN_RATE_LIMITED = "OceanRateLimited"
    OCEAN_ANSWER_UNREADABLE = "OceanAnswerUnreadable"
    OCEAN_TLS_FAILED = "OceanTlsFailed"
    OCEAN_RECORD_REJECTED = "OceanRecordRejected"

    # Synchronisation.
    SYNC_SUCCEEDED = "SyncSucceeded"
    SYNC_RUNNING = "SyncRunning"
    SYNC_PENDING = "SyncPending"
    SYNC_STALE = "SyncStale"
    SYNC_INTERRUPTED = "SyncInterrupted"
    SYNC_INCOMPLETE = "SyncIncomplete"
    REMOVAL_HELD = "RemovalHeld"
    NO_PROVIDER_SELECTED = "NoProviderSelected"
    PROVIDER_UNKNOWN = "ProviderUnknown"
    INTERNAL_ERROR = "InternalError"

    # Messages.
    QUEUE_EMPTY = "QueueEmpty"
    QUEUE_WAITING = "QueueWaiting"
    MESSAGES_HELD = "MessagesHeld"
    MESSAGES_OFF = "MessagesOff"
    WORKER_UNAVAILABLE = "WorkerUnavailable"
    EMR_OUTCOME_UNKNOWN = "EmrOutcomeUnknown"
    EMR_WRITE_REFUSED = "EmrWriteRefused"
    EMR_CONFLICT = "EmrConflict"
    PATIENT_NOT_FOUND = "PatientNotFound"
    PATIENT_AMBIGUOUS = "PatientAmbiguous"
    PATIENT_MISMATCH = "PatientMismatch"
    NO_APPOINTMENT_NEAR = "NoAppointmentNear"
    WALK_INS_OFF = "WalkInsOff"
    MESSAGE_UNREADABLE = "MessageUnreadable"
    MESSAGE_GONE = "MessageGone"
    MESSAGE_DISMISSED = "MessageDismissed"

    # Deletion.
    RELEASE_BLOCKED = "ReleaseBlocked"
    FORCE_RELEASED = "ForceReleased"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What docs/reasons.md says about a reason."""

    meaning: str
    """One sentence: what happened."""
    remedy: str
    """What to do next; empty when there is nothing to do."""


EXPLANATIONS: Final[dict[Reason, Explanation]] = {
    Reason.SITE_READY: Explanation("Everything the clinic asked for is there and works.", ""),
    Reason.SITE_NOT_READY: Explanation(
        "Something is missing; the message names the condition that says what.",
        "Read that condition: `kubectl describe oceansite NAME`.",
    ),
    Reason.RECONCILING: Explanation(
        "The operator has seen the spec and is carrying it out.", "Wait; it takes seconds."
    ),
    Reason.UP_TO_DATE: Explanation("Nothing is left to do for this generation of the spec.", ""),
    Reason.SUSPENDED: Explanation(
        "`spec.suspend` is true: no work is started, nothing is removed.",
        "Set `spec.suspend: false` to go on.",
    ),
    Reason.NOT_ENABLED: Explanation(
        "The clinic is not enabled: nothing runs.",
        "Set `spec.enabled: true`. A non-integrated clinic (`emr.type: None`) must always say so.",
    ),
    Reason.AS_EXPECTED: Explanation("The abnormal state this condition watches for is absent.", ""),
    Reason.NOT_CHECKED: Explanation("The first check has not finished.", "Wait; it takes seconds once its pod runs."),
    Reason.NOT_APPLICABLE: Explanation("This clinic has no EMR, so there is nothing to check.", ""),
    Reason.SPEC_VALID: Explanation("The spec says nothing impossible.", ""),
    Reason.SPEC_INVALID: Explanation(
        "The spec has a value that cannot work; the message names the field and the remedy.",
        "Correct the field and apply again.",
    ),
    Reason.ADDRESS_FORBIDDEN: Explanation(
        "A URL in the spec points at a loopback, link-local, private or cluster address, or its host's name leads to "
        "one. Nothing is sent there.",
        "Use the system's public address, or have a platform engineer allow the range in the chart's "
        "`network.allowedAddressRanges`.",
    ),
    Reason.SITE_NUMBER_TAKEN: Explanation(
        "Another OceanSite already has this site number, in this namespace or another one.",
        "Correct `spec.siteNumber`, or delete the other OceanSite.",
    ),
    Reason.CHILD_REFUSED: Explanation(
        "The API server refused one of the clinic's objects, for instance because of a quota or a policy.",
        "Read the message; change the quota or policy. The operator tries again by itself.",
    ),
    Reason.POD_NOT_STARTING: Explanation(
        "A pod of the clinic cannot start, for instance because its image cannot be pulled.",
        "Read the message and `kubectl describe pod`.",
    ),
    Reason.KEY_ACCEPTED: Explanation("The key is in Vault and decrypts what Ocean encrypted.", ""),
    Reason.KEY_NOT_KNOWN_TO_OCEAN: Explanation(
        "The key is in Vault, and Ocean has nothing encrypted with a key to compare it with.",
        "Enter the key at Ocean; the next check compares.",
    ),
    Reason.KEY_PENDING: Explanation(
        "The key is in Vault and its first check has not finished.",
        "Wait; it takes seconds once its pod runs.",
    ),
    Reason.KEY_SECRET_MISSING: Explanation(
        "The Secret that should hand over the key is not there.",
        'Create it with the label `ocean.cloudconnect.dev/key-intake: "true"` and the field `sek`, using '
        "`kubectl create`, never from git.",
    ),
    Reason.KEY_SECRET_INVALID: Explanation(
        'The Secret that should hand over the key lacks the label `ocean.cloudconnect.dev/key-intake: "true"` '
        "or the field `sek`, or holds something else besides.",
        "Delete it and create it as docs/how-to/hand-over-a-key.md shows.",
    ),
    Reason.KEY_SECRET_EXPOSED: Explanation(
        "The Secret carries Argo CD's tracking mark or kubectl's last-applied annotation, so git or an annotation "
        "has seen the key. It was not used.",
        "Choose another key at Ocean, delete the Secret, and hand the new key over with `kubectl create`.",
    ),
    Reason.KEY_SECRET_FORBIDDEN: Explanation(
        "The operator may not fetch the Secret that hands over the key: this namespace has not agreed to it.",
        "Add the namespace to the chart's `keyIntake.namespaces`, or bind the ClusterRole `ocean-operator-key-intake` "
        "there (docs/how-to/install.md).",
    ),
    Reason.KEY_WEAK: Explanation(
        "The key breaks Ocean's rules: 16, 24 or 32 characters with a digit, an upper-case letter, a lower-case "
        "letter and a punctuation mark. It was not stored.",
        "Choose a key that keeps them, at Ocean first, and hand it over again.",
    ),
    Reason.KEY_ALREADY_STORED: Explanation(
        "A Secret hands over a key, though one was accepted before. It was not taken, since the operator may not "
        "replace a key, and still holds one in the clear. The clinic goes on with the key in Vault.",
        "Delete the Secret. If its key is the right one, change the key in Vault as yourself.",
    ),
    Reason.KEY_MISSING: Explanation(
        "Vault holds no key for this clinic.", "Hand one over: docs/how-to/hand-over-a-key.md."
    ),
    Reason.SEK_MISMATCH: Explanation(
        "The stored key does not decrypt what Ocean encrypted for this clinic. Nothing is sent.",
        "Compare the key with Ocean's (Admin, Encryption) and store the right one.",
    ),
    Reason.VAULT_NOT_CONFIGURED: Explanation(
        "The operator was started without a Vault, so no key can be kept and nothing runs.",
        "Set the chart's `vault.address` (or `openbao.embedded.enabled` to try it out).",
    ),
    Reason.VAULT_UNAVAILABLE: Explanation(
        "Vault does not answer, is sealed, or cannot write its audit log.",
        "See that Vault is unsealed and its audit devices have room. Work goes on by itself.",
    ),
    Reason.VAULT_ACCESS_REFUSED: Explanation(
        "Vault refused a login or a path.",
        "Compare Vault's policies and roles with docs/explanation/identity.md.",
    ),
    Reason.DATABASE_UNAVAILABLE: Explanation(
        "PostgreSQL does not answer, or its schema is not there yet.",
        "See that PostgreSQL runs and the migration Job has finished. Work goes on by itself.",
    ),
    Reason.DATABASE_ACCESS_REFUSED: Explanation(
        "PostgreSQL refused a login or a statement, or runs with settings that can lose data.",
        "Compare roles and settings with docs/reference/database.md.",
    ),
    Reason.ACCESS_ACCEPTED: Explanation("Ocean and the EMR accept the clinic's credentials.", ""),
    Reason.CREDENTIALS_SECRET_MISSING: Explanation(
        "A Secret that the spec names is not there.",
        "Create it in the clinic's namespace. It is looked for again by itself.",
    ),
    Reason.CREDENTIALS_SECRET_INVALID: Explanation(
        "A Secret that the spec names lacks a field or has an empty one; the message names the fields.",
        "Correct the Secret. It is looked at again by itself.",
    ),
    Reason.EMR_AUTH_REFUSED: Explanation(
        "The EMR refused the clinic's login. Calls have stopped, so that no account is locked.",
        "Have the EMR re-authorised and put the new credentials into the Secret; work resumes by itself. "
        "If the EMR accepts the same credentials again, set the annotation `ocean.cloudconnect.dev/reauthorize`.",
    ),
    Reason.EMR_PERMISSION_DENIED: Explanation(
        "The EMR knows the login, and denies it a right it needs.",
        "Give the EMR's user the rights on the page of this EMR under docs/emr/.",
    ),
    Reason.EMR_UNAVAILABLE: Explanation(
        "The EMR does not answer, or answered that it is not available.",
        "See that the EMR runs. It is tried again by itself.",
    ),
    Reason.EMR_RATE_LIMITED: Explanation("The EMR asked for fewer calls.", "Nothing; the next run goes on."),
    Reason.EMR_ANSWER_UNREADABLE: Explanation(
        "The EMR answered something that is not its interface's form: a web page, half a document, another type.",
        "See that `spec.emr` names the interface's address, and that no portal or proxy stands in front of it.",
    ),
    Reason.EMR_TLS_FAILED: Explanation(
        "The EMR's certificate cannot be trusted: unknown authority, expired, or another host's.",
        "Renew the certificate, or give its authority in the EMR block's `caBundle`.",
    ),
    Reason.EMR_BLOCKED: Explanation(
        "A firewall or portal in front of the EMR refused the call.",
        "Have the cluster's outgoing address allowed there.",
    ),
    Reason.EMR_NOT_SUPPORTED: Explanation(
        "This EMR cannot do what was asked of it.", "See the EMR's page under docs/emr/ for what it can do."
    ),
    Reason.EMR_RECORD_UNREADABLE: Explanation(
        "Single records of the EMR could not be read; the others went on.",
        "The count is in the status. If it stays, report the EMR's version.",
    ),
    Reason.EMR_CLOCK_SKEW: Explanation(
        "The EMR's clock and the cluster's differ so much that signatures are refused.",
        "Correct the clock that is wrong.",
    ),
    Reason.OCEAN_ACCESS_REFUSED: Explanation(
        "Ocean refused the clinic's credentials.",
        "Renew them at Ocean (Admin, Manage Credentials) and put them into the Secret; work resumes by itself.",
    ),
    Reason.OCEAN_UNAVAILABLE: Explanation("Ocean does not answer.", "Nothing; it is tried again by itself."),
    Reason.OCEAN_RATE_LIMITED: Explanation("Ocean asked for fewer calls.", "Nothing; the next run goes on."),
    Reason.OCEAN_ANSWER_UNREADABLE: Explanation(
        "Ocean answered something that is not its interface's form.", "See that `spec.ocean.url` is right."
    ),
    Reason.OCEAN_TLS_FAILED: Explanation(
        "Ocean's certificate cannot be trusted.",
        "See that no proxy replaces it, or give its authority in `spec.ocean.caBundle`.",
    ),
    Reason.OCEAN_RECORD_REJECTED: Explanation(
        "Ocean rejected single records; the others went on.",
        "The count is in the status. If it stays, ask support.",
    ),
    Reason.SYNC_SUCCEEDED: Explanation("The last synchronisation was complete.", ""),
    Reason.SYNC_RUNNING: Explanation("The first synchronisation is under way.", "Wait."),
    Reason.SYNC_PENDING: Explanation("The first synchronisation has not begun.", "Wait; it takes seconds."),
    Reason.SYNC_STALE: Explanation(
        "No synchronisation has succeeded for more than two intervals.",
        "Start a whole synchronisation (annotation `ocean.cloudconnect.dev/sync-full`); if it fails too, ask support.",
    ),
    Reason.SYNC_INTERRUPTED: Explanation(
        "A synchronisation ended before it was done.", "Nothing; the next run takes up where it stopped."
    ),
    Reason.SYNC_INCOMPLETE: Explanation(
        "The EMR's answer was not complete, so nothing was removed from Ocean.",
        "Read the message; the next full run tries again.",
    ),
    Reason.REMOVAL_HELD: Explanation(
        "A full synchronisation would remove more than half of what Ocean knows. Nothing was removed.",
        "If the schedule really shrank, start a whole synchronisation (annotation "
        "`ocean.cloudconnect.dev/sync-full`); the next full one that agrees also removes.",
    ),
    Reason.NO_PROVIDER_SELECTED: Explanation(
        "No provider is chosen, so nothing is synchronised. Status lists those the EMR knows.",
        "Set `spec.schedule.providers` to their ids, or to `All`.",
    ),
    Reason.PROVIDER_UNKNOWN: Explanation(
        "A chosen provider is not among those the EMR shows. Nothing is removed from Ocean.",
        "Correct `spec.schedule.providers`, or give the EMR's user the right to see that provider.",
    ),
    Reason.INTERNAL_ERROR: Explanation(
        "The product failed in a way it does not know.",
        "It is tried again by itself. If it stays, report it with the log.",
    ),
    Reason.QUEUE_EMPTY: Explanation("Every message has reached the EMR.", ""),
    Reason.QUEUE_WAITING: Explanation(
        "Messages have been waiting for more than a minute; the condition says since when, and for what where that is "
        "known.",
        "See that the EMR runs and takes the credentials. They are delivered by themselves, in order.",
    ),
    Reason.MESSAGES_HELD: Explanation(
        "Messages could not be delivered and wait for a person.",
        "Look at them with `oceanctl messages list`, mend the cause, then retry or dismiss them "
        "(docs/how-to/held-messages.md).",
    ),
    Reason.MESSAGES_OFF: Explanation(
        "The Secret with Ocean's credentials has no `webhookKey`, so no message is received for this clinic.",
        "To receive messages, add `webhookKey` and enter the gateway's address at Ocean "
        "(docs/how-to/receive-messages.md).",
    ),
    Reason.WORKER_UNAVAILABLE: Explanation(
        "The clinic's worker does not run, so its messages wait.",
        "See why its pod does not start: `kubectl describe pod`. Messages are kept meanwhile.",
    ),
    Reason.EMR_OUTCOME_UNKNOWN: Explanation(
        "Something was sent to the EMR, its answer was lost, and the EMR cannot be searched for it.",
        "Look into the patient's chart: if it is there, dismiss the message with that as the reason; if not, retry it.",
    ),
    Reason.EMR_WRITE_REFUSED: Explanation(
        "The EMR does not take this message, and takes others.",
        "Read the message's own words, mend the cause at the EMR or at Ocean, then retry it.",
    ),
    Reason.EMR_CONFLICT: Explanation(
        "What the message rests on has changed at the EMR, for instance a cancelled appointment.",
        "Look into the chart and decide; then retry or dismiss the message.",
    ),
    Reason.PATIENT_NOT_FOUND: Explanation(
        "The EMR has no chart for this patient.",
        "Create or correct the chart, then retry the message.",
    ),
    Reason.PATIENT_AMBIGUOUS: Explanation(
        "Several charts of the EMR fit this patient.", "Merge the charts, then retry the message."
    ),
    Reason.PATIENT_MISMATCH: Explanation(
        "The chart that Ocean names, or that has the health number, belongs to somebody with another birth date or "
        "health number. Nothing was written.",
        "Compare the patient at Ocean with the chart, correct the wrong one, then retry the message.",
    ),
    Reason.NO_APPOINTMENT_NEAR: Explanation(
        "A patient checked in, and has no appointment within the clinic's hours for arrivals.",
        "Mark the arrival by hand, then dismiss the message.",
    ),
    Reason.WALK_INS_OFF: Explanation(
        "A walk-in came although the clinic takes none, or takes no new patients.",
        "Book by hand and dismiss the message, or change `spec.messages.walkIns` and retry it.",
    ),
    Reason.MESSAGE_UNREADABLE: Explanation(
        "What Ocean gave for this message is not in a form we know, or lacks something that is needed.",
        "Look at the patient in Ocean's portal; then dismiss the message, and report its kind.",
    ),
    Reason.MESSAGE_GONE: Explanation(
        "Ocean has nothing (any more) under the reference that this message names.",
        "See in Ocean's portal whether the note was deleted; then dismiss the message.",
    ),
    Reason.MESSAGE_DISMISSED: Explanation(
        "A person dismissed the message, with a reason that is in the audit log.", ""
    ),
    Reason.RELEASE_BLOCKED: Explanation(
        "The site is being deleted, and Vault or the database could not be asked to let it go.",
        "Restore them, or set the annotation `ocean.cloudconnect.dev/force-release` to a reason "
        "(docs/how-to/release-a-stuck-site.md).",
    ),
    Reason.FORCE_RELEASED: Explanation(
        "A person let the site go although Vault or the database could not be asked.",
        "Clean up as docs/how-to/release-a-stuck-site.md says.",
    ),
}
