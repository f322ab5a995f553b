from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api.reasons import Reason
from ocean_operator.core.site import SiteKey
from ocean_operator.core.validate import AddressRules, Finding, Neighbours, findings, forbidden, urls
from unit.operator.sites import FHIR, KEY, NO_EMR, OSCAR, site, spec_of

RULES = AddressRules()
NOBODY = Neighbours()
DEMO = AddressRules.parse(["10.96.0.0/12", "fd00:10::/32"], [".demo.svc", "sim.example.internal"])

LITERAL = "is a loopback, link-local, private or cluster address"
INTERNAL = "is a loopback or cluster address"
BARE = "is a name that only this cluster or machine knows"
HIDDEN = "is an address in a form that hides where it leads"
NONE = "is not an address"


@pytest.mark.parametrize(
    "host",
    [
        "ocean.cognisantmd.com",
        "emr.example.org",
        "EMR.Example.ORG",
        "emr.example.org.",
        "emr.my-clinic.org",
        "emr.xn--p1ai",
        "emr.example.org:8443",
        "xn--clinique-cya.example.org",
        "clinique.québec",
        "0x.example.org",
        "10.example.org",
        "localhost.example.org",
        "cluster.local.example.org",
        "8.8.8.8",
        "8.8.8.8:443",
        "[2606:4700::1111]",
        "[2606:4700::1111]:8443",
    ],
)
def test_a_public_address_may_be_called(host: str) -> None:
    assert forbidden(f"https://{host}/oscar", RULES) == ""


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "198.18.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "10.0.0.1.",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[2001:db8::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[::ffff:a9fe:a9fe]",
    ],
)
def test_a_private_address_may_not(address: str) -> None:
    assert forbidden(f"https://{address}/", RULES) == LITERAL
    assert forbidden(f"https://{address}:8443/x", RULES) == LITERAL


@pytest.mark.parametrize(
    "address",
    [
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a00:1]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[2002:7f00:1::]",
        "[2002:a00:1::1]",
        "[::127.0.0.1]",
        "[::ffff:0:10.0.0.1]",
        "[fec0::1]",
        "[ff02::1]",
        "224.0.0.1",
        "192.0.0.192",
    ],
    ids=[
        "NAT64, loopback",
        "NAT64, private",
        "local NAT64, link-local",
        "6to4, loopback",
        "6to4, private",
        "IPv4-compatible",
        "IPv4-translated",
        "site-local",
        "IPv6 multicast",
        "multicast",
        "protocol assignments (a cloud's metadata)",
    ],
)
def test_an_address_inside_an_address_may_not_either(address: str) -> None:
    """A NAT64 or 6to4 gateway turns it into the private one. RFC 6052, RFC 3056, RFC 4291."""
    assert forbidden(f"https://{address}/", RULES) == LITERAL


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("localhost", INTERNAL),
        ("LOCALHOST", INTERNAL),
        ("localhost.", INTERNAL),
        ("emr", BARE),
        ("kubernetes", BARE),
        ("2130706433", BARE),
        ("017700000001", BARE),
        ("0x7f000001", BARE),
        ("127。0。0。1", BARE),
        ("emr.localhost", INTERNAL),
        ("vault.ocean-system.svc", INTERNAL),
        ("vault.ocean-system.svc.", INTERNAL),
        ("vault.ocean-system.SVC.Cluster.Local", INTERNAL),
        ("10-0-0-1.default.pod.cluster.local", INTERNAL),
        ("metadata.google.internal", INTERNAL),
        ("127.1", HIDDEN),
        ("0177.0.0.1", HIDDEN),
        ("0x7f.0.0.1", HIDDEN),
        ("127.0.0.0x1", HIDDEN),
        ("127.0.0.1.0", HIDDEN),
        ("256.1.1.1", HIDDEN),
        ("①②⑦.⓪.⓪.①", LITERAL),
        ("１２７.０.０.１", LITERAL),  # noqa: RUF001 - full-width digits are the point
        ("127.0.0.١", HIDDEN),  # noqa: RUF001 - likewise
    ],
)
def test_a_name_that_stays_inside_may_not_be_called(host: str, why: str) -> None:
    assert forbidden(f"https://{host}/", RULES) == why


@pytest.mark.parametrize("host", ["vault.ocean-system", "localhost.localdomain", "printer.local", "a.ⓛocalhost"])
def test_other_names_that_stay_inside_may_not_be_called(host: str) -> None:
    """Each leads inside by another way.

    `<service>.<namespace>` is found by the search list of every pod (Kubernetes, "DNS for Services and Pods"),
    `.local` by mDNS (RFC 6762), and some resolvers fold letters such as the last one's before they look.
    """
    assert forbidden(f"https://{host}/", RULES) != ""


@pytest.mark.parametrize(
    "url",
    [
        "https://emr.example.org:0/",
        "https://emr.example.org:65536/",
        "https://emr.example.org:https/",
        "https://emr.example.org:443:443/",
        "https://:443/",
        "https:///oscar",
        "https://./",
        "https://[::1",
        "https://[10.0.0.1]/",
        "https://[::g]/",
        "https://a℀b.example/",
        "emr.example.org",
        "",
    ],
)
def test_what_is_no_address_may_not_be_called(url: str) -> None:
    assert forbidden(url, RULES) == NONE


def test_the_user_before_the_host_is_not_mistaken_for_the_host() -> None:
    assert forbidden("https://emr.example.org@127.0.0.1/", RULES) == LITERAL
    assert forbidden("https://127.0.0.1@emr.example.org/", RULES) == ""


def test_only_the_host_counts() -> None:
    assert forbidden("https://emr.example.org/?next=https://localhost/#127.0.0.1", RULES) == ""


@pytest.mark.parametrize(
    "host",
    ["10.96.0.1", "10.111.255.255", "[fd00:10::7]", "oscar.demo.svc", "a.b.demo.svc:8443", "x.sim.example.internal."],
)
def test_a_range_or_suffix_that_the_installation_allows(host: str) -> None:
    assert forbidden(f"https://{host}/", DEMO) == ""
    assert forbidden(f"https://{host}/", RULES) != ""


@pytest.mark.parametrize(
    "host", ["10.112.0.1", "[fd00:11::1]", "demo.svc", "notdemo.svc", "oscar.demo.svc.evil.svc", "sim.example.internal"]
)
def test_an_allowance_reaches_no_further_than_it_says(host: str) -> None:
    assert forbidden(f"https://{host}/", DEMO) != ""


def test_a_suffix_means_the_same_with_dots_and_capitals() -> None:
    assert AddressRules.parse([], ["Demo.SVC."]) == AddressRules.parse([], [".demo.svc"])


@pytest.mark.parametrize("bad", ["10.0.0.0/33", "10.0.0.1/8", "cluster", ""])
def test_what_is_no_range_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        AddressRules.parse([bad], [])


def test_a_single_address_is_no_range() -> None:
    with pytest.raises(ValueError, match="range"):
        AddressRules.parse(["10.0.0.5"], [])


@given(st.ip_addresses(v=4))
def test_an_ipv4_literal_is_judged_as_such_in_any_form(address: ipaddress.IPv4Address) -> None:
    """As a whole number, in octal and in hexadecimal it is refused always, private or not."""
    number = int(address)
    octal = ".".join(f"0{part:o}" for part in address.packed)

    if not address.is_global:
        assert forbidden(f"https://{address}/", RULES) == LITERAL
    for form in (f"{number}", f"{number:#x}", f"{number:#o}".replace("o", ""), octal):
        if form != str(address):
            assert forbidden(f"https://{form}/", RULES) != ""


@given(st.text(min_size=1, max_size=60))
def test_any_text_gets_an_answer(text: str) -> None:
    """Never an exception: the status is written from the answer."""
    why = forbidden(f"https://{text}", RULES)

    assert why in {"", LITERAL, INTERNAL, BARE, HIDDEN, NONE}
    if why == "":
        assert urlsplit(f"https://{text}").hostname


# Findings


def found(spec: dict[str, Any], rules: AddressRules = RULES, neighbours: Neighbours = NOBODY) -> tuple[Finding, ...]:
    """What is wrong with a clinic of that spec."""
    return findings(KEY, spec_of(site(**spec)), rules=rules, neighbours=neighbours)


@pytest.mark.parametrize("emr", [FHIR, OSCAR, NO_EMR], ids=["FHIR", "OSCAR", "none"])
def test_a_good_spec_has_no_findings(emr: dict[str, Any]) -> None:
    assert found({"emr": emr}) == ()


def test_every_address_is_judged_and_named_in_the_specs_order() -> None:
    inside = "https://localhost/"
    ocean = {"url": inside, "credentialsSecret": "o"}
    fhir = {"type": "FHIR", "fhir": {"url": inside, "tokenUrl": inside, "credentialsSecret": "e"}}
    oscar = {"type": "OscarPro", "oscarPro": {"url": inside, "credentialsSecret": "e"}}
    named = [[f.message.split(":")[0] for f in found({"ocean": ocean, "emr": emr})] for emr in (fhir, oscar, NO_EMR)]

    assert named == [
        ["spec.ocean.url", "spec.emr.fhir.url", "spec.emr.fhir.tokenUrl"],
        ["spec.ocean.url", "spec.emr.oscarPro.url"],
        ["spec.ocean.url"],
    ]


def test_no_address_is_called_that_was_not_judged() -> None:
    """`urls` is the whole list; a new EMR's address must be in it."""

    def https(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [url for inner in value.values() for url in https(inner)]
        return [value] if isinstance(value, str) and value.startswith("https://") else []

    for emr in (FHIR, OSCAR, NO_EMR):
        spec = spec_of(site(emr=emr))

        assert sorted(url for _, url in urls(spec)) == sorted(https(spec.model_dump(by_alias=True)))


def test_a_finding_says_field_and_remedy() -> None:
    (finding,) = found({"ocean": {"url": "https://10.0.0.1/", "credentialsSecret": "o"}})

    assert finding.reason is Reason.ADDRESS_FORBIDDEN
    assert finding.message.startswith("spec.ocean.url: is a loopback, link-local, private or cluster address; use ")
    assert "network.allowedAddressRanges" in finding.message


OTHER = SiteKey("clinic-b", "south")


def test_a_site_number_belongs_to_the_oldest() -> None:
    (finding,) = found({}, neighbours=Neighbours({"1001": (OTHER, KEY)}))

    assert finding.reason is Reason.SITE_NUMBER_TAKEN
    assert finding.message.startswith("spec.siteNumber: 1001 belongs to OceanSite clinic-b/south already; correct ")
    assert found({}, neighbours=Neighbours({"1001": (KEY, OTHER)})) == ()


def test_another_number_is_nobodys_business() -> None:
    assert found({"siteNumber": "1002"}, neighbours=Neighbours({"1001": (OTHER,)})) == ()
