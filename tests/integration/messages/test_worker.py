"""The worker as a process: what it does with messages while everything is well, and while others are not."""

from __future__ import annotations

import signal

import pytest

from integration.messages.rig import WAITING, Rig
from integration.sync.clinic import until
from ocean_api import names
from ocean_api.reasons import Reason
from ocean_api.v1alpha1.spec import MessagesSpec
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.testing.ocean_sim import Fault as OceanFault
from ocean_emr.testing.ocean_sim import FaultKind as OceanFaultKind
from ocean_emr.testing.ocean_sim.mailbox import Form, Upload
from ocean_emr.testing.oscar_sim import Fault, FaultKind
from ocean_emr.testing.oscar_sim.signatures import Refusal


async def test_note_reaches_the_chart_and_leaves_nothing_behind(rig: Rig) -> None:
    rig.start()
    marker = rig.complete()
    await rig.drained()

    assert rig.places(marker) == [0]
    assert rig.clinic.query(
        "select kind, state, body, plan, detail is null from ocean.message where site = %s order by id"
    ) == [("event", "done", None, None, False), ("note", "done", None, None, True)]
    assert rig.clinic.audit() == [("message.deliver", "done")]


async def test_worker_takes_up_what_came_while_none_ran(rig: Rig) -> None:
    markers = [rig.complete() for _ in range(5)]
    rig.start()
    await rig.drained()

    assert rig.places(*markers) == [0, 1, 2, 3, 4]


async def test_worker_hears_of_each_message(rig: Rig) -> None:
    """Its slow poll comes after an hour in these tests."""
    rig.start()
    for number in range(3):
        marker = rig.complete()
        await rig.drained()

        assert rig.places(marker) == [number]


async def test_notes_of_several_patients_go_beside_each_other(rig: Rig) -> None:
    """One whose chart nobody finds is held and in nobody's way."""
    rig.oscar.clinic.patients.pop(1002)
    lost = rig.complete(1002)
    markers = {chart: [rig.complete(chart) for _ in range(4)] for chart in (1001, 1003)}
    rig.start()
    await rig.drained()

    assert {chart: rig.places(*found, chart=chart) for chart, found in markers.items()} == {
        1001: [0, 1, 2, 3],
        1003: [0, 1, 2, 3],
    }
    assert rig.rows("held") == [("note", "held", Reason.PATIENT_NOT_FOUND)]
    assert rig.places(lost) == []
    assert ("message.hold", "PatientNotFound") in rig.clinic.audit()


async def test_same_event_told_again_makes_no_second_note(rig: Rig) -> None:
    rig.start()
    (notice,) = rig.clinic.at_ocean.mailbox.complete("ref-1001", Form(title="Questionnaire", text="again"))
    for _ in range(3):
        rig.tell(notice)
        await rig.drained()

    assert rig.places("again") == [0]


async def test_sitting_becomes_one_note(rig: Rig) -> None:
    rig.clinic.messages = MessagesSpec(combine_notes=True)
    rig.clinic.write_settings()
    rig.start()
    markers = [rig.complete() for _ in range(2)]
    await until(lambda: len(rig.rows("gathering")) == 2)
    assert rig.notes() == []
    markers.append(rig.complete(last=True))
    other = rig.complete(1002)
    await until(lambda: len(rig.rows("gathering")) == 1)
    await until(lambda: not rig.rows("accepted", "sent"))

    assert len(rig.notes()) == 1
    assert rig.places(*markers) == [0, 0, 0]
    order = [rig.notes()[0].index(marker) for marker in markers]
    assert order == sorted(order)
    assert rig.places(other, chart=1002) == [], "that sitting is not over"
    # Nothing comes any more, until the time is over.
    rig.clinic.query("update ocean.message set due_at = clock_timestamp() where site = %s and state = 'gathering'")
    rig.complete(1003)
    await until(lambda: rig.places(other, chart=1002) == [0])


async def test_sitting_survives_its_worker(rig: Rig) -> None:
    rig.clinic.messages = MessagesSpec(combine_notes=True)
    rig.clinic.write_settings()
    first = rig.start()
    marker = rig.complete()
    await until(lambda: len(rig.rows("gathering")) == 1)
    first.kill()
    rig.start()
    markers = [marker, rig.complete(last=True)]
    await rig.drained()

    assert rig.places(*markers) == [0, 0]


async def test_file_comes_into_the_chart_as_pdf(rig: Rig) -> None:
    rig.clinic.messages = MessagesSpec(import_attachments=True)
    rig.clinic.write_settings()
    rig.start()
    rig.complete(files=[Upload("p0001.txt", "text/plain", b"Ligne p0001")])
    await rig.drained()

    (document,) = rig.oscar.clinic.documents.values()
    assert (document.demographic_no, document.content[:5]) == (1001, b"%PDF-")


async def test_outage_of_the_emr_delays_and_loses_nothing(rig: Rig) -> None:
    rig.oscar.faults.add(FaultKind.UNAVAILABLE)
    rig.start()
    markers = {chart: [rig.complete(chart) for _ in range(3)] for chart in (1001, 1002)}
    await until(lambda: rig.report().problem is not None)
    told = rig.report().problem
    assert told is not None
    assert told.reason is Reason.EMR_UNAVAILABLE
    assert rig.notes() == []
    rig.oscar.faults.clear()
    await rig.drained()

    for chart, found in markers.items():
        assert rig.places(*found, chart=chart) == [0, 1, 2]
    await until(lambda: rig.report().problem is None)
    assert rig.rows("held") == []


async def test_outage_of_ocean_does_not_keep_back_what_is_here(rig: Rig) -> None:
    rig.oscar.faults.add(FaultKind.UNAVAILABLE)
    rig.start()
    here = rig.complete()
    await until(lambda: [row[0] for row in rig.rows("accepted")] == ["note"])
    rig.clinic.ocean.faults.add(OceanFault(OceanFaultKind.AWAY, times=None))
    there = rig.complete(1002)
    rig.oscar.faults.clear()
    await until(lambda: [row[0] for row in rig.rows(*WAITING)] == ["event"])
    assert rig.places(here) == [0]
    rig.clinic.ocean.faults.clear()
    await rig.drained()

    assert rig.places(there, chart=1002) == [0]


async def test_refused_login_is_shown_once_and_everything_resumes_in_order(rig: Rig) -> None:
    good = dict(rig.clinic.secret)
    rig.clinic.mount("emr", {**good, "token": "withdrawn"})
    markers = {chart: [rig.complete(chart) for _ in range(2)] for chart in (1001, 1002, 1003)}
    rig.start()
    await until(lambda: bool(rig.report().refused))
    refusal = rig.report().refusal
    assert refusal is not None
    assert refusal.reason is Reason.EMR_AUTH_REFUSED
    assert ("messages.pause", "EmrAuthRefused") in rig.clinic.audit()
    more = rig.complete(1001)
    # A worker that begins anew knows of it, too.
    rig.workers[0].kill()
    second = rig.start()
    await until(lambda: "at work" in second.said)
    rig.complete(1002)
    rig.clinic.mount("emr", good)
    await rig.drained()

    shown = [received.path for received in rig.oscar.ledger.received if isinstance(received.login, Refusal)]
    # One message's first call; a signature is made afresh once, since clocks may differ.
    assert len(shown) == 2
    assert len(set(shown)) == 1
    assert rig.places(*markers[1001], more) == [0, 1, 2]
    assert rig.places(*markers[1003], chart=1003) == [0, 1]
    await until(lambda: rig.report().refused == "" and rig.report().problem is None)
    assert ("messages.resume", "done") in rig.clinic.audit()


async def test_what_a_synchronisation_was_refused_the_worker_does_not_try(rig: Rig) -> None:
    good = dict(rig.clinic.secret)
    rig.clinic.mount("emr", {**good, "token": "withdrawn"})
    await rig.clinic.sync("full")
    calls = rig.oscar.ledger.total
    marker = rig.complete()
    rig.start()
    await until(lambda: rig.report().problem is not None)

    assert rig.oscar.ledger.total == calls
    rig.clinic.mount("emr", good)
    await rig.drained()
    assert rig.places(marker) == [0]


async def test_missing_secret_is_told_and_waited_for(rig: Rig) -> None:
    rig.clinic.mount("emr", None)
    marker = rig.complete()
    rig.start()
    await until(lambda: rig.report().problem is not None)
    told = rig.report().problem
    assert told is not None
    assert told.reason is Reason.CREDENTIALS_SECRET_MISSING
    rig.clinic.mount("emr", rig.clinic.secret)
    await rig.drained()

    assert rig.places(marker) == [0]


async def test_key_changed_midway_keeps_nothing_back(rig: Rig) -> None:
    """Sealed under the old key here, encrypted under it at Ocean, and new under the new one: all get through."""
    rig.oscar.faults.add(FaultKind.UNAVAILABLE)
    first = rig.start()
    sealed = rig.complete()
    await until(lambda: [row[0] for row in rig.rows("accepted")] == ["note"])
    first.kill()
    at_ocean = rig.complete(1002)
    _change_key(rig)
    fresh = rig.complete(1003)
    rig.oscar.faults.clear()
    rig.start()
    await rig.drained()

    assert rig.rows("held") == []
    assert [rig.places(marker, chart=chart) for marker, chart in ((sealed, 1001), (at_ocean, 1002), (fresh, 1003))] == [
        [0],
        [0],
        [0],
    ]


async def test_unknown_outcome_that_cannot_be_looked_for_is_for_a_person(rig: Rig) -> None:
    rig.clinic.messages = MessagesSpec(import_attachments=True)
    rig.clinic.write_settings()
    rig.oscar.faults.add(Fault(FaultKind.RESET_AFTER, path="document", writes_only=True, times=1))
    rig.start()
    rig.complete(files=[Upload("p0001.txt", "text/plain", b"Ligne p0001")])
    await rig.drained()

    assert rig.rows("held") == [("document", "held", Reason.EMR_OUTCOME_UNKNOWN)]
    assert len(rig.oscar.clinic.documents) == 1


@pytest.mark.parametrize("kind", [FaultKind.RESET_AFTER, FaultKind.FAILED_AFTER])
async def test_lost_answer_is_looked_for(rig: Rig, kind: FaultKind) -> None:
    rig.oscar.faults.add(Fault(kind, writes_only=True, times=1))
    rig.start()
    markers = [rig.complete() for _ in range(3)]
    await rig.drained()

    assert rig.places(*markers) == [0, 1, 2]
    assert rig.rows("held") == []


async def test_told_to_stop_it_finishes_what_is_under_way(rig: Rig) -> None:
    worker = rig.start()
    markers = [rig.complete() for _ in range(20)]
    await until(lambda: len(rig.notes()) > 2)
    worker.send(signal.SIGTERM)

    assert await worker.status() == 0
    assert rig.rows("sent") == []
    assert rig.clinic.query("select expires_at <= clock_timestamp() from ocean.worker_lease where site = %s") == [
        (True,)
    ]
    rig.start(pod="pod-2")
    await rig.drained()
    assert rig.places(*markers) == list(range(20))


async def test_told_to_stop_while_it_waits_for_another_it_stops(rig: Rig) -> None:
    first = rig.start()
    await until(lambda: "at work" in first.said)
    second = rig.start(pod="pod-2")
    await until(lambda: bool(rig.clinic.query(_CONNECTED.format(2))))
    second.send(signal.SIGTERM)

    assert await second.status() == 0
    assert "at work" not in second.said


async def test_two_workers_are_never_at_work_together(rig: Rig) -> None:
    first = rig.start(pod="pod-1")
    await until(lambda: "at work" in first.said)
    second = rig.start(pod="pod-2")
    markers = [rig.complete() for _ in range(5)]
    await rig.drained()
    assert "at work" not in second.said
    first.kill()
    _end_lease(rig)
    markers += [rig.complete() for _ in range(5)]
    await rig.drained()

    assert "at work" in second.said
    assert rig.places(*markers) == list(range(10))
    assert rig.clinic.query("select epoch from ocean.worker_lease where site = %s") == [(2,)]


async def test_frozen_worker_that_was_overtaken_writes_nothing_more(rig: Rig) -> None:
    first = rig.start(pod="pod-1")
    markers = [rig.complete() for _ in range(30)]
    await until(lambda: len(rig.notes()) > 2)
    first.send(signal.SIGSTOP)
    _end_lease(rig)
    rig.start(pod="pod-2")
    await rig.drained()
    first.send(signal.SIGCONT)
    await until(lambda: "the lease was lost" in first.said)
    markers.append(rig.complete())
    await rig.drained()

    assert rig.places(*markers) == list(range(31))
    assert rig.rows("held") == []


async def test_restart_of_the_database_is_survived(rig: Rig) -> None:
    rig.start()
    markers = [rig.complete()]
    await rig.drained()
    rig.clinic.installation.server.kill()
    rig.clinic.installation.server.start()
    markers += [rig.complete() for _ in range(3)]
    await until(lambda: rig.places(*markers) == [0, 1, 2, 3])


async def test_settings_of_no_operator_end_it(rig: Rig) -> None:
    (rig.clinic.folder / "site" / "site.json").write_text("{}")
    worker = rig.start()

    assert await worker.status() == 1
    assert "InternalError" in (rig.clinic.folder / "termination-log").read_text()


_CONNECTED = (
    "select 1 from pg_stat_activity where application_name = 'ocean-worker' and %s <> ''"
    " having count(distinct usename) >= {}"
)


def _end_lease(rig: Rig) -> None:
    """Let the time go by after which a dead worker's lease has ended."""
    rig.clinic.query("update ocean.worker_lease set expires_at = clock_timestamp() where site = %s")


def _change_key(rig: Rig) -> None:
    """A person puts another key over the old one in Vault, and has entered it at Ocean before."""
    new = "Changed-Key-0001"
    site = rig.clinic.site
    path = names.sek_path(site.namespace, site.name)
    administrator = rig.clinic.installation.administrator()
    body = {"data": {names.SEK_FIELD: new}, "options": {"cas": 1}}
    administrator.get("POST", f"{names.VAULT_KV_MOUNT}/data/{path}", body)
    rig.clinic.at_ocean.sek = SharedEncryptionKey(new)
