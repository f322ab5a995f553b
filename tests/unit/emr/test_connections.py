"""Where connections lead: real servers on loopback, and a name server that a test speaks for."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ocean_api.addresses import PUBLIC_ONLY, AddressRules
from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_emr.adapters.fhir_r4 import FhirR4Adapter
from ocean_emr.errors import EmrAddressError, EmrTlsError, EmrUnavailableError
from ocean_emr.ocean.client import OceanAccess, OceanClient
from ocean_emr.ocean.errors import OceanAddressError
from ocean_emr.ocean.login import ClientCredentials, SiteCredential
from ocean_emr.testing.conformance.rig import FAST
from ocean_emr.testing.serving import LOOPBACK
from unit.emr.answering import READ, Server, in_turn, ok, transport
from unit.emr.certificates import Authority

NAME = "emr.example.org"
ONE = AddressRules.parse(["127.0.0.1/32"], [])
OTHERS = ["10.0.0.1", "169.254.169.254", "192.168.1.1", "127.0.0.2", "::1", "fd00::1"]

Names = dict[str, list[list[str]]]


class NameServer:
    """Knows what it is told, and what it was asked."""

    def __init__(self) -> None:
        self.answers: Names = {}
        self.asked: list[str] = []

    def knows(self, name: str, *answers: list[str]) -> None:
        """Answer so, in this order, and the last one for ever."""
        self.answers[name] = list(answers)

    def look_up(self, host: str | bytes, port: int, *_more: object, **_options: object) -> list[object]:
        name = host.decode() if isinstance(host, bytes) else host
        self.asked.append(name)
        if name not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.answers[name]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [self._entry(address, port) for address in addresses]

    @staticmethod
    def _entry(address: str, port: int) -> object:
        family, where = (
            (socket.AF_INET6, (address, port, 0, 0)) if ":" in address else (socket.AF_INET, (address, port))
        )
        return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    """In the place of the machine's own."""
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.look_up)
    return server


@contextmanager
def nobody_calls() -> Iterator[str]:
    """An address at which somebody listens; when the context ends, nobody has even connected."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(BlockingIOError):
            listening.accept()


def named(url: str, name: str = NAME) -> str:
    """The same port under a name."""
    return url.replace(urlsplit(url).hostname or "", name)


async def test_loopback_is_not_called() -> None:
    with nobody_calls() as url:
        async with transport(url, addresses=PUBLIC_ONLY) as way:
            with pytest.raises(EmrAddressError) as caught:
                await way.read(READ)

    error = caught.value
    assert error.reason is Reason.ADDRESS_FORBIDDEN
    assert error.safe_message == (
        "list providers: the EMR was not called, since 127.0.0.1 is a loopback, link-local, private or cluster address."
    )
    assert error.remedy == EXPLANATIONS[Reason.ADDRESS_FORBIDDEN].remedy


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "localhost"])
async def test_loopback_is_not_called_however_it_is_written(host: str) -> None:
    with nobody_calls() as url:
        async with transport(named(url, host), addresses=PUBLIC_ONLY) as way:
            with pytest.raises(EmrAddressError):
                await way.read(READ)


async def test_loopback_is_called_where_it_is_allowed(names: NameServer) -> None:
    server = Server(in_turn(ok()))
    names.knows(NAME, ["127.0.0.1"])
    with server.running() as url:
        async with transport(named(url), addresses=ONE) as way:
            await way.read(READ)

    assert [request.headers["host"] for request in server.asked] == [urlsplit(named(url)).netloc]


@pytest.mark.parametrize("address", OTHERS)
async def test_name_that_leads_to_a_forbidden_address_is_not_called(names: NameServer, address: str) -> None:
    names.knows(NAME, [address])
    async with transport(f"https://{NAME}", addresses=ONE) as way:
        with pytest.raises(EmrAddressError) as caught:
            await way.read(READ)

    assert f"since {NAME} leads to {address}, a loopback, link-local" in caught.value.safe_message
    assert names.asked == [NAME], "what will not change within seconds is not tried again"


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("order", [list, lambda both: both[::-1]], ids=["after", "before"])
async def test_name_of_which_one_address_is_forbidden_is_not_called_at_all(
    names: NameServer, other: str, order: Callable[[list[str]], list[str]]
) -> None:
    with nobody_calls() as url:
        names.knows(NAME, order(["127.0.0.1", other]))
        async with transport(named(url), addresses=ONE) as way:
            with pytest.raises(EmrAddressError, match=f"leads to {other},"):
                await way.read(READ)


async def test_name_is_looked_up_once_for_what_is_judged_and_what_is_called(names: NameServer) -> None:
    """Whoever answers for the name may say something else the next time."""
    server = Server(in_turn(ok()))
    names.knows(NAME, ["127.0.0.1"], ["127.0.0.2"])
    with server.running() as url:
        async with transport(named(url), addresses=ONE) as way:
            await way.read(READ)
            await way.read(READ)
            assert names.asked == [NAME]
        async with transport(named(url), addresses=ONE) as way:
            with pytest.raises(EmrAddressError):
                await way.read(READ)

    assert len(server.asked) == 2


async def test_certificate_must_be_the_names(names: NameServer, tmp_path: Path) -> None:
    authority = Authority.new()
    server = Server(in_turn(ok()))
    names.knows(NAME, ["127.0.0.1"])
    names.knows("another.example.org", ["127.0.0.1"])
    with server.running(tls=authority.server(tmp_path, name=NAME)) as url:
        async with transport(named(url), ca_bundle=authority.pem, addresses=ONE) as way:
            await way.read(READ)
        for host in ("another.example.org", "127.0.0.1"):
            async with transport(named(url, host), ca_bundle=authority.pem, addresses=ONE) as way:
                with pytest.raises(EmrTlsError):
                    await way.read(READ)

    assert len(server.asked) == 1


async def test_next_address_is_tried_where_the_first_does_not_answer(names: NameServer) -> None:
    server = Server(in_turn(ok()))
    names.knows(NAME, ["127.0.0.3", "127.0.0.2", "127.0.0.1", "127.0.0.4"])
    with server.running() as url:
        async with transport(named(url)) as way:
            await way.read(READ)

    assert len(server.asked) == 1


async def test_no_address_answers(names: NameServer) -> None:
    names.knows(NAME, ["127.0.0.3", "127.0.0.2"])
    async with transport(f"http://{NAME}:1") as way:
        with pytest.raises(EmrUnavailableError, match="could not be reached"):
            await way.read(READ)


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("host", ["unknown.example.org", f"{'a' * 64}.example.org"])
async def test_name_that_leads_nowhere_is_unavailable(host: str) -> None:
    async with transport(f"https://{host}") as way:
        with pytest.raises(EmrUnavailableError, match="could not be reached"):
            await way.read(READ)


async def test_proxy_of_the_environment_is_no_way_round(monkeypatch: pytest.MonkeyPatch) -> None:
    with nobody_calls() as proxy:
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.replace("https:", "http:"))
        async with transport("http://10.0.0.1", addresses=PUBLIC_ONLY) as way:
            with pytest.raises(EmrAddressError):
                await way.read(READ)


async def test_token_endpoint_may_not_lead_elsewhere_than_the_emr(names: NameServer) -> None:
    names.knows(NAME, ["127.0.0.1"])
    with nobody_calls() as url:
        secret = {"clientId": "i", "clientSecret": "s"}
        async with FhirR4Adapter(
            named(url), secret, token_url=named(url, "127.0.0.2"), scopes="user/*", limits=FAST, addresses=ONE
        ) as adapter:
            with pytest.raises(EmrAddressError, match=r"since 127\.0\.0\.2 is"):
                await adapter.list_providers()


@pytest.mark.parametrize("credential", [SiteCredential("k", "c"), ClientCredentials("i", "s")])
async def test_ocean_is_called_by_the_same_rules(
    names: NameServer, credential: SiteCredential | ClientCredentials
) -> None:
    names.knows("ocean.example.org", ["127.0.0.1", "10.0.0.1"])
    with nobody_calls() as url:
        access = OceanAccess(named(url, "ocean.example.org"), "1001", credential, addresses=LOOPBACK)
        async with OceanClient(access) as ocean:
            with pytest.raises(OceanAddressError) as caught:
                await ocean.check()

    error = caught.value
    assert error.reason is Reason.ADDRESS_FORBIDDEN
    assert "Ocean was not called, since ocean.example.org leads to 10.0.0.1, a loopback" in error.safe_message
    assert len(names.asked) == 1
