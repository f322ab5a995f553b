"""Certificates for servers of these tests, good ones and bad ones, made on the spot."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_AUTHORITY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of these tests")])
_SERVER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server of these tests")])


@dataclass(frozen=True)
class Authority:
    """Signs certificates for one test."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls) -> Authority:
        """A fresh one, which nobody trusts yet."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_AUTHORITY, key.public_key(), age=timedelta(days=2), life=timedelta(days=9))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return cls(key, builder.sign(key, hashes.SHA256()))

    @property
    def pem(self) -> str:
        """For `caBundle`."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def server(
        self, folder: Path, *, address: str = "127.0.0.1", name: str = "", life: timedelta = timedelta(days=9)
    ) -> tuple[Path, Path]:
        """Certificate and key for `address` or for `name` alone, in `folder`; good from yesterday on for `life`."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_SERVER, key.public_key(), age=timedelta(days=1), life=life)
        whose = x509.DNSName(name) if name else x509.IPAddress(ipaddress.ip_address(address))
        names = x509.SubjectAlternativeName([whose])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        signed = (
            builder.add_extension(names, critical=False)
            .add_extension(issuer, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        (folder / "cert.pem").write_bytes(signed.public_bytes(pem))
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / "key.pem").write_bytes(private)
        return folder / "cert.pem", folder / "key.pem"


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, *, age: timedelta, life: timedelta
) -> x509.CertificateBuilder:
    start = datetime.now(UTC) - age
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_AUTHORITY)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
