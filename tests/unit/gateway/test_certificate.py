"""TLS whose files change."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ocean_dev.certificates import Authority
from ocean_emr.gateway.serving import Certificate
from unit.gateway.wires import App, Connection, request, serving


class Files:
    """A certificate as cert-manager mounts and renews it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority.create()
        self.paths = (folder / "tls.crt", folder / "tls.key")
        self.renew("first")

    def renew(self, name: str) -> None:
        """Another one, for a host of that name as well."""
        self.authority.issue("gateway", addresses=["127.0.0.1", name]).write(self.folder, "tls")

    def client(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """What a client trusts, and, if it is told, the one version it speaks."""
        context = ssl.create_default_context(cadata=self.authority.pair.certificate.decode())
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context

    async def names(self, port: int) -> set[str]:
        """The hosts in the certificate that the server shows."""
        connection = await Connection.to(port, ssl=self.client(), server_hostname="127.0.0.1")
        shown = connection.writer.get_extra_info("peercert")["subjectAltName"]
        connection.writer.close()
        return {name for _, name in shown}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A certificate."""
    return Files(tmp_path)


async def test_certificate_that_was_renewed_is_shown_without_a_restart(files: Files, app: App) -> None:
    certificate = Certificate(files.paths)
    async with serving(app, certificate.context) as port:
        kept = await Connection.to(port, ssl=files.client(), server_hostname="127.0.0.1")
        assert await files.names(port) == {"127.0.0.1", "first"}
        files.renew("second")
        with capture_logs() as said:
            certificate.look()
            certificate.look()

        assert await files.names(port) == {"127.0.0.1", "second"}
        assert [line["event"] for line in said] == ["certificate renewed"]
        await kept.send(request(b"still here"))
        assert await kept.answer() == (200, b"still here")
        kept.writer.close()


@pytest.mark.parametrize("spoilt", ["key of another", "half a file", "gone"])
async def test_certificate_that_cannot_be_used_leaves_the_last_one(spoilt: str, files: Files, app: App) -> None:
    certificate = Certificate(files.paths)
    async with serving(app, certificate.context) as port:
        crt, key = files.paths
        match spoilt:
            case "key of another":
                key.write_bytes(Authority.create().issue("x").key)
            case "half a file":
                crt.write_bytes(crt.read_bytes()[:100])
            case _:
                key.unlink()
        with capture_logs() as said:
            certificate.look()

        assert [line["log_level"] for line in said] == ["error"]
        assert await files.names(port) == {"127.0.0.1", "first"}
        files.renew("second")
        certificate.look()
        assert await files.names(port) == {"127.0.0.1", "second"}


async def test_tls_1_1_and_plain_http_are_not_answered(files: Files, app: App) -> None:
    async with serving(app, Certificate(files.paths).context) as port:
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old = files.client(ssl.TLSVersion.TLSv1_1)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await Connection.to(port, ssl=old, server_hostname="127.0.0.1")
        plain = await Connection.to(port)
        await plain.send(request())
        assert b"HTTP" not in await plain.ended()

        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            connection = await Connection.to(port, ssl=files.client(version), server_hostname="127.0.0.1")
            await connection.send(request(b"safe"))
            assert await connection.answer() == (200, b"safe")
            connection.writer.close()
        assert len(app.clients) == 2
