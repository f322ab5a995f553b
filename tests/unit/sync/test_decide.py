from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api.report import Run, SyncKind, Trigger
from ocean_api.v1alpha1.spec import ScheduleSpec
from ocean_emr.records import Appointment, AppointmentId, AppointmentStatus, PatientId, Provider, ProviderId
from ocean_emr.store.snapshots import Known
from ocean_emr.sync.decide import (
    MANY,
    Fate,
    Removals,
    Scope,
    Selection,
    Sweep,
    Window,
    agreeable,
    already_ran_today,
    fate,
    on_schedule,
    select,
    window,
)

TORONTO = ZoneInfo("America/Toronto")
HAVANA = ZoneInfo("America/Havana")
TODAY = date(2026, 11, 23)
DAYS = Window(TODAY, TODAY + timedelta(days=2))
HELD_BY, ANOTHER = UUID(int=1), UUID(int=2)


def provider(number: str, *, active: bool = True) -> Provider:
    return Provider(ProviderId(number), f"Dr. {number}", active=active)


def booking(status: AppointmentStatus = AppointmentStatus.BOOKED, *, patient: str | None = "p0001") -> Appointment:
    return Appointment(
        AppointmentId("a1"),
        ProviderId("101"),
        PatientId(patient) if patient else None,
        start=datetime(2026, 11, 23, 9, tzinfo=TORONTO),
        duration_minutes=15,
        status=status,
        status_raw="",
    )


def known(ref: int, *, ahead: int | None = 0, group: bytes = b"101", run: UUID = ANOTHER) -> Known:
    day = None if ahead is None else TODAY + timedelta(days=ahead)
    return Known(ref.to_bytes(4), b"content", day, group, run)


def swept(records: list[Known], seen: set[int], *, everybody: bool = False, held_by: str = "") -> Sweep:
    sweep = Sweep(Scope(DAYS, {b"101", b"102"}, everybody), {ref.to_bytes(4) for ref in seen}, held_by)
    for record in records:
        sweep.look(record)
    return sweep


def refs(*numbers: int) -> tuple[bytes, ...]:
    return tuple(number.to_bytes(4) for number in numbers)


KNOWN = (provider("101"), provider("102"), provider("103", active=False))


def test_a_list_of_providers_is_read_in_its_order_and_the_unknown_are_named() -> None:
    schedule = ScheduleSpec(providers=("103", "777", "101"))

    assert select(schedule, KNOWN) == Selection((ProviderId("103"), ProviderId("101")), (ProviderId("777"),))


def test_all_providers_are_those_who_are_active() -> None:
    chosen = select(ScheduleSpec(providers="All"), KNOWN)

    assert chosen == Selection((ProviderId("101"), ProviderId("102")), everybody=True)


def test_nobody_chosen_is_nobody() -> None:
    assert select(ScheduleSpec(), KNOWN) == Selection(())


@pytest.mark.parametrize(
    ("now", "zone", "first"),
    [
        (datetime(2026, 11, 23, 4, 59, tzinfo=UTC), TORONTO, date(2026, 11, 22)),
        (datetime(2026, 11, 23, 5, 0, tzinfo=UTC), TORONTO, date(2026, 11, 23)),
        # The clock is put forward over midnight: the day begins at one.
        (datetime(2026, 3, 8, 5, 0, tzinfo=UTC), HAVANA, date(2026, 3, 8)),
    ],
)
def test_first_day_is_the_clinics_today(now: datetime, zone: ZoneInfo, first: date) -> None:
    assert window(ScheduleSpec(days=3), zone, now) == Window(first, first + timedelta(days=3))


FIRST = datetime(2026, 11, 1, 4, 0, tzinfo=UTC)
"""Midnight in Havana; an hour later the clock is put back, and it is midnight again."""
SECOND = FIRST + timedelta(hours=1)


def run(at: datetime, trigger: Trigger = Trigger.SCHEDULED) -> Run:
    return Run(started_at=at, finished_at=at, trigger=trigger)


def test_second_full_run_of_a_day_is_left_out_where_midnight_comes_twice() -> None:
    assert SECOND.astimezone(HAVANA).time() == FIRST.astimezone(HAVANA).time()
    assert already_ran_today(SyncKind.FULL, Trigger.SCHEDULED, run(FIRST), HAVANA, SECOND)


@pytest.mark.parametrize(
    ("kind", "trigger", "before", "zone", "now"),
    [
        (SyncKind.RECENT, Trigger.SCHEDULED, Trigger.SCHEDULED, HAVANA, SECOND),
        (SyncKind.FULL, Trigger.REQUESTED, Trigger.SCHEDULED, HAVANA, SECOND),
        (SyncKind.FULL, Trigger.SCHEDULED, Trigger.CHANGED, HAVANA, SECOND),
        (SyncKind.FULL, Trigger.SCHEDULED, Trigger.SCHEDULED, HAVANA, FIRST + timedelta(days=1)),
        # A Job made by hand on an ordinary day.
        (SyncKind.FULL, Trigger.SCHEDULED, Trigger.SCHEDULED, TORONTO, FIRST + timedelta(minutes=30)),
    ],
)
def test_second_full_run_of_a_day_is_run_in_every_other_case(
    kind: SyncKind, trigger: Trigger, before: Trigger, zone: ZoneInfo, now: datetime
) -> None:
    assert not already_ran_today(kind, trigger, run(FIRST, before), zone, now)


def test_second_full_run_of_a_day_is_run_when_there_was_no_first() -> None:
    assert not already_ran_today(SyncKind.FULL, Trigger.SCHEDULED, None, HAVANA, SECOND)


def test_slow_clock_does_not_skip_a_day() -> None:
    """The pod's clock shows the last seconds of a day whose full run was at its midnight."""
    last = run(datetime(2026, 11, 23, 5, 0, 1, tzinfo=UTC))

    now = datetime(2026, 11, 24, 4, 59, 58, tzinfo=UTC)
    assert not already_ran_today(SyncKind.FULL, Trigger.SCHEDULED, last, TORONTO, now)


@pytest.mark.parametrize(
    ("status", "patient", "told", "expected"),
    [
        ("booked", "p0001", None, Fate.SEND),
        ("booked", "p0001", b"old", Fate.SEND),
        ("booked", "p0001", b"new", Fate.KEEP),
        ("booked", "p0001", b"", Fate.SEND),
        ("cancelled", "p0001", None, Fate.IGNORE),
        ("cancelled", "p0001", b"old", Fate.SEND),
        ("cancelled", "p0001", b"", Fate.SEND),
        ("cancelled", "p0001", b"new", Fate.KEEP),
        ("booked", None, None, Fate.IGNORE),
        ("booked", None, b"old", Fate.IGNORE),
    ],
)
def test_fate_of_an_appointment(status: str, patient: str | None, told: bytes | None, expected: Fate) -> None:
    assert fate(booking(AppointmentStatus(status), patient=patient), b"new", told) is expected


@pytest.mark.parametrize("status", AppointmentStatus)
def test_only_what_is_somebodys_and_not_cancelled_is_on_the_schedule(status: AppointmentStatus) -> None:
    assert on_schedule(booking(status)) is (status is not AppointmentStatus.CANCELLED)
    assert not on_schedule(booking(status, patient=None))


def test_what_is_seen_stays_and_what_is_not_goes() -> None:
    sweep = swept([known(1), known(2, ahead=1), known(3)], {1, 3})

    assert sweep.removals(complete=True) == Removals(remove=refs(2))


def test_after_an_incomplete_answer_nothing_happens_at_all() -> None:
    records = [known(1), known(2, ahead=-1), known(3, ahead=9), known(4, group=b"777")]

    assert swept(records, set()).removals(complete=False) == Removals()


def test_what_is_over_is_forgotten_and_what_is_not_asked_for_any_more_goes() -> None:
    records = [known(1, ahead=-1), known(2, ahead=2), known(3, group=b"777")]

    assert swept(records, set()).removals(complete=True) == Removals(remove=refs(2, 3), forget=refs(1))


def test_an_empty_day_is_an_empty_day() -> None:
    records = [known(n) for n in range(MANY)]

    assert swept(records, set()).removals(complete=True) == Removals(remove=refs(*range(MANY)))


def test_many_and_more_than_half_are_held() -> None:
    missing, everything = MANY + 1, 2 * MANY + 1
    records = [known(n) for n in range(everything)]

    sweep = swept(records, set(range(missing, everything)))
    assert sweep.removals(complete=True) == Removals(held=refs(*range(missing)))


def test_many_but_only_half_go() -> None:
    missing, everything = MANY + 1, 2 * (MANY + 1)
    records = [known(n) for n in range(everything)]

    sweep = swept(records, set(range(missing, everything)))
    assert sweep.removals(complete=True) == Removals(remove=refs(*range(missing)))


def test_what_the_spec_leaves_out_is_never_held() -> None:
    records = [known(n, group=b"777") for n in range(100)]

    assert len(swept(records, set()).removals(complete=True).remove) == 100


def test_what_was_missed_twice_goes() -> None:
    records = [known(n, run=HELD_BY) for n in range(100)]

    sweep = swept(records, set(), held_by=str(HELD_BY))
    assert sweep.removals(complete=True) == Removals(remove=refs(*range(100)))


def test_what_another_run_missed_long_ago_does_not() -> None:
    records = [known(n, run=HELD_BY) for n in range(100)]

    sweep = swept(records, set(), held_by=str(ANOTHER))
    assert len(sweep.removals(complete=True).held) == 100


def test_agreeing_on_some_does_not_remove_others() -> None:
    twice = [known(n, run=HELD_BY) for n in range(50)]
    once = [known(n) for n in range(50, 100)]

    removals = swept([*twice, *once], set(), held_by=str(HELD_BY)).removals(complete=True)
    assert removals == Removals(remove=refs(*range(50)), held=refs(*range(50, 100)))


def test_with_all_a_provider_who_is_not_shown_takes_nothing_along_at_once() -> None:
    records = [known(1), known(2, group=b"777"), known(3, group=b"777", run=HELD_BY)]

    once = swept(records, {1}, everybody=True).removals(complete=True)
    assert once == Removals(held=refs(2, 3))
    twice = swept(records, {1}, everybody=True, held_by=str(HELD_BY)).removals(complete=True)
    assert twice == Removals(remove=refs(3), held=refs(2))


def test_what_is_on_the_schedule_stays_whatever_is_remembered_of_it() -> None:
    """It moved to another day or provider, and could not be sent: what is remembered is out of date."""
    records = [known(1, ahead=-1), known(2, ahead=9), known(3, group=b"777"), known(4, ahead=None)]

    assert swept(records, {1, 2, 3, 4}).removals(complete=True) == Removals()


@given(
    records=st.lists(
        st.builds(
            known,
            st.integers(0, 80),
            ahead=st.none() | st.integers(-2, 4),
            group=st.sampled_from([b"101", b"102", b"777"]),
            run=st.sampled_from([HELD_BY, ANOTHER]),
        ),
        max_size=80,
        unique_by=lambda record: record.ref_digest,
    ),
    seen=st.sets(st.integers(0, 80)),
    everybody=st.booleans(),
    held_by=st.sampled_from(["", str(HELD_BY)]),
    complete=st.booleans(),
)
def test_whatever_is_known_and_seen(
    records: list[Known], *, seen: set[int], everybody: bool, held_by: str, complete: bool
) -> None:
    removals = swept(records, seen, everybody=everybody, held_by=held_by).removals(complete=complete)
    everything = [*removals.remove, *removals.forget, *removals.held]

    assert len(everything) == len(set(everything)), "each has one fate"
    assert not set(everything) & {ref.to_bytes(4) for ref in seen}, "nothing that is on the schedule is touched"
    assert complete or not everything
    by_ref = {record.ref_digest: record for record in records}
    assert all((by_ref[ref].day or TODAY) < TODAY for ref in removals.forget)
    # Of what the EMR alone says is gone, a first run never removes more than many and more than half.
    removed = {by_ref[ref] for ref in removals.remove}
    by_spec = {r for r in removed if (r.day and r.day >= DAYS.end) or (r.group_digest == b"777" and not everybody)}
    agreed = {r for r in removed if held_by and str(r.run_id) == held_by}
    first_time = removed - by_spec - agreed
    assert len(first_time) <= MANY or 2 * len(first_time) <= len(records)
    assert not everybody or not any(r.group_digest == b"777" for r in first_time), "nor any who lost their provider"


AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
LAST = Run(started_at=AT, finished_at=AT, trigger=Trigger.SCHEDULED)


@pytest.mark.parametrize("trigger", [Trigger.REQUESTED, Trigger.CHANGED])
def test_a_person_may_agree_at_once(trigger: Trigger) -> None:
    assert agreeable("run-1", LAST, trigger, AT + timedelta(seconds=5)) == "run-1"


def test_the_clock_agrees_the_next_day_and_not_by_a_pod_that_is_made_again() -> None:
    assert agreeable("run-1", LAST, Trigger.SCHEDULED, AT + timedelta(days=1)) == "run-1"
    assert agreeable("run-1", LAST, Trigger.SCHEDULED, AT + timedelta(minutes=10)) == ""
