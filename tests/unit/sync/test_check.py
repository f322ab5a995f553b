from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from ocean_api.reasons import Reason
from ocean_api.report import CheckReport, Problem, SyncKind, SyncReport, Trigger
from ocean_emr.jobs import check
from ocean_emr.jobs.check import listed, refused_before
from ocean_emr.problems import problem
from ocean_emr.records import Provider, ProviderId
from ocean_emr.sync import program, progress

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BY_CHECK = problem(Reason.EMR_AUTH_REFUSED, "Refused in a check.", NOW)
BY_SYNC = problem(Reason.EMR_AUTH_REFUSED, "Refused in a run.", NOW)
MISSING = problem(Reason.CREDENTIALS_SECRET_MISSING, "Secret emr is not there.", NOW)
SYNC = progress.failed(SyncReport(), BY_SYNC, refused="d1", refusal_id="r1")
CLOCKS = pytest.mark.parametrize("ahead", [timedelta(0), timedelta(hours=1), -timedelta(hours=1)])
"""How far the clock of the last check's pod is ahead of the one that met the refusal."""


def last(
    knew: str | None = "",
    *,
    token: str = "t1",  # noqa: S107 - names a request
    refused: str = "",
    at: datetime = NOW,
    access: Problem | None = None,
) -> CheckReport:
    return CheckReport(token=token, at=at, knew=knew, refused=refused, access=access or (BY_CHECK if refused else None))


@CLOCKS
@pytest.mark.parametrize(
    ("token", "before", "sync", "expected"),
    [
        ("t1", None, None, None),
        ("t1", last(), None, None),
        # The same check again: nothing has changed since.
        ("t1", last(refused="d1"), None, BY_CHECK),
        # A person asks, or the address was corrected.
        ("t2", last(refused="d1"), None, None),
        # The Secret has changed.
        ("t1", last(refused="d0"), None, None),
        # A run was refused, and this check follows from that by itself.
        ("t2", last(), SYNC, BY_SYNC),
        ("t2", last("r0"), SYNC, BY_SYNC),
        ("t1", None, SYNC, BY_SYNC),
        # The Secret was not there when that check ran first.
        ("t2", last(token="t2", access=MISSING), SYNC, BY_SYNC),
        # That has been told; now a person asks.
        ("t3", last("r1", token="t2", refused="d1"), SYNC, None),
        # A person asked, and something else stood in the way.
        ("t3", last("r1", token="t3", access=MISSING), SYNC, None),
        # It was refused again after a person had asked and a check had accepted it.
        ("t4", last("r1", token="t3"), progress.failed(SYNC, BY_SYNC, refused="d1", refusal_id="r2"), BY_SYNC),
        # The run was refused with what the Secret held before.
        ("t2", last(), SYNC.model_copy(update={"refused": "d0"}), None),
    ],
)
def test_credentials_that_were_refused_are_tried_again_only_when_somebody_asks(
    token: str, before: CheckReport | None, sync: SyncReport | None, expected: Problem | None, ahead: timedelta
) -> None:
    before = before and before.model_copy(update={"at": NOW + ahead})

    assert refused_before(token, "d1", before, sync) == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        # Told by the check's own report, or by its time.
        (last(None, token="t2", refused="d1"), None),
        (last(None, token="t2", at=NOW + timedelta(seconds=1), access=MISSING), None),
        (last(None, at=NOW), BY_SYNC),
        (last(None, at=NOW - timedelta(seconds=1)), BY_SYNC),
    ],
)
def test_rows_of_an_older_version_are_told_apart_by_time(before: CheckReport, expected: Problem | None) -> None:
    """An upgrade finds no more in them. Whoever was told of the refusal before it need ask only once."""
    old = SYNC.model_copy(update={"refusal_id": ""})

    assert refused_before("t3", "d1", before, old) == expected


def provider(number: int, name: str) -> Provider:
    return Provider(ProviderId(f"{number:064d}"), name)


def test_providers_are_listed_in_the_emrs_order_as_far_as_there_is_room() -> None:
    everybody = [provider(n, "É" * 300) for n in range(600)]

    shown = listed(everybody)
    assert [p.id for p in shown] == [p.id for p in everybody[: len(shown)]]
    assert {p.name for p in shown} == {"É" * 80}
    report = CheckReport(token="t", at=NOW, providers=shown)
    assert 40_000 < len(orjson.dumps(report.model_dump(mode="json", by_alias=True))) < 60_000


def test_five_hundred_ordinary_providers_are_all_listed() -> None:
    everybody = [Provider(ProviderId(f"{n}"), f"Tremblay, Zoé {n}") for n in range(700)]

    assert len(listed(everybody)) == 500


def test_command_lines() -> None:
    assert check.parse(["--token", "t1"]) == "t1"
    order = program.parse(["full"])
    assert (order.kind, order.trigger, order.token, order.window) == (SyncKind.FULL, Trigger.SCHEDULED, "", "")
    order = program.parse(["recent", "--trigger", "Requested", "--token", "t", "--window", "w"])
    assert (order.kind, order.trigger, order.token, order.window) == (SyncKind.RECENT, Trigger.REQUESTED, "t", "w")


@pytest.mark.parametrize("wrong", [[], ["daily"], ["full", "--trigger", "requested"], ["full", "more"]])
def test_wrong_command_line_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        program.parse(wrong)

    assert caught.value.code == 2
    assert "usage: ocean-sync" in capsys.readouterr().err
