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


class TestWhoseSchedules:
    KNOWN = (provider("101"), provider("102"), provider("103", active=False))

    def test_a_list_is_read_in_its_order_and_the_unknown_are_named(self) -> None:
        schedule = ScheduleSpec(providers=("103", "777", "101"))

        assert select(schedule, self.KNOWN) == Selection((ProviderId("103"), ProviderId("101")), (ProviderId("777"),))

    def test_all_are_those_who_are_active(self) -> None:
        chosen = select(ScheduleSpec(providers="All"), self.KNOWN)

        assert chosen == Selection((ProviderId("101"), ProviderId("102")), everybody=True)

    def test_nobody_chosen_is_nobody(self) -> None:
        assert select(ScheduleSpec(), self.KNOWN) == Selection(())


class TestWhichDays:
    @pytest.mark.parametrize(
        ("now", "zone", "first"),
        [
            (datetime(2026, 11, 23, 4, 59, tzinfo=UTC), TORONTO, date(2026, 11, 22)),
            (datetime(2026, 11, 23, 5, 0, tzinfo=UTC), TORONTO, date(2026, 11, 23)),
            # The clock is put forward over midnight: the day begins at one.
            (datetime(2026, 3, 8, 5, 0, tzinfo=UTC), HAVANA, date(2026, 3, 8)),
        ],
    )
    def test_the_first_is_the_clinics_today(self, now: datetime, zone: ZoneInfo, first: date) -> None:
        assert window(ScheduleSpec(days=3), zone, now) == Window(first, first + timedelta(days=3))


class TestTheSecondFullRunOfADay:
    FIRST = datetime(2026, 11, 1, 4, 0, tzinfo=UTC)
    """Midnight in Havana; an hour later the clock is put back, and it is midnight again."""
    SECOND = FIRST + timedelta(hours=1)

    def run(self, at: datetime, trigger: Trigger = Trigger.SCHEDULED) -> Run:
        return Run(started_at=at, finished_at=at, trigger=trigger)

    def test_is_left_out_where_midnight_comes_twice(self) -> None:
        assert self.SECOND.astimezone(HAVANA).time() == self.FIRST.astimezone(HAVANA).time()
        assert already_ran_today(SyncKind.FULL, Trigger.SCHEDULED, self.run(self.FIRST), HAVANA, self.SECOND)

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
    def test_is_run_in_every_other_case(
        self, kind: SyncKind, trigger: Trigger, before: Trigger, zone: ZoneInfo, now: datetime
    ) -> None:
        assert not already_ran_today(kind, trigger, self.run(self.FIRST, before), zone, now)

    def test_is_run_when_there_was_no_first(self) -> None:
        assert not already_ran_today(SyncKind.FULL, Trigger.SCHEDULED, None, HAVANA, self.SECOND)

    def test_a_slow_clock_does_not_skip_a_day(self) -> None:
        """The pod's clock shows the last seconds of a day whose full run was at its midnight."""
        last = self.run(datetime(2026, 11, 23, 5, 0, 1, tzinfo=UTC))

        now = datetime(2026, 11, 24, 4, 59, 58, tzinfo=UTC)
        assert not already_ran_today(SyncKind.FULL, Trigger.SCHEDULED, last, TORONTO, now)


class TestFate:
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
    def test_of_an_appointment(self, status: str, patient: str | None, told: bytes | None, expected: Fate) -> None:
        assert fate(booking(AppointmentStatus(status), patient=patient), b"new", told) is expected

    @pytest.mark.parametrize("status", AppointmentStatus)
    def test_only_what_is_somebodys_and_not_cancelled_is_on_the_schedule(self, status: AppointmentStatus) -> None:
        assert on_schedule(booking(status)) is (status is not AppointmentStatus.CANCELLED)
        assert not on_schedule(booking(status, patient=None))


class TestRemovals:
    def test_what_is_seen_stays_and_what_is_not_goes(self) -> None:
        sweep = swept([known(1), known(2, ahead=1), known(3)], {1, 3})

        assert sweep.removals(complete=True) == Removals(remove=refs(2))

    def test_after_an_incomplete_answer_nothing_happens_at_all(self) -> None:
        records = [known(1), known(2, ahead=-1), known(3, ahead=9), known(4, group=b"777")]

        assert swept(records, set()).removals(complete=False) == Removals()

    def test_what_is_over_is_forgotten_and_what_is_not_asked_for_any_more_goes(self) -> None:
        records = [known(1, ahead=-1), known(2, ahead=2), known(3, group=b"777")]

        assert swept(records, set()).removals(complete=True) == Removals(remove=refs(2, 3), forget=refs(1))

    def test_an_empty_day_is_an_empty_day(self) -> None:
        records = [known(n) for n in range(MANY)]

        assert swept(records, set()).removals(complete=True) == Removals(remove=refs(*range(MANY)))

    def test_many_and_more_than_half_are_held(self) -> None:
        missing, everything = MANY + 1, 2 * MANY + 1
        records = [known(n) for n in range(everything)]

        sweep = swept(records, set(range(missing, everything)))
        assert sweep.removals(complete=True) == Removals(held=refs(*range(missing)))

    def test_many_but_only_half_go(self) -> None:
        missing, everything = MANY + 1, 2 * (MANY + 1)
        records = [known(n) for n in range(everything)]

        sweep = swept(records, set(range(missing, everything)))
        assert sweep.removals(complete=True) == Removals(remove=refs(*range(missing)))

    def test_what_the_spec_leaves_out_is_never_held(self) -> None:
        records = [known(n, group=b"777") for n in range(100)]

        assert len(swept(records, set()).removals(complete=True).remove) == 100

    def test_what_was_missed_twice_goes(self) -> None:
        records = [known(n, run=HELD_BY) for n in range(100)]

        sweep = swept(records, set(), held_by=str(HELD_BY))
        assert sweep.removals(complete=True) == Removals(remove=refs(*range(100)))

    def test_what_another_run_missed_long_ago_does_not(self) -> None:
        records = [known(n, run=HELD_BY) for n in range(100)]

        sweep = swept(records, set(), held_by=str(ANOTHER))
        assert len(sweep.removals(complete=True).held) == 100

    def test_agreeing_on_some_does_not_remove_others(self) -> None:
        twice = [known(n, run=HELD_BY) for n in range(50)]
        once = [known(n) for n in range(50, 100)]

        removals = swept([*twice, *once], set(), held_by=str(HELD_BY)).removals(complete=True)
        assert removals == Removals(remove=refs(*range(50)), held=refs(*range(50, 100))) or removals.held == ()
        assert set(removals.remove) >= set(refs(*range(50)))

    def test_with_all_a_provider_who_is_not_shown_takes_nothing_along_at_once(self) -> None:
        records = [known(1), known(2, group=b"777"), known(3, group=b"777", run=HELD_BY)]

        once = swept(records, {1}, everybody=True).removals(complete=True)
        assert once == Removals(held=refs(2, 3))
        twice = swept(records, {1}, everybody=True, held_by=str(HELD_BY)).removals(complete=True)
        assert twice == Removals(remove=refs(3), held=refs(2))

    def test_what_is_on_the_schedule_stays_whatever_is_remembered_of_it(self) -> None:
        """It moved to another day or provider, and could not be sent: what is remembered is out of date."""
        records = [known(1, ahead=-1), known(2, ahead=9), known(3, group=b"777"), known(4, ahead=None)]

        assert swept(records, {1, 2, 3, 4}).removals(complete=True) == Removals()

    @given(
        st.lists(
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
        st.sets(st.integers(0, 80)),
        st.booleans(),
        st.sampled_from(["", str(HELD_BY)]),
        st.booleans(),
    )
    def test_always(
        self,
        records: list[Known],
        seen: set[int],
        everybody: bool,
        held_by: str,
        complete: bool,  # noqa: FBT001
    ) -> None:
        removals = swept(records, seen, everybody=everybody, held_by=held_by).removals(complete=complete)
        everything = [*removals.remove, *removals.forget, *removals.held]

        assert len(everything) == len(set(everything)), "each has one fate"
        assert not set(everything) & {ref.to_bytes(4) for ref in seen}, "nothing that is on the schedule is touched"
        assert complete or not everything
        by_ref = {record.ref_digest: record for record in records}
        assert all((by_ref[ref].day or TODAY) < TODAY for ref in removals.forget)
        # Of what the EMR alone says is gone, a single run never removes more than many and more than half.
        inside = [r for r in records if r.day is None or DAYS.first <= r.day < DAYS.end]
        inside = [r for r in inside if everybody or r.group_digest != b"777" or r.ref_digest in set(removals.held)]
        removed = [r for r in inside if r.ref_digest in set(removals.remove)]
        first_time = [r for r in removed if not (held_by and str(r.run_id) == held_by)]
        assert len(first_time) <= MANY or 2 * len(first_time) <= len(records)


class TestAgreeing:
    AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
    LAST = Run(started_at=AT, finished_at=AT, trigger=Trigger.SCHEDULED)

    @pytest.mark.parametrize("trigger", [Trigger.REQUESTED, Trigger.CHANGED])
    def test_a_person_may_at_once(self, trigger: Trigger) -> None:
        assert agreeable("run-1", self.LAST, trigger, self.AT + timedelta(seconds=5)) == "run-1"

    def test_the_clock_may_the_next_day_and_not_by_making_a_pod_again(self) -> None:
        assert agreeable("run-1", self.LAST, Trigger.SCHEDULED, self.AT + timedelta(days=1)) == "run-1"
        assert agreeable("run-1", self.LAST, Trigger.SCHEDULED, self.AT + timedelta(minutes=10)) == ""
