"""What Ocean tells us of, and the part of it that is a profile of our own. UNVERIFIED where it says so.

OceanMD's sample code knows two events. That a patient checked in, walked in, ended a conversation, or that a referral's
record is to be filed, Cloud Connect learns in ways nobody published: those four events and what is fetched for them
are ours, and in this one file. They have been tried against our simulator only, which is no evidence about Ocean. Their
names and paths are such that no real Ocean sends or answers them by accident. When OceanMD publishes its own, this file
changes and little else does. docs/explanation/messages.md describes it for readers.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class EventType(StrEnum):
    """What a webhook can tell of. Any other type is held as unreadable.

    Source of the first two: `webhook/[clientId].ts` in oceanmdlabs/autorouter.
    """

    NOTE_ADDED = "notify-patient-note-added"
    """Somebody completed a form: `ref` is the patient, `session` the form's session, which has one note."""
    FORMS_COMPLETED = "notify-patient-message-forms-completion"
    """As `NOTE_ADDED`, and all forms that were asked for are done: the sitting is over."""

    CHECKED_IN = "ocean-operator/checked-in"
    """UNVERIFIED. The patient `ref` checked in at a kiosk."""
    WALKED_IN = "ocean-operator/walk-in"
    """UNVERIFIED. The patient `ref` checked in at a kiosk and has no appointment."""
    MESSAGE_TRANSCRIPT = "ocean-operator/message-transcript"
    """UNVERIFIED. A conversation by secure message with the patient `ref` is to be filed."""
    REFERRAL_RECORD = "ocean-operator/referral-record"
    """UNVERIFIED. An eReferral or eConsult is to be filed: `ref` is the referral, not a patient."""


SESSION_PATH: Final = "/svc/ocean-operator/v0/patients/{ref}/sessions/{session}"
"""UNVERIFIED. GET: what happened in a session of those of our own events that are about a patient, encrypted and with
headers as Ocean's own `…/notes` is: `{"at": moment, "reason": text, "title": text, "text": text}`. Only `at` is always
there; `reason` is a walk-in's, `title` and `text` are a transcript's."""

PATIENT_FILE_PATH: Final = "/svc/ocean-operator/v0/patients/{ref}/attachments/{file}"
"""UNVERIFIED. GET: a file that came with a patient's note, in the form of Ocean's own attachments of referrals:
`{"contentType", "encryptedData": {data, iv}}`. A note names its files in `attachments`, a field of our own beside
Ocean's `progressNote`, in the form of Ocean's `attachmentRefDtos`: `{"fileRef", "fileName", "encryptedFileName",
"encryptedEncryptionKey"}`, the last two under the note's one-time key."""

FIELDS: Final[dict[str, str]] = {
    "firstName": "first_name",
    "surname": "last_name",
    "preferredName": "preferred_name",
    "birthDate": "birth_date",
    "sex": "sex",
    "hn": "health_number.value",
    "hnProv": "health_number.province",
    "hnVC": "health_number.version",
    "hnExpiryDate": "health_number.expires_on",
    "address.line1": "address.line1",
    "address.line2": "address.line2",
    "address.city": "address.city",
    "address.province": "address.province",
    "address.postalCode": "address.postal_code",
    "address.country": "address.country",
    "address.phone": "home_phone",
    "address.email": "email",
    "mobilePhone": "mobile_phone",
    "workPhone": "work_phone",
    "language": "language",
}
"""UNVERIFIED. Which field of a chart a name in `emrFieldUpdates` means. The names are those that Ocean gives a
patient's demographics, where it has one; which it uses here is not published. What has another name is not lost: it
goes into a note."""
