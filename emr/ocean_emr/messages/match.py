"""Which chart of the EMR is the patient's at Ocean. Pure: the EMR has been asked.

A wrong chart is worse than none. So whatever speaks against a chart holds the message, and where two charts are
possible, a person chooses.
"""

from __future__ import annotations

from collections.abc import Sequence

from ocean_api.reasons import Reason
from ocean_emr.fitting import same_name, same_number
from ocean_emr.messages.deliveries import MessageHeldError, Person
from ocean_emr.records import Patient, Sex


def verified(person: Person, chart: Patient) -> Patient:
    """`chart`, which Ocean or an earlier message named, if it is the person's: something must say so, nothing deny it.

    Raises:
        MessageHeldError: `PATIENT_MISMATCH`.
    """
    if contradicts(person, chart):
        words = "the chart that was named has another birth date or health number than the patient at Ocean"
        raise MessageHeldError(Reason.PATIENT_MISMATCH, words)
    if not _same_birth_date(person, chart) and not _same_health_number(person, chart):
        words = "neither birth date nor health number confirms that the chart that was named is this patient's"
        raise MessageHeldError(Reason.PATIENT_MISMATCH, words)
    return chart


def by_health_number(person: Person, charts: Sequence[Patient]) -> Patient | None:
    """Of the charts with the person's health number, the person's; None when there are none.

    Where both have a birth date it must be the same: a newborn's chart may have the mother's number.

    Raises:
        MessageHeldError: Every chart contradicts, several fit, or it is not in use.
    """
    fitting = [chart for chart in charts if not contradicts(person, chart)]
    if charts and not fitting:
        words = "the chart with this health number has another birth date"
        raise MessageHeldError(Reason.PATIENT_MISMATCH, words)
    return _only(fitting, "health number")


def by_name(person: Person, charts: Sequence[Patient]) -> Patient | None:
    """Of the charts with the person's surname and birth date, the person's; None when nobody's could be.

    Twins share both, and often sex: so the first name must agree as well, and where only it does not, a person looks.

    Raises:
        MessageHeldError: Several fit, it is not in use, or only the first name or health number speaks against it.
    """
    alike = [chart for chart in charts if not _other_sex(person, chart)]
    possible = [chart for chart in alike if not contradicts(person, chart)]
    fitting = [chart for chart in possible if _same_first_name(person, chart)]
    if not possible and any(_same_first_name(person, chart) for chart in alike):
        words = "a chart has this name and birth date, and another health number"
        raise MessageHeldError(Reason.PATIENT_MISMATCH, words)
    if possible and not fitting:
        words = "a chart has this surname and birth date, and another first name"
        raise MessageHeldError(Reason.PATIENT_AMBIGUOUS, words)
    return _only(fitting, "name, birth date and sex")


def contradicts(person: Person, chart: Patient) -> bool:
    """Whether both have a birth date, or both a health number, and they differ."""
    births = person.birth_date and chart.birth_date and not _same_birth_date(person, chart)
    numbers = person.health_number and chart.health_number and not _same_health_number(person, chart)
    return bool(births or numbers)


def in_use(chart: Patient) -> bool:
    """Whether messages may go there. An EMR that does not say counts as saying yes."""
    return chart.active is not False


def out_of_use() -> MessageHeldError:
    """What holds a message whose only chart is one that the clinic has put away."""
    words = "the patient's chart is not active in the EMR: merged, or put away"
    return MessageHeldError(Reason.PATIENT_NOT_FOUND, words)


def _only(fitting: Sequence[Patient], by: str) -> Patient | None:
    active = [chart for chart in fitting if in_use(chart)]
    if len(active) > 1:
        raise MessageHeldError(Reason.PATIENT_AMBIGUOUS, f"{len(active)} charts have this {by}")
    if fitting and not active:
        raise out_of_use()
    return active[0] if active else None


def _same_birth_date(person: Person, chart: Patient) -> bool:
    return person.birth_date is not None and person.birth_date == chart.birth_date


def _same_health_number(person: Person, chart: Patient) -> bool:
    if person.health_number is None or chart.health_number is None:
        return False
    return same_number(person.health_number, chart.health_number)


def _same_first_name(person: Person, chart: Patient) -> bool:
    return bool(person.first_name and chart.first_name) and same_name(person.first_name or "", chart.first_name or "")


def _other_sex(person: Person, chart: Patient) -> bool:
    return Sex.UNKNOWN not in {person.sex, chart.sex} and person.sex is not chart.sex
