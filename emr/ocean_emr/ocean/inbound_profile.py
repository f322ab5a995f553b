"""What Ocean tells us of, and the part of it that is a profile of our own. UNVERIFIED where it says so.

OceanMD's sample code knows two events. That a patient checked in, walked in, ended a conversation, or that a referral's
record is to be filed, Cloud Connect learns in ways nobody published: those four events and what is fetched for them
are ours, and in this one file. They have been tried against our simulator only, which is no evidence about Ocean. Their
names and paths are such that no real Ocean sends or answers them by accident. When OceanMD publishes its own, this file
changes and little else does. docs/explanation/messages.md describes it for readers.
"""

from __future__ import annotations

from enum import StrEnum


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
