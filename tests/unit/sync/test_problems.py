from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_emr.envelope import DataKey, Place, StoredDataUnreadableError
from ocean_emr.errors import EmrClockSkewError, EmrPermissionDeniedError
from ocean_emr.ocean.errors import Call, OceanTlsError
from ocean_emr.problems import CredentialsError, problem, problem_of
from ocean_emr.records import Operation
from ocean_emr.store.errors import LeaseLostError
from ocean_emr.vault.errors import KeyMissingError

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "reason", "words"),
    [
        (
            EmrPermissionDeniedError(
                "the EMR denied the right to do this", op=Operation.LIST_APPOINTMENTS, http_status=500
            ),
            Reason.EMR_PERMISSION_DENIED,
            "list appointments: the EMR denied the right to do this (HTTP 500). ",
        ),
        (
            OceanTlsError("Ocean's address is not https", call=Call.CHECK, remedy="Set `spec.ocean.url`."),
            Reason.OCEAN_TLS_FAILED,
            "check access: Ocean's address is not https. Set `spec.ocean.url`.",
        ),
        (LeaseLostError("The lease has run out."), Reason.SYNC_INTERRUPTED, "The lease has run out. "),
        (KeyMissingError("Vault holds no key."), Reason.KEY_MISSING, "Vault holds no key. Hand one over"),
        (
            CredentialsError(Reason.CREDENTIALS_SECRET_MISSING, "Secret s."),
            Reason.CREDENTIALS_SECRET_MISSING,
            "Secret s. ",
        ),
    ],
)
def test_error_of_ours_is_told_with_its_remedy(error: Exception, reason: Reason, words: str) -> None:
    told = problem_of(error, NOW)

    assert (told.reason, told.at) == (reason, NOW)
    assert told.message.startswith(words)
    remedy = getattr(error, "remedy", EXPLANATIONS[reason].remedy)
    assert told.message.endswith(remedy)


def test_error_of_others_is_told_by_its_class_and_our_line() -> None:
    """Its text may hold anything."""
    try:
        DataKey.new().open(b"\x01" + bytes(40), Place("clinic", "p0001", "Surname"))
    except StoredDataUnreadableError as error:
        told = problem_of(error, NOW)

    assert told.reason is Reason.INTERNAL_ERROR
    assert told.message.startswith("StoredDataUnreadableError at ocean_emr/envelope.py:")
    assert "p0001" not in told.message


def test_error_from_nowhere_is_told_all_the_same() -> None:
    assert problem_of(KeyError("Surname of p0001"), NOW).message.startswith("KeyError at an unknown place. ")


@given(st.text(max_size=3000), st.sampled_from(Reason))
def test_message_fits_on_one_line_and_never_loses_the_remedy(what: str, reason: Reason) -> None:
    told = problem(reason, what, NOW)

    assert len(told.message) <= 1024
    assert told.message.endswith(EXPLANATIONS[reason].remedy)
    assert "\n" not in told.message


def test_own_remedy_takes_the_place_of_the_reasons() -> None:
    error = EmrClockSkewError("the clocks differ", op=Operation.GET_PATIENT, remedy="Set the clock.")

    assert problem_of(error, NOW).message == "get patient: the clocks differ. Set the clock."


def test_logs_are_json_and_libraries_say_their_names_only() -> None:
    """In a process of its own: logging is configured once."""
    program = """
import logging, structlog
from ocean_emr.observe import configure_logs
configure_logs()
structlog.get_logger("ours").info("synchronised", site="clinic-a/north")
logging.getLogger("httpx").warning("GET https://emr/demographics/p0001")
logging.getLogger("psycopg.pool").setLevel(logging.WARNING)
logging.getLogger("psycopg.pool").warning("Surname-p0001")
try:
    raise ValueError("Surname-p0001")
except ValueError:
    logging.getLogger("asyncio").exception("Surname-p0001")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603

    assert done.stdout == ""
    ours, theirs = done.stderr.splitlines()
    assert json.loads(ours)["event"] == "synchronised"
    assert theirs == "ERROR asyncio ValueError"
