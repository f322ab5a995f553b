"""Where a name may lead. What a spec may name is in tests/unit/operator/test_validate.py."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocean_api.addresses import PUBLIC_ONLY, AddressRules, forbidden

RULES = AddressRules.parse(["10.8.0.0/16", "fd00:8::/32"], [".emr.svc"])

NEAR = ["127.0.0.1", "::1", "169.254.169.254", "fe80::1", "0.1.2.3", "::", "224.0.0.1", "::ffff:127.0.0.1"]
PRIVATE = ["10.8.0.1", "10.9.0.1", "192.168.0.1", "100.64.0.1", "fd00:8::1", "fd00:9::1"]
PUBLIC = ["8.8.8.8", "2606:4700::1111"]


@pytest.mark.parametrize("address", NEAR + PRIVATE)
def test_name_may_not_lead_to_what_is_not_public(address: str) -> None:
    assert not PUBLIC_ONLY.allow("emr.example.org", ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_name_may_lead_to_what_is_public(address: str) -> None:
    assert PUBLIC_ONLY.allow("emr.example.org", ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_name_may_lead_into_an_allowed_range(address: str) -> None:
    assert RULES.allow("emr.example.org", ip_address(address)) is address.startswith(("10.8.", "fd00:8:"))


@pytest.mark.parametrize("address", PRIVATE + PUBLIC)
@pytest.mark.parametrize("host", ["oscar.emr.svc", "OSCAR.emr.svc.", "a.b.emr.svc"])
def test_name_with_an_allowed_suffix_may_lead_into_the_cluster(host: str, address: str) -> None:
    assert RULES.allow(host, ip_address(address))


@pytest.mark.parametrize("host", ["emr.svc", "oscar.emr.svc.example.org", "oscaremr.svc"])
def test_suffix_is_whole(host: str) -> None:
    assert not RULES.allow(host, ip_address("10.9.0.1"))


@pytest.mark.parametrize("address", NEAR)
def test_name_with_an_allowed_suffix_may_not_lead_to_the_pod_itself_or_to_its_link(address: str) -> None:
    assert not RULES.allow("oscar.emr.svc", ip_address(address))
    allowed = AddressRules.parse([f"{address}/{ip_address(address).max_prefixlen}"], [".emr.svc"])
    assert allowed.allow("oscar.emr.svc", ip_address(address))


@given(st.ip_addresses())
def test_spec_may_name_an_address_exactly_if_a_connection_may_lead_there(address: object) -> None:
    """One rule for both."""
    literal = f"[{address}]" if ":" in str(address) else str(address)

    assert (forbidden(f"https://{literal}", RULES) == "") is RULES.allow(str(address), ip_address(str(address)))
