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
SECOND = timedelta(seconds=1)
BY_CHECK = problem(Reason.EMR_AUTH_REFUSED, "Refused in a check.", NOW)
BY_SYNC = problem(Reason.EMR_AUTH_REFUSED, "Refused in a run.", NOW)
SYNC = progress.failed(SyncReport(), BY_SYNC, refused="d1")


def last(
    *,
    token: str = "t1",  # noqa: S107 - names a request
    refused: str = "",
    at: datetime = NOW,
    access: Problem | None = None,
) -> CheckReport:
    return CheckReport(token=token, at=at, refused=refused, access=access or (BY_CHECK if refused else None))


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
        ("t2", last(at=NOW - SECOND), SYNC, BY_SYNC),
        ("t2", last(at=NOW), SYNC, BY_SYNC),
        ("t1", None, SYNC, BY_SYNC),
        # That has been told, even within the same second; now a person asks.
        ("t3", last(token="t2", refused="d1", at=NOW), SYNC, None),
        ("t3", last(token="t2", refused="d1", at=NOW + SECOND), SYNC, None),
        # A person asked, and something else stood in the way.
        ("t3", last(token="t3", at=NOW + SECOND, access=BY_CHECK), SYNC, None),
        # The run was refused with what the Secret held before.
        ("t2", last(), SYNC.model_copy(update={"refused": "d0"}), None),
    ],
)
def test_credentials_that_were_refused_are_tried_again_only_when_somebody_asks(
    token: str, before: CheckReport | None, sync: SyncReport | None, expected: Problem | None
) -> None:
    assert refused_before(token, "d1", before, sync) == expected


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
