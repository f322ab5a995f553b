"""Creating and changing OSCAR charts, which replaces whole rows and admits patients in a second step."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any, Final
from uuid import UUID

import pytest

from ocean_emr.adapters.oscar_chart_bodies import changed_chart, new_chart
from ocean_emr.errors import EmrConflictError, EmrOutcomeUnknownError, EmrWriteRefusedError
from ocean_emr.records import Address, HealthNumber, ProviderId, Sex
from ocean_emr.testing.oscar_sim import Fault, FaultKind, OscarSim, Profile, SimPatient
from ocean_emr.writes import Demographics, DemographicsUpdate, NewPatient, Probe, ProbeResult, WriteStatus
from unit.emr.oscar_clinic import BOTH, PATIENT, writer_to

KEY: Final = UUID(int=1)
NEW: Final = NewPatient(
    "Zoé",
    "p1003-Bélanger",
    date(1990, 8, 31),
    Sex.FEMALE,
    HealthNumber("1234567897", "ON", "CD", date(2031, 8, 31)),
    Address("3 rue de l'Église", "Québec", "QC", "G1G 1G1"),
    home_phone="418-555-0103",
    mobile_phone="418-555-0199",
    email="p1003@example.org",
    language="fr",
    provider_id=ProviderId("101"),
)
EMAIL: Final = DemographicsUpdate(PATIENT, Demographics(email="new@example.org"), Demographics())
RICH: Final = SimPatient(
    1001,
    "p1001",
    "Zoë-Ünlü",
    date(1980, 2, 29),
    hin="9876543217",
    card_renewal=date(2030, 12, 31),
    joined=date(2010, 1, 1),
    effective=date(2012, 3, 1),
    alias="Zo",
    chart_no="2020-01-01",
    nurse="103",
    alert="Allergic",
    waiting_list=3,
    waiting_since=date(2024, 2, 1),
    mobile="416-555-0102",
)


def new_charts(sim: OscarSim) -> list[SimPatient]:
    return [row for row in sim.clinic.patients.values() if row.no not in {1001, 1002}]


# Pure


def test_dates_go_back_as_noons() -> None:
    """A date alone is UTC's midnight to OSCAR, and moves back a day each time. A moment keeps its moment."""
    raw = {
        "dateJoined": "2010-01-01",
        "effDate": "2012-03-01T00:00:00",
        "hcRenewDate": 1924923600000,
        "endDate": None,
        "rosterDate": "2012-03-01T05:00:00Z",
        "chartNo": "2020-01-01",
    }
    body = changed_chart(raw, Demographics(email="x"), ["email"])

    assert body == raw | {
        "dateJoined": "2010-01-01T12:00:00",
        "effDate": "2012-03-01T12:00:00",
        "email": "x",
        "extras": [],
    }


def test_what_does_harm_there_does_not_go_back() -> None:
    raw = {"nurse": "103", "alert": None, "notes": "x", "waitingListID": 3, "doctors": [{}], "rosterStatus": "RO"}

    assert changed_chart(raw, Demographics(), []) == {"rosterStatus": "RO", "extras": []}


def test_parts_of_an_address_that_are_not_known_stay() -> None:
    raw = {"address": {"address": "1 Main", "city": "Toronto", "province": "ON", "postal": "M5V 1A1"}}
    body = changed_chart(raw, Demographics(address=Address("2 Main", postal_code="M5V 2B2")), ["address"])

    assert body["address"] == {"address": "2 Main", "city": "Toronto", "province": "ON", "postal": "M5V 2B2"}


@pytest.mark.parametrize("wrapped", [list, lambda items: items[0]], ids=["list", "one"])
def test_a_mobile_phone_changes_its_own_field(wrapped: Any) -> None:
    cell = {"id": 7, "key": "demo_cell", "value": "1", "providerNo": "101"}
    body = changed_chart({"extras": wrapped([cell])}, Demographics(mobile_phone="2"), ["mobile_phone"])

    assert body["extras"] == [cell | {"value": "2"}]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        (Demographics(email="x" * 101), r"email \(100\)"),
        (Demographics(home_phone="1" * 21), r"phone \(20\)"),
        (Demographics(address=Address("x" * 61)), r"address \(60\)"),
        (Demographics(address=Address(postal_code="M5V 1A1 xx")), r"postal \(9\)"),
    ],
)
def test_what_has_no_room_is_refused_with_its_name(changes: Demographics, where: str) -> None:
    names = [name for name in ("email", "home_phone", "address") if getattr(changes, name)]
    with pytest.raises(EmrWriteRefusedError, match=where) as caught:
        changed_chart({}, changes, names)

    assert "xx" not in str(caught.value)


def test_a_language_that_oscar_has_no_name_for_is_refused_in_a_chart_and_left_open_in_a_new_one() -> None:
    with pytest.raises(EmrWriteRefusedError, match="language"):
        changed_chart({}, Demographics(language="pa"), ["language"])

    assert "officialLanguage" not in new_chart(replace(NEW, language="pa"), 1)


# Changing


@BOTH
async def test_a_change_keeps_all_the_rest(sim: OscarSim) -> None:
    """Dates, alert, nurse, waiting list, mobile phone: all that a PUT would move, replace or empty."""
    sim.clinic.add(RICH)
    async with writer_to(sim) as adapter:
        for n in range(3):
            await adapter.write(
                DemographicsUpdate(
                    PATIENT,
                    Demographics(email=f"{n}@example.org"),
                    Demographics(email=f"{n - 1}@example.org" if n else None),
                ),
                KEY,
            )

    assert sim.clinic.patients[1001] == replace(RICH, email="2@example.org")


@BOTH
async def test_what_the_interface_does_not_know_is_lost(sim: OscarSim) -> None:
    """A known loss, told on docs/emr/oscar-pro.md: OSCAR's own PUT empties columns that its answers do not have."""
    sim.clinic.add(replace(RICH, residence="9 Elsewhere", enrolled_to="101"))
    async with writer_to(sim) as adapter:
        await adapter.write(EMAIL, KEY)

    assert sim.clinic.patients[1001] == replace(RICH, email="new@example.org")


@BOTH
async def test_a_mobile_phone_can_be_changed_and_filled(sim: OscarSim) -> None:
    sim.clinic.add(RICH)
    async with writer_to(sim) as adapter:
        for before, after in (("416-555-0102", "1"), ("1", "2")):
            change = DemographicsUpdate(PATIENT, Demographics(mobile_phone=after), Demographics(mobile_phone=before))
            await adapter.write(change, KEY)
        sim.clinic.add(replace(RICH, mobile=""))
        await adapter.write(DemographicsUpdate(PATIENT, Demographics(mobile_phone="3"), Demographics()), KEY)

    assert sim.clinic.patients[1001] == replace(RICH, mobile="3")


async def test_json_is_not_asked_for(sim: OscarSim) -> None:
    """Open-O answers a PUT that wants JSON with 406 and changes nothing."""
    async with writer_to(sim) as adapter:
        outcome = await adapter.write(EMAIL, KEY)

    assert outcome.status is WriteStatus.CREATED
    assert [entry.status for entry in sim.ledger.received if entry.method == "PUT"] == [200]


async def test_whoever_changes_the_chart_in_that_moment_is_overwritten(sim: OscarSim) -> None:
    """A known gap: OSCAR has no versions. It lasts from one request to the next."""
    async with writer_to(sim) as adapter:
        sim.faults.add(Fault(FaultKind.CHART_MOVES, detail="416-555-9999"))
        await adapter.write(EMAIL, KEY)
        requests = [(entry.method, entry.path.rpartition("/")[2]) for entry in sim.ledger.received]

    place = next(n for n, (method, _) in enumerate(requests) if method == "PUT")
    assert requests[place - 1] == ("GET", "1001")


async def test_a_change_that_cannot_be_made_any_more_is_not_there(sim: OscarSim) -> None:
    """So that it is tried, and the conflict is told to a person."""
    sim.clinic.add(replace(RICH, email="clinic@example.org"))
    async with writer_to(sim) as adapter:
        assert (await adapter.probe(EMAIL, KEY)).probe is Probe.NOT_APPLIED
        with pytest.raises(EmrConflictError):
            await adapter.write(EMAIL, KEY)


# Creating


@BOTH
async def test_a_new_chart_is_admitted_and_complete(sim: OscarSim) -> None:
    async with writer_to(sim) as adapter:
        outcome = await adapter.write(NEW, KEY)
    (made,) = new_charts(sim)

    assert made == SimPatient(
        int(outcome.ref),
        "p1003-Bélanger",
        "Zoé",
        date(1990, 8, 31),
        hin="1234567897",
        version="CD",
        card_renewal=date(2031, 8, 31),
        phone="418-555-0103",
        email="p1003@example.org",
        language="French",
        street="3 rue de l'Église",
        city="Québec",
        home_province="QC",
        postal="G1G 1G1",
        provider_no="101",
        mobile="418-555-0199",
    )


async def test_names_in_capitals_are_the_same_names(sim: OscarSim) -> None:
    sim.faults.add(FaultKind.NAMES_IN_CAPITALS)
    plain = replace(NEW, health_number=None)
    async with writer_to(sim) as adapter:
        first = await adapter.write(plain, KEY)
        again = await adapter.write(plain, KEY)

    assert (first.status, again.status) == (WriteStatus.CREATED, WriteStatus.ALREADY_PRESENT)
    assert len(new_charts(sim)) == 1


async def test_without_a_programme_nothing_is_sent(sim: OscarSim) -> None:
    """OSCAR would answer 500, and keep a patient whom its own pages do not find."""
    sim.faults.add(FaultKind.NO_PROGRAMME)
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrWriteRefusedError, match="programme"):
            await adapter.write(NEW, KEY)

    assert sim.ledger.writes == 0


async def test_a_chart_that_was_kept_in_spite_of_a_failure_is_found(sim: OscarSim) -> None:
    """And its mobile phone, which comes in a second step, is added by the next attempt."""
    sim.faults.add(Fault(FaultKind.FAILED_AFTER, writes_only=True, times=1))
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrOutcomeUnknownError):
            await adapter.write(NEW, KEY)
        halfway = await adapter.probe(NEW, KEY)
        outcome = await adapter.write(NEW, KEY)
        (made,) = new_charts(sim)

        assert halfway.probe is Probe.NOT_APPLIED
        assert (outcome.status, outcome.ref) == (WriteStatus.ALREADY_PRESENT, str(made.no))
        assert made.mobile == NEW.mobile_phone
        assert await adapter.probe(NEW, KEY) == ProbeResult(Probe.APPLIED, str(made.no))


async def test_a_failure_in_the_second_step_is_unknown_too(sim: OscarSim) -> None:
    sim.faults.add(Fault(FaultKind.UNAVAILABLE, writes_only=True, skip=1))
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrOutcomeUnknownError):
            await adapter.write(NEW, KEY)

    assert len(new_charts(sim)) == 1


async def test_a_chart_that_the_front_desk_made_is_not_made_again_nor_changed(sim: OscarSim) -> None:
    theirs = SimPatient(50, "P1003-BELANGER", "ZOE", date(1990, 8, 31), hin="1234567897", phone="other", status="IN")
    sim.clinic.add(theirs)
    async with writer_to(sim) as adapter:
        outcome = await adapter.write(NEW, KEY)

    assert (outcome.status, outcome.ref) == (WriteStatus.ALREADY_PRESENT, "50")
    assert new_charts(sim) == [theirs]


async def test_a_number_of_somebody_born_another_day_is_a_conflict(sim: OscarSim) -> None:
    sim.clinic.add(SimPatient(50, "p0002", "Given", date(1970, 1, 1), hin="1234567897"))
    async with writer_to(sim) as adapter:
        assert (await adapter.probe(NEW, KEY)).probe is Probe.CANNOT_TELL
        with pytest.raises(EmrConflictError, match="another day"):
            await adapter.write(NEW, KEY)

    assert sim.ledger.writes == 0


async def test_two_charts_of_one_person_are_a_conflict(sim: OscarSim) -> None:
    """OSCAR takes one health number twice."""
    for number in (50, 51):
        sim.clinic.add(SimPatient(number, "p1003", "Zoé", date(1990, 8, 31), hin="1234567897"))
    async with writer_to(sim) as adapter:
        with pytest.raises(EmrConflictError, match="2 charts"):
            await adapter.write(NEW, KEY)


async def test_without_a_number_somebody_else_of_that_name_and_day_is_somebody_else(sim: OscarSim) -> None:
    """Twins share both."""
    sim.clinic.add(SimPatient(50, "p1003-Bélanger", "Noé", date(1990, 8, 31), sex="M"))
    async with writer_to(sim) as adapter:
        outcome = await adapter.write(replace(NEW, health_number=None), KEY)

    assert outcome.status is WriteStatus.CREATED


@pytest.mark.parametrize("profile", [Profile.CLASSIC])
async def test_a_classic_build_wants_middle_names(sim: OscarSim) -> None:
    """Its table takes no null there."""
    assert new_chart(NEW, 1)["middleNames"] == ""
    async with writer_to(sim) as adapter:
        assert (await adapter.write(NEW, KEY)).status is WriteStatus.CREATED
