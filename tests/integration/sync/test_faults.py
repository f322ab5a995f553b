"""Whatever a clinic's pods are given or answered: one clear problem, nothing removed, and right again afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from integration.sync.clinic import ZONE, Clinic, Tls, small_clinic
from integration.sync.standing import standing, token_of_a_check
from ocean_api.addresses import AddressRules
from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_api.report import CheckReport
from ocean_api.v1alpha1.spec import EmrSpec, EmrType
from ocean_emr import registry
from ocean_emr.adapters.oscar import OscarAdapter
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.testing.ocean_sim import Fault as OceanFault
from ocean_emr.testing.ocean_sim import FaultKind as OceanFaultKind
from ocean_emr.testing.oscar_sim import Fault, FaultKind, OscarSim, Profile
from ocean_emr.transport import Limits

pytestmark = pytest.mark.usefixtures("no_pauses", "impatient")

BOOKED = {"1": "booked", "2": "booked", "3": "booked", "4": "booked"}
DETAILS = "/schedule/getAppointment"
LISTS = "/schedule/fetch"
BARE = {"siteKey": "site-key-1", "siteCredential": "site-credential-1"}


@dataclass(frozen=True)
class Case:
    """Something that goes wrong, and what is to be said about it."""

    reason: Reason
    emr: tuple[Fault | FaultKind, ...] = ()
    ocean: tuple[OceanFaultKind, ...] = ()
    change: Callable[[Clinic], None] = lambda _clinic: None
    says: tuple[str, ...] = ()
    again: bool = True
    """Whether the Job is to be tried again within a minute."""
    ends: bool = False
    """Whether the run comes to its end all the same."""
    mend: Callable[[Clinic], None] = Clinic.write
    profile: Profile = Profile.OPEN_O_2026
    in_a_check: Reason | None = None
    """What `ocean-check` says, where it says something else."""


def _secret(name: str, fields: dict[str, str | bytes] | None) -> Callable[[Clinic], None]:
    return lambda clinic: clinic.mount(name, fields)


def _spec(**schedule: object) -> Callable[[Clinic], None]:
    def change(clinic: Clinic) -> None:
        clinic.schedule = {**clinic.schedule, **schedule}
        clinic.write_settings()

    return change


def _without(name: str) -> Callable[[Clinic], None]:
    return lambda clinic: clinic.mount("emr", {k: v for k, v in clinic.secret.items() if k != name})


def _at_port(port: int) -> Callable[[Clinic], None]:
    """The EMR at an address where nobody listens."""

    def change(clinic: Clinic) -> None:
        settings = clinic.settings().model_dump(mode="json", by_alias=True)
        settings["spec"]["emr"]["oscarPro"]["url"] = f"https://127.0.0.1:{port}/oscar"
        (clinic.folder / "site" / "site.json").write_text(json.dumps(settings))

    return change


def _nothing_allowed(clinic: Clinic) -> None:
    clinic.allowed = ()
    clinic.write_settings()


def _allowed(clinic: Clinic) -> None:
    clinic.allowed = Clinic.allowed
    clinic.write_settings()


def _other_key(clinic: Clinic) -> None:
    clinic.at_ocean.sek = SharedEncryptionKey("Another!Key12345")


def _same_key(clinic: Clinic) -> None:
    clinic.at_ocean.sek = SharedEncryptionKey(clinic.key)
    clinic.write()


CASES = {
    "Ocean's Secret is missing": Case(
        Reason.CREDENTIALS_SECRET_MISSING, change=_secret("ocean", None), says=("Secret ocean",), again=False
    ),
    "the EMR's Secret is missing": Case(
        Reason.CREDENTIALS_SECRET_MISSING, change=_secret("emr", None), says=("Secret emr",), again=False
    ),
    "Ocean's Secret has wrong keys": Case(
        Reason.CREDENTIALS_SECRET_INVALID,
        change=_secret("ocean", {"username": "u", "password": "p"}),
        says=("Secret ocean", "siteKey and siteCredential or clientId and clientSecret"),
        again=False,
    ),
    "the EMR's Secret lacks a key": Case(
        Reason.CREDENTIALS_SECRET_INVALID,
        change=_without("tokenSecret"),
        says=("Secret emr lacks tokenSecret",),
        again=False,
    ),
    "a credential is not text": Case(
        Reason.CREDENTIALS_SECRET_INVALID,
        change=_secret("ocean", {"siteKey": b"\xff\xfe", "siteCredential": "c"}),
        says=("Secret ocean",),
        again=False,
    ),
    "the EMR answers a web page": Case(Reason.EMR_ANSWER_UNREADABLE, (FaultKind.WEB_PAGE,), says=("HTML",)),
    "the EMR answers a web page half-way": Case(
        Reason.EMR_ANSWER_UNREADABLE,
        (Fault(FaultKind.WEB_PAGE, path=DETAILS, skip=2),),
        says=("HTML",),
        in_a_check=Reason.ACCESS_ACCEPTED,
    ),
    "the EMR's JSON is cut in half": Case(
        Reason.EMR_ANSWER_UNREADABLE, (FaultKind.CUT_JSON,), says=("JSON cut short",)
    ),
    "the schedule's JSON is cut in half": Case(
        Reason.EMR_ANSWER_UNREADABLE,
        (Fault(FaultKind.CUT_JSON, path=LISTS),),
        says=("JSON cut short",),
        in_a_check=Reason.ACCESS_ACCEPTED,
    ),
    "the EMR answers 500 Access Denied": Case(
        Reason.EMR_PERMISSION_DENIED, (FaultKind.NO_APPOINTMENT_RIGHT,), says=("denied",), again=False
    ),
    "the EMR lets nobody see charts": Case(
        Reason.EMR_PERMISSION_DENIED, (FaultKind.NO_DEMOGRAPHIC_RIGHT,), says=("denied",), again=False
    ),
    "the EMR answers a bare 401": Case(
        Reason.EMR_AUTH_REFUSED, (FaultKind.BARE_401,), says=("login", "Authorise"), again=False
    ),
    "the EMR answers a bare 401 half-way": Case(
        Reason.EMR_AUTH_REFUSED,
        (Fault(FaultKind.BARE_401, path=DETAILS, skip=2),),
        says=("login", "Authorise"),
        again=False,
        in_a_check=Reason.ACCESS_ACCEPTED,
    ),
    "the EMR falls silent half-way": Case(
        Reason.EMR_UNAVAILABLE,
        (Fault(FaultKind.SILENCE, path=DETAILS, skip=2),),
        says=("did not answer in time",),
        in_a_check=Reason.ACCESS_ACCEPTED,
    ),
    "the EMR is being restarted": Case(Reason.EMR_UNAVAILABLE, (FaultKind.UNAVAILABLE,), says=("HTTP 503",)),
    "the EMR breaks off half-way": Case(
        Reason.EMR_UNAVAILABLE,
        (Fault(FaultKind.RESET, path=DETAILS, skip=2),),
        says=("broke off",),
        in_a_check=Reason.ACCESS_ACCEPTED,
    ),
    "nobody listens at the EMR's address": Case(
        Reason.EMR_UNAVAILABLE, change=_at_port(1), says=("could not be reached",)
    ),
    "the addresses lead into the cluster": Case(
        Reason.ADDRESS_FORBIDDEN, change=_nothing_allowed, says=("127.0.0.1", "allowedAddressRanges"), mend=_allowed
    ),
    "the EMR asks for fewer calls": Case(
        Reason.EMR_RATE_LIMITED,
        (Fault(FaultKind.RATE_LIMITED, retry_after="3600"),),
        says=("fewer calls",),
        again=False,
    ),
    "a firewall stands before the EMR": Case(Reason.EMR_BLOCKED, (FaultKind.FIREWALL_PAGE,), says=("web page",)),
    "the EMR's clock is wrong": Case(
        Reason.EMR_CLOCK_SKEW,
        (FaultKind.CLOCK_AHEAD,),
        says=("seconds ahead of ours", "clock"),
        profile=Profile.CLASSIC,
    ),
    "the REST interface is off": Case(Reason.EMR_ANSWER_UNREADABLE, (FaultKind.REST_OFF,), says=("ModuleNames",)),
    "no provider is selected": Case(
        Reason.NO_PROVIDER_SELECTED,
        change=_spec(providers=[]),
        says=("spec.schedule.providers",),
        again=False,
        in_a_check=Reason.ACCESS_ACCEPTED,
    ),
    "the only provider chosen is unknown": Case(
        Reason.PROVIDER_UNKNOWN,
        change=_spec(providers=["777"]),
        says=("777", "spec.schedule.providers"),
        again=False,
        in_a_check=Reason.ACCESS_ACCEPTED,
    ),
    "one of the providers chosen is unknown": Case(
        Reason.PROVIDER_UNKNOWN,
        change=_spec(providers=["101", "777"]),
        says=("777", "Nothing was removed"),
        ends=True,
        in_a_check=Reason.ACCESS_ACCEPTED,
    ),
    "one of the providers chosen is hidden": Case(
        Reason.PROVIDER_UNKNOWN,
        (Fault(FaultKind.PROVIDER_HIDDEN, detail="102"),),
        change=_spec(providers=["101", "102"]),
        says=("102",),
        ends=True,
        in_a_check=Reason.ACCESS_ACCEPTED,
    ),
    "a booking cannot be read": Case(
        Reason.SYNC_INCOMPLETE,
        (FaultKind.ROW_SPOILED,),
        says=("could not be read", "Nothing was removed"),
        ends=True,
        in_a_check=Reason.ACCESS_ACCEPTED,
    ),
    "no booking can be read": Case(
        Reason.EMR_ANSWER_UNREADABLE,
        (FaultKind.DAYS_UNKNOWN,),
        says=("none of 3 appointments could be read",),
        in_a_check=Reason.ACCESS_ACCEPTED,
    ),
    "Ocean refuses the credential": Case(
        Reason.OCEAN_ACCESS_REFUSED,
        change=_secret("ocean", {**BARE, "siteCredential": "an-old-one"}),
        says=("Ocean refused", "Manage Credentials"),
        again=False,
    ),
    "Ocean is out of order": Case(Reason.OCEAN_UNAVAILABLE, ocean=(OceanFaultKind.AWAY,), says=("HTTP 503",)),
    "Ocean answers a web page": Case(Reason.OCEAN_ANSWER_UNREADABLE, ocean=(OceanFaultKind.PAGE,), says=("web page",)),
    "Ocean's JSON is cut in half": Case(
        Reason.OCEAN_ANSWER_UNREADABLE, ocean=(OceanFaultKind.CUT_JSON,), says=("only a part of it",)
    ),
    "Ocean has another key": Case(
        Reason.SEK_MISMATCH, change=_other_key, mend=_same_key, says=("Shared Encryption Key",), again=False
    ),
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that waits for a silent EMR for a second, not for half a minute."""

    def oscar(emr: EmrSpec, credentials: dict[str, str], addresses: AddressRules) -> OscarAdapter:
        assert emr.oscar_pro is not None
        limits = Limits(silence_seconds=1, attempt_seconds=3, attempts=2)
        block = emr.oscar_pro
        return OscarAdapter(block.url, credentials, ca_bundle=block.ca_bundle, limits=limits, addresses=addresses)

    monkeypatch.setitem(registry._FACTORIES, EmrType.OSCAR_PRO, oscar)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def oscar(tls: Tls, case: Case) -> Iterator[OscarSim]:
    with OscarSim(small_clinic(), profile=case.profile, zone=ZONE, tls=tls.files) as running:
        yield running


@pytest.mark.parametrize("case", CASES, indirect=True)
async def test_one_clear_problem_and_nothing_removed(
    clinic: Clinic, oscar: OscarSim, case: Case, capfd: pytest.CaptureFixture[str]
) -> None:
    assert await clinic.sync("full") == 0
    assert clinic.appointments_at_ocean() == BOOKED
    # Something to send, so that Ocean is called, and something to remove, if the EMR could be believed.
    oscar.clinic.add(replace(oscar.clinic.appointments[1], reason="Reason-of-visit-changed"))
    gone = oscar.clinic.appointments.pop(2)
    oscar.faults.add(*case.emr)
    clinic.ocean.faults.add(*(OceanFault(kind, times=None) for kind in case.ocean))
    case.change(clinic)

    await _check_says_so(clinic, case)
    check = clinic.check_report()
    clinic.query("delete from ocean.site_state where process = 'check' and site = %s")
    await _full_run_says_so(clinic, case)
    _status_says_so(clinic, case, check)

    oscar.faults.clear()
    clinic.ocean.faults.clear()
    clinic.schedule = {"days": 2, "providers": "All"}
    case.mend(clinic)
    # The check that follows a refusal by itself, and the one that a person asks for who has seen to it.
    for token in ("after-refusal", "after-reauthorize"):
        assert await clinic.check(token) == 0
    assert clinic.check_report().access is None
    assert await clinic.sync("full") == 0
    assert clinic.report().problem is None
    assert set(clinic.appointments_at_ocean()) == BOOKED.keys() - {str(gone.no)}

    said = capfd.readouterr()
    everything = f"{said.out}{said.err}{clinic.state('sync')}{clinic.state('check')}"
    assert [text for text in secrets_of(clinic) if text in everything] == []


async def _check_says_so(clinic: Clinic, case: Case) -> None:
    changes = [request.method for request in clinic.at_ocean.requests].count("PUT")

    assert await clinic.check(token_of_a_check(clinic)) == 0

    report = clinic.check_report()
    trouble = report.key or report.access
    if case.in_a_check is Reason.ACCESS_ACCEPTED:
        assert trouble is None
        assert report.providers[0].id == "101"
    else:
        assert trouble is not None
        assert trouble.reason is case.reason
    assert clinic.audit()[-1] == ("key.read-back", trouble.reason if trouble else "done")
    assert [request.method for request in clinic.at_ocean.requests].count("PUT") == changes


async def _full_run_says_so(clinic: Clinic, case: Case) -> None:
    status = await clinic.sync("full")

    report = clinic.report()
    assert report.problem is not None
    assert report.problem.reason is case.reason
    assert [words for words in case.says if words not in report.problem.message] == []
    assert EXPLANATIONS[case.reason].remedy
    assert clinic.at_ocean.stored_appointments.keys() == BOOKED.keys()
    assert clinic.requests("/removals") == 0
    assert status == (1 if case.again and not case.ends else 0)
    assert report.running is None
    assert clinic.audit()[-1] == ("sync.full", case.reason)


def _status_says_so(clinic: Clinic, case: Case, check: CheckReport) -> None:
    """Whichever conditions tell of it, there is one reason."""
    found = standing(clinic, check, clinic.report())

    assert found.summary == case.reason
    assert {condition.reason for condition in found.wrong} == {case.reason}
    said = " ".join(condition.message for condition in found.wrong)
    assert [words for words in case.says if words not in said] == []


def secrets_of(clinic: Clinic) -> list[str]:
    """What may be printed nowhere: credentials, the key, and everything of a patient."""
    return [
        *(value for value in clinic.secret.values()),
        *BARE.values(),
        clinic.key,
        *("Surname-p", "Givenname-p", "98765", "Street-of-patients", "Reason-of-visit"),
    ]
