"""Checks of `list_appointments`: which ones come, how they come, and when their absence means something."""

from __future__ import annotations

from contextlib import aclosing
from datetime import time, timedelta
from itertools import pairwise
from typing import Final

from ocean_emr.records import AppointmentStatus, Operation, PatientId, ProviderId
from ocean_emr.testing.conformance.clinic import (
    ALICE,
    CLOCK_CHANGE,
    DAY,
    LOCUM,
    PROVIDERS,
    ZOE,
    ZONE,
    Clinic,
    booking,
    busy_days,
    moment_utc,
)
from ocean_emr.testing.conformance.rig import Check, Rig, asking, items_of, pages_of

_NEXT: Final = DAY + timedelta(days=1)
_BEFORE: Final = DAY - timedelta(days=1)
_EVERYBODY: Final = tuple(provider.id for provider in PROVIDERS)


async def the_window_is_whole_clinic_days(rig: Rig) -> None:
    """From the first minute of the first day to the last minute before the end, by the clinic's own midnight."""
    inside = (booking(1, DAY, time(0)), booking(2, DAY, time(12)), booking(3, DAY, time(23, 55)))
    outside = (booking(4, _BEFORE, time(23, 55)), booking(5, _NEXT, time(0)))
    rig.hold(Clinic((*inside, *outside)))
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        found = await items_of(adapter, [ALICE], DAY, _NEXT)

    assert {item.id for item in inside} == {item.id for item in found}


async def windows_meet_without_gap_or_overlap(rig: Rig) -> None:
    """A window is the sum of its days."""
    rig.hold(Clinic(busy_days(DAY, days=3, a_day=4)))
    days = [DAY + timedelta(days=number) for number in range(4)]
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        whole = await items_of(adapter, _EVERYBODY, days[0], days[3])
        parts = [item for first, end in pairwise(days) for item in await items_of(adapter, _EVERYBODY, first, end)]

    assert len(whole) == 12  # noqa: PLR2004 - three days of four
    assert sorted(item.id for item in whole) == sorted(item.id for item in parts)


async def every_appointment_comes_once(rig: Rig) -> None:
    """More than any server puts on one page, and none is lost or doubled between the pages."""
    expected = busy_days(DAY, days=2, a_day=55, providers=[ALICE])
    rig.hold(Clinic(expected))
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        found = await items_of(adapter, [*_EVERYBODY, ALICE], DAY, DAY + timedelta(days=2))

    assert len(expected) == len(found)
    assert {item.id for item in expected} == {item.id for item in found}


async def pages_are_read_as_they_are_taken(rig: Rig) -> None:
    """Nothing is hoarded: after the first page the EMR has not yet been asked for the last."""
    rig.hold(Clinic(busy_days(DAY, days=15, a_day=6)))
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        before = rig.requests()
        pages = adapter.list_appointments(_EVERYBODY, DAY, DAY + timedelta(days=15), ZONE)
        async with aclosing(pages):
            first = await anext(pages)
            early = rig.requests() - before
            async for _ in pages:
                pass
        late = rig.requests() - before

    assert not first.last
    assert early < late


async def only_the_last_page_concludes(rig: Rig) -> None:
    """Exactly one page is the last, it is the final one, and no other is complete."""
    rig.hold(Clinic(busy_days(DAY, days=15, a_day=3)))
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        pages = await pages_of(adapter, _EVERYBODY, DAY, DAY + timedelta(days=15))

    assert [False] * (len(pages) - 1) + [True] == [page.last for page in pages]
    assert [False] * (len(pages) - 1) + [True] == [page.complete for page in pages]


async def only_chosen_providers_come(rig: Rig) -> None:
    """Ids are compared as text: whoever asks for "0102" gets nobody called "102"."""
    everybody = tuple(
        booking(number, DAY, time(9), provider=provider)
        for number, provider in enumerate((ALICE, ZOE, LOCUM, ProviderId("102")), start=1)
    )
    rig.hold(Clinic(everybody))
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        found = await items_of(adapter, [ZOE, LOCUM], DAY, _NEXT)

    assert sorted(item.provider_id for item in found) == [ZOE, LOCUM]


async def cancelled_and_missed_ones_come_too(rig: Rig) -> None:
    """Every state of a booking is told; a booking that disappears instead looks deleted."""
    states = (
        AppointmentStatus.BOOKED,
        AppointmentStatus.ARRIVED,
        AppointmentStatus.FULFILLED,
        AppointmentStatus.CANCELLED,
        AppointmentStatus.NO_SHOW,
    )
    rig.hold(Clinic(tuple(booking(n, DAY, time(9, n), status=state) for n, state in enumerate(states))))
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        found = await items_of(adapter, [ALICE], DAY, _NEXT)

    assert {str(n): state for n, state in enumerate(states)} == {item.id: item.status for item in found}


async def a_code_of_the_clinics_own_is_unknown(rig: Rig) -> None:
    """A status nobody told us about is neither guessed nor an error; its code is kept."""
    own = booking(1, DAY, time(9), status=AppointmentStatus.UNKNOWN, status_raw="z")
    rig.hold(Clinic((own,)))
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        found = await items_of(adapter, [ALICE], DAY, _NEXT)

    assert [(item.status, item.status_raw) for item in found] == [(AppointmentStatus.UNKNOWN, "z")]


async def a_booking_may_have_no_patient(rig: Rig) -> None:
    """A blocked hour is a booking, and nobody's."""
    rig.hold(Clinic((booking(1, DAY, time(9), patient=None), booking(2, DAY, time(10)))))
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        found = await items_of(adapter, [ALICE], DAY, _NEXT)

    assert {"1": None, "2": PatientId("1001")} == {item.id: item.patient_id for item in found}


async def starts_are_the_clinics_clock(rig: Rig) -> None:
    """Aware, in the clinic's zone, and right on both sides of a clock change."""
    days = [CLOCK_CHANGE + timedelta(days=number) for number in (-1, 0, 1)]
    moments = [(day, clock) for day in days for clock in (time(0, 30), time(9))]
    bookings = tuple(booking(number, day, clock) for number, (day, clock) in enumerate(moments))
    rig.hold(Clinic(bookings))
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        found = await items_of(adapter, [ALICE], days[0], days[-1] + timedelta(days=1))

    assert {ZONE} == {item.start.tzinfo for item in found}
    # By the moment, not by the clock's face: two aware times in one zone are compared by their faces.
    assert {b.id: moment_utc(b.start) for b in bookings} == {f.id: moment_utc(f.start) for f in found}


async def lengths_are_right_where_told(rig: Rig) -> None:
    """Minutes, or None where the EMR's list does not say."""
    rig.hold(Clinic((booking(1, DAY, time(9)),)))
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        found = await items_of(adapter, [ALICE], DAY, _NEXT)

    assert [item.duration_minutes in {15, None} for item in found] == [True]


async def somebody_who_is_not_shown_is_reported(rig: Rig) -> None:
    """A chosen provider whom the EMR does not show is named, and the answer is not complete."""
    rig.hold(Clinic((booking(1, DAY, time(9)),), providers=PROVIDERS[:1]))
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        pages = await pages_of(adapter, [ALICE, ZOE], DAY, _NEXT)

    assert frozenset({ZOE}) == pages[-1].hidden_provider_ids
    assert not pages[-1].complete
    assert [item.id for page in pages for item in page.items] == ["1"]


async def an_empty_day_is_complete(rig: Rig) -> None:
    """Nothing booked and nothing in doubt: then the day is free."""
    rig.hold(Clinic((booking(1, _BEFORE, time(9)),)))
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        pages = await pages_of(adapter, _EVERYBODY, DAY, _NEXT)

    assert [item for page in pages for item in page.items] == []
    assert pages[-1].complete


async def nobody_chosen_asks_nobody(rig: Rig) -> None:
    """No provider, no request; the answer is empty and complete."""
    rig.hold(Clinic((booking(1, DAY, time(9)),)))
    async with asking(rig, Operation.LIST_APPOINTMENTS) as adapter:
        before = rig.requests()
        pages = await pages_of(adapter, [], DAY, _NEXT)

        assert before == rig.requests()
    assert [(page.items, page.complete) for page in pages] == [((), True)]


CHECKS: Final[tuple[Check, ...]] = (
    the_window_is_whole_clinic_days,
    windows_meet_without_gap_or_overlap,
    every_appointment_comes_once,
    pages_are_read_as_they_are_taken,
    only_the_last_page_concludes,
    only_chosen_providers_come,
    cancelled_and_missed_ones_come_too,
    a_code_of_the_clinics_own_is_unknown,
    a_booking_may_have_no_patient,
    starts_are_the_clinics_clock,
    lengths_are_right_where_told,
    somebody_who_is_not_shown_is_reported,
    an_empty_day_is_complete,
    nobody_chosen_asks_nobody,
)
