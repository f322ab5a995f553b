"""Our own words in a chart, in the clinic's language."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

Language = Literal["en", "fr"]


class Words(StrEnum):
    """One phrase. The names are kept in the queue: they never change."""

    NOTE = "note"
    TRANSCRIPT = "transcript"
    FILE = "file"
    PATIENT_SAYS = "patient-says"
    PATIENT_SAYS_TITLE = "patient-says-title"
    IN_CHART = "in-chart"

    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    PREFERRED_NAME = "preferred_name"
    BIRTH_DATE = "birth_date"
    SEX = "sex"
    HEALTH_NUMBER = "health_number"
    ADDRESS = "address"
    HOME_PHONE = "home_phone"
    WORK_PHONE = "work_phone"
    MOBILE_PHONE = "mobile_phone"
    EMAIL = "email"
    LANGUAGE = "language"

    REFERRAL = "referral"
    SERVICES = "services"
    STATUS = "status"
    REFERRED_BY = "referred-by"
    SENT = "sent"
    APPOINTMENT = "appointment"
    BOOKING_COMMENTS = "booking-comments"
    CANCELLED_BECAUSE = "cancelled-because"
    MESSAGE = "message"


_TEXTS: Final[dict[Words, tuple[str, str]]] = {
    Words.NOTE: ("Patient's answers", "Réponses du patient"),
    Words.TRANSCRIPT: ("Secure messages", "Messages sécurisés"),
    Words.FILE: ("File from Ocean", "Fichier reçu d'Ocean"),
    Words.PATIENT_SAYS_TITLE: ("Patient's details differ from the chart", "Renseignements différents du dossier"),
    Words.PATIENT_SAYS: (
        "The patient says the following. It was not changed in the chart; please check.",
        "Voici ce qu'indique le patient. Le dossier n'a pas été modifié ; veuillez vérifier.",
    ),
    Words.IN_CHART: ("in the chart", "au dossier"),
    Words.FIRST_NAME: ("First name", "Prénom"),
    Words.LAST_NAME: ("Last name", "Nom de famille"),
    Words.PREFERRED_NAME: ("Preferred name", "Nom usuel"),
    Words.BIRTH_DATE: ("Date of birth", "Date de naissance"),
    Words.SEX: ("Sex", "Sexe"),
    Words.HEALTH_NUMBER: ("Health number", "Numéro d'assurance maladie"),
    Words.ADDRESS: ("Address", "Adresse"),  # codespell:ignore adresse
    Words.HOME_PHONE: ("Home telephone", "Téléphone à domicile"),
    Words.WORK_PHONE: ("Work telephone", "Téléphone au travail"),
    Words.MOBILE_PHONE: ("Mobile telephone", "Téléphone mobile"),
    Words.EMAIL: ("E-mail", "Courriel"),
    Words.LANGUAGE: ("Language", "Langue"),
    Words.REFERRAL: ("Referral record", "Dossier d'aiguillage"),
    Words.SERVICES: ("Services", "Services"),
    Words.STATUS: ("Status", "État"),
    Words.REFERRED_BY: ("Referred by", "Aiguillé par"),
    Words.SENT: ("Sent", "Envoyé"),
    Words.APPOINTMENT: ("Appointment", "Rendez-vous"),
    Words.BOOKING_COMMENTS: ("About the booking", "Au sujet du rendez-vous"),
    Words.CANCELLED_BECAUSE: ("Reason of cancellation", "Motif d'annulation"),
    Words.MESSAGE: ("Message", "Message"),
}


def say(words: Words, language: Language) -> str:
    """The phrase in the clinic's language."""
    english, french = _TEXTS[words]
    return french if language == "fr" else english
