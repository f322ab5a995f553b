from __future__ import annotations

import asyncio
import base64
import copy
import ipaddress
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ocean_operator import webhook_tls
from ocean_operator.cluster import Cluster, ClusterError
from ocean_operator.core.site import Manifest
from ocean_operator.make_certificate import make
from ocean_operator.webhook_tls import SECRET, Certificate, publish, reload_context, shared_certificate, write_files

NOW = datetime.now(UTC).replace(microsecond=0)
HOSTS = ["ocean-operator-webhook.ocean-system.svc", "localhost", "127.0.0.1"]
MADE = make(HOSTS)


class Objects:
    """An API server that holds a few objects by name and answers as the real one: 409 for an old version."""

    def __init__(self, **held: Manifest) -> None:
        self.held = held
        self.writes: list[str] = []

    async def get(self, _kind: str, _namespace: str, name: str) -> Manifest | None:
        """The object, or None."""
        return copy.deepcopy(self.held.get(name))

    async def create(self, body: Manifest) -> Manifest | None:
        """The new object; None where there is one."""
        name = body["metadata"]["name"]
        if name in self.held:
            return None
        return self._keep("create", name, body)

    async def replace(self, body: Manifest) -> Manifest:
        """The object in the place of the one with its version."""
        name = body["metadata"]["name"]
        self._compare(name, body)
        return self._keep("replace", name, body)

    async def merge(self, _kind: str, _namespace: str, name: str, patch: Manifest) -> Manifest:
        """The object with a list or two replaced."""
        self._compare(name, patch)
        return self._keep("merge", name, {**self.held[name], **patch})

    def _compare(self, name: str, body: Manifest) -> None:
        if self.held[name]["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise ClusterError(409, "Conflict", "changed")

    def _keep(self, verb: str, name: str, body: Manifest) -> Manifest:
        self.writes.append(verb)
        old = int(self.held.get(name, {}).get("metadata", {}).get("resourceVersion", 0))
        self.held[name] = {**body, "metadata": {**body["metadata"], "resourceVersion": str(old + 1)}}
        return self.held[name]


def cluster(objects: Objects) -> Cluster:
    """The stand-in, as a cluster."""
    return cast("Cluster", objects)


def certificate(*, expires: datetime = NOW + timedelta(days=365), parts: dict[str, str] = MADE) -> Certificate:
    """A certificate as it is kept."""
    return Certificate(parts["authority"], parts["certificate"], parts["key"], expires)


# The certificate itself


def test_a_certificate_serves_the_names_it_was_made_for() -> None:
    served = x509.load_pem_x509_certificate(MADE["certificate"].encode())
    names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usage = served.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    assert names.get_values_for_type(x509.DNSName) == HOSTS[:2]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not served.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_is_good_now_and_for_longer_than_is_told() -> None:
    """Its end is written down as 365 days; a machine whose clock is a little behind takes it too."""
    served = x509.load_pem_x509_certificate(MADE["certificate"].encode())

    assert served.not_valid_before_utc < datetime.now(UTC) - timedelta(minutes=50)
    assert served.not_valid_after_utc > datetime.now(UTC) + timedelta(days=365)


def test_the_authority_signs_this_certificate_and_may_sign_no_authority() -> None:
    authority = x509.load_pem_x509_certificate(MADE["authority"].encode())
    served = x509.load_pem_x509_certificate(MADE["certificate"].encode())
    limits = authority.extensions.get_extension_for_class(x509.BasicConstraints).value

    served.verify_directly_issued_by(authority)
    assert (limits.ca, limits.path_length) == (True, 0)


def test_two_certificates_share_nothing() -> None:
    other = make(HOSTS)

    assert all(other[part] != MADE[part] for part in MADE)


def test_a_long_first_host_is_no_obstacle() -> None:
    """A common name ends at 64 characters (RFC 5280); the names that count stand elsewhere."""
    host = f"{'a' * 60}.{'b' * 60}.svc"
    served = x509.load_pem_x509_certificate(make([host])["certificate"].encode())
    names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert names.get_values_for_type(x509.DNSName) == [host]


async def handshake(context: ssl.SSLContext, authority: str, host: str) -> str:
    """The serial number that a client which trusts `authority` meets at `host`."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        trust = ssl.create_default_context(cadata=authority)
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname=host)
        found = writer.get_extra_info("peercert")["serialNumber"]
        writer.close()
    return str(found)


@pytest.mark.parametrize("host", HOSTS)
async def test_a_client_that_trusts_the_authority_trusts_the_server(tmp_path: Path, host: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_files(certificate(), tmp_path))
    serial = x509.load_pem_x509_certificate(MADE["certificate"].encode()).serial_number

    assert int(await handshake(context, MADE["authority"], host), 16) == serial
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(context, MADE["authority"], "other.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(context, make(HOSTS)["authority"], host)


async def test_a_running_server_takes_a_new_certificate(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_files(certificate(), tmp_path))
    renewed = make(HOSTS)
    before = await handshake(context, MADE["authority"], "localhost")
    reload_context(context, certificate(parts=renewed), tmp_path)

    assert await handshake(context, renewed["authority"], "localhost") != before


def test_only_this_user_may_read_the_key(tmp_path: Path) -> None:
    for path in write_files(certificate(), tmp_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


# Shared by all replicas


@pytest.fixture
def made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates are made in this process, which is quicker."""

    async def make_here(hosts: list[str], now: datetime) -> Certificate:
        await asyncio.sleep(0)
        return certificate(expires=now + timedelta(days=365), parts=make(hosts))

    monkeypatch.setattr(webhook_tls, "_make_in_own_process", make_here)


async def test_a_certificate_is_made_in_a_process_of_its_own() -> None:
    found = await shared_certificate(cluster(Objects()), "ocean-system", HOSTS, NOW)
    served = x509.load_pem_x509_certificate(found.certificate.encode())

    served.verify_directly_issued_by(x509.load_pem_x509_certificate(found.authority.encode()))
    assert found.expires == NOW + timedelta(days=365)


@pytest.mark.usefixtures("made_here")
async def test_the_first_replica_makes_the_certificate_and_the_next_uses_it() -> None:
    objects = Objects()
    first = await shared_certificate(cluster(objects), "ocean-system", HOSTS, NOW)
    second = await shared_certificate(cluster(objects), "ocean-system", HOSTS, NOW)

    assert first == second
    assert objects.writes == ["create"]
    assert objects.held[SECRET]["type"] == "kubernetes.io/tls"
    assert first.expires == NOW + timedelta(days=365)


@pytest.mark.usefixtures("made_here")
async def test_of_two_replicas_that_start_together_one_wins() -> None:
    objects = Objects()
    both = await asyncio.gather(*(shared_certificate(cluster(objects), "ocean-system", HOSTS, NOW) for _ in range(2)))

    assert both[0] == both[1]
    assert objects.writes == ["create"]


@pytest.mark.usefixtures("made_here")
@pytest.mark.parametrize(
    ("left", "renewed"), [(timedelta(days=120), False), (timedelta(days=119), True), (timedelta(days=-1), True)]
)
async def test_a_certificate_is_renewed_in_time(left: timedelta, renewed: bool) -> None:  # noqa: FBT001 - a column
    objects = Objects()
    first = await shared_certificate(cluster(objects), "ocean-system", HOSTS, NOW)
    later = first.expires - left
    second = await shared_certificate(cluster(objects), "ocean-system", HOSTS, later)

    assert (second != first) is renewed
    assert objects.writes == ["create", *(["replace"] if renewed else [])]


@pytest.mark.usefixtures("made_here")
@pytest.mark.parametrize(
    "spoilt",
    [
        {"data": {}},
        {"data": {"ca.crt": "x", "tls.crt": "x", "tls.key": "x"}},
        {"metadata": {"name": SECRET, "resourceVersion": "1"}},
        {"data": {"ca.crt": "", "tls.crt": "", "tls.key": ""}},
    ],
    ids=["empty", "not base64", "no expiry", "empty fields"],
)
async def test_a_secret_that_cannot_be_read_is_made_anew(spoilt: dict[str, Any]) -> None:
    objects = Objects()
    await shared_certificate(cluster(objects), "ocean-system", HOSTS, NOW)
    objects.held[SECRET] = {**objects.held[SECRET], **spoilt}
    found = await shared_certificate(cluster(objects), "ocean-system", HOSTS, NOW)

    assert objects.writes == ["create", "replace"]
    assert base64.b64encode(found.key.encode()).decode() == objects.held[SECRET]["data"]["tls.key"]


@pytest.mark.usefixtures("made_here")
async def test_another_service_name_brings_another_certificate() -> None:
    """Else every apply is refused for months: the API server does not find the Service's name in the certificate."""
    objects = Objects()
    before = await shared_certificate(cluster(objects), "ocean-system", HOSTS, NOW)
    after = await shared_certificate(cluster(objects), "ocean-system", ["other.ocean-system.svc"], NOW)

    assert after != before


@pytest.mark.usefixtures("made_here")
async def test_an_expiry_that_somebody_edited_is_read_or_made_anew() -> None:
    objects = Objects()
    await shared_certificate(cluster(objects), "ocean-system", HOSTS, NOW)
    objects.held[SECRET]["metadata"]["annotations"]["ocean.cloudconnect.dev/expires"] = "2099-01-01"

    assert await shared_certificate(cluster(objects), "ocean-system", HOSTS, NOW)
    assert objects.writes == ["create", "replace"]


@pytest.mark.usefixtures("made_here")
async def test_of_two_replicas_that_renew_together_one_wins() -> None:
    objects = Objects()
    first = await shared_certificate(cluster(objects), "ocean-system", HOSTS, NOW)
    both = await asyncio.gather(
        *(shared_certificate(cluster(objects), "ocean-system", HOSTS, first.expires) for _ in range(2))
    )

    assert both[0] == both[1] != first
    assert objects.writes == ["create", "replace"]


# Trusted by the API server


def configuration(*bundles: str | None) -> Manifest:
    """A ValidatingWebhookConfiguration with a webhook for each bundle."""
    hooks = [
        {"name": f"h{n}", "clientConfig": {"url": "https://x/", **({"caBundle": b} if b else {})}}
        for n, b in enumerate(bundles)
    ]
    return {"metadata": {"name": "hooks", "resourceVersion": "1"}, "webhooks": hooks}


BUNDLE = base64.b64encode(MADE["authority"].encode()).decode()


@pytest.mark.parametrize(
    "bundles", [(None,), ("b2xk",), ("%%",), (BUNDLE, None)], ids=["none", "no PEM", "no base64", "one of two"]
)
async def test_the_api_server_is_told_whom_to_trust(bundles: tuple[str | None, ...]) -> None:
    objects = Objects(hooks=configuration(*bundles))
    await publish(cluster(objects), "hooks", certificate())

    assert objects.writes == ["merge"]
    assert {h["clientConfig"]["caBundle"] for h in objects.held["hooks"]["webhooks"]} == {BUNDLE}
    assert {h["clientConfig"]["url"] for h in objects.held["hooks"]["webhooks"]} == {"https://x/"}


async def test_nothing_is_written_when_it_knows_already() -> None:
    objects = Objects(hooks=configuration(BUNDLE, BUNDLE))
    await publish(cluster(objects), "hooks", certificate())

    assert objects.writes == []


async def test_a_missing_configuration_is_no_error() -> None:
    objects = Objects()
    await publish(cluster(objects), "hooks", certificate())

    assert objects.writes == []


async def test_two_replicas_that_publish_together_do_not_disturb_each_other() -> None:
    class Crossing(Objects):
        """Both read before either writes."""

        def __init__(self, **held: Manifest) -> None:
            super().__init__(**held)
            self.both = asyncio.Barrier(2)

        async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
            found = await super().get(kind, namespace, name)
            if not self.writes:
                await self.both.wait()
            return found

    objects = Crossing(hooks=configuration(None))
    ends = await asyncio.gather(
        *(publish(cluster(objects), "hooks", certificate()) for _ in range(2)), return_exceptions=True
    )

    assert ends == [None, None]


async def test_the_other_replicas_are_trusted_until_they_have_renewed_too() -> None:
    """They look once a day: until then every review that reaches one of them would fail."""
    objects = Objects(hooks=configuration(BUNDLE))
    await publish(cluster(objects), "hooks", certificate(parts=make(HOSTS)))
    trusted = base64.b64decode(objects.held["hooks"]["webhooks"][0]["clientConfig"]["caBundle"]).decode()

    assert MADE["authority"].strip() in trusted
