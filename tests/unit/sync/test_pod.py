from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api.addresses import PUBLIC_ONLY, AddressRules
from ocean_api.reasons import Reason
from ocean_api.report import Problem
from ocean_api.settings import DatabaseAccess, SiteSettings, VaultAccess
from ocean_api.v1alpha1.spec import OceanSiteSpec
from ocean_emr.envelope import DataKey
from ocean_emr.ocean.crypto import SharedEncryptionKey
from ocean_emr.ocean.login import ClientCredentials, SiteCredential
from ocean_emr.pod import (
    Credentials,
    Places,
    key_name,
    ocean_access,
    read_credentials,
    read_settings,
    say_farewell,
    stop_when_told,
)
from ocean_emr.problems import CredentialsError
from ocean_emr.vault.client import StoredKey

Fields = dict[str, str | bytes] | None

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OCEAN = {"siteKey": "k1", "siteCredential": "c1"}
OSCAR = {"consumerKey": "ck", "consumerSecret": "cs", "token": "t", "tokenSecret": "ts"}


def spec(emr: str = "OscarPro", *, url: str = "https://emr.example.org/oscar") -> OceanSiteSpec:
    blocks = {
        "OscarPro": {"oscarPro": {"url": url, "credentialsSecret": "the-emrs"}},
        "FHIR": {"fhir": {"url": url, "tokenUrl": "https://t.example.org", "credentialsSecret": "the-emrs"}},
        "None": {},
    }
    return OceanSiteSpec.model_validate(
        {
            "siteNumber": "1001",
            "displayName": "Clinic",
            "timeZone": "America/Toronto",
            "contacts": {"siteCreator": "creator@clinic.example"},
            "ocean": {"credentialsSecret": "oceans"},
            "emr": {"type": emr, **blocks[emr]},
            "key": {"source": "Generate"},
        }
    )


def settings(**allowed: tuple[str, ...]) -> SiteSettings:
    return SiteSettings(
        namespace="clinic-a",
        name="north",
        spec=spec(),
        vault=VaultAccess(address="https://vault:8200"),
        database=DatabaseAccess(host="db"),
        **allowed,  # type: ignore[arg-type]
    )


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(
        settings=tmp_path / "site.json",
        ocean=tmp_path / "ocean",
        emr=tmp_path / "emr",
        token=tmp_path / "token",
        farewell=tmp_path / "farewell",
    )


def mount(folder: Path, fields: dict[str, str | bytes]) -> None:
    """As the kubelet does: the files are in a folder that is exchanged as a whole, and links lead to them."""
    folder.mkdir()
    data = folder / "..2026_11_23"
    data.mkdir()
    (folder / "..data").symlink_to(data.name)
    for name, value in fields.items():
        (data / name).write_bytes(value if isinstance(value, bytes) else value.encode())
        (folder / name).symlink_to(f"..data/{name}")


def test_credentials_are_read_without_the_blanks_of_an_editor(places: Places) -> None:
    mount(places.ocean, {**OCEAN, "siteKey": " k1\r\n"})
    mount(places.emr, {**OSCAR, "more": "is left alone"})

    read = read_credentials(spec(), places)
    assert (read.ocean, read.emr) == (OCEAN, {**OSCAR, "more": "is left alone"})


def test_credentials_are_not_shown() -> None:
    assert repr(Credentials(OCEAN, OSCAR)) == "Credentials(<hidden>)"


def test_credentials_of_a_clinic_without_an_emr_are_oceans_alone(places: Places) -> None:
    mount(places.ocean, {"clientId": "i", "clientSecret": "s"})

    assert read_credentials(spec("None"), places).emr == {}


NO_SECRET = "Secret {} is not there, or empty."
WRONG_KEYS = "Secret oceans must hold siteKey and siteCredential or clientId and clientSecret."


@pytest.mark.parametrize(
    ("emr", "ocean", "secret", "words"),
    [
        ("OscarPro", None, OSCAR, NO_SECRET.format("oceans")),
        ("OscarPro", {}, OSCAR, NO_SECRET.format("oceans")),
        ("OscarPro", OCEAN, None, NO_SECRET.format("the-emrs")),
        ("OscarPro", {"siteKey": "k1", "clientSecret": "s"}, OSCAR, WRONG_KEYS),
        ("OscarPro", {**OCEAN, "siteCredential": " \n"}, OSCAR, WRONG_KEYS),
        ("OscarPro", {**OCEAN, "siteCredential": b"\xff\xfe\x00"}, OSCAR, WRONG_KEYS),
        (
            "OscarPro",
            OCEAN,
            {"username": "u", "password": "p"},
            "Secret the-emrs lacks consumerKey, consumerSecret, token, tokenSecret.",
        ),
        ("FHIR", OCEAN, {"clientId": "i", "clientSecret": ""}, "Secret the-emrs lacks clientSecret."),
    ],
)
def test_credentials_that_will_not_do_are_named_by_field(
    places: Places, emr: str, ocean: Fields, secret: Fields, words: str
) -> None:
    for folder, fields in ((places.ocean, ocean), (places.emr, secret)):
        if fields is not None:
            mount(folder, fields)

    with pytest.raises(CredentialsError) as caught:
        read_credentials(spec(emr), places)

    missing = "is not there" in words
    assert caught.value.reason is (Reason.CREDENTIALS_SECRET_MISSING if missing else Reason.CREDENTIALS_SECRET_INVALID)
    assert str(caught.value) == words


def test_credentials_for_ocean_prefer_the_sites_own() -> None:
    both = {**OCEAN, "clientId": "i", "clientSecret": "s"}

    assert ocean_access(settings(), Credentials(both, {})).credential == SiteCredential("k1", "c1")
    client = ocean_access(settings(), Credentials({"clientId": "i", "clientSecret": "s"}, {})).credential
    assert client == ClientCredentials("i", "s")


def test_connections_to_ocean_lead_where_the_installation_allows() -> None:
    allowed = settings(allowed_address_ranges=("10.8.0.0/16",), allowed_host_suffixes=("demo.svc",))

    assert ocean_access(settings(), Credentials(OCEAN, {})).addresses == PUBLIC_ONLY
    assert ocean_access(allowed, Credentials(OCEAN, {})).addresses == AddressRules.parse(["10.8.0.0/16"], [".demo.svc"])


KEY = DataKey(bytes(32))
FIRST = Credentials(OCEAN, OSCAR).digest(spec(), KEY)


def test_digest_is_the_same_for_the_same() -> None:
    shuffled = Credentials(dict(reversed(OCEAN.items())), dict(reversed(OSCAR.items())))

    assert shuffled.digest(spec(), KEY) == FIRST


@given(st.sampled_from([*OCEAN, *OSCAR]), st.text(max_size=3))
def test_digest_changes_with_every_field(field: str, value: str) -> None:
    ocean = {**OCEAN, field: f"other{value}"} if field in OCEAN else OCEAN
    emr = {**OSCAR, field: f"other{value}"} if field in OSCAR else OSCAR

    assert Credentials(ocean, emr).digest(spec(), KEY) != FIRST


def test_digest_changes_with_the_address_and_with_the_key() -> None:
    credentials = Credentials(OCEAN, OSCAR)

    assert credentials.digest(spec(url="https://other.example.org/oscar"), KEY) != FIRST
    assert credentials.digest(spec(), DataKey(bytes(31) + b"1")) != FIRST


def test_digest_tells_nothing() -> None:
    assert len(FIRST) == 32
    assert not any(value in FIRST for value in (*OCEAN.values(), *OSCAR.values()) if len(value) > 2)


def test_key_is_named_by_fingerprint_and_version() -> None:
    """A fingerprint stays when somebody puts another key over it."""
    key = SharedEncryptionKey("TestKey1!2345678")

    assert key_name(StoredKey(key, fingerprint="f1", version=2)) == "f1/2"


def test_settings_that_nobody_wrote_are_an_error_without_their_content(places: Places) -> None:
    with pytest.raises(OSError, match=r"site\.json"):
        read_settings(places)
    places.settings.write_text('{"namespace": "clinic-a", "spec": {"siteNumber": "p0001-secret"}}')
    with pytest.raises(ValueError, match="SiteSettings") as caught:
        read_settings(places)

    assert "p0001-secret" not in str(caught.value)


PROBLEM = Problem(reason=Reason.VAULT_UNAVAILABLE, message="Vault is away.", at=NOW)


def test_farewell_is_left_where_kubernetes_looks(places: Places) -> None:
    places.farewell.touch()
    say_farewell(PROBLEM, places)

    assert Problem.model_validate_json(places.farewell.read_text()) == PROBLEM


def test_farewell_is_not_left_where_kubernetes_does_not_look(places: Places) -> None:
    say_farewell(PROBLEM, places)

    assert not places.farewell.exists()


def test_farewell_that_cannot_be_written_stops_nobody(places: Places) -> None:
    places.farewell.mkdir()
    say_farewell(PROBLEM, places)

    assert places.farewell.is_dir()


async def test_process_that_is_told_to_stop_stops() -> None:
    async def work() -> None:
        stop_when_told()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(work())
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
